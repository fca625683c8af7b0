"""Arrays next to protected pages: all elements are accessible, and nothing beyond them."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from suites.truth.pages import fenced

TOUCH = """
import ctypes, sys, numpy as np
from suites.truth.pages import fenced
array = fenced(np.ones({size}, np.float32), behind={behind})
first = array.ctypes.data
ctypes.string_at(first, array.nbytes)
print("inside", flush=True)
ctypes.string_at(first + array.nbytes if {behind} else first - 1, 1)
print("beyond", flush=True)
"""


@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("shape", [(3,), (1, 2, 31, 33), (1024, 4)])
def test_contents_are_copied_and_may_be_written(shape, behind):
    given = np.random.default_rng(0).standard_normal(shape)
    array = fenced(given, behind)
    np.testing.assert_array_equal(array, given)
    assert array.flags.carray
    array[...] = 2
    assert (array == 2).all()


@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("size", [5, 1024])
def test_the_first_element_beyond_ends_the_process(size, behind):
    code = TOUCH.format(size=size, behind=behind)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["inside"]
    assert ran.returncode in (-signal.SIGSEGV, -signal.SIGBUS)
