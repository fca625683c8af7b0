"""Pooling problems to verify on: every kind in every placement, both sides of every threshold at
which kernels change their way, and random ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from algos.core.errors import ConvbenchError
from algos.core.memory_order import CHANNELS_FIRST
from algos.pooling import PoolProblem, parse_pool_descriptor

from . import thresholds
from .generate import layouts, smaller
from .suite import Case

#: Every kind, with options that are not the default where it has any.
_KINDS = (
    "max", "average", "average_count_include_pad=False", "l2", "max", "average", "lp_p=3",
    "lp_p=0.7", "gaussian", "gaussian_sigma=1_count_include_pad=False",
    "stochastic_mode=train_seed=5", "max", "average", "stochastic", "mixed_mix=0.3", "gated",
)  # fmt: skip

#: Every placement: strided, ragged, wide, dilated, 1-D to 3-D, adaptive, pyramid, fractional.
_PLACEMENTS = (
    "mb2_ic3ih7iw9_kh3kw2_sh2sw1_ph1pw1",
    "mb1_ic2ih9iw8_kh3_sh2_ph1_ceil",
    "mb1_ic1ih6iw30_kh5kw12_sh1sw1_ph2pw5rh1",
    "mb2_ic2iw30_kw4_sw1_pw2_rw1_dw1",
    "mb1_ic2id4ih5iw6_kd2kh3kw2_sd1sh2sw1_pd1ph0pw1_dd0dh1dw0",
    "mb1_ic2ih5iw10_output=3,4",
    "mb1_ic1ih11iw40_kh11kw33_sh1_ph5pw16",
    "mb1_ic2ih9iw10_ratio=1.4_seed=1",
    "mb1_ic3ih7iw6_levels=4,2,1",
    "mb2_ic4ih9_kh2_sh2",
    "mb1_ic1ih9iw20_ratio=1.7_overlapping=False_sequence=random_seed=2",
)

FILLS = (
    ("random", "integers"), ("random", "random"), ("random", "spread"), ("random", "integers"),
    ("random", "spike"), ("random", "offset"),
)  # fmt: skip

_WINDOWS = {1: 30, 2: 12, 3: 4}
_SIZES = {1: 120, 2: 24, 3: 8}


def fills_for(operation: str) -> tuple[tuple[str, str], ...]:
    """Return the fills that go with an operation: all of them."""
    return FILLS


def cases(count: int, seed: int = 0, operations: Sequence[str] = ("forward",)) -> list[Case]:
    """Return `count` cases, the same for the same `seed`, drawing from `operations`."""
    asked = [operation for operation in operations if operation in ("forward", "grad_input")]
    if not asked:
        return []
    rng = random.Random(seed)
    drawn = _problems(rng, layouts(seed))
    found = []
    for index in range(count):
        operation = asked[index // 2 % len(asked)]
        dtype = ("float32", "float64")[index % 2]
        problem = next(drawn)(dtype=dtype, operation=operation)
        found.append(Case(problem, *FILLS[index % len(FILLS)]))
    return found


def _problems(rng: random.Random, laid: Iterator[str]) -> Iterator[Any]:
    """Yield functions from dtype and operation to a problem."""
    fixed = ["maxout_mb2_ic6ih3iw4_pieces=3"]
    shift = itertools.count()
    for placements in (_PLACEMENTS, _PLACEMENTS[::-1]):
        for kind in _KINDS:
            placement = placements[next(shift) % len(placements)]
            if kind == "gated" and "=" in placement:
                placement = placements[-1] if "=" not in placements[-1] else placements[0]
            fixed.append(f"{kind}_{placement}")
    for text in fixed:
        yield _described(text, layout=next(laid))
    around = [
        f"{kind}_{text}"
        for thresholds_, kinds in (
            (thresholds.POOLING, ("max", "average")),
            (thresholds.POOLING_BEHIND, ("average", "gaussian")),
        )
        for text in thresholds.edges(thresholds_)
        for kind in kinds
    ]
    rng.shuffle(around)
    while True:
        for text in (around.pop() for _ in range(min(2, len(around)))):
            yield _described(text)
        fields = {**_random(rng), "layout": next(laid)}
        yield lambda fields=fields, **more: PoolProblem(**{**fields, **more})


def _described(text: str, **known: str) -> Callable[..., PoolProblem]:
    return lambda **fields: parse_pool_descriptor(text, **known, **fields)


def _random(rng: random.Random) -> dict[str, Any]:
    while True:
        fields = _draw(rng)
        try:
            PoolProblem(**fields)
        except ConvbenchError:  # a window that does not fit: draw again
            continue
        return fields


def _draw(rng: random.Random) -> dict[str, Any]:
    axes = rng.choice((1, 2, 2, 3))

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(rng.randint(low, high) for _ in range(axes))

    kind = rng.choice(("max", "max", "average", "average", "l2", "lp", "gaussian", "mixed"))
    fields: dict[str, Any] = {
        "size": per_axis(1, _SIZES[axes]), "kind": kind, "batch": rng.randint(1, 2),
        "channels": rng.randint(1, 3),
    }  # fmt: skip
    if kind == "lp":
        fields["p"] = rng.choice((0.5, 1, 3.5))
    if kind in ("average", "gaussian"):
        fields["count_include_pad"] = rng.random() < 0.5
    placement = rng.random()
    if placement < 0.7:
        fields["window"] = window = per_axis(1, _WINDOWS[axes])
        fields["stride"] = rng.choice((1, per_axis(1, 4)))
        fields["dilation"] = rng.choice((1, 1, per_axis(1, 3)))
        fields["padding"] = tuple((rng.randint(0, w // 2), rng.randint(0, w // 2)) for w in window)
        fields["fit"] = rng.choice(("floor", "floor", "ceil"))
    elif placement < 0.85:
        fields["output"] = per_axis(1, 5)
    else:
        fields["ratio"] = rng.uniform(1.1, 1.9)
        fields["seed"] = rng.randint(0, 9)
    return fields


def simpler(p: PoolProblem) -> Iterator[dict[str, Any]]:
    """Yield changes that each simplify one field of a problem, boldest first."""
    yield {"batch": 1}
    if not p.pieces:
        yield {"channels": 1}
    yield {"operation": "forward"}
    yield {"dtype": "float32"}
    yield {"layout": CHANNELS_FIRST}
    for name, plainest in (("fit", "floor"), ("padding", 0), ("stride", 1), ("dilation", 1)):
        if getattr(p, name) is not None:
            yield {name: plainest}
    for name in ("size", "window", "stride", "dilation", "output"):
        values = getattr(p, name) or ()
        for axis, value in enumerate(values):
            for less in smaller(value):
                yield {name: (*values[:axis], less, *values[axis + 1 :])}
    for axis, sides in enumerate(p.padding or ()):
        for fewer in ((0, sides[1]), (sides[0], 0), (sides[0] // 2, sides[1] // 2)):
            yield {"padding": (*p.padding[:axis], fewer, *p.padding[axis + 1 :])}
