"""Boundary modes read the samples that SciPy reads."""

import itertools
import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from algos import ConvbenchError, Problem, parse_descriptor
from algos.core.boundary import BOUNDARIES, OUTSIDE, most_copies, sources


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


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_no_sample_stands_at_more_positions_than_counted(boundary):
    for size, before, reach in itertools.product((1, 2, 3, 5), (0, 1, 4, 9), (1, 5, 12, 20)):
        index = sources(boundary, size, -before, reach - before)
        most = max(np.bincount(index[index != OUTSIDE], minlength=1))
        assert most_copies(boundary, size, before, reach) >= most


def test_a_constant_is_rounded_and_a_zero_is_zeros():
    assert Problem(size=5, kernel=3, boundary="constant") == Problem(size=5, kernel=3)
    one, other = (
        Problem(size=5, kernel=3, boundary="constant", cval=c) for c in (0.1, np.float32(0.1))
    )
    assert one == other
    assert one.cval == float(np.float32(0.1))
    assert pickle.loads(pickle.dumps(one)) == one != replace(one, cval=0.2)
    assert str(one) == "mb1_ic1iw5_oc1_kw3_constant0.1"
    assert parse_descriptor(str(one)) == one
    assert replace(one, dtype="float64").cval == one.cval


@pytest.mark.parametrize(("fields", "sentence"), [
    ({"boundary": "mirrored"}, "did you mean 'mirror'"),
    ({"cval": 1.0}, 'value of boundary="constant"'),
    ({"boundary": "wrap", "cval": 1.0}, "given with boundary='wrap'"),
    ({"boundary": "constant", "cval": 1e39}, "a finite number of float32"),
    ({"boundary": "constant", "cval": "1"}, "is no number"),
])  # fmt: skip
def test_mistakes_are_refused_in_a_sentence(fields, sentence):
    with pytest.raises(ConvbenchError, match=sentence):
        Problem(size=5, kernel=3, **fields)
