"""Note on deformation stability: how representations change under smooth deformations."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import ndimage

import algos
from results.figures.style import new_sheet
from results.verdicts.statistics import Interval, mean_interval
from suites.claims import networks
from suites.claims.claim import Findings, about, at_least, at_most, between, claim, equal
from suites.claims.data import digits, normal, patches, photograph

SHIFTS = [shift for shift in product((-1, 0, 1), repeat=2) if shift != (0, 0)]


def _unchanged(window: int, x: np.ndarray) -> float:
    """Return how many of the 8 shifts by one pixel leave a window's maximum as it is, on average.

    `x` is an array (N, 1, H, W); windows at every position are asked, none at the border.
    """
    inner = np.ascontiguousarray(x[..., 1:-1, 1:-1])
    before = algos.pool(inner, "max", size=window, stride=1)
    same = 0.0
    for down, right in SHIFTS:
        moved = np.roll(x, (down, right), (2, 3))[..., 1:-1, 1:-1]
        same += float(
            (algos.pool(np.ascontiguousarray(moved), "max", size=window, stride=1) == before).mean()
        )
    return same


def _kept(window: int, place: tuple[int, ...]) -> int:
    """Return how many shifts leave the maximum of a window with a lone 1 at `place`."""
    x = np.zeros((window + 2, window + 2), "float32")
    x[1 + place[0], 1 + place[1]] = 1
    moved = np.stack([np.roll(x, shift, (0, 1))[1:-1, 1:-1] for shift in SHIFTS])[:, None]
    return int(algos.pool(moved, "max", size=window).sum())


@claim
def one_pixel_translations() -> Findings:
    """Translate by one pixel: 2 × 2 maxima keep 3 of 8 directions, 3 × 3 maxima 5 of 8.

    Source: Note on deformation stability, after the Deep Learning Tutorials (LISA lab), LeNet, 4.
    There, 3 of 8 configurations produce exactly the same output; for 3 × 3 windows this is 5/8.
    """
    found = {}
    noise = np.abs(normal(np.random.default_rng(0), 1, 1, 400, 400))
    image = photograph(400, 400)[None, None]
    for window, stated in ((2, 3), (3, 5)):
        kept = [_kept(window, place) for place in product(range(window), repeat=2)]
        mean = float(np.mean(kept))
        yield equal(f"{window} × {window}, a lone maximum, mean over its places", stated, mean)
        yield f"{window} × {window}: by the maximum's place {', '.join(map(str, kept))} of 8"
        side = 2 * window * window
        chance = 4 * (window * (window - 1)) / (side - window * (window - 1))
        chance += 4 * (window - 1) ** 2 / (side - (window - 1) ** 2)
        random, natural = _unchanged(window, noise), _unchanged(window, image)
        yield about(f"{window} × {window}, independent pixels, of 8", stated, random)
        yield f"{window} × {window}: probability gives {chance:.2f} of 8 for independent pixels"
        yield about(f"{window} × {window}, a photograph, of 8", stated, natural)
        found[window] = (stated, mean, random, natural)
    yield (
        "A lone maximum stays in a 3 × 3 window for 8 shifts from the centre, 5 from an edge, 3 "
        "from a corner. Other pixels that enter the window change more outputs."
    )
    sheet = new_sheet(
        "claim-one-pixel-translations", "How many of 8 shifts leave a maximum unchanged?",
        "Shifts by one pixel, diagonals included, of windows of 2 × 2 and 3 × 3.",
        panels=2, columns=2, panel_height=1.9,
    )  # fmt: skip
    names = ("stated", "a lone maximum", "independent pixels", "a photograph")
    for axes, (window, values) in zip(sheet.axes, found.items(), strict=True):
        axes.barh(names[::-1], values[::-1], height=0.6, color=["#0072B2"] * 3 + ["#999999"])
        axes.set(xlim=(0, 8), xlabel="shifts of 8")
        axes.set_title(f"{window} × {window}")
    yield sheet


def _deformed(images: np.ndarray, strength: float, seed: int) -> np.ndarray:
    """Return images moved along smooth random fields, `strength` pixels at most."""
    rng = np.random.default_rng(seed)
    size = images.shape[-1]
    grid = np.indices((size, size)).astype("float64")
    found = []
    for image in images[:, 0]:
        field = ndimage.gaussian_filter(rng.standard_normal((2, size, size)), (0, 2, 2))
        field *= strength / np.abs(field).max()
        found.append(ndimage.map_coordinates(image, grid + field, order=1, mode="nearest"))
    return np.array(found, "float32")[:, None]


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return 1 − cosine between rows of flattened representations."""
    a, b = a.reshape(len(a), -1).astype("float64"), b.reshape(len(b), -1).astype("float64")
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray(1 - (a * b).sum(1) / np.maximum(norms, 1e-30))


