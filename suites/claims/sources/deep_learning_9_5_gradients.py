"""Deep Learning, 9.5: three operations are enough to train."""

from __future__ import annotations

from typing import Any

import numpy as np

import algos
from results.figures.style import new_sheet
from suites.claims import networks
from suites.claims.claim import Findings, at_least, at_most, claim
from suites.claims.data import digits, normal
from suites.claims.drawing import log_scale


@claim
def three_operations() -> Findings:
    """Train a convolutional network with convolution and its two gradients alone.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.5, eq. 9.11 to 9.13: these three
    operations compute all gradients needed to train any depth of feedforward network.
    """
    d = digits()
    layers = networks.convolutional()
    yield at_most("gradient against differences of the loss: relative error", "0, but for rounding",
                  _gradient_error(layers, d.x[:32], d.y[:32]), 0.01)  # fmt: skip
    before = networks.accuracy(layers, d.test_x, d.test_y)
    losses = networks.train(layers, d.x, d.y, epochs=6)
    after = networks.accuracy(layers, d.test_x, d.test_y)
    yield at_least("test digits classified after training", "learns; chance is 0.1", after, 0.9)
    yield f"597 test digits: {before:.1%} before, {after:.1%} after 6 epochs of 1200 digits"
    sheet = new_sheet(
        "claim-three-operations", "Do the three operations train a network?",
        "Cross-entropy of each batch of 60 digits; two convolutions, pooling, one full layer.",
        panel_height=2.4,
    )  # fmt: skip
    (axes,) = sheet.axes
    axes.plot(range(1, len(losses) + 1), losses, color="#0072B2")
    axes.set(xlabel="batch", ylabel="loss")
    log_scale(axes, "y")
    yield sheet


def _gradient_error(
    layers: list[networks.Layer], x: np.ndarray, labels: np.ndarray, step: float = 1e-3
) -> float:
    """Return the relative error of the slope along the gradient, by central differences."""
    _, g = networks.softmax_gradient(scores := networks.forward(layers, x),
                                     labels.reshape(len(x), *scores.shape[2:]))  # fmt: skip
    networks.backward(layers, g)
    learnt = [(p, dp.copy()) for layer in layers for p, dp in layer.learnt()]
    norm = float(np.sqrt(sum((dp.astype("float64") ** 2).sum() for _, dp in learnt)))
    losses = []
    for sign in (1, -2):
        for parameter, gradient in learnt:
            parameter += sign * step * gradient / norm
        scores = networks.forward(layers, x)
        losses.append(networks.softmax_gradient(scores, labels.reshape(len(x), 1, 1))[0])
    for parameter, gradient in learnt:
        parameter += step * gradient / norm
    slope = (losses[0] - losses[1]) / (2 * step)
    return abs(slope - norm) / norm


class _Tied:
    """Autoencoder with one set of kernels: H = c(K, V, s), R = h(K, H, s) (eq. 9.14)."""

    def __init__(self, hidden: int, kernel: int, stride: int) -> None:
        scale = 1 / kernel
        self.kernels = normal(np.random.default_rng(0), hidden, 1, kernel, kernel) * scale
        self.kernels = self.kernels.astype("float32")
        self.step: dict[str, Any] = {"stride": stride, "threads": networks.THREADS}
        self.kernel = kernel

    def hidden(self, x: np.ndarray) -> np.ndarray:
        return algos.conv(x, self.kernels, **self.step)

    def reconstruct(self, x: np.ndarray) -> np.ndarray:
        return algos.grad_input(self.hidden(x), self.kernels, size=x.shape[2:], **self.step)

    def learnt(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(self.kernels, self.gradient)]

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        return self.reconstruct(x)

    def backward(self, g: np.ndarray) -> np.ndarray:
        """Keep the kernels' gradient: of the decoder by g(H, E, s), of the encoder by c(K, E, s).

        `g` is E, the gradient of the loss with respect to the reconstruction.
        """
        decoder = algos.grad_weight(g, self.hidden(self.x), kernel=self.kernel, **self.step)
        at_hidden = algos.conv(g, self.kernels, **self.step)
        encoder = algos.grad_weight(self.x, at_hidden, kernel=self.kernel, **self.step)
        self.gradient = decoder + encoder
        return algos.grad_input(at_hidden, self.kernels, size=g.shape[2:], **self.step)


@claim
def autoencoder() -> Findings:
    """Train a convolutional autoencoder whose decoder is the transpose of its encoder.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.5, eq. 9.14.
    """
    d = digits()
    mean = d.x.mean(0, keepdims=True)
    x, test = d.x - mean, d.test_x - mean
    # 12 channels at 3 × 3 positions would hold everything; 3 channels hold 27 of 64 numbers.
    model = _Tied(hidden=3, kernel=4, stride=2)

    def left(images: np.ndarray) -> float:
        return float(((model.reconstruct(images) - images) ** 2).sum() / (images**2).sum())

    before = left(test)
    optimiser = networks.Adam([model], rate=0.01)
    for index in networks.batches(len(x), epochs=20):
        batch = x[index]
        model.backward((model.forward(batch) - batch) / len(index))
        optimiser.step()
    after = left(test)
    yield at_most("variance of test digits left after training", "it can be trained", after, 0.5)
    yield f"before training {before:.2f} of the variance, after {after:.2f}"
    yield "The code has 27 numbers for 64 pixels."
    best = _principal(x, test, 27)
    yield f"the best 27 numbers of any linear code (principal components) leave {best:.2f}"
    sheet = new_sheet(
        "claim-autoencoder", "Digits through a convolutional autoencoder",
        "Above, test digits; below, rebuilt from 3 channels of 3 × 3 by the same kernels.",
        panels=20, columns=10, panel_height=0.85,
    )  # fmt: skip
    rebuilt = model.reconstruct(test[:10])
    for axes, picture in zip(sheet.axes, [*test[:10], *rebuilt], strict=True):
        axes.imshow((picture + mean[0])[0], cmap="gray_r", vmin=0, vmax=1)
        axes.set_axis_off()
    yield sheet


def _principal(x: np.ndarray, test: np.ndarray, count: int) -> float:
    """Return the share of the variance of `test` outside the first components of `x`."""
    _, _, components = np.linalg.svd(x.reshape(len(x), -1), full_matrices=False)
    flat = test.reshape(len(test), -1)
    rest = flat - flat @ components[:count].T @ components[:count]
    return float((rest**2).sum() / (flat**2).sum())
