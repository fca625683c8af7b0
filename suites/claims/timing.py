"""Timing for claims: samples in randomised blocks inside this process.

Other work on the machine lengthens samples, often most of them. The blocks are therefore cut into
parts, and each part is read by its shortest sample, like a pass of a run. Intervals come from the
parts, and describe this process alone. `convbench run` repeats measurements in fresh processes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from results.verdicts.statistics import Interval, Passes, ratio_interval, time_interval
from suites.machine import clock

#: Parts of a measurement, one after the other; the interval is Student's over them.
PARTS = 5
#: Fewest blocks: three for each part.
BLOCKS = 3 * PARTS

Calls = Mapping[str, Callable[[], object]]


def samples(calls: Calls, seconds: float = 1.0) -> dict[str, Passes]:
    """Return samples of each function in seconds per call, each part as a pass.

    Parameters
    ----------
    calls : functions by name
        Called without arguments. The first call of each is not timed.
    seconds : float
        Time to spend; at least `BLOCKS` blocks are taken.
    """
    order = random.Random(0)
    names = list(calls)
    least = clock.shortest_sample()
    loops = {name: int(least / _warm(calls[name])) + 1 for name in names}
    taken: dict[str, list[float | None]] = {name: [] for name in names}
    end, blocks = clock.now() + seconds, 0
    while blocks < BLOCKS or clock.now() < end:
        order.shuffle(names)
        for name in names:
            taken[name].append(clock.sample(calls[name], loops[name]))
        blocks += 1
    ends = [blocks * part // PARTS for part in range(PARTS + 1)]
    return {
        name: {part: found[ends[part] : ends[part + 1]] for part in range(PARTS)}
        for name, found in taken.items()
    }


def _warm(function: Callable[[], object]) -> float:
    """Compile and warm up `function`; return the seconds of a call."""
    function()
    return clock.shortest(function, 0.0)


def ratio(
    above: Callable[[], object], below: Callable[[], object], seconds: float = 1.0
) -> Interval:
    """Return the time of `above` over that of `below`, with its 95 % interval."""
    found = samples({"above": above, "below": below}, seconds)
    return ratio_interval(found["above"], found["below"])


def times(calls: Calls, seconds: float = 1.0) -> dict[str, Interval]:
    """Return seconds per call of each function, with its 95 % interval."""
    return {name: time_interval(found) for name, found in samples(calls, seconds).items()}
