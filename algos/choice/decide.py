"""Decision: the candidates for a problem in order of their expected time, and the first that fits.

The order depends on the problem and on what is asked, so it is kept. The kernel's values decide
among the first few: a rank, a NaN or an infinity may rule a candidate out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos import registry
from algos.adapters import performer
from algos.adapters.border_layout import layouts
from algos.adapters.relaid import Relaid, channels_first
from algos.backend import threads as pools
from algos.core.arguments import choice, truth, whole_number
from algos.core.arrays import check_addressable, take
from algos.core.errors import ConvbenchError, shown
from algos.core.family import CONVOLUTION, POOLING, check_problem
from algos.core.memory_order import CHANNELS_FIRST
from algos.core.problem import Problem
from algos.pooling.core.algorithm import Relaid as PoolRelaid
from algos.pooling.core.problem import PoolProblem

from . import accuracy as classes
from . import model, pins, wisdom
from .values import unsuited

#: Uses of a choice: the kernel is prepared beforehand, or in every call.
USES = ("prepared", "once")
#: Name that stands for the automatic choice.
AUTO = "auto"
#: Algorithm that can compute every problem. It is chosen if no times are known.
ALWAYS = "parallel"
#: Most kernels whose rank is computed. With more, it takes longer than it saves.
MOST_KERNELS = 64


class Known(NamedTuple):
    """Seconds of a call with their interval, seconds to prepare, and where they come from."""

    time_s: float
    low_s: float
    high_s: float
    prepare_s: float
    source: str


#: Facts of an algorithm that was never timed and has no model.
UNKNOWN = Known(math.nan, 0.0, math.inf, 0.0, "")


@dataclass(frozen=True)
class Ranked:
    """An algorithm that may be chosen, with the seconds of a call that the order rests on."""

    name: str
    able: Any
    known: Known


@dataclass(frozen=True)
class Order:
    """Candidates in order of preference, and the sentences why others are none."""

    ranked: tuple[Ranked, ...]
    reasons: dict[str, str]


def choose(
    problem: Problem | PoolProblem,
    w: np.ndarray | None = None,
    *,
    use: str = "prepared",
    accuracy: str | float = "standard",
    memory: int | None = None,
    threads: int | None = None,
    deterministic: bool = False,
) -> str:
    """Return the name of the algorithm that ``algorithm="auto"`` stands for.

    Parameters
    ----------
    problem : Problem or PoolProblem
    w : ndarray, optional
        Kernel. Without it, the choice leaves out algorithms that suit only some kernels.
    use : {"prepared", "once"}
        Preparation of the kernel. In use "prepared" it is done beforehand, as by `plan`. In use
        "once" it is part of every call, as in `conv`.
    accuracy : {"direct", "standard", "fast"} or float
        Largest typical error. A number is a multiple of a direct sum's error. Class "direct" admits
        direct sums only. Class "standard" admits errors up to four times a direct sum's, and so
        Fourier and Winograd transforms. Class "fast" admits every verified algorithm.
    memory : int, optional
        Most bytes of workspace. Default: no limit.
    threads : int, optional
        Largest number of threads. Default: all that may be used.
    deterministic : bool
        True makes the choice depend on problem, kernel and processor type alone. It then ignores
        the number of threads, and times and rates measured on this machine.

    Raises
    ------
    ConvbenchError
        If an argument is wrong, or no candidate needs as little memory.

    Examples
    --------
    >>> problem = Problem(size=(64, 64), kernel=3, in_channels=8, out_channels=8)
    >>> choose(problem, accuracy="direct") in ("parallel", "im2col")
    True
    """
    order = order_of(problem, use, accuracy, memory, threads, deterministic)
    return first(order, problem, taken(problem, w)).name


def resolve(
    algorithm: Any, problem: Any, w: np.ndarray | None = None, *others: np.ndarray,
    use: str = "prepared", accuracy: str | float = "standard", memory: int | None = None,
    threads: int | None = None, deterministic: bool = False,
) -> Any:  # fmt: skip
    """Return the algorithm that `algorithm` names or is; for "auto" the one chosen.

    `w` is the kernel, as `taken` returns it, and `others` are the other operands, as far as they
    are known. The rest is as in `choose`.
    """
    if isinstance(algorithm, str) and algorithm == AUTO:
        order = order_of(problem, use, accuracy, memory, threads, deterministic)
        return registry.of(problem.family)[first(order, problem, w, *others).name]
    if accuracy != "standard" or memory is not None or truth("deterministic", deterministic):
        raise ConvbenchError(
            f"accuracy, memory and deterministic guide algorithm={AUTO!r}, but "
            f"{shown(algorithm)} was named; leave them out, or use {AUTO!r}"
        )
    return registry.get_for(problem, algorithm)


def taken(problem: Any, w: np.ndarray | None) -> np.ndarray | None:
    """Return the kernel of `problem` as algorithms take it; None if it is not given."""
    if w is None:
        return None
    return take("kernel", w, problem.kernel_shape, np.dtype(problem.dtype))


def order_of(
    problem: Any, use: str, accuracy: str | float, memory: int | None, threads: int | None,
    deterministic: bool,
) -> Order:  # fmt: skip
    """Return the candidates for `problem` in order of preference."""
    # Without a limit of memory, a deterministic choice does not look at the threads.
    ignored = truth("deterministic", deterministic) and memory is None
    count = 1 if ignored else pools.check(threads)
    try:
        return _order(problem, use, accuracy, memory, count, deterministic)
    except TypeError:  # an argument that cannot be looked up by, such as a list
        return _order.__wrapped__(problem, use, accuracy, memory, count, deterministic)


@lru_cache(maxsize=4096)
def _order(
    problem: Any, use: str, accuracy: str | float, memory: int | None, threads: int,
    deterministic: bool,
) -> Order:  # fmt: skip
    check_problem(problem, PoolProblem if getattr(problem, "family", None) is POOLING else Problem)
    check_addressable(problem)
    choice("use", use, USES)
    accuracy = classes.check(accuracy)
    if memory is not None:
        memory = whole_number("memory", memory, least=0, most=None)
    asked = problem.with_images
    alone = deterministic or pools.is_small(asked.multiply_adds, asked.compulsory_bytes)
    count = 1 if alone else threads
    able, reasons = _able(asked, accuracy)
    known = _predicted(asked, count, use, not deterministic, able)
    entry = _remembered(asked, {count} if deterministic else {threads, count}, deterministic)
    ranks = _with_wisdom(known, entry, use, able) if entry else {}
    for name in able.keys() - known.keys():
        if name != ALWAYS or known.keys() & able.keys():
            reasons[name] = "no time of it is known; `convbench tune` measures it"
            del able[name]
    ranked = [
        Ranked(name, performing, known.get(name, UNKNOWN)) for name, performing in able.items()
    ]
    ranked.sort(key=lambda one: _rank(one.name, ranks.get(one.name, one.known.time_s)))
    if pin := pins.pinned(problem):
        return Order(_pin_first(ranked, pin, asked), reasons)
    # The call may use every thread, also where the choice does not look at them.
    used = threads if deterministic else count
    return Order(_within(ranked, memory, asked, used, reasons), reasons)


def eligible(problem: Any) -> dict[str, Any]:
    """Return our algorithms of the family of `problem` that a choice may take, by name."""
    found = registry.of(problem.family).items()
    return {name: one for name, one in found if not (one.is_peer or one.opt_in)}


def _able(problem: Any, accuracy: str | float) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the algorithms that can compute `problem` as accurately, and why others cannot."""
    able, reasons = {}, {}
    for name, algorithm in eligible(problem).items():
        performing = performer(algorithm, problem)
        reason = None if name == ALWAYS else _why_not(algorithm, performing, problem, accuracy)
        if reason:
            reasons[name] = reason
        else:
            able[name] = performing
    return able, reasons


