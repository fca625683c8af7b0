"""Everyday problems, drawn at random: images, layers, signals, volumes and gradients.

They stand for what people compute, and serve to measure how well algorithms are chosen. Every
`DECK` problems hold the same mix, with the number of each kind in brackets:

- Images (8): One channel, 64² to 2048², kernels of 3 to 63, full, same or valid. Half the kernels
  are Gaussians, which factor into 1-D kernels.
- Layers (10): Dense, depthwise, grouped and dilated. They have 3 to 512 channels, sizes 7 to 224,
  kernels 1 to 11, stride 1 to 4, batch 1 to 16.
- Signals (3): A channel of 1 k to 1 M samples with 3 to 4 k taps, or a layer of an audio network.
- Volumes (2): One channel with a random or Gaussian kernel, or a layer.
- Gradients (2): The gradient of the input or of the kernel of a layer.

One problem in eight is in float64. None has more than `MOST_MULTIPLY_ADDS` multiply-adds, or
moves more than `MOST_BYTES` bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from algos.notation import parse
from algos.pooling import PoolProblem

from .suite import Case, Suite

#: Names of the suites of these problems: of convolutions, and of poolings.
NAMES = CONVOLUTIONS, POOLING = "everyday", "everyday-pooling"
#: Largest number of multiply-adds of a problem; about a second of the slowest contender.
MOST_MULTIPLY_ADDS = 4e9
#: Largest number of samples that the windows of a pooling read.
MOST_SAMPLES = 1e9
#: Largest number of bytes of input, kernel and output together.
MOST_BYTES = 256e6
#: Largest number of problems; well below the number of different ones.
MOST_PROBLEMS = 2000

#: Fields of `Problem`, and the source of the kernel's values.
Drawn = tuple[dict[str, Any], str]

_CHANNELS = (3, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 512)


def problems(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return `count` different convolutions, the same for the same `seed`.

    Each is a descriptor and the source of its kernel's values, ``"random"`` or ``"gaussian"``.

    Raises
    ------
    ConvbenchError
        If `count` is above `MOST_PROBLEMS`.

    Examples
    --------
    >>> drawn = problems(3, seed=5)
    >>> len(set(drawn)), drawn == problems(3, seed=5)
    (3, True)
    """
    _check(count)
    rng = random.Random(seed)
    found: dict[tuple[str, str], None] = {}
    deck: list[Callable[[random.Random], Drawn]] = []
    while len(found) < count:
        if not deck:
            deck = list(DECK)
            rng.shuffle(deck)
        draw = deck.pop()
        while (drawn := _affordable(draw, rng)) is None or drawn in found:
            pass
        found[drawn] = None
    return list(found)


def poolings(count: int, seed: int = 0) -> list[str]:
    """Return descriptors of `count` different poolings, the same for the same `seed`.

    Most are maxima and averages of 2×2 and 3×3 windows between layers. Some have large windows
    of one channel, as in morphology, one or three axes, or the whole map as their window.
    """
    _check(count)
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        try:
            problem = PoolProblem(**_pooling(rng))
        except ConvbenchError:  # a window that does not fit: draw again
            continue
        if problem.compulsory_bytes <= MOST_BYTES and problem.multiply_adds <= MOST_SAMPLES:
            found[str(problem)] = None
    return list(found)


def suite(name: str, count: int, seed: int = 0) -> Suite:
    """Return the suite `name`, one of `NAMES`, of `count` problems."""
    drawn = [(text, "random") for text in poolings(count, seed)] if name == POOLING else None
    cases = (Case(parse(text), weights) for text, weights in drawn or problems(count, seed))
    return Suite(
        name=name,
        title="Everyday poolings" if name == POOLING else "Everyday problems",
        question="How far is the automatic choice from the fastest algorithm?",
        cases=tuple(cases),
        baseline="parallel",
        seconds=10.0 + 5 * count,
    )


def _check(count: int) -> None:
    if not 1 <= count <= MOST_PROBLEMS:
        raise ConvbenchError(
            f"{count} everyday problems were asked for; ask for 1 to {MOST_PROBLEMS}"
        )


def _affordable(
    draw: Callable[[random.Random], Drawn], rng: random.Random
) -> tuple[str, str] | None:
    """Return one drawn problem, or None if it is impossible or too large."""
    fields, weights = draw(rng)
    if rng.random() < 1 / 8:
        fields["dtype"] = "float64"
    try:
        problem = Problem(**fields)
    except ConvbenchError:  # a kernel that does not fit
        return None
    if problem.multiply_adds > MOST_MULTIPLY_ADDS or problem.compulsory_bytes > MOST_BYTES:
        return None
    return str(problem), weights


