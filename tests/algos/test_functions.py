"""Plain functions as algorithms: their contract, their errors, and how workers get them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import algos
from algos import ConvbenchError, functions, registry
from algos.core.family import CONVOLUTION
from algos.functions import FunctionAlgorithm, file_text
from suites.cases import generate
from suites.truth.judge import judge

ROOT = Path(__file__).parents[2]

SHIFTS = '''
import numpy as np


def shifts(x, w, problem):
    """Sums of shifted images."""
    if problem.axes != 1 or problem.groups != 1 or problem.dilation != (1,):
        raise NotImplementedError("it takes signals, one group and no dilation")
    padded = np.zeros((*x.shape[:2], *problem.reach), x.dtype)
    ((before, _),) = problem.padding
    count = min(x.shape[2], problem.reach[0] - before)
    padded[:, :, before : before + count] = x[:, :, :count]
    y = np.zeros(problem.output_shape, x.dtype)
    (step,), (outputs,) = problem.stride, problem.output_size
    for tap in range(problem.kernel[0]):
        y += np.einsum("oc,ncw->now", w[:, :, tap], padded[:, :, tap :: step][:, :, :outputs])
    return y
'''


@pytest.fixture(autouse=True)
def restored():
    """Forget what a test registers."""
    known, count = dict(registry.of(CONVOLUTION)), len(functions.registered)
    yield
    registry.of(CONVOLUTION).clear()
    registry.of(CONVOLUTION).update(known)
    del functions.registered[count:]


@pytest.fixture
def shifts(tmp_path, monkeypatch):
    """Import the function of a module of the user's."""
    (tmp_path / "users_module.py").write_text(SHIFTS)
    monkeypatch.syspath_prepend(tmp_path)
    import users_module

    yield users_module.shifts
    del sys.modules["users_module"]


def test_it_is_called_by_name(shifts):
    assert algos.register("shifts", shifts) is shifts
    x, w = np.arange(6.0).reshape(1, 1, 6), np.array([[[1.0, 0, -1]]])
    for options in ({}, {"flip": True}, {"padding": "same", "stride": 2}):
        expected = algos.conv(x, w, np.ones(1), algorithm="naive", **options)
        y = algos.conv(x, w, np.ones(1), algorithm="shifts", **options)
        np.testing.assert_array_equal(y, expected)


def test_register_is_a_decorator_and_replaces():
    @algos.register("mine")
    def first(x, w, problem):
        return np.zeros(problem.output_shape)

    algos.register("mine", lambda x, w, problem: np.ones(problem.output_shape))
    assert first.__name__ == "first"
    assert algos.conv(np.ones((1, 1, 3)), np.ones((1, 1, 1)), algorithm="mine").sum() == 3


def test_verification_judges_it(shifts):
    algos.register("shifts", shifts)
    algorithm = registry.get("shifts")
    cases = [case for case in generate.cases(60) if case.problem.axes == 1]
    found = [judge(algorithm, case, threads=1, seed=0) for case in cases]
    assert {one.status for one in found} == {"ok", "unsupported"}
    reasons = {one.reason for one in found if one.status == "unsupported"}
    assert any("it takes signals, one group and no dilation" in reason for reason in reasons)


def test_a_wrong_function_fails(shifts):
    algos.register("off", lambda x, w, problem: shifts(x, w, problem) * x.dtype.type(1.001))
    cases = [case for case in generate.cases(60) if case.problem.axes == 1]
    assert any(
        judge(registry.get("off"), case, threads=1, seed=0).status == "failed" for case in cases
    )


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        (np.zeros((1, 1, 9)), r"returned float64 of shape \(1, 1, 9\), expected float64 of shape"),
        (np.zeros((1, 1, 1), complex), "returned complex128"),
        (None, "returned object"),
    ],
)
def test_a_result_that_is_no_output_is_refused(result, complaint):
    algos.register("mine", lambda x, w, problem: result)
    with pytest.raises(ConvbenchError, match=complaint):
        algos.conv(np.ones((1, 1, 3)), np.ones((1, 1, 3)), algorithm="mine")


@pytest.mark.parametrize(
    ("name", "function", "complaint"),
    [
        ("naive", len, "cannot be called with three arguments"),
        ("naive", lambda x, w, p: x, "is taken by an algorithm"),
        ("van_herk", lambda x, w, p: x, "is taken by an algorithm"),
        ("Mine", lambda x, w, p: x, "use lower-case words"),
        ("a,b", lambda x, w, p: x, "use lower-case words"),
        ("mine", 3, "3 is no function"),
        (lambda x, w, p: x, None, r"write register\('my-name', function\)"),
    ],
)
def test_mistakes_are_sentences(name, function, complaint):
    before = dict(registry.of(CONVOLUTION))
    with pytest.raises(ConvbenchError, match=complaint):
        algos.register(name, function)
    assert registry.of(CONVOLUTION) == before