def _why_not(algorithm: Any, performing: Any, problem: Any, accuracy: str | float) -> str | None:
    if problem.family is CONVOLUTION:
        if not problem.is_plain:
            return f"layers with several kernels or a table of connections are {ALWAYS}'s"
        kernels = problem.out_channels * (problem.in_channels // problem.groups)
        unseen = kernels > MOST_KERNELS or problem.operation == "grad_weight"
        if algorithm.name == "separable" and unseen:
            return f"ranks are looked at for up to {MOST_KERNELS} kernels that are given"
    if reason := performing.why_not(problem):
        return str(reason)
    if not classes.admits(accuracy, algorithm, problem):
        return f"its errors exceed accuracy={accuracy!r}"
    return None


def _rank(name: str, seconds: float) -> tuple[bool, float, str]:
    """Return the key to sort candidates by: those of unknown time are last."""
    return math.isnan(seconds), seconds, name


def _predicted(
    problem: Any, threads: int, use: str, calibrated: bool, able: Mapping[str, Any]
) -> dict[str, Known]:
    """Return what the model says of each of `able`, summed over the parts of `problem`.

    It was fitted to channels first. With channels last, an algorithm that reads them in place is
    expected to take as long; the others take the time of their copies in addition. Of a problem
    smaller than those of the fit, it says only how long `ALWAYS` takes.
    """
    if problem.family is CONVOLUTION and problem.compulsory_bytes < model.FEWEST_BYTES:
        able = {ALWAYS: able[ALWAYS]}
    first = problem if problem.layout == CHANNELS_FIRST else channels_first(problem)
    parts = [model.predict(part, threads, calibrated) for part in _parts(first)]
    copying = model.copying(problem, calibrated) if first is not problem else 0.0
    found = {}
    for name in [name for name in parts[0] if name in able]:
        times = [part[name] for part in parts]
        prepare = sum(time.prepare_s for time in times)
        call = sum(time.call_s for time in times) + (prepare if use == "once" else 0.0)
        call += copying if _is_relaid(able[name]) else 0.0
        factor = times[0].factor
        found[name] = Known(call, call / factor, call * factor, prepare, "model")
    return found


def _is_relaid(performing: Any) -> bool:
    """Return True if an adapter copies arrays between layouts."""
    return isinstance(performing, Relaid | PoolRelaid)


def _parts(problem: Any) -> tuple[Any, ...]:
    """Return the problems that `problem` is made of, the largest first: more with a boundary."""
    if problem.family is not CONVOLUTION or problem.boundary == "zeros":
        return (problem,)
    return layouts(problem)[0].problems


def _remembered(problem: Any, counts: set[int], shipped_only: bool) -> wisdom.Entry | None:
    """Return the times that are remembered of `problem`, or else of its largest part."""
    for asked in dict.fromkeys((problem, _parts(problem)[0])):
        if entry := wisdom.lookup(asked, counts, shipped_only=shipped_only):
            return entry
    return None


def _with_wisdom(
    known: dict[str, Known], entry: wisdom.Entry, use: str, names: Collection[str]
) -> dict[str, float]:
    """Put measured times in place of predicted ones; return the seconds to rank by.

    Predictions for algorithms that were not measured are scaled by the mean error of the others.
    The choice without wisdom ranks just before the fastest algorithm whose interval overlaps its
    own. So only an algorithm that is clearly faster takes its place.
    """
    predicted = {name: values.time_s for name, values in known.items()}
    for name in entry.times.keys() & set(names):
        of = entry.times[name].of(use)
        known[name] = Known(of.time_s, of.low_s, of.high_s, of.prepare_s, entry.source)
    both = sorted(entry.times.keys() & predicted.keys())
    if not both:
        return {}
    off = sum(math.log(known[name].time_s / predicted[name]) for name in both) / len(both)
    for name in predicted.keys() - set(both):
        call, low, high, prepare, source = known[name]
        scale = math.exp(off)
        known[name] = Known(call * scale, low * scale, high * scale, prepare, source)
    default = min(both, key=lambda name: predicted[name])
    least = known[default].low_s
    rivals = [known[name].time_s for name in both if known[name].high_s >= least]
    # A hair less, so that it comes first of those that it ranks with.
    return {default: min(known[default].time_s, *rivals) * (1 - 1e-9)}


def _pin_first(ranked: Sequence[Ranked], pin: str, problem: Any) -> tuple[Ranked, ...]:
    algorithm = registry.get(pin, (problem.family,))
    performing = performer(algorithm, problem)
    if reason := performing.why_not(problem):
        raise ConvbenchError(f"{pins.VARIABLE} pins {pin}, which cannot do this: {reason}")
    known = next((one.known for one in ranked if one.name == pin), UNKNOWN)
    rest = [one for one in ranked if one.name != pin]
    return (Ranked(pin, performing, known._replace(source="pinned")), *rest)


def _within(
    ranked: Sequence[Ranked], memory: int | None, problem: Any, threads: int,
    reasons: dict[str, str],
) -> tuple[Ranked, ...]:  # fmt: skip
    """Return the candidates that need at most `memory` bytes of workspace."""
    if memory is None:
        return tuple(ranked)
    needs = {one.name: one.able.workspace_bytes(problem, threads) for one in ranked}
    fitting = [one for one in ranked if needs[one.name] <= memory]
    if not fitting:
        least = min(needs, key=lambda name: needs[name])
        raise ConvbenchError(
            f"no algorithm computes {problem} within {memory} bytes of workspace; {least} needs "
            f"the least, {needs[least]}: allow as many"
        )
    for name, need in needs.items():
        if need > memory:
            reasons[name] = f"it needs {need} bytes of workspace, more than the {memory} allowed"
    return tuple(fitting)


def first(order: Order, problem: Any, w: np.ndarray | None, *others: np.ndarray) -> Ranked:
    """Return the first candidate that the values of the operands do not rule out."""
    reason: str | None = ""
    for one in order.ranked:
        if one.name == ALWAYS:
            return one
        if not (reason := unsuited(one.able, problem, w, *others)):
            return one
    raise ConvbenchError(
        f"none of the admitted algorithms suits this kernel ({one.name}: {reason}); allow more "
        f"memory"
    )


def forget_choices() -> None:
    """Let every problem be decided anew; for changes that this process cannot see."""
    _order.cache_clear()


wisdom.on_change.append(forget_choices)