def _image(rng: random.Random, weights: str) -> Drawn:
    size = rng.choice(
        (64, 96, 128, 200, 256, 384, 512, 768, 1000, 1024, 1500, 2048,
         (240, 320), (480, 640), (720, 1280), (1080, 1920))
    )  # fmt: skip
    kernel: Any = rng.choice((3, 3, 5, 5, 7, 7, 9, 11, 13, 15, 17, 21, 25, 31, 41, 51, 63))
    if weights == "random" and rng.random() < 0.15:
        kernel = rng.choice(((1, kernel), (kernel, 1), (kernel, kernel // 2 + 1)))
    fields = {
        "size": size if isinstance(size, tuple) else (size, size),
        "kernel": kernel,
        "batch": rng.choice((1, 1, 1, 3)),
        "padding": rng.choice(("full", "same", "same", "valid")),
        "flip": rng.random() < 0.5,
    }
    return fields, weights


def _random_image(rng: random.Random) -> Drawn:
    return _image(rng, "random")


def _gaussian_image(rng: random.Random) -> Drawn:
    return _image(rng, "gaussian")


def _layer_of(rng: random.Random, size: int) -> dict[str, Any]:
    """Return the fields of a layer; a large map has few channels, as in networks."""
    widest = max(16, 16384 // size)
    channels = [c for c in _CHANNELS if c <= widest]
    kernel: Any = rng.choice((1, 1, 3, 3, 3, 3, 5, 5, 7, 11))
    stride = rng.choice((1, 1, 1, 1, 2, 2, 3, 4)) if kernel > 1 else rng.choice((1, 1, 1, 2))
    if kernel == 7 and rng.random() < 0.3:
        kernel = rng.choice(((1, 7), (7, 1)))
    return {
        "size": (size, size),
        "kernel": kernel,
        "stride": stride,
        "batch": rng.choice((1, 1, 1, 1, 2, 4, 8, 16)),
        "in_channels": rng.choice(channels),
        "out_channels": rng.choice(channels[1:] or channels),
        "padding": _half(kernel) if rng.random() < 0.8 else 0,
    }


def _half(kernel: Any) -> Any:
    """Return the padding that keeps the size: half of an odd kernel, per axis."""
    return tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else kernel // 2


def _map_size(rng: random.Random) -> int:
    return rng.choice((7, 13, 14, 14, 27, 28, 28, 35, 56, 56, 75, 112, 150, 224))


def _dense(rng: random.Random) -> Drawn:
    return {**_layer_of(rng, _map_size(rng)), "bias": rng.random() < 0.3}, "random"


def _depthwise(rng: random.Random) -> Drawn:
    channels = rng.choice(_CHANNELS[1:])
    kernel = rng.choice((3, 3, 3, 5, 7))
    layer = _layer_of(rng, _map_size(rng))
    own = {
        "kernel": kernel,
        "padding": kernel // 2,
        "stride": rng.choice((1, 1, 2)),
        **dict.fromkeys(("in_channels", "out_channels", "groups"), channels),
    }
    return {**layer, **own}, "random"


def _grouped(rng: random.Random) -> Drawn:
    groups = rng.choice((2, 4, 8, 32))
    per_group = rng.choice((4, 8, 16, 32))
    own = {
        "groups": groups,
        "in_channels": groups * per_group,
        "out_channels": groups * rng.choice((per_group, 2 * per_group)),
    }
    return {**_layer_of(rng, _map_size(rng)), **own}, "random"


def _dilated(rng: random.Random) -> Drawn:
    dilation = rng.choice((2, 2, 3, 4))
    own = {"kernel": 3, "stride": 1, "dilation": dilation, "padding": dilation}
    return {**_layer_of(rng, rng.choice((28, 35, 56, 75))), **own}, "random"


def _signal(rng: random.Random) -> Drawn:
    fields = {
        "size": (rng.choice((1000, 1024, 4096, 10_000, 44_100, 65_536, 250_000, 1_000_000)),),
        "kernel": rng.choice((3, 5, 9, 17, 33, 65, 101, 129, 255, 513, 1001, 2048, 4096)),
        "batch": rng.choice((1, 1, 2, 8)),
        "padding": rng.choice(("full", "same", "valid")),
        "flip": rng.random() < 0.5,
    }
    return fields, "random"


def _audio(rng: random.Random) -> Drawn:
    kernel, dilation = rng.choice((3, 5, 9, 15)), rng.choice((1, 1, 1, 2, 4))
    fields = {
        "size": (rng.choice((1000, 2048, 4000, 8192, 16_000)),),
        "kernel": kernel,
        "dilation": dilation,
        "stride": rng.choice((1, 1, 2, 4)),
        "in_channels": rng.choice((16, 32, 64, 128, 256)),
        "out_channels": rng.choice((16, 32, 64, 128, 256)),
        "padding": kernel // 2 * dilation,
    }
    return fields, "random"


def _volume(rng: random.Random) -> Drawn:
    fields = {
        "size": rng.choice(((32,) * 3, (64,) * 3, (100,) * 3, (128,) * 3, (32, 128, 128))),
        "kernel": rng.choice((3, 3, 5, 7, 9, 11)),
        "padding": rng.choice(("full", "same", "same", "valid")),
    }
    return fields, rng.choice(("random", "gaussian"))


def _volume_layer(rng: random.Random) -> Drawn:
    fields = {
        "size": rng.choice(((8,) * 3, (16,) * 3, (32,) * 3, (8, 56, 56), (16, 28, 28))),
        "kernel": rng.choice((1, 3, 3, 3, 5)),
        "stride": rng.choice((1, 1, 1, 2)),
        "in_channels": rng.choice((1, 3, 4, 8, 16, 32, 64)),
        "out_channels": rng.choice((4, 8, 16, 32, 64)),
        "padding": rng.choice(("same", "valid")),
    }
    return fields, "random"


def _gradient(rng: random.Random) -> Drawn:
    draw = rng.choice((_dense, _dense, _dense, _depthwise, _grouped, _dilated, _audio))
    fields, weights = draw(rng)
    operation = rng.choice(("grad_input", "grad_weight"))
    return {**fields, "bias": False, "operation": operation}, weights


#: Functions that draw one problem each; see the module's text for what they add up to.
DECK: tuple[Callable[[random.Random], Drawn], ...] = (
    *4 * (_random_image,), *4 * (_gaussian_image,),
    *6 * (_dense,), *2 * (_depthwise,), _grouped, _dilated,
    *2 * (_signal,), _audio, _volume, _volume_layer,
    *2 * (_gradient,),
)  # fmt: skip


def _pooling(rng: random.Random) -> dict[str, Any]:
    """Return the fields of one pooling problem."""
    kind = rng.choice(("max", "max", "max", "average", "average", "l2"))
    chance = rng.random()
    size = _map_size(rng)
    fields: dict[str, Any] = {
        "kind": kind,
        "batch": rng.choice((1, 1, 1, 4, 16)),
        "channels": rng.choice([c for c in _CHANNELS if c <= max(16, 16384 // size)]),
        "operation": "grad_input" if rng.random() < 0.15 else "forward",
        "dtype": "float64" if rng.random() < 1 / 8 else "float32",
        "size": (size, size),
    }
    if chance < 0.6:
        window = rng.choice((2, 2, 3, 3, 5, 7))
        steps = {"window": window, "stride": rng.choice((1, 2, 2, window))}
        return {**fields, **steps, "padding": window // 2 if window > 2 else 0}
    if chance < 0.75:  # morphology
        side, window = rng.choice((256, 512, 1024, 2048)), rng.choice((3, 7, 15, 31, 63))
        one = {"size": (side, side), "channels": 1, "batch": 1}
        return {**fields, **one, "window": window, "stride": 1, "padding": window // 2}
    if chance < 0.85:
        length = rng.choice((1000, 10_000, 100_000, 1_000_000))
        window = rng.choice((2, 4, 16, 100))
        stride = rng.choice((1, window))
        one = {"size": (length,), "channels": rng.choice((1, 16, 64)), "batch": 1}
        return {**fields, **one, "window": window, "stride": stride}
    if chance < 0.93:
        side, window = rng.choice((8, 16, 32, 64)), rng.choice((2, 3))
        return {**fields, "size": (side,) * 3, "batch": 1, "window": window, "stride": 2}
    return {**fields, "output": rng.choice((1, 1, 2, 3, 7))}
