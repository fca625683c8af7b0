"""Layers of small networks: their gradients, and the loss."""

import numpy as np
import pytest

from suites.claims import networks

RNG = np.random.default_rng(0)
LAYERS = {
    "convolution": lambda: networks.Convolution(2, 3, 3, padding=1, stride=2),
    "rectifier": networks.Rectifier,
    "maximum": lambda: networks.Pooling("max", size=2),
    "average": lambda: networks.Pooling("average", size=2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_slopes(name):
    layer = LAYERS[name]()
    x = RNG.standard_normal((2, 2, 6, 6)).astype("float32")
    g = RNG.standard_normal(layer.forward(x).shape).astype("float32")
    found = layer.backward(g)
    change = RNG.standard_normal(x.shape).astype("float32")
    step = 1e-3
    ahead, behind = (layer.forward(x + s * change).astype("float64") for s in (step, -step))
    assert (g * (ahead - behind)).sum() / (2 * step) == pytest.approx(
        float((found * change).sum()), rel=0.02
    )


def test_gradients_of_kernel_and_bias_are_slopes():
    layer = networks.Convolution(2, 3, 3, padding=1)
    x = RNG.standard_normal((2, 2, 6, 6)).astype("float32")
    g = RNG.standard_normal(layer.forward(x).shape).astype("float32")
    layer.backward(g)
    for parameter, gradient in layer.learnt():
        change = RNG.standard_normal(parameter.shape).astype("float32")
        parameter += change
        ahead = layer.forward(x).astype("float64")
        parameter -= 2 * change
        behind = layer.forward(x).astype("float64")
        parameter += change
        slope = (g * (ahead - behind)).sum() / 2
        assert slope == pytest.approx(float((gradient * change).sum()), rel=1e-3)


def test_softmax_gradient_is_a_slope():
    scores = RNG.standard_normal((4, 3, 2, 2))
    labels = RNG.integers(0, 3, (4, 2, 2))
    _, g = networks.softmax_gradient(scores, labels)
    change = RNG.standard_normal(scores.shape)
    ahead, behind = (
        networks.softmax_gradient(scores + s * change, labels)[0] for s in (1e-5, -1e-5)
    )
    assert (ahead - behind) / 2e-5 == pytest.approx(float((g * change).sum()), rel=1e-5)


def test_batches_hold_every_image_once_an_epoch():
    found = np.concatenate(list(networks.batches(100, epochs=2, size=30)))
    assert sorted(found) == sorted([*range(100)] * 2)


def test_training_separates_two_classes():
    x = RNG.standard_normal((60, 1, 8, 8)).astype("float32")
    labels = (x.mean((1, 2, 3)) > 0).astype(int)
    layers = networks.fully_connected()
    before = networks.accuracy(layers, x, labels)
    losses = networks.train(layers, x, labels, epochs=60, rate=0.01)
    assert losses[-1] < losses[0] / 2
    assert networks.accuracy(layers, x, labels) > max(before, 0.9)
