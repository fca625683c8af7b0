"""Problems to verify on: a fixed few that touch every feature, both sides of every threshold at
which kernels change their way, and random ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import Any

from algos.core.boundary import BOUNDARIES
from algos.core.descriptor import parse_descriptor
from algos.core.errors import ConvbenchError
from algos.core.memory_order import CHANNELS_FIRST, CHANNELS_LAST
from algos.core.problem import Problem

from . import thresholds
from .suite import Case

#: Largest spatial size drawn, by number of axes; small, so that every output can be checked.
_SIZES = {1: 300, 2: 48, 3: 14}
_KERNELS = {1: 24, 2: 9, 3: 4}

#: One of each: plain, ragged, asymmetric, strided, dilated, grouped, depthwise, 1×1, 3-D, ….
_FIXED = (
    "mb1_ic1ih16_oc1_kh3",
    "mb1_ic1ih33iw65_oc1_kh7kw4_ph3pw2_rh3rw1_flip",
    "mb2_ic3ih19_oc8_kh5_sh2ph2_bias",
    "mb1_ic16ih14_oc32_kh3_ph1",
    "mb1_ic17ih15_oc29_kh3_ph1_bias",
    "mb2_ic16ih9_oc8_kh1_bias",
    "mb1_ic6ih12_oc6_kh1_sh2",
    "g4mb1_ic8ih13_oc12_kh3_ph1dh1",
    "g8mb2_ic8ih17_oc8_kh3_sh2ph1",
    "mb1_ic1ih11_oc1_kh4_sh3_ceil",
    "mb1_ic2ih10_oc3_kh10",
    "mb1_ic2ih5_oc2_kh7_ph6_flip",
    "mb1_ic1iw200_oc1_kw31_pw30_flip",
    "mb3_ic4iw57_oc6_kw5_sw3dw2_pw4",
    "mb1_ic2id7_oc3_kd3_pd1",
    "g2mb1_ic4id9ih6iw8_oc4_kd2kh3kw1_sd2sh1sw3_pd1ph0pw2_dd1dh0dw0_bias",
    "mb1_ic1ih1iw130_oc1_kh1kw64",
    "mb1_ic1ih130iw1_oc1_kh64kw1",
    "mb1_ic3ih40_oc20_kh11_sh4",
    "mb1_ic1ih120iw100_oc1_kh15kw15_ph7pw7",
    "mb2_ic3ih9_oc4_kh3_ph1_tile2x3_biastile",
    "mb2_ic5ih8iw9_oc7_kh3kw2_sh2sw1_tile9_biaslocation",
    "mb1_ic6ih14_oc16_kh5_bias_conn7.e.1c.38.31.23.f.1e.3c.39.33.27.1b.36.2d.3f",
    "mb2_ic4ih7_oc5_kh2_flip_conn3.6.c.9.e_bwdw",
    "mb1_ic1ih380iw370_oc1_kh5kw4_ph2pw2_rh2rw1_flip_mirror",
    "mb2_ic3ih150_oc4_kh3_sh2ph1_bias_reflect",
    "mb1_ic2id5ih6_oc2_kd3kh7_pd1ph6_wrap_bwdd",
    "mb1_ic1iw9000_oc1_kw9_pw4_constant-1",
)


#: (weights, pixels) in turn: exact integers, outer products, and numbers that make sums hard.
FILLS = (
    ("integers", "integers"),
    ("integer-rank1", "integers"),
    ("random", "random"),
    ("rank1", "spread"),
    ("random", "spike"),
    ("rank1", "random"),
    ("cancelling", "offset"),
    ("integer-rank1", "integers"),
    ("random", "spread"),
    ("rank1", "spike"),
)

#: Number of fills on which a problem that a user names is judged.
LISTED_FILLS = 4

#: Fills of the input and output gradient, from which a gradient of the kernel is computed.
GRADIENT_FILLS = (
    ("integers", "integers"),
    ("random", "random"),
    ("random", "spread"),
    ("integers", "integers"),
    ("random", "spike"),
)

#: Operations to draw from; forward comes as often as both gradients together.
OPERATIONS = ("forward", "grad_input", "forward", "grad_weight")


#: Layouts to draw from: most algorithms copy channels-last arrays, in one way for all of them.
_LAYOUTS = (CHANNELS_FIRST, CHANNELS_FIRST, CHANNELS_LAST)


def layouts(seed: int) -> Iterator[str]:
    """Yield layouts for the problems that spell none, the same for the same `seed`."""
    rng = random.Random(f"layouts {seed}")
    while True:
        yield rng.choice(_LAYOUTS)


def fills_for(operation: str) -> tuple[tuple[str, str], ...]:
    """Return the fills that go with an operation."""
    return GRADIENT_FILLS if operation == "grad_weight" else FILLS


def cases(count: int, seed: int = 0, operations: Sequence[str] = ("forward",)) -> list[Case]:
    """Return `count` cases, the same for the same `seed`.

    Operations are drawn from `operations`; `OPERATIONS` has all of them. The fixed problems come
    first, twice in both data types. Each then takes all four entries of `OPERATIONS`, in an order
    that depends on the seed. Problems around thresholds follow, in such an order as well, with a
    random problem after every two. The fills take turns. Half of them have outer products for
    kernels, so that separable algorithms are tested as often as others.
    """
    found = []
    for index, (problem, operation) in enumerate(islice(_drawn(seed, operations), count)):
        if problem.operation == "forward" or problem.operation not in operations:
            bias = problem.bias if operation == "forward" else False
            problem = replace(problem, operation=operation, bias=bias)
        fills = fills_for(problem.operation)
        found.append(Case(problem, *fills[index % len(fills)]))
    return found


def _drawn(seed: int, operations: Sequence[str]) -> Iterator[tuple[Problem, str]]:
    """Yield problems, each with the operation that it is drawn for."""
    rng, laid = random.Random(seed), layouts(seed)
    turns = {text: cycle(rng.sample(operations, len(operations))) for text in _FIXED}
    for fills_offset in range(2):  # so that each comes with another fill in its second round
        for text in _FIXED[fills_offset:] + _FIXED[:fills_offset]:
            for dtype in ("float32", "float64"):
                problem = parse_descriptor(text, dtype=dtype, layout=next(laid))
                yield problem, next(turns[text])
    around = [
        (text, dtype)
        for text in thresholds.edges(thresholds.CONVOLUTION)
        for dtype in ("float32", "float64")
    ]
    rng.shuffle(around)
    # Taken from the end: the two that take seconds each come last.
    around = [(text, "float32") for text in thresholds.STREAMED] + around
    while True:
        for text, dtype in (around.pop() for _ in range(min(2, len(around)))):
            yield parse_descriptor(text, dtype=dtype), rng.choice(operations)
        yield replace(_random(rng), layout=next(laid)), rng.choice(operations)


def _random(rng: random.Random) -> Problem:
    while True:
        try:
            return Problem(**_draw(rng))
        except ConvbenchError:  # a kernel that does not fit: draw again
            continue


def _draw(rng: random.Random) -> dict[str, Any]:
    axes = rng.choice((1, 2, 2, 3))
    groups = rng.choice((1, 1, 1, 2, 3, 8))
    depthwise = groups > 1 and rng.random() < 0.5
    most = 1 if depthwise else 24 // groups if rng.random() < 0.2 else 4

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(rng.randint(low, high) for _ in range(axes))

    out_channels = groups * rng.randint(1, max(most, 2))
    inputs = groups * rng.randint(1, most)
    restricted = groups == 1 and rng.random() < 0.15
    rows = [rng.randint(1, 2**inputs - 1) for _ in range(out_channels)]
    sides = tuple((rng.randint(0, 3), rng.randint(0, 3)) for _ in range(axes))
    fields = {
        "size": per_axis(1, _SIZES[axes]),
        "kernel": per_axis(1, _KERNELS[axes]),
        "batch": rng.randint(1, 3),
        "in_channels": inputs,
        "out_channels": out_channels,
        "groups": groups,
        "tile": per_axis(1, 6) if rng.random() < 0.15 else 1,
        "connections": rows if restricted else None,
        "stride": rng.choice((1, 1, per_axis(1, 4))),
        "dilation": rng.choice((1, 1, per_axis(1, 3))),
        "padding": rng.choice(("valid", "same", "full", rng.randint(0, 3), sides)),
        "dtype": rng.choice(("float32", "float64")),
        "flip": rng.random() < 0.5,
        "bias": rng.choice((False, False, True, True, "location", "tile")),
        "fit": rng.choice(("floor", "floor", "ceil")),
        "boundary": rng.choice(("zeros", "zeros", "zeros", *BOUNDARIES)),
    }
    if fields["boundary"] == "constant":
        fields["cval"] = rng.choice((-1.0, 1.0))
    if axes == 2 and rng.random() < 0.2:  # what some algorithms are made for, and no other
        fields |= {"kernel": 3, "stride": 1, "dilation": 1}
    return fields


def simpler(p: Problem) -> Iterator[dict[str, Any]]:
    """Yield changes that each simplify one field of a problem, boldest first."""
    yield {"batch": 1}
    yield {"groups": 1, "in_channels": p.in_channels // p.groups,
           "out_channels": p.out_channels // p.groups}  # fmt: skip
    if p.groups > 2:
        yield {"groups": 2, "in_channels": p.in_channels // p.groups * 2,
               "out_channels": p.out_channels // p.groups * 2}  # fmt: skip
    for name in ("in_channels", "out_channels"):
        for count in smaller(getattr(p, name) // p.groups):
            yield {name: count * p.groups}
    yield {"bias": False}
    yield {"bias": bool(p.bias)}
    yield {"tile": 1}
    yield {"connections": None}
    if p.connections:
        last = p.out_channels - 1
        yield {"out_channels": last, "connections": p.connections[:last]}
    yield {"flip": False}
    yield {"fit": "floor"}
    yield {"layout": CHANNELS_FIRST}
    yield {"operation": "forward"}
    yield {"dtype": "float32"}
    yield {"boundary": "zeros", "cval": 0.0}
    yield {"padding": 0}
    for name in ("stride", "dilation"):
        yield {name: 1}
    for name in ("size", "kernel", "stride", "dilation", "tile"):
        values = getattr(p, name)
        for axis, value in enumerate(values):
            for less in smaller(value):
                yield {name: (*values[:axis], less, *values[axis + 1 :])}
    for axis, sides in enumerate(p.padding):
        for fewer in ((0, sides[1]), (sides[0], 0), (sides[0] // 2, sides[1] // 2)):
            yield {"padding": (*p.padding[:axis], fewer, *p.padding[axis + 1 :])}


def smaller(value: int) -> Iterator[int]:
    """1, a half, one less."""
    for less in dict.fromkeys((1, value // 2, value - 1)):
        if 1 <= less < value:
            yield less
