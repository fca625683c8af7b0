"""Boundary modes read the samples that SciPy reads."""

import numpy as np
import pytest
from scipy import ndimage

from algos.core.boundary import BOUNDARIES, OUTSIDE, sources


@pytest.mark.parametrize("size", (1, 2, 3, 7))
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_sources_are_those_of_scipy(boundary, size):
    reach = 3 * size + 2
    line = np.arange(1.0, size + 1)
    impulse = np.zeros(2 * reach + 1)
    got, want = [], []
    for offset in range(-reach, reach + 1):
        impulse[:] = 0
        impulse[reach + offset] = 1
        mode = {"zeros": "constant"}.get(boundary, boundary)
        want.append(ndimage.correlate1d(line, impulse, mode=mode, cval=0.0))
        index = sources(boundary, size, offset, offset + size)
        got.append(np.where(index == OUTSIDE, 0.0, line[index]))
    np.testing.assert_array_equal(got, want)
