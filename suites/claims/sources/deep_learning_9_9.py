"""Deep Learning, 9.9: random and unsupervised features."""

from __future__ import annotations

import numpy as np

import algos
from results.figures.style import new_sheet
from suites.claims.claim import Findings, at_least, claim, true
from suites.claims.data import digits, normal

#: Filters of each bank, and their width.
COUNT, WIDTH = 16, 3
#: Weight of the penalty on the classifier's coefficients.
PENALTY = 0.1


def _features(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return pooled magnitudes of the filtered images as rows: 4 × 4 averages a filter and sign."""
    y = algos.conv(x, w, padding="same", threads=1)
    both = np.concatenate([np.maximum(y, 0), np.maximum(-y, 0)], 1)
    return algos.pool(both, "average", size=2, threads=1).reshape(len(x), -1)


def _accuracy(features: np.ndarray, y: np.ndarray, test: np.ndarray, test_y: np.ndarray) -> float:
    """Return the accuracy of a linear classifier, fitted by penalised least squares."""
    mean, spread = features.mean(0), features.std(0) + 1e-3
    a, b = ((np.c_[(f - mean) / spread, np.ones(len(f))]) for f in (features, test))
    targets = np.eye(10)[y] - 0.1
    penalty = PENALTY * len(a) * np.eye(a.shape[1])
    weights = np.linalg.solve(a.T @ a + penalty, a.T @ targets)
    return float(((b @ weights).argmax(1) == test_y).mean())


def _unit(w: np.ndarray) -> np.ndarray:
    """Return filters without mean and with norm 1, (count, 1, width, width)."""
    w = w.reshape(len(w), 1, WIDTH, WIDTH)
    w = w - w.mean((2, 3), keepdims=True)
    return np.asarray(w / np.linalg.norm(w, axis=(2, 3), keepdims=True), "float32")


def _hand_made() -> np.ndarray:
    """Return derivatives of first and second order, turned in steps of 22.5 degrees."""
    i, j = np.indices((WIDTH, WIDTH)) - WIDTH // 2
    bell = np.exp(-(i**2 + j**2) / 2)
    filters = []
    for angle in np.arange(COUNT // 2) * 2 * np.pi / COUNT:
        along = i * np.sin(angle) + j * np.cos(angle)
        filters += [along * bell, (along**2 - 1) * bell]
    return _unit(np.array(filters))


def _centroids(x: np.ndarray) -> np.ndarray:
    """Return k-means centroids of normalised patches (Coates, Lee & Ng, 2011)."""
    rng = np.random.default_rng(0)
    found = np.lib.stride_tricks.sliding_window_view(x[:, 0], (WIDTH, WIDTH), (1, 2))
    rows = found.reshape(-1, WIDTH * WIDTH)
    rows = rows[rng.permutation(len(rows))[:6000]]
    rows = rows - rows.mean(1, keepdims=True)
    rows = rows[rows.std(1) > 0.05]
    rows = rows / rows.std(1, keepdims=True)
    centroids = rows[rng.permutation(len(rows))[:COUNT]]
    for _ in range(20):
        nearest = (rows @ centroids.T - (centroids**2).sum(1) / 2).argmax(1)
        centroids = np.stack([
            rows[nearest == n].mean(0) if (nearest == n).any() else centroids[n]
            for n in range(COUNT)
        ])  # fmt: skip
    return _unit(centroids)


@claim
def fixed_filters() -> Findings:
    """Classify digits linearly on features of filters that no label has trained.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.9: random filters often work
    surprisingly well; filters may be made by hand; Coates et al. (2011) take k-means centroids.
    """
    d = digits()
    banks = {
        "random": _unit(normal(np.random.default_rng(0), COUNT, 1, WIDTH, WIDTH)),
        "hand-made": _hand_made(),
        "k-means": _centroids(d.x),
    }
    pixels = _accuracy(d.x.reshape(len(d.x), -1), d.y, d.test_x.reshape(len(d.test_x), -1),
                       d.test_y)  # fmt: skip
    found = {name: _accuracy(_features(d.x, w), d.y, _features(d.test_x, w), d.test_y)
             for name, w in banks.items()}  # fmt: skip
    yield f"the same classifier on plain pixels: {pixels:.1%} of 597 test digits"
    for name, value in found.items():
        yield at_least(f"{name} filters: accuracy over that of plain pixels", "works: above 1",
                       value / pixels, 1)  # fmt: skip
        yield f"{name}: {value:.1%}"
    share = (1 - found["random"]) / (1 - found["k-means"])
    yield f"random filters make {share:.2f} times the errors of k-means centroids"
    sheet = new_sheet(
        "claim-fixed-filters", "Filters that no label has trained",
        "Random; hand-made derivatives; k-means centroids of patches of digits.",
        panels=3 * COUNT, columns=COUNT, panel_height=0.55,
    )  # fmt: skip
    for n, (axes, w) in enumerate(zip(sheet.axes, np.concatenate(list(banks.values())),
                                      strict=True)):  # fmt: skip
        axes.imshow(w[0], cmap="gray")
        axes.set_axis_off()
        if n % COUNT == 0:
            axes.set_title(list(banks)[n // COUNT], size=8)
    yield sheet


def _grating(size: int, frequency: tuple[float, float], phase: float) -> np.ndarray:
    i, j = np.indices((size, size))
    return np.cos(2 * np.pi * (frequency[0] * i + frequency[1] * j) + phase)


@claim
def random_filters_and_pooling() -> Findings:
    """Pool the squares of random filters: the unit prefers a frequency at any position.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.9, after Saxe et al. (2011):
    convolution followed by pooling becomes frequency selective and translation invariant when
    its weights are random.
    """
    size, width, count = 24, 7, 50
    w = normal(np.random.default_rng(0), count, 1, width, width)
    axis = np.arange(-8, 9) / 16
    frequencies = [(float(a), float(b)) for a in axis for b in axis]
    gratings = np.array([_grating(size, f, 0.7) for f in frequencies], "float32")[:, None]
    response = _pooled(gratings, w)
    spectrum = np.abs(np.fft.fft2(w[:, 0], (160, 160))) ** 2
    places = [(round(a * 160) % 160, round(b * 160) % 160) for a, b in frequencies]
    power = np.array([[s[p] for p in places] for s in spectrum])
    best = response.argmax(0)
    share = float(np.mean([power[n, f] / power[n].max() for n, f in enumerate(best)]))
    yield at_least("filter's power at the preferred frequency, over its peak", "about 1",
                   share, 0.8)  # fmt: skip
    selective = float(np.median(response.max(0) / np.median(response, 0)))
    yield at_least("response at the best frequency over that at a median one", "selective: above 1",
                   selective, 2)  # fmt: skip
    changes = {}
    for name, pooled in (("pooled", True), ("not pooled", False)):
        shifted = np.stack([
            _pooled(np.array([[_grating(size, frequencies[f], 0.7 + phase)]], "float32"),
                    w[n : n + 1], pooled)[0, 0]
            for n, f in enumerate(best) for phase in np.arange(8) * np.pi / 4
        ]).reshape(count, 8)  # fmt: skip
        changes[name] = float(np.median(shifted.std(1) / np.abs(shifted).mean(1)))
    yield true("pooling makes the response less dependent on the position",
               changes["pooled"] < changes["not pooled"])  # fmt: skip
    yield (
        f"change of the response when the grating moves, std over mean: pooled "
        f"{changes['pooled']:.1%}, single square {changes['not pooled']:.0%}"
    )
    sheet = new_sheet(
        "claim-random-filters-and-pooling", "Random filters prefer a frequency",
        "Above, responses of 8 pooled random filters to gratings, by horizontal and vertical "
        "frequency; below, the power spectra of the filters.",
        panels=16, columns=8, panel_height=1.1,
    )  # fmt: skip
    for n in range(8):
        for place, values in ((n, response[:, n]), (8 + n, power[n])):
            sheet.axes[place].imshow(values.reshape(len(axis), -1), cmap="magma")
            sheet.axes[place].set_axis_off()
    yield sheet


def _pooled(images: np.ndarray, w: np.ndarray, pooled: bool = True) -> np.ndarray:
    """Return the square of each filter's response, averaged over the image or at its middle."""
    y = algos.conv(images, w, threads=1)
    if not pooled:
        return y[..., y.shape[2] // 2, y.shape[3] // 2] ** 2
    return algos.pool(y, "l2", size="global", threads=1)[..., 0, 0] ** 2
