"""Deep Learning, 9.1 and 9.2: the operation, and the motivation of convolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

import algos
from algos import toeplitz
from results.figures.style import GREY, Sheet, new_sheet
from suites.claims.claim import Findings, about, at_least, claim, equal, true
from suites.claims.data import normal, photograph, whole
from suites.claims.timing import ratio, times


@claim
def commutation() -> Findings:
    """Flip the kernel: convolution commutes, cross-correlation does not.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.1, eq. 9.4 to 9.6.
    """
    rng = np.random.default_rng(0)
    a, b = whole(rng, 1, 1, 9, 7), whole(rng, 1, 1, 4, 5)
    for flip, name in ((True, "convolution"), (False, "cross-correlation")):
        one = algos.conv(a, b, padding="full", flip=flip)
        other = algos.conv(b, a, padding="full", flip=flip)
        yield true(f"{name}: a with b equals b with a", np.array_equal(one, other), flip)
        yield f"{name}: largest difference {np.abs(one - other).max():g} of {np.abs(one).max():g}"


@claim
def commutation_of_channels() -> Findings:
    """Commute convolutions of several channels: equal channel counts are needed, not enough.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.5: multichannel convolutions
    are commutative only if each operation has as many output channels as input channels.
    """
    rng = np.random.default_rng(0)
    x, unequal = whole(rng, 1, 4, 12, 12), whole(rng, 6, 4, 3, 3)
    square, other = whole(rng, 4, 4, 3, 3), whole(rng, 4, 4, 3, 3)

    def both(v: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
        pairs = ((v, w), (w, v))
        return [algos.conv(algos.conv(x, p, flip=True), q, flip=True) for p, q in pairs]

    try:
        both(unequal, square)
        fits = True
    except algos.ConvbenchError as error:
        fits = False
        yield f"4 → 6 channels, then 4 → 4: {error}"
    yield true("unequal channels: both orders exist", fits, False)
    one, two = both(square, other)
    difference = float(np.abs(one - two).max() / np.abs(one).max())
    yield true("equal channels suffice: both orders agree", difference == 0)
    yield f"4 → 4 channels: the two orders differ by {difference:.0%} of the maximum"
    alone = [np.zeros_like(square) for _ in range(2)]
    for kernel, values in zip(alone, (square, other), strict=True):
        kernel[range(4), range(4)] = values[range(4), range(4)]
    one, two = both(*alone)
    yield true("kernels that keep channels apart commute", np.array_equal(one, two))
    yield "Across channels the kernels are matrices, and products of matrices do not commute."


@claim
def edge_detection() -> Findings:
    """Detect vertical edges with two taps instead of a matrix.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.2, fig. 9.6.
    """
    image = photograph(280, 320)
    w = np.array([[[[-1.0, 1.0]]]], "float32")
    problem = algos.problem_of(image[None, None], w)
    edges = algos.conv(image[None, None], w)[0, 0]
    outputs, inputs = edges.size, image.size
    taps = w.size
    yield equal("output", "319 × 280", " × ".join(map(str, edges.shape[::-1])))
    yield equal("operations of the convolution", 267_960, outputs * (2 * taps - 1))
    yield equal("multiplications among them", 2 * 319 * 280, problem.multiply_adds)
    yield at_least("entries of the dense matrix", "over 8 billion", outputs * inputs, 8e9)
    yield at_least("operations with it", "over 16 billion", outputs * (2 * inputs - 1), 16e9)
    factor = outputs * (2 * inputs - 1) / (outputs * (2 * taps - 1))
    yield about("times the operations", 60_000, factor)
    yield about("times the numbers to store", 4e9, outputs * inputs / taps)
    (sparse,) = toeplitz.SparseToeplitz().prepare(problem, w, 1)
    yield equal("nonzero entries of the sparse matrix", 178_640, int(sparse.nnz))
    reason = algos.why_not(problem)["toeplitz"]
    yield true("the dense matrix is refused here", bool(reason))
    yield f"refused: {reason}"
    yield from _measured(outputs * inputs)
    sheet = new_sheet(
        "claim-edge-detection", "Two taps find the vertical edges",
        "Left, the input of 320 × 280; right, every pixel less its left neighbour, 319 × 280.",
        panels=2, columns=2, panel_height=3.0,
    )  # fmt: skip
    for axes, picture in zip(sheet.axes, (image, edges), strict=True):
        axes.imshow(picture, cmap="gray")
        axes.set_axis_off()
    yield sheet


def _measured(entries: int) -> Findings:
    """Time the dense matrix where it fits, and extrapolate by its number of entries."""
    height, width = 72, 84
    rng = np.random.default_rng(0)
    x = normal(rng, 1, 1, height, width)
    w = np.array([[[[-1.0, 1.0]]]], "float32")
    problem = algos.problem_of(x, w)
    small = algos.plan(problem, w, algorithm="toeplitz", threads=1)
    found = times({"matrix": partial(small, x)}, 0.3)["matrix"]
    scale = entries / (height * (width - 1) * height * width)
    whole = normal(rng, 1, 1, 280, 320)
    full = algos.plan(algos.problem_of(whole, w), w, threads=1)
    taps = times({"taps": partial(full, whole)}, 0.2)["taps"]
    low, high = found.low * scale / taps.high, found.high * scale / taps.low
    middle = found.middle * scale / taps.middle
    nonzero = algos.plan(full.problem, w, algorithm="toeplitz-sparse", threads=1)
    slower = ratio(partial(nonzero, whole), partial(full, whole), 0.2)
    yield f"the sparse matrix on 320 × 280: {slower.middle:.3g} times the time of two taps"
    yield f"matrix of a {width} × {height} image: {found.middle * 1e3:.3g} ms, BLAS, one thread"
    yield f"extrapolated by the number of entries to 320 × 280: {found.middle * scale:.3g} s"
    yield f"two taps on 320 × 280: {taps.middle * 1e6:.3g} µs"
    yield at_least(
        "times faster here, extrapolated", "about 60,000",
        type(found)(middle, low, high), 60_000 / 2,
    )  # fmt: skip
    yield "The row holds if the gain in time reaches half the gain in operations."


@claim
def sparse_connectivity() -> Findings:
    """Connect each output to k of m inputs, and share the k weights.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.2, fig. 9.2 to 9.5: O(k × n)
    operations instead of O(m × n), and k weights to store.
    """
    m, k = 4096, 3
    convolution = algos.Problem(size=(m,), kernel=k, padding="same")
    unshared = algos.Problem(size=(m,), kernel=k, padding="same", tile="unshared")
    dense = algos.Problem(size=(m,), kernel=m, out_channels=m)
    connected = int(toeplitz.mask(algos.Problem(size=(64,), kernel=k)).sum())
    yield equal("connections, m = 64, k = 3, per output", k, connected // (64 - k + 1))
    yield equal("operations of the dense layer, m × n", m * m, dense.multiply_adds)
    yield equal("operations of the sparse layer, k × n less the border", k * m - 2,
                convolution.multiply_adds)  # fmt: skip
    yield equal("weights: dense, m × n", m * m, dense.parameters)
    yield equal("weights: sparse but not shared, k × n", k * m, unshared.parameters)
    yield equal("weights: shared, k", k, convolution.parameters)
    rng = np.random.default_rng(0)
    x, w, matrix = normal(rng, 1, 1, m), normal(rng, 1, 1, k), normal(rng, m, 1, m)
    sparse = algos.plan(convolution, w, threads=1)
    whole = algos.plan(dense, matrix, threads=1)
    gain = ratio(partial(whole, x), partial(sparse, x), 0.6)
    yield at_least("times faster than the dense layer", "more than 1", gain, 1.0)
    yield f"multiply-adds would allow {m * m / convolution.multiply_adds:.0f} times"


def _field(layers: list[tuple[str, int, int]], size: int = 129) -> int:
    """Return the inputs that reach the middle output, by the gradient of real layers.

    `layers` are (kind, width, stride), with kind "conv" or "pool".
    """
    x = np.ones((1, 1, size), "float32")
    states = [x]
    for kind, width, stride in layers:
        w = np.ones((1, 1, width), "float32")
        y = states[-1]
        states.append(
            algos.conv(y, w, stride=stride) if kind == "conv"
            else algos.pool(y, "average", size=width, stride=stride)
        )  # fmt: skip
    g = np.zeros_like(states[-1])
    g[..., g.shape[-1] // 2] = 1
    for (kind, width, stride), y in zip(reversed(layers), reversed(states[:-1]), strict=True):
        if kind == "conv":
            g = algos.grad_input(
                g, np.ones((1, 1, width), "float32"), size=y.shape[2:], stride=stride
            )
        else:
            g = algos.pool_grad(g, y, "average", size=width, stride=stride)
    return int((g != 0).sum())


@claim
def receptive_field() -> Findings:
    """Stack layers: the receptive field grows with depth, faster with stride and pooling.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.2, fig. 9.3 and 9.4.
    """
    kinds = {
        "convolution of width 3": [("conv", 3, 1)],
        "with stride 2": [("conv", 3, 2)],
        "with pooling of 2 after it": [("conv", 3, 1), ("pool", 2, 2)],
    }
    fields = {name: [_field(layer * depth) for depth in range(1, 5)] for name, layer in
              kinds.items()}  # fmt: skip
    yield equal("inputs seen by a unit of the first layer", 3, fields["convolution of width 3"][0])
    yield equal("inputs seen by a unit of the second layer", 5,
                fields["convolution of width 3"][1])  # fmt: skip
    for name, found in fields.items():
        jump, reach, expected = 1, 1, []
        for _ in range(4):
            for _, width, stride in kinds[name]:
                reach, jump = reach + (width - 1) * jump, jump * stride
            expected.append(reach)
        yield equal(f"four layers, {name}: 1 + Σ (F − 1)·ΠS", str(expected)[1:-1], str(found)[1:-1])
    plain, strided, pooled = (found[-1] for found in fields.values())
    yield true("stride and pooling increase the effect", min(strided, pooled) > plain)
    sheet = new_sheet(
        "claim-receptive-field", "How many inputs does a unit see?",
        "Inputs with a nonzero gradient of the middle unit; every layer has kernels of width 3.",
        panel_height=2.8,
    )  # fmt: skip
    (axes,) = sheet.axes
    for (name, found), marker in zip(fields.items(), "os^", strict=True):
        axes.plot(range(1, 5), found, marker=marker, label=name)
    axes.set(xlabel="layers", ylabel="inputs", xticks=range(1, 5))
    axes.legend(frameon=False)
    yield sheet


@claim
def translation() -> Findings:
    """Shift the image: the feature map shifts likewise, exactly.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.2: equivariance to translation.
    """
    image = np.zeros((1, 1, 96, 96), "float32")
    image[..., 24:72, 24:72] = np.round(photograph(48, 48) * 255)
    w = whole(np.random.default_rng(0), 1, 1, 5, 5)
    for name in ("naive", "parallel", "im2col"):
        one = algos.conv(np.roll(image, (7, 11), (2, 3)), w, algorithm=name)
        other = np.roll(algos.conv(image, w, algorithm=name), (7, 11), (2, 3))
        yield equal(f"{name}: f(g(x)) − g(f(x)), largest", 0, float(np.abs(one - other).max()))


@claim
def scale_and_rotation() -> Findings:
    """Rotate or scale the image: the feature map does not follow.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.2: convolution is not naturally
    equivariant to changes in the scale or rotation of an image.
    """
    from scipy import ndimage

    image = photograph(256, 256)
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "float32")

    def edges(picture: np.ndarray) -> np.ndarray:
        return algos.conv(picture[None, None], sobel[None, None], padding="same")[0, 0]

    def zoomed(picture: np.ndarray) -> np.ndarray:
        return ndimage.zoom(picture, 2, order=1)[128:384, 128:384]

    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "rotation by 90°": np.rot90,
        "rotation by 30°": lambda p: ndimage.rotate(p, 30, reshape=False, order=1),
        "twice the scale": zoomed,
    }
    rows = []
    for name, change in changes.items():
        one, other = edges(np.ascontiguousarray(change(image))), change(edges(image))
        inside = (slice(64, 192),) * 2  # away from borders and corners
        departure = float(np.linalg.norm((one - other)[inside]) / np.linalg.norm(other[inside]))
        yield at_least(f"{name}: departure from equivariance", "not 0", departure, 0.05)
        rows.append((name, one, other))
    yield "Departure: norm of f(g(x)) − g(f(x)) over that of g(f(x)); f is Sobel's filter."
    yield _pairs(rows)


def _pairs(rows: list[tuple[str, np.ndarray, np.ndarray]]) -> Sheet:
    sheet = new_sheet(
        "claim-scale-and-rotation", "Edges do not turn with the image",
        "Above, filter the changed image; below, change the filtered image. With equivariance the "
        "two rows would be equal.",
        panels=2 * len(rows), columns=len(rows), panel_height=2.4,
    )  # fmt: skip
    for n, (name, one, other) in enumerate(rows):
        for place, picture in ((n, one), (n + len(rows), other)):
            axes = sheet.axes[place]
            axes.imshow(picture, cmap="gray", vmin=-2, vmax=2)
            axes.set_axis_off()
        sheet.axes[n].set_title(name, color=GREY)
    return sheet
