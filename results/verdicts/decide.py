"""Verdicts from passes: faster, slower, equivalent or undecided, with their stopping rule.

A comparison of two algorithms is one number per pass, the logarithm of the ratio of their
times. Against a minimum effect e the truth is one of four: **faster** (beyond +e), **slower**
(beyond −e), **equivalent** (within), or on the border. A claim of "faster" or "slower" needs a
one-sided t-test over the passes that rejects the opposite. A claim of "equivalent" needs both
sides rejected (two one-sided tests: Schuirmann, 1987). A comparison's p-value is twice the
smallest, because two claims may be false at once. Without a rejection the verdict is **undecided**.

Passes continue while a comparison is undecided. Testing after every pass would find false
differences. So tests, called looks, happen only after fixed numbers of passes. The error rate
α = 5 % is shared among them: look k gets α/(k(k+1)), that is α/2, α/6, α/12, …, and the sum is α.
Within a look, the false discovery rate over all open comparisons is held at its share (Benjamini
& Hochberg, 1995). False claims of a look are at most as large a part of all claims as of
that look's claims, so the rates add up. At most α of all claims of a run are expected to be false.
Decided comparisons need no more passes.

The test assumes that passes are independent repetitions. If a ratio **drifts** between early and
late passes, they are not, and further drift might overturn the claim. Then no claim is made. An
earlier claim is withdrawn until later passes confirm it.

A beaten baseline leaves the race. Open comparisons with it stay undecided, and the time goes to
the candidates for the fastest.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from .statistics import Passes, Ratios, drift, pass_ratios, pass_times, shared_levels

#: Fewest passes that a verdict needs.
MIN_PASSES = 5
#: Expected part of false claims among all claims of a run.
ERROR_RATE = 0.05
#: Least relative difference that matters, unless the user sets another.
MIN_EFFECT = 0.02
#: Factor over the fastest time at which an algorithm leaves the race early, if time is short.
#: Noise alone made samples 1.5 times as long, so a factor of 3 is safe.
OUT_OF_THE_RUNNING = 3.0
UNDECIDED = "undecided"
_CLAIMS = ("faster", "slower", "equivalent")
_INVERSE = {"faster": "slower", "slower": "faster"}

#: Samples by algorithm, for one problem at one thread count.
Group = Mapping[str, Passes]


def looks(passes: int) -> Iterator[int]:
    """Yield the numbers of passes, up to `passes`, at which verdicts are tested.

    >>> list(looks(60))
    [5, 7, 10, 14, 20, 28, 40, 57]
    """
    number = 0
    while (look := round(MIN_PASSES * 2 ** (number / 2))) <= passes:
        yield look
        number += 1


def claim(ratios: np.ndarray, min_effect: float) -> tuple[str, float]:
    """Return the likeliest claim and its p-value from log-ratios ``other's time / mine`` by pass.

    >>> claim(np.log([1.30, 1.31, 1.29, 1.30, 1.32]), 0.02)[0]
    'faster'
    """
    error = float(ratios.std(ddof=1)) / math.sqrt(ratios.size)
    return claim_of(float(ratios.mean()), error, ratios.size - 1, min_effect)


def claim_of(mean: float, error: float, freedom: float, min_effect: float) -> tuple[str, float]:
    """Return the likeliest claim on a log-ratio and its p-value.

    `mean` is the estimate, `error` its standard error with `freedom` degrees of freedom.
    """
    from scipy.special import stdtr

    border, error = math.log1p(min_effect), max(error, 1e-12)
    not_above = stdtr(freedom, (mean - border) / error)
    not_below = 1 - stdtr(freedom, (mean + border) / error)
    values = (1 - not_above, 1 - not_below, max(not_above, not_below))
    best = int(np.argmin(values))
    return _CLAIMS[best], min(1.0, 2 * float(values[best]))


def adrift(ratios: np.ndarray, verdict: str, min_effect: float) -> bool:
    """Return True if log-ratios by pass drift enough to overturn `verdict`.

    Examples
    --------
    >>> adrift(np.log([3.0, 3.1, 3.0, 1.1, 1.2, 1.1, 1.2]), "faster", 0.02)
    True
    >>> adrift(np.log([90.0, 91.0, 90.0, 70.0, 71.0, 70.0, 71.0]), "faster", 0.02)
    False
    """
    change = abs(drift(ratios, math.log1p(min_effect)))
    return bool(change) and change > margin(float(ratios.mean()), verdict, min_effect)


def margin(mean: float, verdict: str, min_effect: float) -> float:
    """Return the distance of the log-ratio `mean` from the border of its `verdict`."""
    border = math.log1p(min_effect)
    return {"faster": mean - border, "slower": -mean - border, "equivalent": border - abs(mean)}[
        verdict
    ]


@dataclass
class Referee:
    """Verdicts of a run, look by look; only a later drift withdraws one.

    Parameters
    ----------
    baseline : str
        The algorithm that all others of a group are compared with. They are also compared
        with the fastest of the group, to find the winner.
    min_effect : float
        The relative difference that matters: 0.02 is 2 %.
    ratios : function
        Gives the logarithm of a ratio by pass: `pass_ratios`, or `paired_ratios` for versions of
        one algorithm.
    """

    baseline: str
    min_effect: float = MIN_EFFECT
    ratios: Ratios = pass_ratios
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
                ratios = np.array([*self.ratios(group[other], group[mine]).values()])
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
        """Reopen decided comparisons whose ratio has drifted since."""
        for (key, mine, other), verdict in [*self._found.items()]:
            group = groups.get(key, {})
            ratios = [*self.ratios(group.get(other, {}), group.get(mine, {})).values()]
            if self._drifts((key, mine, other), np.array(ratios), verdict):
                del self._found[key, mine, other]

    def _drifts(
        self, comparison: tuple[Hashable, str, str], ratios: np.ndarray, verdict: str
    ) -> bool:
        """Return True, and remember it, if a comparison drifts too much for `verdict`."""
        key, *pair = comparison
        self._drifting.discard((key, frozenset(pair)))
        if ratios.size and adrift(ratios, verdict, self.min_effect):
            self._drifting.add((key, frozenset(pair)))
            return True
        return False

    def drifting(self, key: Hashable, mine: str, other: str) -> bool:
        """Return True if a verdict on the pair is withheld because its ratio drifts."""
        return (key, frozenset((mine, other))) in self._drifting

    @property
    def decided(self) -> int:
        """Number of comparisons that have a verdict."""
        return len(self._found)

    def verdict(self, key: Hashable, mine: str, other: str) -> str:
        """Return the verdict on `mine` against `other` in group `key`."""
        if (key, mine, other) in self._found:
            return self._found[key, mine, other]
        seen = self._found.get((key, other, mine), UNDECIDED)
        return _INVERSE.get(seen, seen)

    def beaten(self, key: Hashable, name: str, others: Iterable[str]) -> bool:
        """Return True if `name` has the verdict "slower" against one of `others`."""
        return any(self.verdict(key, name, other) == "slower" for other in others)

    def leader(self, key: Hashable, group: Group) -> str | None:
        """Return the fastest unbeaten algorithm of `group`; None if nothing was timed."""
        times = {name: found for name in group if (found := pass_times(group[name]))}
        levels = shared_levels(times)
        first = [name for name in times if not self.beaten(key, name, group)] or [*times]
        return min(first, key=lambda name: levels[name], default=None)

    def open_pairs(self, key: Hashable, group: Group) -> list[tuple[str, str]]:
        """Return the undecided comparisons of `group` with the baseline and with the leader.

        A beaten algorithm cannot win, and is not compared with the leader. A beaten baseline
        has left the race, and nothing more is compared with it.
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
    """Return the verdicts of a run, from the looks it took and one after its last pass.

    The last look covers the passes of a run that ended between two looks.
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
