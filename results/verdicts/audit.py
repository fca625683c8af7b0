"""What an audit found: how often verdicts are wrong, where the truth is known.

An audit is a run in which every group holds one algorithm under several names: ``A``, the
baseline; ``A again``, which is no faster and no slower; and ``A +5 %`` and its like, which make
more calls than they own up to. Whatever rule is asked about the samples, its answers can be
counted, and a count has an exact interval (Clopper & Pearson, 1934).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from results.records.files import write_whole
from results.records.records import RunRecords

from .decide import MIN_EFFECT, MIN_PASSES, Referee, judge
from .statistics import Passes, pass_ratios, ratio_interval

BASELINE, AGAIN = "A", "A again"
EFFECTS = (0.01, 0.02, 0.05, 0.10)
FILE = "audit.json"
#: The folder of audits, beside the runs.
AUDITS = "audits"
#: A sound harness has at most so many false alarms, and intervals that hold the truth at least
#: so often. (Missing an effect, or an interval that is too wide, makes no verdict wrong.)
FALSE_ALARMS, COVERAGE = 0.01, 0.93
#: An audit of fewer pairs has nothing to say.
MIN_PAIRS = 100
#: What a machine and an installation are known by: an audit holds for these alone.
IDENTITY = ("host", "cpu", "usable_cores", "python", "convbench", "numba", "numpy")


def planted(effect: float) -> str:
    """The name of what is slower by `effect` on purpose.

    >>> planted(0.05)
    'A +5 %'
    """
    return f"{BASELINE} +{100 * effect:g} %"


NAMES = {BASELINE: 0.0, AGAIN: 0.0, **{planted(effect): effect for effect in EFFECTS}}


@dataclass(frozen=True)
class Rate:
    """`hits` of `trials`, and the exact 95 % interval of what they are drawn from."""

    hits: int
    trials: int

    @property
    def value(self) -> float:
        """The part that hit; NaN of nothing."""
        return self.hits / self.trials if self.trials else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's interval."""
        from scipy.stats import binomtest

        if not self.trials:
            return 0.0, 1.0
        found = binomtest(self.hits, self.trials).proportion_ci()
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        """In per cent, with the interval."""
        if not self.trials:
            return "–"
        low, high = self.interval
        return f"{100 * self.value:.3g} ({100 * low:.3g}–{100 * high:.3g})"


#: Samples of the baseline and of another name; whether a rule calls the other slower or faster.
Rule = Callable[[Passes, Passes], bool]


@dataclass(frozen=True)
class Audit:
    """Error rates of one rule after another, and how good the intervals are.

    Attributes
    ----------
    alarms : dict
        By rule: pairs of equals that it tells apart.
    power : dict
        By rule and planted effect in per cent: slow-downs that it calls slower, or different.
    coverage : dict
        By name: nominal 95 % intervals of the ratio that hold the truth.
    variances : tuple
        Variance between passes over that within, pooled over all pairs of equals, and its 95 %
        interval from the F distribution.
    passes : float
        Passes that a pair of equals took, on average.
    """

    alarms: dict[str, Rate]
    power: dict[str, dict[str, Rate]]
    coverage: dict[str, Rate]
    variances: tuple[float, float, float]
    passes: float

    @property
    def shortcomings(self) -> list[str]:
        """What makes verdicts doubtful: the targets that were missed, each as a sentence."""
        said = []
        alarms, coverage = self.alarms["convbench"], self.coverage[AGAIN]
        if alarms.trials < MIN_PAIRS:
            return [f"{alarms.trials} pairs are too few to say, expected {MIN_PAIRS}"]
        if not alarms.value <= FALSE_ALARMS:
            said.append(f"false alarms {alarms} %, expected at most {100 * FALSE_ALARMS:.0f} %")
        if coverage.interval[1] < COVERAGE:
            said.append(f"coverage {coverage} %, expected at least {100 * COVERAGE:.0f} %")
        return said


