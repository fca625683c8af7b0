"""Deep Learning, 9.6: structured outputs."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

import algos
from results.figures.style import new_sheet
from suites.claims import networks
from suites.claims.claim import Findings, at_least, claim, equal
from suites.claims.data import digits, normal, photograph

#: Iterations of the recurrent network; its kernels are the same in all of them.
ITERATIONS = 3
#: Channels of the hidden layer.
HIDDEN = 16


class _Recurrent:
    """Network of fig. 9.17: H(t) = f(X ∗ U + Y(t−1) ∗ W), Y(t) = H(t) ∗ V, shared over t.

    Y holds a score per class and pixel. Before t = 1, Y counts as zero.
    """

    def __init__(self, channels: int, classes: int, iterations: int) -> None:
        rng = np.random.default_rng(0)
        self.kernels = {
            "u": normal(rng, HIDDEN, channels, 5, 5) * math.sqrt(2 / (channels * 25)),
            "w": normal(rng, HIDDEN, classes, 5, 5) * 0.02,
            "v": normal(rng, classes, HIDDEN, 3, 3) * math.sqrt(2 / (HIDDEN * 9)),
        }
        self.kernels = {name: w.astype("float32") for name, w in self.kernels.items()}
        self.classes, self.iterations = classes, iterations

    def _conv(self, x: np.ndarray, name: str) -> np.ndarray:
        return algos.conv(x, self.kernels[name], padding="same", threads=networks.THREADS)

    def outputs(self, x: np.ndarray) -> list[np.ndarray]:
        """Return the scores after each iteration."""
        self.x, self.hidden = x, []
        y = np.zeros((len(x), self.classes, *x.shape[2:]), "float32")
        found = [y]
        for _ in range(self.iterations):
            self.hidden.append(np.maximum(self._conv(x, "u") + self._conv(found[-1], "w"), 0))
            found.append(self._conv(self.hidden[-1], "v"))
        self.scores = found
        return found[1:]

    def backward(self, gradients: list[np.ndarray]) -> None:
        """Sum the gradients of the shared kernels over all iterations, from last to first."""
        self.found = {name: np.zeros_like(w) for name, w in self.kernels.items()}
        later = np.zeros_like(self.scores[0])
        for t in reversed(range(self.iterations)):
            g = gradients[t] + later
            at_hidden = self._back(self.hidden[t], g, "v") * (self.hidden[t] > 0)
            self._back(self.x, at_hidden, "u")
            later = self._back(self.scores[t], at_hidden, "w")

    def _back(self, x: np.ndarray, g: np.ndarray, name: str) -> np.ndarray:
        """Add the kernel's gradient; return that of the layer's input `x`."""
        w, size = self.kernels[name], x.shape[2:]
        self.found[name] += algos.grad_weight(
            x, g, kernel=w.shape[2:], padding="same", threads=networks.THREADS
        )
        return algos.grad_input(g, w, size=size, padding="same", threads=networks.THREADS)

    def learnt(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(self.kernels[name], self.found[name]) for name in self.kernels]


@cache
def _scenes() -> tuple[np.ndarray, ...]:
    """Return noisy digits on photographs with a label per pixel: 1 for ink, 0 for the rest."""
    d, rng = digits(), np.random.default_rng(0)
    background = photograph(256, 256)

    def made(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ink = np.repeat(np.repeat(images, 2, 2), 2, 3)
        places = rng.integers(0, 240, (len(ink), 2))
        behind = np.stack([background[i : i + 16, j : j + 16] for i, j in places])[:, None]
        scene = np.where(ink > 0.5, 0.4 * behind + 0.6 * ink, behind)
        return (scene + 0.08 * normal(rng, *scene.shape)).astype("float32"), (ink[:, 0] > 0.5) * 1

    return (*made(d.x[:600]), *made(d.test_x[:200]))


def _overlap(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the intersection over the union of the ink found and the ink there is."""
    found = scores.argmax(1)
    return float((found & labels).sum() / (found | labels).sum())


@claim
def recurrent_labelling() -> Findings:
    """Label pixels repeatedly by one set of kernels: each iteration refines the last.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.6, fig. 9.17 (Pinheiro &
    Collobert, 2014): the same kernels U, V and W are used at each step.
    """
    x, labels, test_x, test_labels = _scenes()
    network = _Recurrent(1, 2, ITERATIONS)
    optimiser = networks.Adam([network], rate=0.003)
    for index in networks.batches(len(x), epochs=16, size=50):
        scores = network.outputs(x[index])
        network.backward([networks.softmax_gradient(y, labels[index])[1] for y in scores])
        optimiser.step()
    scores = network.outputs(test_x)
    overlaps = [_overlap(y, test_labels) for y in scores]
    _, threshold = max(
        (_overlap(np.concatenate([t - x, x - t], 1), labels), t) for t in np.linspace(0.1, 0.9, 33)
    )
    simple = _overlap(np.concatenate([threshold - test_x, test_x - threshold], 1), test_labels)
    yield equal("sets of kernels for all iterations", 3, len(network.kernels))
    yield at_least("overlap with the true labels, over the best threshold's", "learns: above 1",
                   overlaps[-1] / simple, 1)  # fmt: skip
    yield at_least("last overlap over the first", "refined: above 1", overlaps[-1] / overlaps[0], 1)
    yield f"overlap after each iteration: {', '.join(f'{o:.3f}' for o in overlaps)}"
    yield f"overlap of the best threshold on brightness: {simple:.3f}"
    sheet = new_sheet(
        "claim-recurrent-labelling", "Which pixels are ink?",
        "Test digits on a photograph with noise; scores of ink after each iteration; the truth.",
        panels=8 * (ITERATIONS + 2), columns=8, panel_height=1.0,
    )  # fmt: skip
    rows = [test_x[:8, 0], *(y[:8, 1] - y[:8, 0] for y in scores), test_labels[:8]]
    for axes, picture in zip(sheet.axes, [p for row in rows for p in row], strict=True):
        axes.imshow(picture, cmap="gray")
        axes.set_axis_off()
    yield sheet
