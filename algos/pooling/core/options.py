"""Options of a pooling problem: those of each kind and placement, their defaults, their checks."""

from __future__ import annotations

import math
from typing import Any

from algos.core.arguments import is_several, number, several, whole_number
from algos.core.errors import ConvbenchError, shown
from algos.core.sizes import extent

#: Largest seed.
MOST_SEED = 2**64 - 1

#: Every kind, and the options that are its own.
KINDS: dict[str, tuple[str, ...]] = {
    "max": (),
    "average": ("count_include_pad",),
    "l2": (),
    "lp": ("p",),
    "gaussian": ("sigma", "count_include_pad"),
    "stochastic": ("mode", "seed"),
    "mixed": ("mix", "count_include_pad"),
    "gated": ("count_include_pad",),
    "maxout": ("pieces",),
}

#: Every placement of windows, and the options that are its own; the first one names it.
PLACEMENTS: dict[str, tuple[str, ...]] = {
    "regular": ("window", "stride", "padding", "dilation", "fit"),
    "adaptive": ("output",),
    "pyramid": ("levels",),
    "fractional": ("ratio", "sequence", "overlapping", "seed"),
}

#: Values of options that were left out, where they have a meaning.
DEFAULTS: dict[str, Any] = {
    "count_include_pad": True, "p": 2.0, "mode": "test", "seed": 0, "mix": 0.5,
    "padding": 0, "dilation": 1, "fit": "floor", "sequence": "pseudorandom", "overlapping": True,
}  # fmt: skip


def put(problem: Any, name: str, value: Any) -> None:
    """Set a field of a frozen problem, while the problem is made."""
    object.__setattr__(problem, name, value)


def options_of(problem: Any) -> set[str]:
    """Return the fields that mean something for the problem's kind and placement."""
    return {*KINDS[problem.kind], *PLACEMENTS.get(problem.placement, ())}


def refuse_strangers(problem: Any) -> None:
    """Refuse options that would be ignored."""
    options = options_of(problem)
    for name in sorted({option for group in (KINDS, PLACEMENTS) for many in group.values()
                        for option in many} - options):  # fmt: skip
        if getattr(problem, name) is not None:
            raise ConvbenchError(
                f"{name}={shown(getattr(problem, name))} says nothing about {problem.kind} pooling "
                f"with {problem.placement} windows, which takes "
                f"{', '.join(sorted(options)) or 'none'}; leave it out"
            )


def fill_defaults(problem: Any) -> None:
    """Give options that were left out their defaults."""
    for name in options_of(problem) & set(DEFAULTS):
        if getattr(problem, name) is None:
            put(problem, name, DEFAULTS[name])


def check_options(problem: Any) -> None:
    """Resolve the options of kinds, and refuse values out of range."""
    if problem.p is not None:
        put(problem, "p", number("p", problem.p, 0, math.inf, 'above 0 and finite (kind="max" is '
                                 "the limit of large p)"))  # fmt: skip
    if problem.mix is not None:
        put(problem, "mix", number("mix", problem.mix, 0, 1, "a share from 0 to 1", closed=True))
    if problem.sigma is not None:
        put(problem, "sigma", numbers("sigma", problem.sigma, problem.axes, math.inf, "above 0"))
    if problem.seed is not None:
        put(problem, "seed", whole_number("seed", problem.seed, least=0, most=MOST_SEED))
    if problem.kind == "gated" and problem.placement != "regular":
        raise ConvbenchError(
            f"gated pooling weighs the taps of a window, whose number differs between "
            f"{problem.placement} windows; give a window size"
        )


def refuse_empty_windows(problem: Any) -> None:
    """Refuse windows that hold padding alone, where the kind needs a sample."""
    needs_a_sample = problem.kind in ("max", "mixed", "gated", "stochastic", "lp", "l2") or (
        problem.count_include_pad is False
    )
    if not needs_a_sample:
        return
    for axis, line in zip(problem.axis_names, problem.lines[-problem.axes :], strict=True):
        if line.first_empty is not None:
            raise ConvbenchError(
                f"the window at output {line.first_empty} along {axis} holds padding alone, "
                f"so it has no {problem.kind}; pad by at most half the window, "
                f"{extent(line.window, line.dilation) // 2} before and after"
            )


def numbers(name: str, value: Any, axes: int, high: float, expected: str) -> tuple[float, ...]:
    """Return `value`, one number or one per axis, as one positive float per axis."""
    values = several(value) if is_several(value) else (value,) * axes
    if len(values) != axes:
        raise ConvbenchError(
            f"{name} {shown(value)} has {len(values)} entries for {axes} spatial axes"
        )
    return tuple(number(name, entry, 0, high, expected) for entry in values)
