"""The regret of the automatic choice in a run, beside that of simpler rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from algos.choice import forget_choices
from algos.core.errors import ConvbenchError
from algos.core.family import CONVOLUTION
from algos.notation import parse
from results.records.entrants import as_given
from results.tables.labels import GROUP
from results.tables.regret import Figures, Key, figures, key_of, regret
from suites.cases.choosing import automatic, is_admitted, without_wisdom
from suites.cases.suite import Case

from .rules import by_scipy, by_taps

#: Title of the automatic choice that knows nothing measured by the user.
DEFAULT = "auto without wisdom"
#: Smallest slow-down that counts as one.
MIN_EFFECT = 0.02


@dataclass(frozen=True)
class Rule:
    """A rule of choice: its title, its choices, and how their regret is counted.

    Attributes
    ----------
    title : str
        Name of the rule in tables.
    chosen : mapping
        Name of an algorithm by problem and thread count. Absent where the rule does not apply.
    use : {"prepared", "once"}
        Times that count. See `results.tables.regret.regret`.
    among : tuple of str, optional
        Algorithms to choose from, if the rule knows these alone.
    """

    title: str
    chosen: Mapping[Key, str] = field(repr=False)
    use: str = "prepared"
    among: tuple[str, ...] | None = None


def cases_of(frame: pd.DataFrame) -> dict[Key, Case]:
    """Return the case of every problem and thread count of a run, by key."""
    first = frame.drop_duplicates(list(GROUP))
    return {
        key_of(row): Case(parse(str(row["problem"])), str(row["weights"]), str(row["pixels"]))
        for _, row in first.iterrows()
    }


def automatic_choices(
    cases: Mapping[Key, Case], seed: int = 0, use: str = "prepared"
) -> dict[Key, str]:
    """Return the automatic choice for every case that has one."""
    threads = GROUP.index("threads")
    found = {key: automatic(case, key[threads], seed, use) for key, case in cases.items()}
    return {key: name for key, name in found.items() if name}


def rules_of(frame: pd.DataFrame) -> list[Rule]:
    """Return the automatic choice and the rules beside it, for the problems of a run.

    The automatic choice is made anew, so that a later version can be judged on an older run.
    """
    cases = cases_of(frame)
    seed = int(frame.attrs.get("seed") or 0)
    prepared = automatic_choices(cases, seed)
    once = automatic_choices(cases, seed, "once")
    with without_wisdom():
        default = automatic_choices(cases, seed)
    plain = {key: case for key, case in cases.items() if case.problem.family is CONVOLUTION}
    scipy = {key: name for key, case in plain.items() if (name := by_scipy(case))}
    rules = [Rule("auto, kernel prepared", prepared), Rule("auto, one call", once, "once")]
    if default != prepared:
        rules.append(Rule(DEFAULT, default))
    return [
        *rules,
        Rule("always parallel", dict.fromkeys(cases, "parallel")),
        Rule("taps and separability", {key: by_taps(c, seed) for key, c in plain.items()}),
        Rule("SciPy's rule", scipy),
        Rule("SciPy's rule, direct or FFT", scipy, among=("parallel", "fft")),
        Rule("auto for one call, kernel prepared", once),
        Rule("auto for prepared, one call", prepared, "once"),
    ]


def table_of(frame: pd.DataFrame, rules: list[Rule]) -> list[tuple[Rule, Figures, Figures]]:
    """Return each rule with its figures, and those of the automatic choice on its problems."""
    auto = {rule.use: rule.chosen for rule in reversed(rules[:2])}
    found = []
    for rule in rules:
        if not rule.chosen:
            continue
        own = regret(frame, rule.chosen, use=rule.use, among=rule.among)
        same = {key: name for key, name in auto[rule.use].items() if key in rule.chosen}
        found.append((rule, figures(own), figures(regret(frame, same, use=rule.use))))
    return found


def slower_than(
    frame: pd.DataFrame, mine: Mapping[Key, str], other: Mapping[Key, str]
) -> list[str]:
    """Return the labels where `mine` is significantly slower than `other`.

    That is where the 95 % interval of the ratio of their times lies above `MIN_EFFECT`.
    """
    said = []
    for key, name in mine.items():
        if other.get(key, name) == name:
            continue
        pair = regret(frame, {key: name}, among=(name, other[key]))
        slower = pair[(pair["best"] == other[key]) & (pair["regret_low"] > MIN_EFFECT)]
        said += [f"{row['label']}: {name}, not {other[key]}" for _, row in slower.iterrows()]
    return said


def unsteady(frame: pd.DataFrame, before: Mapping[Key, str]) -> int:
    """Return the number of problems whose choice, asked for again, differs from `before`."""
    forget_choices()
    again = automatic_choices(cases_of(frame), int(frame.attrs.get("seed") or 0))
    return sum(before.get(key) != again.get(key) for key in {*before, *again})


def admitted(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of algorithms that may be chosen by default, by their typical errors.

    The rows need not come from a run that knew it. An entrant of another layout is never chosen.
    """
    frame = as_given(frame)
    pairs = zip(frame["problem"], frame["algorithm"], strict=True)
    return frame[[is_admitted(parse(str(text)), str(name)) for text, name in pairs]]


def check_cases(frame: pd.DataFrame) -> None:
    """Refuse a run that holds no problem with two timed algorithms."""
    timed = frame[frame["time_s"].notna()]
    counts = timed.groupby(list(GROUP))["algorithm"].nunique()
    if not (counts > 1).any():
        raise ConvbenchError(
            "the run holds no problem for which two algorithms were timed, so a choice between "
            "them cannot be judged; give a run of several algorithms, or a longer --budget"
        )
