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
run ever claims at most α is expected to be false. What is decided costs no more.

The test takes passes for independent repetitions of one thing. Where a ratio **drifts** between
early and late passes they are not, and going on the drift might overturn the claim: then no
claim is made, and one that was made is taken back, until later passes bear it out.

A baseline that is beaten is out of the race: what others still had to decide about it stays
undecided, and the time goes to those that may be the fastest.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from .statistics import Passes, drift, pass_ratios, pass_times, shared_levels

#: No verdict rests on fewer passes.
MIN_PASSES = 5
#: Of everything a run claims, the part that may be expected to be false.
ERROR_RATE = 0.05
#: What differs by less does not matter, unless the user says otherwise.
MIN_EFFECT = 0.02
#: Where time is short, algorithms that take so many times as long as the fastest leave the race
#: before they are beaten. Noise alone made samples half as long again.
OUT_OF_THE_RUNNING = 3.0
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


def adrift(ratios: np.ndarray, verdict: str, min_effect: float) -> bool:
    """Return True if log-ratios, in the order of passes, drift by enough to overturn `verdict`.

    >>> adrift(np.log([3.0, 3.1, 3.0, 1.1, 1.2, 1.1, 1.2]), "faster", 0.02)
    True
    >>> adrift(np.log([90.0, 91.0, 90.0, 70.0, 71.0, 70.0, 71.0]), "faster", 0.02)
    False
    """
    border, mean = math.log1p(min_effect), float(ratios.mean())
    change = abs(drift(ratios, border))
    margins = {"faster": mean - border, "slower": -mean - border, "equivalent": border - abs(mean)}
    return bool(change) and change > margins[verdict]


@dataclass
class Referee:
    """Gives verdicts, look by look; takes one back only where later passes drift away from it.

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
    _drifting: set[tuple[Hashable, frozenset[str]]] = field(default_factory=set)
    _looks: int = 0

    def look(self, groups: Mapping[Hashable, Group], passes: int) -> None:
        """Judge every open comparison by the passes numbered below `passes`."""
        from scipy.stats import false_discovery_control

        self._looks += 1
        seen = {
            key: {name: _first(samples, passes) for name, samples in group.items()}
            for key, group in groups.items()
        }
        self._take_back(seen)
        asked: list[tuple[Hashable, str, str]] = []
        claims: list[tuple[str, float]] = []
        rests: list[np.ndarray] = []
        for key, group in seen.items():
            for mine, other in self.open_pairs(key, group):
                ratios = np.array([*pass_ratios(group[other], group[mine]).values()])
                if ratios.size >= MIN_PASSES:
                    asked.append((key, mine, other))
                    claims.append(claim(ratios, self.min_effect))
                    rests.append(ratios)
        if not asked:
            return
        adjusted = false_discovery_control([p for _, p in claims])
        level = ERROR_RATE / (self._looks * (self._looks + 1))
        for comparison, (verdict, _), p, ratios in zip(asked, claims, adjusted, rests, strict=True):
            if p <= level and not self._drifts(comparison, ratios, verdict):
                self._found[comparison] = verdict

    def _take_back(self, groups: Mapping[Hashable, Group]) -> None:
        """Open those comparisons again whose ratio has drifted since they were decided."""
        for (key, mine, other), verdict in [*self._found.items()]:
            group = groups.get(key, {})
            ratios = [*pass_ratios(group.get(other, {}), group.get(mine, {})).values()]
            if self._drifts((key, mine, other), np.array(ratios), verdict):
                del self._found[key, mine, other]

    def _drifts(
        self, comparison: tuple[Hashable, str, str], ratios: np.ndarray, verdict: str
    ) -> bool:
        """Note whether a comparison drifts too much for `verdict`, and return it."""
        key, *pair = comparison
        self._drifting.discard((key, frozenset(pair)))
        if ratios.size and adrift(ratios, verdict, self.min_effect):
            self._drifting.add((key, frozenset(pair)))
            return True
        return False

    def drifting(self, key: Hashable, mine: str, other: str) -> bool:
        """Return True if a verdict on the two is held back because their ratio drifts."""
        return (key, frozenset((mine, other))) in self._drifting

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
        times = {name: found for name in group if (found := pass_times(group[name]))}
        levels = shared_levels(times)
        first = [name for name in times if not self.beaten(key, name, group)] or [*times]
        return min(first, key=lambda name: levels[name], default=None)

    def open_pairs(self, key: Hashable, group: Group) -> list[tuple[str, str]]:
        """Return the undecided comparisons of `group`: with the baseline, and with the leader.

        An algorithm that is beaten cannot win, and is not compared with the leader. A baseline
        that is beaten is out of the race, and nothing more is compared with it.
        """
        best = self.leader(key, group)
        timed = [name for name in group if pass_times(group[name])]
        racing = set() if self.beaten(key, self.baseline, group) else {self.baseline} & set(timed)
        pairs = {}
        for name in timed:
            references = set(racing)
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
