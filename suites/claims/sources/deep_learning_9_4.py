"""Deep Learning, 9.4: convolution and pooling as an infinitely strong prior."""

from __future__ import annotations

import numpy as np

from results.figures.style import new_sheet
from results.verdicts.statistics import mean_interval
from suites.claims import networks
from suites.claims.claim import Findings, at_least, between, claim
from suites.claims.data import digits

SEEDS = range(4)
#: Epochs of training; without convolution a network needs more of them.
EPOCHS = {"fully connected": 10, "convolutional": 4}


@claim
def permuted_pixels() -> Findings:
    """Permute the pixels: a network without convolution learns all the same.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.4: models that do not use
    convolution would be able to learn even if all pixels were permuted.
    """
    d = digits()
    order = np.random.default_rng(0).permutation(64)

    def permuted(x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x.reshape(len(x), 1, 64)[..., order].reshape(x.shape))

    found: dict[tuple[str, str], np.ndarray] = {}
    makers = {"fully connected": networks.fully_connected, "convolutional": _network}
    for name, make in makers.items():
        for pixels, change in (("in order", lambda x: x), ("permuted", permuted)):
            scores = []
            for seed in SEEDS:
                layers = make(seed=10 * seed)
                networks.train(layers, change(d.x), d.y, epochs=EPOCHS[name])
                scores.append(networks.accuracy(layers, change(d.test_x), d.test_y))
            found[name, pixels] = np.array(scores)
            yield f"{name}, pixels {pixels}: accuracy {mean_interval(scores).middle:.1%}"
    lost = {name: found[name, "in order"] - found[name, "permuted"] for name in makers}
    yield between("fully connected: accuracy lost by permuting", "none",
                  mean_interval(lost["fully connected"]), -0.01, 0.01)  # fmt: skip
    yield at_least("convolutional: accuracy lost by permuting", "more than 0",
                   mean_interval(lost["convolutional"]), 0.0)  # fmt: skip
    yield (
        "Four networks each, from other first weights. The fully connected row holds if less than "
        "1 % is lost. Digits of 8 × 8 are small: the last layer still sees every pixel."
    )
    sheet = new_sheet(
        "claim-permuted-pixels", "Who needs the pixels in order?",
        "Wrong test digits of four networks each; the lines are means.",
        panel_height=2.2,
    )  # fmt: skip
    (axes,) = sheet.axes
    for n, accuracies in enumerate(found.values()):
        errors = 100 * (1 - accuracies)
        axes.plot(errors, [-n] * len(errors), "o", color="#0072B2" if n < 2 else "#D55E00")
        axes.plot([errors.mean()] * 2, [-n - 0.3, -n + 0.3], color="black")
    axes.set(xlabel="wrong (%)", xlim=(0, None))
    axes.set_yticks([-n for n in range(len(found))], [f"{a}, {b}" for a, b in found])
    yield sheet


def _network(seed: int) -> list[networks.Layer]:
    return networks.convolutional("max", seed)