def sensitivity(layers: list[networks.Layer], images: np.ndarray, moved: np.ndarray) -> float:
    """Return the normalised sensitivity of the last layer to the deformation of `images`.

    It is the mean of d_cos(r(x), r(τ(x))) over the median of d_cos(r(x), r(y)), y another image.
    """
    plain = networks.forward(layers, images)
    others = np.roll(plain, 1, 0)
    distance = _cosine(plain, networks.forward(layers, moved)).mean()
    return float(distance / np.median(_cosine(plain, others)))


def _photographs() -> Interval:
    """Return the sensitivity of new networks without pooling over that with it, on photographs."""
    images = patches(150, 32)
    moved = _deformed(images, 3, 0)
    ratios = []
    for seed in range(6):
        with_pooling, with_stride = (
            sensitivity(networks.convolutional(pooling, 10 * seed)[:-1], images, moved)
            for pooling in ("max", None)
        )
        ratios.append(with_stride / with_pooling)
    return mean_interval(ratios)


@claim
def deformation_stability() -> Findings:
    """Deform real digits: pooling makes a new network more stable, a trained one not.

    Source: Note on deformation stability; Ruderman, Rabinowitz, Morcos & Zoran (2018),
    arXiv:1804.04438: pooling confers stability at initialization; it is neither necessary nor
    sufficient for that of trained networks, which adjust it by training.
    """
    d = digits()
    images = d.test_x[:300]
    moved = _deformed(images, 1.5, 0)
    found: dict[tuple[str, str], list[float]] = {}
    for seed in range(4):
        for name, pooled in (("pooling", True), ("stride", False)):
            layers = networks.convolutional("max" if pooled else None, 10 * seed)
            body = layers[:-1]  # without the scores
            found.setdefault((name, "before"), []).append(sensitivity(body, images, moved))
            networks.train(layers, d.x, d.y, epochs=5)
            found.setdefault((name, "after"), []).append(sensitivity(body, images, moved))
    values = {key: np.array(scores) for key, scores in found.items()}
    for (name, when), scores in values.items():
        yield f"{name}, {when} training: sensitivity {scores.mean():.3f}"

    ratios = {when: mean_interval(values["stride", when] / values["pooling", when])
              for when in ("before", "after")}  # fmt: skip
    yield at_least("digits, before training: sensitivity without pooling over that with it",
                   "above 1", ratios["before"], 1)  # fmt: skip
    yield at_least("photographs, before training: the same ratio", "above 1", _photographs(), 1)
    yield between("digits, after training: the same ratio", "about 1", ratios["after"], 0.8, 1.25)
    change = {
        name: values[name, "after"] / values[name, "before"] for name in ("pooling", "stride")
    }
    for name, ratio in change.items():
        yield at_most(f"training with {name} changes the sensitivity: smaller over larger",
                      "adjusted: below 0.9", _closeness(ratio), 0.9)  # fmt: skip
    sheet = new_sheet(
        "claim-deformation-stability", "Does pooling make a network stable?",
        "Sensitivity of the last feature maps to smooth deformations of up to 1.5 pixels; 1 is the "
        "distance of two different digits. Four networks each.",
        panel_height=2.4,
    )  # fmt: skip
    (axes,) = sheet.axes
    for name, mark, colour in (("pooling", "o", "#0072B2"), ("stride", "^", "#D55E00")):
        pairs = np.stack([values[name, "before"], values[name, "after"]])
        axes.plot([0, 1], pairs, color=colour, lw=0.8, alpha=0.5)
        axes.plot([0, 1], pairs.mean(1), mark, color=colour, ms=8, label=name)
    axes.set(ylabel="sensitivity", ylim=(0, None), xlim=(-0.3, 1.3))
    axes.set_xticks([0, 1], ["before training", "after training"])
    axes.legend(frameon=False)
    yield sheet


def _closeness(ratios: np.ndarray) -> float:
    """Return the smaller of the geometric mean of `ratios` and its inverse."""
    mean = float(np.exp(np.log(ratios).mean()))
    return min(mean, 1 / mean)