def test_runs_that_do_not_name_it_leave_it_out(shifts):
    algos.register("shifts", shifts)
    assert registry.get("shifts").opt_in


def test_a_file_for_workers_imports_it(shifts, tmp_path):
    algos.register("shifts", shifts)
    file = tmp_path / "for_workers.py"
    file.write_text(file_text(registry.get("shifts")))
    assert "from users_module import shifts" in file.read_text()
    assert repr(str(tmp_path)) in file.read_text()  # the module is found there
    assert registry.load_file(file) == ("shifts",)
    assert registry.get("shifts").function is shifts
    assert registry.get("shifts").file == str(file)


#: Functions of a script that cannot be copied, and the reason.
UNCOPIED = {
    "constant": ("N = 3\n@register('constant')\ndef f1(x, w, problem):\n    return x * N\n",
                 "function f1 uses N, defined beside it"),
    "lambda": ("f = register('lambda', lambda x, w, problem: x)\n", "has no name"),
    "inner": ("def outer():\n    def f(x, w, problem):\n        return x\n"
              "    register('inner', f)\nouter()\n", "has no name"),
    "cached": ("from functools import cache\n@register('cached')\n@cache\n"
               "def f2(x, w, problem):\n    return x\n",
               "which cannot be copied; put it into a file"),
    "no-source": ("exec('def f3(x, w, problem):\\n    return x'); register('no-source', f3)\n",
                  "put it into a file, import it from there"),
}  # fmt: skip


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Run a script that registers functions; return what it prints for each, by name."""
    here = tmp_path_factory.mktemp("script")
    lines = [
        "import json",
        "from algos import register, registry",
        "from algos.functions import file_text",
        SHIFTS.replace("def shifts", '@register("shifts")\ndef shifts'),
        *(text for text, _ in UNCOPIED.values()),
        "found = {}",
        "for name, algorithm in registry.registered_functions().items():",
        "    try:",
        "        found[name] = file_text(algorithm)",
        "    except ValueError as error:",
        "        found[name] = f'refused: {error}'",
        "print(json.dumps(found))",
    ]
    (here / "script.py").write_text("\n".join(lines))
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"], cwd=here, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_function_of_a_script_is_copied_without_the_script(script, tmp_path):
    text = script["shifts"]
    assert "import numpy as np" in text
    assert "@register" not in text
    assert "print" not in text
    file = tmp_path / "copy.py"
    file.write_text(text)
    assert registry.load_file(file) == ("shifts",)
    y = algos.conv(np.ones((1, 1, 3)), np.ones((1, 1, 3)), algorithm="shifts")
    assert y.tolist() == [[[3.0]]]


@pytest.mark.parametrize("name", UNCOPIED)
def test_a_function_that_cannot_be_copied_says_what_to_do(name, script):
    assert script[name].startswith(f"refused: algorithm {name}: ")
    assert UNCOPIED[name][1] in script[name]


@pytest.mark.slow
def test_workers_verify_and_time_a_function_of_a_script(tmp_path):
    (tmp_path / "script.py").write_text(
        "import convbench\n" + SHIFTS + "\nconvbench.register('shifts', shifts)\n"
        "print('right:', convbench.verify(algorithms='shifts', cases=150))\n"
        "frame = convbench.run(problems=['mb1_ic2iw40_oc3_kw5'], threads=1, budget=2,\n"
        "                      algorithms=['naive', 'shifts'])\n"
        "print('timed:', sorted(frame[frame['time_s'].notna()]['algorithm']))\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=300,
    )  # fmt: skip
    assert "right: True" in done.stdout, done.stdout + done.stderr
    assert "timed: ['naive', 'shifts']" in done.stdout, done.stdout + done.stderr


def test_a_file_may_register_functions(tmp_path):
    file = tmp_path / "file.py"
    file.write_text(f"from algos import register\n{SHIFTS}\nregister('from-file', shifts)\n")
    assert registry.load_file(file) == ("from-file",)
    assert registry.load_file(file) == ("from-file",)
    assert isinstance(registry.get("from-file"), FunctionAlgorithm)


def test_a_file_that_fails_registers_nothing(tmp_path):
    file = tmp_path / "file.py"
    file.write_text(f"from algos import register\n{SHIFTS}\nregister('half', shifts)\n1 / 0\n")
    with pytest.raises(ConvbenchError, match="ZeroDivisionError"):
        registry.load_file(file)
    assert "half" not in registry.of(CONVOLUTION)


def test_a_function_replaced_in_its_module_is_told_of(shifts):
    algos.register("shifts", shifts)
    sys.modules["users_module"].shifts = None
    with pytest.raises(ConvbenchError, match="is another object now; register the function again"):
        file_text(registry.get("shifts"))
