"""Results of an audit: the error rates of verdicts where the truth is known.

An audit is a run in which every group holds one algorithm under several names. ``A`` is the
baseline, and ``A again`` is equally fast. ``A +5 %`` and similar names make more calls than they
report, which makes them slower by a known amount. The answers of any rule can be counted, and a
count has an exact interval (Clopper & Pearson, 1934).
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
from results.records.run import RunRecords

from .decide import MIN_EFFECT, MIN_PASSES, Referee, judge
from .statistics import Passes, pass_ratios, ratio_interval

BASELINE, AGAIN = "A", "A again"
EFFECTS = (0.01, 0.02, 0.05, 0.10)
FILE = "audit.json"
#: Name of the folder of audits, inside the folder of runs.
AUDITS = "audits"
#: Targets of an audit: the highest rate of false alarms, and the lowest coverage of the intervals.
#: A missed effect or a wide interval makes no verdict wrong, so neither has a target.
FALSE_ALARMS, COVERAGE = 0.01, 0.93
#: Fewest pairs that an audit needs for a result.
MIN_PAIRS = 100
#: Fields that identify a machine and an installation. An audit is valid for these alone.
IDENTITY = ("host", "cpu", "usable_cores", "python", "convbench", "numba", "numpy")


def planted(effect: float) -> str:
    """Return the name of the copy that is slower by `effect` on purpose.

    >>> planted(0.05)
    'A +5 %'
    """
    return f"{BASELINE} +{100 * effect:g} %"


NAMES = {BASELINE: 0.0, AGAIN: 0.0, **{planted(effect): effect for effect in EFFECTS}}


@dataclass(frozen=True)
class Rate:
    """Rate of `hits` in `trials`, with its exact 95 % interval."""

    hits: int
    trials: int

    @property
    def value(self) -> float:
        """Hits per trial; NaN without trials."""
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
        """Return the rate in per cent, with its interval.

        >>> str(Rate(43, 53)), str(Rate(0, 277)), str(Rate(53, 53))
        ('81.1 (68–91)', '0 (0.0–1.3)', '100 (93–100)')
        """
        if not self.trials:
            return "–"
        low, high = (f"{100 * end:.{int(end < 0.0995)}f}" for end in self.interval)
        return f"{100 * self.value:.3g} ({low}–{high})"


#: Function of two sets of samples that returns True if it calls them different.
Rule = Callable[[Passes, Passes], bool]


@dataclass(frozen=True)
class Audit:
    """Error rates of each rule, and coverage of the intervals."""

    #: By rule: equal pairs that it calls different.
    alarms: dict[str, Rate]
    #: By rule and planted slow-down: pairs that it calls slower, or different.
    power: dict[str, dict[str, Rate]]
    #: By name: nominal 95 % intervals of the ratio that contain the true ratio.
    coverage: dict[str, Rate]
    #: Variance between passes over variance within, pooled over all equal pairs. Two more values
    #: give its 95 % interval, from the F distribution.
    variances: tuple[float, float, float]
    #: Mean number of passes of an equal pair.
    passes: float

    @property
    def shortcomings(self) -> list[str]:
        """Targets that were missed, each as a sentence."""
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
    """Return the error rates of all rules on the samples of `run`, an audit."""
    from .others import RULES

    groups: dict[Any, dict[str, Any]] = {}
    for record in run.passes:
        for name, samples in record.samples_s.items():
            groups.setdefault(record.group, {}).setdefault(name, {})[record.number] = samples
    known = run.header.min_effect
    referee = judge(groups, BASELINE, MIN_EFFECT if known is None else known)
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
    """Return the ratio of variances of block log-ratios, between over within passes."""
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
    """Write `audit` beside the records of `run`, with the identity of the machine."""
    environment = run.header.environment or {}
    content = {
        "started": run.header.started,
        "identity": {name: environment.get(name) for name in IDENTITY},
        "min_effect": run.header.min_effect,
        "shortcomings": audit.shortcomings,
        **asdict(audit),
    }
    return write_whole(run.path / FILE, json.dumps(content, indent=2) + "\n")


def last_audit(
    folder: str | os.PathLike[str], environment: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the content of the last audit of this machine in `folder`, or None.

    ``shortcomings`` is a list of sentences; the other fields are as `save` writes them.
    """
    wanted = {name: environment.get(name) for name in IDENTITY}
    found = []
    for file in Path(folder).glob(f"*/{FILE}"):
        try:
            content = json.loads(file.read_text())
            started, same = str(content["started"]), content["identity"] == wanted
            content["shortcomings"] = [str(sentence) for sentence in content["shortcomings"]]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            continue  # a damaged audit proves nothing
        if same:
            found.append((started, content))
    return max(found, key=lambda one: one[0])[1] if found else None


def objection(folder: str | os.PathLike[str], environment: Mapping[str, Any]) -> str | None:
    """Return the reason to distrust verdicts of this machine by its last audit, or None."""
    content = last_audit(folder, environment)
    if content is None:
        return "this machine and these versions have not been audited; run: convbench audit"
    if content["shortcomings"]:
        return f"the last audit of this machine failed: {'; '.join(content['shortcomings'])}"
    return None
