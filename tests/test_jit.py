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


def test_older_caches_go_but_for_a_few_and_others_stay(tmp_path):
    names = [f"kernels-{number:016x}" for number in range(jit.KEPT + 2)]
    for age, name in enumerate(names):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    (tmp_path / "mine").mkdir()
    folder = folder_in(tmp_path, NUMBA_CACHE_DIR=str(tmp_path))
    assert folder.parent == tmp_path
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"mine", folder.name, *names[: jit.KEPT]}


def beside(tmp_path, **more):
    """How to start Python with this project at hand, and a cache of its own."""
    environment = {
        **os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }  # fmt: skip
    return {"env": environment, "text": True, **more}


TWO_TYPES = """
import sys
import numpy as np
from algos.jit import kernel

@kernel
def total(x):
    s = x.dtype.type(0)
    for v in x:
        s += v
    return s

dtype = sys.argv[1]
print(sys.stdin.readline().strip(), float(total(np.full(3, 1.5, dtype))))
"""


def test_processes_that_compile_at_once_keep_their_code_apart(tmp_path):
    """Each compiles for a type of its own; whoever loads afterwards gets what is right."""
    script = tmp_path / "two.py"
    script.write_text(TWO_TYPES)
    settings = beside(tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    types = ["float32", "float64", "int32", "int64"]
    for _ in range(2):  # compiling, then loading
        waiting = [subprocess.Popen([sys.executable, script, name], **settings) for name in types]
        said = [process.communicate("go\n")[0].split() for process in waiting]
        assert said == [["go", "4.5"], ["go", "4.5"], ["go", "3.0"], ["go", "3.0"]]


VARIANTS = """
import sys
from algos.jit import kernel

def adding(number):
    @kernel
    def variant(x):
        return x + number
    return variant

one, two = adding(1), adding(2)

@kernel
def both(x):
    return one(x), two(x)

print(eval(sys.argv[1]))
"""


def test_variants_that_different_processes_compiled_stay_apart(tmp_path):
    """Two functions of one name and signature, saved by one process each, linked by a third."""
    script = tmp_path / "variants.py"
    script.write_text(VARIANTS)
    settings = beside(tmp_path, check=True, capture_output=True)
    said = [
        subprocess.run([sys.executable, script, what], **settings).stdout.strip()
        for what in ("one(10)", "two(10)", "both(10)")
    ]
    assert said == ["11", "12", "(11, 12)"]


APART = """
import numba
import numpy as np
from algos.jit import apart, kernel

def adding(number):
    @apart
    @kernel
    def part(x, at):
        if at < 0:
            raise ValueError("nowhere")
        x[at] += number
        return x[at]
    return part

one, ten = adding(1), adding(10)

@kernel(parallel=True)
def all_of(x):
    for i in numba.prange(x.size):
        one(x, np.int64(i))

@kernel
def both(x, at):
    return one(x, at) + ten(x, at)

for kind in "fd":
    x = np.zeros(3, kind)
    all_of(x)
    print(both(x, 1), x.tolist())
try:
    both(x, -1)
except ValueError as error:
    print(error, sum(both.stats.cache_misses.values()))
"""


def test_kernels_apart_are_found_by_their_callers_again(tmp_path):
    """Compiled, and loaded from the cache by another process: the same results and errors."""
    script = tmp_path / "called_apart.py"
    script.write_text(APART)
    settings = beside(tmp_path, check=True, capture_output=True)
    said = ["14.0 [1.0, 12.0, 1.0]"] * 2
    for misses in (2, 0):
        run = subprocess.run([sys.executable, script], **settings)
        assert run.stdout.splitlines() == [*said, f"nowhere {misses}"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a path that cannot be made")
def test_where_the_cache_cannot_be_it_goes_elsewhere(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    folder = folder_in(tmp_path, NUMBA_CACHE_DIR=str(blocked), TMPDIR=str(tmp_path))
    assert folder.is_dir()
    assert tmp_path in folder.parents
