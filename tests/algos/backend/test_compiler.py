"""One way to compile: cached by the digest of every source, nothing assumed of NaN."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from algos.backend import compiler as jit
from algos.backend.compiler import kernel


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
    program = "from algos.backend import compiler; print(compiler.cache_folder())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[3],
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
    """Return options of `subprocess` for a Python with this project and an empty cache."""
    environment = {
        **os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }  # fmt: skip
    return {"env": environment, "text": True, **more}


TWO_TYPES = """
import sys
import numpy as np
from algos.backend.compiler import kernel

@kernel
def total(x):
    s = x.dtype.type(0)
    for v in x:
        s += v
    return s

dtype = sys.argv[1]
print(sys.stdin.readline().strip(), float(total(np.full(3, 1.5, dtype))))
"""


@pytest.mark.slow
def test_processes_that_compile_at_once_keep_their_code_apart(tmp_path):
    """Each compiles for a type of its own; a later process loads the right code."""
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
from algos.backend.compiler import kernel

def adding(number):
    @kernel
    def variant(x):
        return x + number
    return variant

one, two = adding(1), adding(2)

@kernel
def both(x):
    return one(x), two(x)

said = eval(sys.argv[1])
symbols = {c.fndesc.mangled_name for f in (one, two) for c in f.overloads.values()}
print(said, len(symbols), sep="|")
"""


@pytest.mark.slow
def test_variants_that_different_processes_compiled_stay_apart(tmp_path):
    """Save two functions of one name and signature by a process each; load both in a third."""
    script = tmp_path / "variants.py"
    script.write_text(VARIANTS)
    settings = beside(tmp_path, check=True, capture_output=True)
    said = [
        subprocess.run([sys.executable, script, what], **settings).stdout.strip()
        for what in ("one(10)", "two(10)", "(one(10), two(10), both(10))")
    ]
    assert said == ["11|1", "12|1", "(11, 12, (11, 12))|2"]


UNTOUCHED = """
from numba.core.bytecode import FunctionIdentity

before = FunctionIdentity._unique_ids
import algos
from algos.backend.compiler import kernel

@kernel(cache=False)
def double(x):
    return 2 * x

double(1)
print(FunctionIdentity._unique_ids is before, len(algos.names()) > 1)
"""


def test_numba_numbers_the_functions_of_others_as_before():
    run = subprocess.run([sys.executable, "-c", UNTOUCHED], capture_output=True, text=True)
    assert run.stdout.split() == ["True", "True"], run.stderr


APART = """
import numpy as np
from algos.backend.compiler import apart, kernel, threaded

def adding(number):
    @kernel
    def part(at, x):
        if x[at] < 0:
            raise ValueError("negative")
        x[at] += number
        return x[at]
    return part

def adding_to_all(number):
    @threaded
    @kernel
    def part(at, x, others):
        if x[at] < 0:
            raise ValueError("one of all")
        x[at] += number * len(others)
    return part

one, ten = map(apart, map(adding, (1, 10)))
one_to_all, ten_to_all = map(adding_to_all, (1, 10))

@kernel
def all_of(x):
    one_to_all(x.size, x, (x,))
    ten_to_all(x.size - 1, x, (x, x))
    ten_to_all(0, x, (x, x))

@kernel
def both(x, at):
    return one(at, x) + ten(at, x)

for kind in "fd":
    x = np.zeros(40, kind)
    all_of(x)
    print(both(x, 1), *(int(v) for v in x))
x[7] = -1
for failing in (lambda: both(x, 7), lambda: all_of(x)):
    try:
        failing()
    except ValueError as error:
        print(error, x[7], x[8])
print(sum(sum(f.stats.cache_misses.values()) for f in (both, all_of)))
"""


@pytest.mark.slow
def test_kernels_apart_are_found_by_their_callers_again(tmp_path):
    """Compiled, and loaded from the cache by another process: the same results and errors."""
    script = tmp_path / "called_apart.py"
    script.write_text(APART)
    settings = beside(tmp_path, check=True, capture_output=True)
    sums = "54.0 21 32" + 37 * " 21" + " 1"
    for misses in (4, 0):
        run = subprocess.run([sys.executable, script], **settings)
        assert run.stdout.splitlines() == [
            sums, sums, "negative -1.0 21.0", "one of all -1.0 22.0", str(misses),
        ]  # fmt: skip


PARTS = """
from algos.backend.compiler import kernel

@kernel
def part(x):
    return x + 1

@kernel
def whole(x):
    return 2 * part(x)

print(whole(3), len(part.overloads), part(4), len(part.overloads))
"""


def test_what_kernels_call_is_compiled_for_itself_where_python_calls_it(tmp_path):
    script = tmp_path / "parts.py"
    script.write_text(PARTS)
    settings = beside(tmp_path, check=True, capture_output=True)
    for _ in range(2):  # compiling, then loading
        run = subprocess.run([sys.executable, script], **settings)
        assert run.stdout.split() == ["8", "0", "5", "1"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a path that cannot be made")
def test_where_the_cache_cannot_be_it_goes_elsewhere(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    folder = folder_in(tmp_path, NUMBA_CACHE_DIR=str(blocked), XDG_CACHE_HOME=str(tmp_path))
    assert folder.is_dir()
    assert tmp_path in folder.parents


def test_a_file_loaded_as_another_module_is_compiled_for_it(tmp_path):
    """Cached code names its module, which a process that loads the file otherwise has not."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from algos.backend.compiler import kernel, threaded\n\n\n"
        "@threaded\n@kernel\ndef _item(i, out):\n    out[i] = 2 * i\n\n\n"
        "@kernel\ndef fill(out):\n    _item(out.size, out)\n"
    )
    for name in ("mine_as_imported", "mine_as_algorithm_file"):
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
            out = np.zeros(4)
            module.fill(out)
            assert out.tolist() == [0, 2, 4, 6]
        finally:
            del sys.modules[name]
