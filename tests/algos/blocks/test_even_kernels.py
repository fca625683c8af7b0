"""Kernels of even size in blocks: centred as `algos.convolve` and `algos.correlate` do."""

import numpy as np
import pytest
from scipy import ndimage, signal

import algos
from algos.core.boundary import BOUNDARIES

#: Shapes of an array and of a kernel, at least one axis even; some exceed a block or the array.
CASES = (
    ((41,), (2,)), ((41,), (4,)), ((5,), (12,)),
    ((23, 19), (2, 2)), ((23, 19), (2, 3)), ((23, 19), (4, 4)), ((3, 19), (8, 4)),
    ((9, 11, 10), (2, 2, 2)), ((9, 11, 10), (2, 4, 3)),
)  # fmt: skip


def in_blocks(name, x, w, **settings):
    """Return the result by ragged blocks, some smaller than the kernel."""
    rng, out = np.random.default_rng(x.size), np.full_like(x, np.nan)
    block = tuple(int(rng.integers(1, n)) for n in x.shape)
    laid = getattr(algos.blocks, name)(x, w, out, block=block, **settings)
    assert laid.blocks > 1
    return out


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("size", "taps"), CASES)
def test_a_boundary_centres_as_ndimage(size, taps, boundary, name):
    rng = np.random.default_rng(3)
    x, w = (rng.integers(-9, 9, shape).astype("f4") for shape in (size, taps))
    settings = {"boundary": boundary, "cval": 2.5 if boundary == "constant" else 0.0}
    got = in_blocks(name, x, w, algorithm="naive", **settings)
    assert np.array_equal(got, getattr(algos, name)(x, w, "same", "naive", **settings))
    mode = "constant" if boundary == "zeros" else boundary
    exact = getattr(ndimage, name)(
        x.astype(float), w.astype(float), mode=mode, cval=settings["cval"]
    )
    np.testing.assert_array_equal(got, exact)


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize(("size", "taps"), CASES)
def test_without_a_boundary_the_centre_is_that_of_signal(size, taps, name):
    rng = np.random.default_rng(4)
    x, w = (rng.integers(-9, 9, shape).astype("f4") for shape in (size, taps))
    got = in_blocks(name, x, w, algorithm="naive")
    assert np.array_equal(got, getattr(algos, name)(x, w, "same", "naive"))
    exact = getattr(signal, name)(x.astype(float), w.astype(float), "same", "direct")
    np.testing.assert_array_equal(got, exact)


def test_a_call_resumes_only_with_the_same_centre(tmp_path):
    x, path = np.random.default_rng(5).random((64, 8)), tmp_path / "out.npy"
    w, settings = np.ones((2, 2)), {"block": (8, 8), "algorithm": "naive"}

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    out = np.lib.format.open_memmap(path, "w+", x.dtype, x.shape)
    with pytest.raises(KeyboardInterrupt):
        algos.blocks.convolve(x, w, out, progress=stop, **settings)
    algos.blocks.convolve(x, w, out, boundary="zeros", **settings)
    assert np.array_equal(out, algos.convolve(x, w, "same", "naive", boundary="zeros"))
