"""Samples beyond the border inside kernels are those that whole arrays are read by."""

import numpy as np
import pytest

from algos.core.boundary import BOUNDARIES, sources
from algos.simd.border import standing


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_kernels_and_arrays_read_the_same_samples(boundary):
    mode = BOUNDARIES.index(boundary)
    for size in (1, 2, 5):
        found = [standing(mode, position, size) for position in range(-3 * size - 2, 4 * size + 2)]
        np.testing.assert_array_equal(found, sources(boundary, size, -3 * size - 2, 4 * size + 2))
