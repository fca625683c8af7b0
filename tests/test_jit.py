"""One way to compile: cached by the digest of every source, nothing assumed of NaN."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from algos import jit
from algos.jit import kernel


def test_nothing_is_assumed_of_nan_or_order():
    assert {"contract"} >= jit.FASTMATH


def test_options_reach_numba():
    @kernel(cache=False, nogil=False)
    def double(x):
        return 2 * x

    assert double(21) == 42
    assert double.targetoptions["nogil"] is False
    assert double.targetoptions["fastmath"] == {"contract"}


def test_division_by_zero_is_ieee():
    @kernel(cache=False)
    def divide(a, b):
        return a / b

    with np.errstate(all="ignore"):
        assert np.isinf(divide(1.0, 0.0))
        assert np.isnan(divide(0.0, 0.0))


def test_cache_folder_is_named_after_the_sources():
    folder = jit.cache_folder()
    assert folder.name.startswith("kernels-")
    assert os.access(folder, os.W_OK)
    assert jit.cache_folder() is folder


def folder_in(tmp_path, **environment):
    program = "from algos import jit; print(jit.cache_folder())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(done.stdout.strip())


def test_older_caches_go_and_others_stay(tmp_path):
    (tmp_path / "kernels-0123456789abcdef").mkdir()
    (tmp_path / "mine").mkdir()
    folder = folder_in(tmp_path, NUMBA_CACHE_DIR=str(tmp_path))
    assert folder.parent == tmp_path
    assert {path.name for path in tmp_path.iterdir()} == {"mine", folder.name}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a path that cannot be made")
def test_where_the_cache_cannot_be_it_goes_elsewhere(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    folder = folder_in(tmp_path, NUMBA_CACHE_DIR=str(blocked), TMPDIR=str(tmp_path))
    assert folder.is_dir()
    assert tmp_path in folder.parents
