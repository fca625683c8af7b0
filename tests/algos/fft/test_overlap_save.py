"""The error bound of overlap-save holds few spectra at a time."""

import tracemalloc

import numpy as np

from algos import Problem, registry
from algos.fft import overlap_save


def test_a_bound_takes_little_memory_beside_the_spectra_that_are_kept(monkeypatch):
    """Spectra of all kernels at once would take twice what a call keeps of them."""
    monkeypatch.setattr(overlap_save, "MOST_SAMPLES", 1 << 15)
    problem = Problem(size=(4000,), kernel=3, in_channels=48, out_channels=48)
    rng = np.random.default_rng(0)
    x, w = (rng.random(shape, np.float32) for shape in problem.operands)
    algorithm = registry.get_for(problem, "fft")
    algorithm.error_bound(problem, x, w, np.ones(1))  # the first call imports
    tracemalloc.start()
    algorithm.error_bound(problem, x, w, np.ones(1))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < algorithm.prepared_bytes(problem, 1) / 4


def test_the_peaks_of_spectra_do_not_depend_on_how_many_are_held(monkeypatch):
    kernels = np.random.default_rng(0).random((5, 3, 1, 2, 3))
    whole = overlap_save._peaks(kernels, (1, 8, 9))
    monkeypatch.setattr(overlap_save, "MOST_SAMPLES", 200)
    np.testing.assert_array_equal(overlap_save._peaks(kernels, (1, 8, 9)), whole)
    spectrum = np.abs(np.fft.fftn(kernels[4, 2], s=(1, 8, 9), axes=(0, 1, 2)))
    np.testing.assert_allclose(whole[4, 2], spectrum.max(), rtol=1e-12)
