"""Who is faster than whom, and is it sure? Verdicts from passes, with the stopping rule they need.

A comparison of two algorithms is one number per pass, the logarithm of the ratio of their
times. Against a minimum effect e the truth is one of four: **faster** (beyond +e), **slower**
(beyond −e), **equivalent** (within), or on the border. Each of the first three is claimed where
a one-sided t-test over the passes rejects its opposite, equivalence where both sides are
rejected (two one-sided tests: Schuirmann, 1987); a comparison's p-value is twice the smallest,
since two claims may be false at once. What no test rejects is **undecided**.

Passes go on where something is undecided, and looking again and again until a test rejects
would find differences where there are none. So there are looks at fixed numbers of passes
alone, and look k may spend the k-th part of the error rate α = 5 %: α/2, α/6, α/12, …, α/(k(k+1)),
which add up to α. Within a look, the false discovery rate over all comparisons that are still
open is held at its part (Benjamini & Hochberg, 1995). False claims of one look over all claims
are no more than false claims over claims of that look, so the rates add up, and of all that a
run ever claims at most α is expected to be false. What is decided stays so and costs no more.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from .statistics import Passes, pass_ratios, pass_times

#: No verdict rests on fewer passes.
MIN_PASSES = 5
#: Of everything a run claims, the part that may be expected to be false.
ERROR_RATE = 0.05
#: What differs by less does not matter, unless the user says otherwise.
MIN_EFFECT = 0.02
UNDECIDED = "undecided"
_CLAIMS = ("faster", "slower", "equivalent")
_INVERSE = {"faster": "slower", "slower": "faster"}

#: Cells that are compared with each other, one problem at one thread count: samples by name.
Group = Mapping[str, Passes]


def looks(passes: int) -> Iterator[int]:
    """The numbers of passes up to `passes` after which verdicts are asked for.

    >>> list(looks(60))
    [5, 7, 10, 14, 20, 28, 40, 57]
    """
    number = 0
    while (look := round(MIN_PASSES * 2 ** (number / 2))) <= passes:
        yield look
        number += 1


def claim(ratios: np.ndarray, min_effect: float) -> tuple[str, float]:
    """What log-ratios ``other's time / mine``, one a pass, speak for most, and its p-value.

    >>> claim(np.log([1.30, 1.31, 1.29, 1.30, 1.32]), 0.02)[0]
    'faster'
    """
    from scipy.special import stdtr

    border, count = math.log1p(min_effect), ratios.size
    error = max(float(ratios.std(ddof=1)) / math.sqrt(count), 1e-12)
    above, below = (ratios.mean() - border) / error, (ratios.mean() + border) / error
    not_above, not_below = stdtr(count - 1, above), 1 - stdtr(count - 1, below)
    values = (1 - not_above, 1 - not_below, max(not_above, not_below))
    best = int(np.argmin(values))
    return _CLAIMS[best], min(1.0, 2 * float(values[best]))


@dataclass
class Referee:
    """Gives verdicts, look by look; what it has decided it never takes back.

    Parameters
    ----------
    baseline : str
        The algorithm that all others of a group are compared with; so they are with the
        fastest of the group, to know who wins.
    min_effect : float
        The relative difference that matters: 0.02 is 2 %.
    """

    baseline: str
    min_effect: float = MIN_EFFECT
    _found: dict[tuple[Hashable, str, str], str] = field(default_factory=dict)
    _looks: int = 0

    def look(self, groups: Mapping[Hashable, Group], passes: int) -> None:
        """Judge every open comparison by the passes numbered below `passes`."""
        from scipy.stats import false_discovery_control

        self._looks += 1
        asked: list[tuple[Hashable, str, str]] = []
        claims: list[tuple[str, float]] = []
        for key, whole in groups.items():
            group = {name: _first(samples, passes) for name, samples in whole.items()}
            for mine, other in self.open_pairs(key, group):
                ratios = pass_ratios(group[other], group[mine])
                if len(ratios) >= MIN_PASSES:
                    asked.append((key, mine, other))
                    claims.append(claim(np.array([*ratios.values()]), self.min_effect))
        if not asked:
            return
        adjusted = false_discovery_control([p for _, p in claims])
        level = ERROR_RATE / (self._looks * (self._looks + 1))
        for comparison, (verdict, _), p in zip(asked, claims, adjusted, strict=True):
            if p <= level:
                self._found[comparison] = verdict

    @property
    def decided(self) -> int:
        """How many comparisons have a verdict."""
        return len(self._found)

    def verdict(self, key: Hashable, mine: str, other: str) -> str:
        """Whether `mine` is faster than `other` in group `key`, slower, equivalent, undecided."""
        if (key, mine, other) in self._found:
            return self._found[key, mine, other]
        seen = self._found.get((key, other, mine), UNDECIDED)
        return _INVERSE.get(seen, seen)

    def beaten(self, key: Hashable, name: str, group: Group) -> bool:
        """Whether `name` is slower than some other of its group beyond doubt."""
        return any(self.verdict(key, name, other) == "slower" for other in group)

    def leader(self, key: Hashable, group: Group) -> str | None:
        """The fastest of `group` that nobody has beaten; None where nothing was timed."""
        times = {name: pass_times(group[name]) for name in group}
        able = {name: found for name, found in times.items() if found}
        first = [name for name in able if not self.beaten(key, name, group)] or [*able]
        return min(first, key=lambda name: float(np.mean([*able[name].values()])), default=None)

    def open_pairs(self, key: Hashable, group: Group) -> list[tuple[str, str]]:
        """What is undecided in `group`: who is compared with the baseline, and with the leader.

        Who is beaten already cannot win, and is not compared with the leader.
        """
        best = self.leader(key, group)
        timed = [name for name in group if pass_times(group[name])]
        pairs = {}
        for name in timed:
            references = {self.baseline} & set(timed)
            if best is not None and not self.beaten(key, name, group):
                references.add(best)
            for other in references - {name}:
                if self.verdict(key, name, other) == UNDECIDED:
                    pairs[frozenset((name, other))] = (name, other)
        return list(pairs.values())


def _first(samples: Passes, passes: int) -> Passes:
    return {number: entries for number, entries in samples.items() if number < passes}


def judge(groups: Mapping[Hashable, Group], baseline: str, min_effect: float) -> Referee:
    """The verdicts of a run, from what it left behind: every look it took, and a last one.

    The last is at all that there is, where a run ended between two looks.
    """
    referee = Referee(baseline, min_effect)
    numbers = {n for group in groups.values() for samples in group.values() for n in samples}
    most = max(numbers, default=-1) + 1
    taken = [*looks(most)]
    for passes in taken:
        referee.look(groups, passes)
    if most > max(taken, default=most):
        referee.look(groups, most)
    return referee
