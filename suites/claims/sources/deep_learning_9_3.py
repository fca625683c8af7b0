"""Deep Learning, 9.3: pooling."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy import ndimage

import algos
from results.figures.style import new_sheet
from suites.claims.claim import Findings, about, claim, equal, true
from suites.claims.data import digits, normal, photograph
from suites.claims.timing import ratio


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values.ravel())


@claim
def shift_by_one_pixel() -> Findings:
    """Shift the input by one pixel: every input changes, only half of the maxima do.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.3, fig. 9.8.
    """
    # The figure shows four units; those beside them are chosen to agree with its maxima.
    row = np.array([0.0, 0.3, 0.1, 1.0, 0.2, 0.1, 0.0], "float32")
    before, after = row[None, None, 1:], row[None, None, :-1]
    pooled, shifted = (algos.pool(x, "max", size=3, stride=1)[0] for x in (before, after))
    yield equal("maxima of 0.1, 1, 0.2, 0.1", "1, 1, 1, 0.2", _listed(pooled))
    yield equal("after the shift by one", "0.3, 1, 1, 1", _listed(shifted))
    yield equal("inputs that change", "4 of 4", f"{(before != after)[0, 0, 1:5].sum()} of 4")
    yield equal("maxima that change", "2 of 4", f"{(pooled != shifted).sum()} of 4")
    noise = normal(np.random.default_rng(0), 1, 1, 200_000)
    yield about("share of maxima that change: independent inputs", 0.5, _changing(noise), 0.02)
    yield "The maximum of four independent inputs is one of the inner two with probability ½."
    image = photograph(256, 256)[None, None]
    yield about("share of maxima that change: rows of a photograph", 0.5, _changing(image), 0.1)
    changed = float((image[..., 1:] != image[..., :-1]).mean())
    sheet = new_sheet(
        "claim-shift-by-one-pixel", "What changes if the input shifts by one pixel?",
        "Fig. 9.8: detectors below, maxima of width 3 above; orange marks values that changed.",
        panels=2, columns=2, panel_height=1.8,
    )  # fmt: skip
    pairs = ((before, pooled, "before"), (after, shifted, "after the shift"))
    for axes, (detectors, maxima, title) in zip(sheet.axes, pairs, strict=True):
        for height, values, old in ((0, detectors[0, 0, 1:5], before[0, 0, 1:5]),
                                    (1, maxima[0], pooled[0])):  # fmt: skip
            for place, (value, was) in enumerate(zip(values, old, strict=True)):
                colour = "#D55E00" if value != was else "#222222"
                axes.text(place, height, f"{value:g}", ha="center", va="center", color=colour,
                          weight="bold" if value != was else "normal", size=13)  # fmt: skip
        axes.set(xlim=(-0.6, 3.6), ylim=(-0.5, 1.5))
        axes.set_yticks([0, 1], ["detectors", "maxima"])
        axes.set_xticks([])
        axes.grid(visible=False)
        axes.set_title(title)
    yield sheet
    yield f"Of the photograph's pixels {changed:.0%} change; neighbours are often equal."


def _changing(x: np.ndarray) -> float:
    """Return the share of maxima of width 3 that differ from their left neighbour."""
    rows = np.ascontiguousarray(x.reshape(-1, 1, x.shape[-1]))
    y = algos.pool(rows, "max", size=3, stride=1)
    return float((y[..., 1:] != y[..., :-1]).mean())


@claim
def pooling_over_filters() -> Findings:
    """Pool over rotated filters: the maximum stays large however the digit is turned.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.3, fig. 9.9.
    """
    d = digits()
    five = d.x[d.y == 5].mean(0)[0]
    filters = np.stack([_unit(ndimage.rotate(five, a, reshape=False)) for a in (-35, 0, 35)])
    w = filters[:, None].astype("float32")
    angles = range(-60, 61, 5)
    responses = []
    for angle in angles:
        x = np.stack([
            _unit(ndimage.rotate(image[0], angle, reshape=False))
            for image in d.test_x[d.test_y == 5]
        ])[:, None].astype("float32")  # fmt: skip
        detectors = algos.conv(x, w)
        pooled = algos.pool(detectors, "maxout", size=3)
        responses.append([*detectors.mean(0).ravel(), pooled.mean()])
    found = np.array(responses)
    turned = [list(angles).index(angle) for angle in (-35, 0, 35)]
    fired = found[turned, :3].argmax(1)
    yield equal("unit that fires for a digit turned by -35°, 0°, 35°", "0, 1, 2",
                ", ".join(map(str, fired)))  # fmt: skip
    kept = float(found[turned, 3].min() / found[turned, 3].max())
    alone = float(found[turned, 1].min() / found[turned, 1].max())
    yield true("the maximum keeps more of its response than one filter", kept > alone)
    yield f"least over largest response: maximum {kept:.0%}, upright filter {alone:.0%}"
    sheet = new_sheet(
        "claim-pooling-over-filters", "Turned fives: which unit responds?",
        "Mean response to the fives of the test digits. Three filters, one five turned by -35°, "
        "0° and 35°; the pooling unit takes their maximum.",
        panel_height=2.6,
    )  # fmt: skip
    (axes,) = sheet.axes
    for n, name in enumerate(("filter at -35°", "filter at 0°", "filter at 35°")):
        axes.plot(angles, found[:, n], label=name, lw=1.3)
    axes.plot(angles, found[:, 3], label="maximum of the three", color="black", lw=2, ls=":")
    axes.set(xlabel="digit turned by (degrees)", ylabel="mean response", ylim=(-0.3, None))
    axes.legend(frameon=False, loc="lower center", ncols=4)
    yield sheet


def _unit(image: np.ndarray) -> np.ndarray:
    """Return the image without its mean and with norm 1."""
    image = image - image.mean()
    return np.asarray(image / np.linalg.norm(image))


@claim
def pooling_with_downsampling() -> Findings:
    """Pool with width 3 and stride 2: half the size, and the smaller last region is kept.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.3, fig. 9.10.
    """
    x = np.array([[[0.1, 1.0, 0.2, 0.1, 0.0, 0.1]]], "float32")
    kept = algos.pool(x, "max", size=3, stride=2, fit="ceil")
    yield equal("maxima of 0.1, 1, 0.2, 0.1, 0, 0.1", "1, 0.2, 0.1", _listed(kept))
    yield equal("inputs in the last region", 2, x.shape[-1] - 2 * (kept.shape[-1] - 1))
    dropped = algos.pool(x, "max", size=3, stride=2)
    yield equal("outputs without the smaller region", 2, dropped.shape[-1])
    image = photograph(256, 256)[None, None]
    half = algos.pool(image, "max", size=3, stride=2, fit="ceil")
    yield equal("256 × 256 pixels become", "128 × 128", " × ".join(map(str, half.shape[2:])))


@claim
def cheaper_next_layer() -> Findings:
    """Pool with regions k apart: the next layer has about k times fewer inputs.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.3, on downsampling.
    """
    rng = np.random.default_rng(0)
    x, w = normal(rng, 1, 16, 16384), normal(rng, 16, 16, 5)
    whole = algos.plan(algos.problem_of(x, w), w, threads=1)
    for k in (2, 4):
        pooled = algos.pool(x, "max", size=k)
        less = algos.plan(algos.problem_of(pooled, w), w, threads=1)
        saved = whole.problem.multiply_adds / less.problem.multiply_adds
        yield about(f"k = {k}: times fewer multiply-adds of a convolution", k, saved)
        gain = ratio(partial(whole, x), partial(less, pooled), 0.6)
        yield about(f"k = {k}: times faster", k, gain, 0.25)
        dense = [algos.Problem((y.shape[-1],), y.shape[-1], in_channels=16, out_channels=10)
                 for y in (x, pooled)]  # fmt: skip
        yield about(f"k = {k}: times fewer parameters of a fully connected layer", k,
                    dense[0].parameters / dense[1].parameters)  # fmt: skip


@claim
def quadrants() -> Findings:
    """Pool each quadrant: images of any size give four statistics.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.3: one set of summary
    statistics for each quadrant, regardless of the image size.
    """
    for height, width in ((64, 64), (120, 200), (301, 77)):
        x = photograph(height, width)[None, None]
        y = algos.pool(x, "max", output_size=2)
        yield equal(f"{height} × {width}: statistics", 4, y.size)
        top, left = -(-height // 2), -(-width // 2)
        corners = [x[0, 0, a, b].max() for a in (slice(top), slice(height // 2, None))
                   for b in (slice(left), slice(width // 2, None))]  # fmt: skip
        yield true(f"{height} × {width}: they are the quadrants' maxima", y.ravel().tolist()
                   == corners)  # fmt: skip


@claim
def architectures() -> Findings:
    """Build the three classifiers and count every shape.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.3, fig. 9.11.
    """
    rng = np.random.default_rng(0)
    kernels = [normal(rng, 64, 3, 3, 3) / 5, normal(rng, 64, 64, 3, 3) / 24]

    def features(x: np.ndarray) -> list[np.ndarray]:
        """Return the output of each of the four layers that all three networks begin with."""
        maps = []
        for w in kernels:
            x = np.maximum(algos.conv(x, w, padding="same"), 0)
            maps.append(x)
            x = algos.pool(x, "max", size=4)
            maps.append(x)
        return maps

    x = normal(rng, 1, 3, 256, 256)
    found = features(x)
    stated = ("256 × 256 × 64", "64 × 64 × 64", "64 × 64 × 64", "16 × 16 × 64")
    names = ("first convolution", "first pooling", "second convolution", "second pooling")
    for name, shape, y in zip(names, stated, found, strict=True):
        yield equal(f"all three: output of {name}", shape, _shape(y))
    last = found[-1]
    yield equal("left: units of the vector", 16_384, last.size)
    scores = algos.conv(last, normal(rng, 1000, 64, 16, 16))
    yield equal("left: units of the matrix product", 1000, scores.size)
    grid = algos.pool(last, "average", output_size=3)
    yield equal("centre: output of pooling to a 3 × 3 grid", "3 × 3 × 64", _shape(grid))
    yield equal("centre: units of the vector", 576, grid.size)
    scores = algos.conv(grid, normal(rng, 1000, 64, 3, 3))
    yield equal("centre: units of the matrix product", 1000, scores.size)
    maps = algos.conv(last, normal(rng, 1000, 64, 3, 3), padding="same")
    yield equal("right: output of convolution", "16 × 16 × 1000", _shape(maps))
    mean = algos.pool(maps, "average", size="global")
    yield equal("right: output of average pooling", "1 × 1 × 1000", _shape(mean))
    other = features(normal(rng, 1, 3, 192, 320))[-1]
    yield equal("centre: units for an image of 192 × 320", 576,
                algos.pool(other, "average", output_size=3).size)  # fmt: skip
    fits = other.size == last.size
    yield true("left: an image of 192 × 320 fits as well", fits, False)


def _shape(x: np.ndarray) -> str:
    """Return height × width × channels, as the figure writes them."""
    return " × ".join(map(str, (*x.shape[2:], x.shape[1])))
