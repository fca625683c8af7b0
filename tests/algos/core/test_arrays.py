"""Arrays of NumPy's subclasses: taken as plain ones, and refused where samples are masked."""

import numpy as np
import pytest
from scipy import signal

import algos
from algos import ConvbenchError

X, W = np.ones((1, 1, 5, 5)), np.ones((1, 1, 3, 3))
MASKED = np.ma.masked_array(X, mask=True)
CALLS = {
    "conv": lambda: algos.conv(MASKED, W),
    "plan": lambda: algos.plan(algos.Problem(size=(5, 5), kernel=3, dtype="float64"), W)(MASKED),
    "grad_input": lambda: algos.grad_input(MASKED, W, size=7),
    "grad_weight": lambda: algos.grad_weight(X, MASKED, kernel=1),
    "pool": lambda: algos.pool(MASKED, size=2),
    "kernel": lambda: algos.convolve(X[0, 0], np.ma.masked_array(np.ones((3, 3)), np.eye(3))),
    "blocks": lambda: algos.blocks.convolve(MASKED[0, 0], np.ones((3, 3)), np.zeros((5, 5))),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_masked_samples_are_refused(call):
    with pytest.raises(ConvbenchError, match="has masked samples"):
        call()


def test_a_masked_array_without_masked_samples_is_an_array():
    assert np.array_equal(algos.conv(np.ma.masked_array(X), W), algos.conv(X, W))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_a_matrix_is_an_array(name):
    a, b = np.matrix([[1.0, 2.0, 4.0]]), np.ones((2, 2))
    for given in ((a, b), (b, a)):
        found = getattr(algos, name)(*given)
        assert type(found) is np.ndarray
        assert np.allclose(found, getattr(signal, name)(*map(np.asarray, given)))
