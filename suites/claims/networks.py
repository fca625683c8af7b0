"""Small networks that learn with convolution and its two gradients alone.

Goodfellow et al., Deep Learning (2016), 9.5: convolution, the gradient of the kernel (eq. 9.11) and
that of the input (eq. 9.13) train any feedforward convolutional network. A fully connected layer is
a convolution whose kernel covers its input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

import algos

#: Threads of every layer. The images are so small that a second thread waits more than it helps.
THREADS = 1


class Learner(Protocol):
    """Something with parameters and, after a backward pass, their gradients."""

    def learnt(self) -> list[tuple[np.ndarray, np.ndarray]]: ...


class Layer(Learner, Protocol):
    """A step of a network; `backward` takes the gradient of the output, after `forward`."""

    def forward(self, x: np.ndarray) -> np.ndarray: ...

    def backward(self, g: np.ndarray) -> np.ndarray: ...


class Fixed:
    """Base of layers without parameters."""

    def learnt(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return parameters with their gradients: none."""
        return []


class Convolution:
    """Convolution with bias; its first kernels are Gaussian (He et al., 2015).

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
    seed : int
        Seed of the first kernels.
    **options
        Stride, padding and the like, as for `algos.conv`.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, seed: int = 0, **options: Any
    ) -> None:
        shape = (outputs, inputs, kernel, kernel)
        scale = math.sqrt(2 / math.prod(shape[1:]))
        rng = np.random.default_rng(seed)
        self.w = (rng.standard_normal(shape) * scale).astype("float32")
        self.b = np.zeros(outputs, "float32")
        self.options = options

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the output for `x` (N, C, H, W)."""
        self.x = x
        return algos.conv(x, self.w, self.b, threads=THREADS, **self.options)

    def backward(self, g: np.ndarray) -> np.ndarray:
        """Keep the gradients of kernel and bias; return that of the input."""
        self.dw = algos.grad_weight(
            self.x, g, kernel=self.w.shape[2:], threads=THREADS, **self.options
        )
        self.db = algos.grad_bias(g)
        return algos.grad_input(g, self.w, size=self.x.shape[2:], threads=THREADS, **self.options)

    def learnt(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return kernel and bias with their gradients."""
        return [(self.w, self.dw), (self.b, self.db)]


class Rectifier(Fixed):
    """Maximum of each element and zero."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the positive part of `x`."""
        self.positive = x > 0
        return x * self.positive

    def backward(self, g: np.ndarray) -> np.ndarray:
        """Return the gradient where the input was positive, else zero."""
        return g * self.positive


class Pooling(Fixed):
    """Pooling by `algos.pool`; the options are the same."""

    def __init__(self, kind: str, **options: Any) -> None:
        self.kind, self.options = kind, options

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the pooled maps."""
        self.x = x
        return algos.pool(x, self.kind, threads=THREADS, **self.options)

    def backward(self, g: np.ndarray) -> np.ndarray:
        """Return the gradient of the input."""
        return algos.pool_grad(g, self.x, self.kind, threads=THREADS, **self.options)


def forward(layers: Sequence[Layer], x: np.ndarray) -> np.ndarray:
    """Return the output of the last layer for the images `x`."""
    for layer in layers:
        x = layer.forward(x)
    return x


def backward(layers: Sequence[Layer], g: np.ndarray) -> np.ndarray:
    """Return the gradient of the input, given that of the output."""
    for layer in reversed(layers):
        g = layer.backward(g)
    return g


def softmax_gradient(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean cross-entropy and its gradient.

    Parameters
    ----------
    scores : (N, classes, *size)
    labels : (N, *size) of int
    """
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    right = np.take_along_axis(shares, labels[:, None], 1)
    g = shares / labels.size
    np.put_along_axis(g, labels[:, None], (right - 1) / labels.size, 1)
    return float(-np.log(np.maximum(right, 1e-30)).mean()), g


def batches(count: int, epochs: int, size: int = 60) -> Iterator[np.ndarray]:
    """Yield the indices of random batches."""
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        yield from np.array_split(rng.permutation(count), max(count // size, 1))


class Adam:
    """Steps of Kingma & Ba (2015), arXiv:1412.6980, with their constants."""

    def __init__(self, layers: Sequence[Learner], rate: float) -> None:
        self.layers, self.rate, self.count = layers, rate, 0
        self.moments: list[tuple[np.ndarray, np.ndarray]] = []

    def step(self) -> None:
        """Move every parameter by the gradients that the layers keep."""
        learnt = [pair for layer in self.layers for pair in layer.learnt()]
        if not self.moments:
            self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p, _ in learnt]
        self.count += 1
        rate = self.rate * math.sqrt(1 - 0.999**self.count) / (1 - 0.9**self.count)
        for (parameter, gradient), (first, second) in zip(learnt, self.moments, strict=True):
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            parameter -= rate * first / (np.sqrt(second) + 1e-8)


def train(
    layers: Sequence[Layer], x: np.ndarray, labels: np.ndarray, epochs: int, rate: float = 0.003
) -> list[float]:
    """Train a classifier; return the mean loss of every batch.

    Parameters
    ----------
    x : (N, C, H, W)
    labels : (N,) for an output of (N, classes, 1, 1), or (N, H, W) for every pixel
    """
    optimiser = Adam(layers, rate)
    losses = []
    for index in batches(len(x), epochs):
        scores = forward(layers, x[index])
        wanted = labels[index].reshape(len(index), *scores.shape[2:])
        loss, g = softmax_gradient(scores, wanted)
        backward(layers, g)
        optimiser.step()
        losses.append(loss)
    return losses


def accuracy(layers: Sequence[Layer], x: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of labels that the highest score names."""
    found = forward(layers, x).argmax(1)
    return float((found == labels.reshape(found.shape)).mean())


def convolutional(pooling: str | None = "max", seed: int = 0) -> list[Layer]:
    """Return a network for digits of 8 × 8: two convolutions and a fully connected layer.

    Without `pooling`, the second convolution has a stride of 2 instead.
    """
    halving: list[Layer] = [Pooling(pooling, size=2)] if pooling else []
    return [
        Convolution(1, 16, 3, seed, padding=1), Rectifier(),
        Convolution(16, 32, 3, seed + 1, padding=1, stride=1 if pooling else 2), Rectifier(),
        *halving,
        Convolution(32, 10, 4, seed + 2),
    ]  # fmt: skip


def fully_connected(seed: int = 0) -> list[Layer]:
    """Return a network for digits of 8 × 8 without shared weights: 64 hidden units."""
    return [Convolution(1, 64, 8, seed), Rectifier(), Convolution(64, 10, 1, seed + 1)]
