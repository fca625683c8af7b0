"""CS231n: the notes on convolutional networks."""

from __future__ import annotations

from typing import Any

import numpy as np

import algos
from algos import im2col
from results.figures.style import new_sheet
from suites.claims.claim import Findings, claim, equal, true
from suites.claims.data import normal, photograph, whole

CONV1 = algos.Problem((227, 227), 11, in_channels=3, out_channels=96, stride=4)


def _output(width: int, kernel: int, stride: int, padding: int = 0) -> int:
    """Return the outputs of a real convolution, refused where the stride does not fit."""
    x, w = np.ones((1, 1, width), "float32"), np.ones((1, 1, kernel), "float32")
    return algos.conv(x, w, stride=stride, padding=padding, fit="exact").shape[-1]


def _refusal(width: int, kernel: int, stride: int, padding: int = 0) -> str:
    """Return the sentence that refuses a layer, or an empty one."""
    try:
        _output(width, kernel, stride, padding)
    except algos.ConvbenchError as error:
        return str(error)
    return ""


@claim
def size_formula() -> Findings:
    """Compute output sizes by (W − F + 2P)/S + 1, and refuse what does not fit.

    Source: CS231n, Convolutional Neural Networks, "Spatial arrangement".
    """
    yield equal("7 × 7 input, 3 × 3 kernel, stride 1", 5, _output(7, 3, 1))
    yield equal("7 × 7 input, 3 × 3 kernel, stride 2", 3, _output(7, 3, 2))
    yield equal("W = 5, F = 3, P = 1, stride 1", 5, _output(5, 3, 1, 1))
    yield equal("W = 5, F = 3, P = 1, stride 2", 3, _output(5, 3, 2, 1))
    for stated, sizes in {
        "W = 5, F = 3, P = 1, stride 3 fits": (5, 3, 3, 1),
        "W = 10, F = 3, P = 0, stride 2 fits": (10, 3, 2, 0),
        "AlexNet with W = 224, F = 11, stride 4 fits": (224, 11, 4, 0),
    }.items():
        refusal = _refusal(*sizes)
        yield true(stated, not refusal, False)
        yield f"{stated.removesuffix(' fits')}: {refusal}"
    yield equal("AlexNet with W = 227, F = 11, stride 4", 55, _output(227, 11, 4))
    for size in (3, 5, 7):
        yield equal(f"F = {size}, P = (F − 1)/2, stride 1 keeps 32", 32,
                    _output(32, size, 1, (size - 1) // 2))  # fmt: skip


@claim
def parameter_sharing() -> Findings:
    """Share the kernels of AlexNet's first layer: 34,944 parameters instead of 105,705,600.

    Source: CS231n, Convolutional Neural Networks, "Real-world example" and "Parameter Sharing".
    """
    fields: dict[str, Any] = {"in_channels": 3, "out_channels": 96, "stride": 4}
    shared = algos.Problem((227, 227), 11, bias=True, **fields)
    alone = algos.Problem(
        (227, 227), 11, tile="unshared", bias="location", **fields
    )  # fmt: skip
    neurons = int(np.prod(shared.output_shape))
    yield equal("neurons, 55 · 55 · 96", 290_400, neurons)
    yield equal("weights of each, 11 · 11 · 3", 363, shared.taps)
    yield equal("parameters without sharing", 105_705_600, alone.parameters)
    yield equal("unique weights with sharing", 34_848, shared.parameters - 96)
    yield equal("parameters with sharing", 34_944, shared.parameters)
    rng = np.random.default_rng(0)
    y = algos.conv(normal(rng, 1, 3, 227, 227), normal(rng, 96, 3, 11, 11), normal(rng, 96),
                   stride=4)  # fmt: skip
    yield equal("outputs of the real layer", 290_400, y.size)
    yield f"without sharing the weights take {4 * alone.parameters / 2**20:.0f} MiB as float32"


@claim
def matrix_of_patches() -> Findings:
    """Unroll AlexNet's first layer into one matrix product.

    Source: CS231n, Convolutional Neural Networks, "Implementation as Matrix Multiplication".
    """
    rng = np.random.default_rng(0)
    x, w = whole(rng, 1, 3, 227, 227), whole(rng, 96, 3, 11, 11)
    columns = np.squeeze(im2col.columns(CONV1, x))
    rows = w.reshape(96, -1)
    product = rows @ columns
    yield equal("matrix of patches", "363 × 3025", " × ".join(map(str, columns.shape)))
    yield equal("matrix of kernels", "96 × 363", " × ".join(map(str, rows.shape)))
    yield equal("product", "96 × 3025", " × ".join(map(str, product.shape)))
    y = algos.conv(x, w, stride=4)
    yield true("the product is the layer's output", np.array_equal(product.reshape(y.shape), y))
    yield f"the patches take {columns.nbytes / x.nbytes:.1f} times the memory of the input"


@claim
def slices() -> Findings:
    """Compute the outputs of an input of 11 × 11 × 4 slice by slice.

    Source: CS231n, Convolutional Neural Networks, "Numpy examples": F = 5, P = 0, S = 2.
    """
    rng = np.random.default_rng(0)
    x, w, b = whole(rng, 11, 11, 4), whole(rng, 2, 5, 5, 4), whole(rng, 2)
    planes = np.ascontiguousarray(np.moveaxis(x, -1, 0))[None]
    kernels = np.ascontiguousarray(np.moveaxis(w, -1, 1))
    v = np.moveaxis(algos.conv(planes, kernels, b, stride=2)[0], 0, -1)
    yield equal("output width and height, (11 − 5)/2 + 1", 4, v.shape[0])
    written = {
        (0, 0, 0): (0, 0), (1, 0, 0): (2, 0), (2, 0, 0): (4, 0), (3, 0, 0): (6, 0),
        (0, 0, 1): (0, 0), (1, 0, 1): (2, 0), (2, 0, 1): (4, 0), (3, 0, 1): (6, 0),
        (0, 1, 1): (0, 2), (2, 3, 1): (4, 6),
    }  # fmt: skip
    for (i, j, d), (top, left) in written.items():
        patch = x[top : top + 5, left : left + 5]
        yield equal(
            f"V[{i},{j},{d}] = sum(X[{top}:{top + 5},{left}:{left + 5},:] * W{d}) + b{d}",
            float((patch * w[d]).sum() + b[d]), float(v[i, j, d]),
        )  # fmt: skip


@claim
def discarded_activations() -> Findings:
    """Pool 2 × 2 with stride 2: 75 % of the activations are discarded.

    Source: CS231n, Convolutional Neural Networks, "Pooling Layer".
    """
    x = normal(np.random.default_rng(0), 1, 64, 224, 224)
    y = algos.pool(x, "max", size=2)
    yield equal("224 × 224 × 64 becomes", "112 × 112 × 64",
                " × ".join(map(str, (*y.shape[2:], y.shape[1]))))  # fmt: skip
    yield equal("share of activations discarded", 0.75, 1 - y.size / x.size)
    g = algos.pool_grad(np.ones_like(y), x, "max", size=2)
    yield equal("share of activations without gradient", 0.75, float((g == 0).mean()))
    overlapping = algos.pool(x[:, :1, :7, :7].copy(), "max", size=3, stride=2)
    yield equal("W = 7, F = 3, S = 2: (W − F)/S + 1", 3, overlapping.shape[-1])


@claim
def backward_is_convolution() -> Findings:
    """Go backward through a convolution: a convolution with flipped kernels.

    Source: CS231n, Convolutional Neural Networks, "Backpropagation".
    """
    rng = np.random.default_rng(0)
    x, w, g = whole(rng, 2, 3, 12, 12), whole(rng, 5, 3, 3, 3), whole(rng, 2, 5, 10, 10)
    data = algos.grad_input(g, w, size=(12, 12))
    flipped = np.ascontiguousarray(w.transpose(1, 0, 2, 3)[..., ::-1, ::-1])
    yield true("data: full cross-correlation with flipped kernels",
               np.array_equal(data, algos.conv(g, flipped, padding="full")))  # fmt: skip
    weights = algos.grad_weight(x, g, kernel=3)
    turned = [np.ascontiguousarray(a.transpose(1, 0, 2, 3)) for a in (x, g)]
    back = algos.conv(*turned).transpose(1, 0, 2, 3)
    yield true("weights: cross-correlation of input and output gradient",
               np.array_equal(weights, back))  # fmt: skip
    unflipped = np.ascontiguousarray(flipped[..., ::-1, ::-1])
    yield true("data: it works without flipping",
               np.array_equal(data, algos.conv(g, unflipped, padding="full")), False)  # fmt: skip


@claim
def switches() -> Findings:
    """Remember where each maximum was: the gradient is routed there alone.

    Source: CS231n, Convolutional Neural Networks, "Pooling Layer", "Backpropagation"; Zeiler &
    Fergus, Visualizing and Understanding Convolutional Networks (2014).
    """
    x = photograph(128, 128)[None, None] + normal(np.random.default_rng(0), 1, 1, 128, 128) / 100
    y, places = algos.pool(x, "max", size=2, return_switches=True)
    g = normal(np.random.default_rng(1), *y.shape)
    routed = algos.unpool(g, places, size=2)
    yield true("routing by switches is the gradient",
               np.array_equal(routed, algos.pool_grad(g, x, "max", size=2)))  # fmt: skip
    yield true("the input at the switches is the output",
               np.array_equal(x.ravel()[places.ravel()], y.ravel()))  # fmt: skip
    yield equal("inputs with a gradient, per output", 1, float((routed != 0).sum() / g.size))
    sheet = new_sheet(
        "claim-switches", "Where does the gradient go?",
        "Part of a photograph; its maxima of 2 × 2, put back by their switches; their gradient.",
        panels=3, columns=3, panel_height=2.6,
    )  # fmt: skip
    part = (slice(0, 40), slice(0, 40))
    pictures = (x[0, 0], algos.unpool(y, places, size=2)[0, 0], routed[0, 0])
    for axes, picture, title in zip(
        sheet.axes, pictures, ("input", "unpooled", "gradient"), strict=True
    ):
        axes.imshow(picture[part], cmap="gray")
        axes.set_title(title)
        axes.set_axis_off()
    yield sheet


@claim
def one_by_one() -> Findings:
    """Convolve with 1 × 1 kernels: dot products over the depth.

    Source: CS231n, Convolutional Neural Networks, "1x1 convolution".
    """
    rng = np.random.default_rng(0)
    x, w = whole(rng, 1, 3, 32, 32), whole(rng, 8, 3, 1, 1)
    y = algos.conv(x, w)
    dots = np.einsum("oc,nchw->nohw", w[..., 0, 0], x)
    yield equal("terms of each dot product, 32 × 32 × 3", 3, algos.problem_of(x, w).taps)
    yield true("the layer is those dot products", np.array_equal(y, dots))
    yield equal("size of the output", "32 × 32", " × ".join(map(str, y.shape[2:])))


@claim
def stacks_of_small_kernels() -> Findings:
    """Stack three 3 × 3 layers: they see 7 × 7 with 27C² weights instead of 49C².

    Source: CS231n, Convolutional Neural Networks, "Layer Patterns".
    """
    for layers, stated in ((1, 3), (2, 5), (3, 7)):
        g = np.zeros((1, 1, 15, 15), "float32")
        g[..., 7, 7] = 1
        for _ in range(layers):
            w = np.ones((1, 1, 3, 3), "float32")
            g = algos.grad_input(g, w, size=(15, 15), padding=1)
        yield equal(f"{layers} layers of 3 × 3 see a width of", stated,
                    int((g[0, 0, 7] != 0).sum()))  # fmt: skip
    channels = 64
    maps: dict[str, Any] = {
        "size": (56, 56),
        "in_channels": channels,
        "out_channels": channels,
        "padding": "same",
    }
    small, large = (algos.Problem(kernel=k, **maps) for k in (3, 7))
    yield equal("weights of three layers of 3 × 3, over C²", 27, 3 * small.parameters / channels**2)
    yield equal("weights of one layer of 7 × 7, over C²", 49, large.parameters / channels**2)


@claim
def fully_connected_as_convolution() -> Findings:
    """Turn fully connected layers into convolutions: larger images give maps of scores.

    Source: CS231n, Convolutional Neural Networks, "Converting FC layers to CONV layers".
    """
    rng = np.random.default_rng(0)
    hidden = 64  # instead of 4096: the shapes do not depend on it
    w = normal(rng, hidden, 512, 7, 7) / 150
    scores = normal(rng, 1000, hidden, 1, 1) / 8

    def network(maps: np.ndarray) -> np.ndarray:
        return algos.conv(algos.conv(maps, w), scores)

    maps = normal(rng, 1, 512, 12, 12)
    yield equal("a volume of 7 × 7 × 512 gives", "1 × 1 × 1000", _shape(network(maps[..., :7, :7])))
    image = normal(rng, 1, 1, 384, 384)
    for _ in range(5):
        image = algos.pool(image, "max", size=2)
    yield equal("an image of 384 after five poolings: maps of", 12, image.shape[-1])
    whole_image = network(maps)
    yield equal("a volume of 12 × 12 × 512 gives", "6 × 6 × 1000", _shape(whole_image))
    crops = [network(np.ascontiguousarray(maps[..., i : i + 7, j : j + 7]))
             for i in range(6) for j in range(6)]  # fmt: skip
    one_by_one_crops = np.concatenate(crops, 2).reshape(1, 1000, 6, 6)
    difference = np.abs(whole_image - one_by_one_crops).max() / np.abs(whole_image).max()
    yield true("the same as 36 crops, but for rounding", bool(difference < 1e-5))


def _shape(x: np.ndarray) -> str:
    return " × ".join(map(str, (*x.shape[2:], x.shape[1])))
