"""Memory that nothing was written to holds NaN, or what it is told to."""

import subprocess
import sys

import numpy as np
import pytest

from algos.backend.compiler import kernel
from algos.backend.poison import BYTES, poison_memory


@pytest.fixture(autouse=True)
def poisoned():
    poison_memory()
    yield
    poison_memory()


@kernel(allocates=True, cache=False)
def _last_of_scratch(size):
    scratch = np.empty(size)
    return scratch[0], scratch[size - 1]


@pytest.mark.parametrize("size", [1, 7, 128, 1 << 20])
def test_new_memory_is_nan_each_time(size):
    for _ in range(3):  # freed memory that comes back is poisoned again
        assert np.isnan(np.empty(size)).all()
        assert np.isnan(np.empty(size, np.float32)).all()
        assert np.isnan(_last_of_scratch(size)).all()


@pytest.mark.parametrize("byte", BYTES)
def test_the_filling_is_a_number_that_shows(byte):
    poison_memory(byte)
    for kind, most in ((np.float32, 3e38), (np.float64, 1e306)):
        found = np.empty(100, kind)
        assert (np.isnan(found) if byte == 0xFF else found > most).all()
    assert (np.array(_last_of_scratch(9)).view(np.uint8) == byte).all()


def test_zeros_stay_zeros_and_contents_move_along():
    assert not np.zeros(100).any()
    grown = np.arange(5.0)
    grown.resize(5000, refcheck=False)
    np.testing.assert_array_equal(grown[:5], np.arange(5.0))


def test_a_process_that_judges_nothing_is_left_alone():
    code = (
        "import algos, suites.workers.worker\n"
        "from numpy._core.multiarray import get_handler_name\n"
        "print(get_handler_name())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "default_allocator"