def audit_of(run: RunRecords) -> Audit:
    """Count what rules say about the samples of an audit's `run`."""
    from .others import RULES

    groups: dict[Any, dict[str, Any]] = {}
    for record in run.passes:
        for name, samples in record["samples_s"].items():
            groups.setdefault(record["group"], {}).setdefault(name, {})[record["pass"]] = samples
    min_effect = float(run.header.get("min_effect", MIN_EFFECT))
    referee = judge(groups, BASELINE, min_effect)
    pairs = {
        name: [
            key
            for key, group in groups.items()
            if len(pass_ratios(group.get(BASELINE, {}), group.get(name, {}))) >= MIN_PASSES
        ]
        for name in NAMES
        if name != BASELINE
    }
    alarms = {"convbench": _count(pairs[AGAIN], lambda key: _told_apart(referee, key, AGAIN))}
    power = {"convbench": {
        name: _count(keys, lambda key, name=name: referee.verdict(key, name, BASELINE) == "slower")
        for name, keys in pairs.items() if name != AGAIN
    }}  # fmt: skip
    for title, rule in RULES.items():

        def says(key: Any, name: str, rule: Rule = rule) -> bool:
            return rule(groups[key][BASELINE], groups[key][name])

        alarms[title] = _count(pairs[AGAIN], lambda key: says(key, AGAIN))
        power[title] = {
            name: _count(keys, lambda key, name=name: says(key, name))
            for name, keys in pairs.items()
            if name != AGAIN
        }
    coverage = {
        name: _count(keys, lambda key, name=name: _covers(groups[key], name))
        for name, keys in pairs.items()
    }
    lengths = [len(groups[key][AGAIN]) for key in pairs[AGAIN]]
    return Audit(
        alarms, power, coverage,
        _variances([groups[key] for key in pairs[AGAIN]]),
        float(np.mean(lengths)) if lengths else 0.0,
    )  # fmt: skip


def _count(keys: Sequence[Any], hit: Callable[..., bool]) -> Rate:
    return Rate(sum(hit(key) for key in keys), len(keys))


def _told_apart(referee: Referee, key: Any, name: str) -> bool:
    return referee.verdict(key, name, BASELINE) in ("faster", "slower")


def _covers(group: Mapping[str, Passes], name: str) -> bool:
    found = ratio_interval(group[name], group[BASELINE])
    return found.low <= 1 + NAMES[name] <= found.high


def _variances(groups: Sequence[Mapping[str, Passes]]) -> tuple[float, float, float]:
    """One-way analysis of variance of block log-ratios, pooled: between passes over within."""
    from scipy.stats import f as distribution

    between = within = 0.0
    free_between = free_within = blocks = passes = 0
    for group in groups:
        ratios = [
            np.log(np.array(above, dtype=float)) - np.log(np.array(below, dtype=float))
            for above, below in (
                (group[AGAIN][number], group[BASELINE][number])
                for number in sorted(set(group[AGAIN]) & set(group[BASELINE]))
            )
            if None not in above and None not in below and len(above) == len(below) > 1
        ]
        if len(ratios) < 2:
            continue
        means, sizes = np.array([r.mean() for r in ratios]), np.array([r.size for r in ratios])
        grand = np.average(means, weights=sizes)
        between += float((sizes * (means - grand) ** 2).sum())
        within += float(sum(((r - r.mean()) ** 2).sum() for r in ratios))
        free_between += len(ratios) - 1
        free_within += int(sizes.sum()) - len(ratios)
        blocks, passes = blocks + int(sizes.sum()), passes + len(ratios)
    if not free_between or not within:
        return (float("nan"),) * 3
    ratio, size = (between / free_between) / (within / free_within), blocks / passes
    ends = [ratio / distribution.ppf(q, free_between, free_within) for q in (0.975, 0.025)]
    low, high = (max(0.0, (end - 1) / size) for end in ends)
    return max(0.0, (ratio - 1) / size), low, high


def save(audit: Audit, run: RunRecords) -> Path:
    """Write what was found beside the records, with the machine it holds for."""
    environment = run.header.get("environment", {})
    content = {
        "started": run.header.get("started"),
        "identity": {name: environment.get(name) for name in IDENTITY},
        "min_effect": run.header.get("min_effect"),
        "shortcomings": audit.shortcomings,
        **asdict(audit),
    }
    return write_whole(run.path / FILE, json.dumps(content, indent=2) + "\n")


def objection(folder: str | os.PathLike[str], environment: Mapping[str, Any]) -> str | None:
    """Why verdicts from this machine are not to be trusted by the last audit in `folder`."""
    wanted = {name: environment.get(name) for name in IDENTITY}
    found = []
    for file in Path(folder).glob(f"*/{FILE}"):
        try:
            content = json.loads(file.read_text())
            started, same = str(content["started"]), content["identity"] == wanted
            shortcomings = [str(sentence) for sentence in content["shortcomings"]]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            continue  # a damaged audit vouches for nothing
        if same:
            found.append((started, shortcomings))
    if not found:
        return "this machine and these versions have not been audited; run: convbench audit"
    _, shortcomings = max(found)
    if shortcomings:
        return f"the last audit of this machine failed: {'; '.join(shortcomings)}"
    return None
