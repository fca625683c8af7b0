"""Lecture on pooling: gradients, and what can replace pooling and fully connected layers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import algos
from algos.inception.plan import InceptionPlan
from algos.inception.problem import InceptionProblem
from suites.claims.claim import Findings, about, at_least, claim, equal, true
from suites.claims.data import normal, photograph
from suites.claims.timing import Calls, ratio, times


@claim
def subgradient_of_the_maximum() -> Findings:
    """Differentiate max pooling: the whole gradient goes to the maximum, none to the rest.

    Source: Lecture on pooling: the subgradient of the maximum is 1 for its argument, 0 elsewhere.
    """
    x = normal(np.random.default_rng(0), 2, 3, 12, 12).astype("float64")
    g = np.random.default_rng(1).standard_normal((2, 3, 6, 6))
    found = algos.pool_grad(g, x, "max", size=2)
    windows = x.reshape(2, 3, 6, 2, 6, 2)
    chosen = windows == windows.max((3, 5), keepdims=True)
    stated = (chosen * g[:, :, :, None, :, None]).reshape(x.shape)
    yield true("the gradient goes to the maxima alone", np.array_equal(found, stated))
    step = 1e-6
    change = np.random.default_rng(2).standard_normal(x.shape)
    ahead, behind = (algos.pool(x + s * change, "max", size=2) for s in (step, -step))
    slope = float((g * (ahead - behind)).sum() / (2 * step))
    yield about("slope along a random direction, over the gradient's", 1,
                slope / float((found * change).sum()), 1e-5)  # fmt: skip
    equal_values = algos.pool_grad(np.ones((1, 1, 1)), np.ones((1, 1, 2)), "max", size=2)
    yield equal("of equal maxima, one receives the gradient", "1, 0",
                ", ".join(f"{v:g}" for v in equal_values.ravel()))  # fmt: skip


@claim
def shares_of_the_average() -> Findings:
    """Differentiate average pooling: every input of a window receives the same share.

    Source: Lecture on pooling: the gradient of the average is 1/|window| for each input.
    """
    x = normal(np.random.default_rng(0), 2, 3, 12, 12).astype("float64")
    g = np.random.default_rng(1).standard_normal((2, 3, 4, 4))
    found = algos.pool_grad(g, x, "average", size=3)
    stated = np.repeat(np.repeat(g / 9, 3, 2), 3, 3)
    yield true("each input receives 1/9 of the window's gradient", np.allclose(found, stated))
    yield about("sum of the input's gradient over the output's", 1,
                float(found.sum() / g.sum()), 1e-9)  # fmt: skip


@claim
def stride_and_dilation_instead_of_pooling() -> Findings:
    """Replace pooling by a stride or by dilation: parameters, time and output size.

    Source: Lecture on pooling: strided convolution learns the downsampling, atrous convolution
    enlarges the field without it, and pooling has no parameters.
    """
    rng = np.random.default_rng(0)
    x, w = normal(rng, 1, 64, 56, 56), normal(rng, 64, 64, 3, 3)
    strided = algos.plan(algos.problem_of(x, w, stride=2, padding=1), w, threads=1)
    atrous = algos.plan(algos.problem_of(x, w, dilation=2, padding=2), w, threads=1)
    pooled = algos.pool(x, "max", threads=1, size=2)
    yield equal("pooling 2 × 2: output", "28 × 28", _size(pooled))
    yield equal("stride 2: output", "28 × 28", _size(strided(x)))
    yield equal("dilation 2: output", "56 × 56", _size(atrous(x)))
    yield equal("stride 2: parameters, 9 C²", 36_864, strided.problem.parameters)
    yield equal("dilation 2: parameters, 9 C²", 36_864, atrous.problem.parameters)
    yield equal("dilation 2: samples that the kernel spans", 5, atrous.problem.extent[0])
    calls: Calls = {
        "max pooling": lambda: algos.pool(x, "max", threads=1, size=2),
        "strided convolution": partial(strided, x),
        "atrous convolution": partial(atrous, x),
    }
    yield at_least("pooling: times faster than the strided convolution", "cheaper: above 1",
                   ratio(calls["strided convolution"], calls["max pooling"], 0.5), 1)  # fmt: skip
    yield about("dilation 2: times the multiply-adds of stride 2", 4,
                atrous.problem.multiply_adds / strided.problem.multiply_adds)  # fmt: skip
    for name, found in times(calls, 0.5).items():
        yield f"{name}: {found.middle * 1e6:.3g} µs, 64 channels of 56 × 56, one thread"


def _size(x: np.ndarray) -> str:
    return " × ".join(map(str, x.shape[2:]))


@claim
def global_average_pooling() -> Findings:
    """Replace fully connected layers by 1 × 1 convolution and global average pooling.

    Source: Lecture on pooling; Lin, Chen & Yan, Network in Network (2014), arXiv:1312.4400, 3.2:
    global average pooling has no parameter, and takes images of any size.
    """
    rng = np.random.default_rng(0)
    maps: dict[str, Any] = {"size": (7, 7), "in_channels": 512, "out_channels": 1000}
    dense = algos.Problem(kernel=7, **maps)
    ones = algos.Problem(kernel=1, **maps)
    yield equal("fully connected on 7 × 7 × 512: parameters", 25_088_000, dense.parameters)
    yield equal("1 × 1 convolution: parameters", 512_000, ones.parameters)
    yield equal("times fewer parameters, 7 · 7", 49, dense.parameters / ones.parameters)
    w = normal(rng, 1000, 512, 1, 1)
    for height, width in ((7, 7), (10, 13)):
        scores = algos.pool(algos.conv(normal(rng, 1, 512, height, width), w), "average",
                            size="global")  # fmt: skip
        yield equal(f"maps of {height} × {width}: scores", 1000, scores.size)
    x = normal(rng, 1, 512, 7, 7)
    first = algos.pool(algos.conv(x, w), "average", size="global")
    second = algos.conv(algos.pool(x, "average", size="global"), w)
    difference = float(np.abs(first - second).max() / np.abs(first).max())
    yield true("averaging may come first: the layers are linear", difference < 1e-5)


@claim
def compression_of_channels() -> Findings:
    """Reduce channels by 1 × 1 convolutions before the large kernels of an Inception module.

    Source: Szegedy et al., Going Deeper with Convolutions (2015), arXiv:1409.4842, table 1,
    inception (3a): 256 output maps, 159K parameters and 128M operations.
    """
    module = InceptionProblem((28, 28), 192, 64, (96, 128), (16, 32), 32)
    plain = InceptionProblem((28, 28), 192, 64, 128, 32, 0)
    parameters, plain_parameters = (
        sum(step.parameters for step in m.convolutions) for m in (module, plain)
    )
    adds, plain_adds = (sum(s.multiply_adds for s in m.convolutions) for m in (module, plain))
    yield equal("output maps", 256, module.output_shape[1])
    yield equal("parameters, in units of 1024", "159K", f"{parameters // 1024}K")
    exact = parameters * 28 * 28
    yield equal("products, padding included", "128M", f"{exact // 10**6}M")
    yield f"{adds:,} multiply-adds without products with padding, {exact:,} with them"
    yield at_least("times fewer multiply-adds than without reduction", "fewer: above 1",
                   plain_adds / adds, 1)  # fmt: skip
    yield f"without reduction: {plain_parameters:,} parameters, {plain_adds:,} multiply-adds"
    rng = np.random.default_rng(0)
    small, large = (
        InceptionPlan(m, [normal(rng, *s.kernel_shape) for s in m.convolutions], threads=1)
        for m in (module, plain)
    )
    x = normal(rng, 1, 192, 28, 28)
    yield at_least("times faster than without reduction", "faster: above 1",
                   ratio(partial(large, x), partial(small, x), 0.8), 1)  # fmt: skip


@claim
def images_of_any_size() -> Findings:
    """Pool a pyramid of grids: images of any size give vectors of one length.

    Source: Lecture on pooling; He et al., Spatial Pyramid Pooling (2014), arXiv:1406.4729, 2.2.
    Grids of 4 × 4, 2 × 2 and 1 × 1 give 21 bins for each of 256 maps.
    """
    for height, width in ((224, 224), (180, 131)):
        x = photograph(height, width)[None, None]
        maps = np.repeat(algos.pool(x, "max", size=16, fit="ceil"), 256, 1)
        y = algos.pool(maps, "max", levels=(4, 2, 1))
        yield equal(f"image of {height} × {width}: numbers", 21 * 256, y.size)
