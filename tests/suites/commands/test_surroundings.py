"""Surroundings of the command: modules of the same names, closed streams, the environment."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import algos
import convbench
import results
from algos.inception.plan import InceptionPlan
from suites import cli, load_ours
from suites.commands import selection as choose
from suites.timing.progress import progress_line
from suites.timing.schedule import Progress

ROOT = Path(__file__).parents[3]
VERIFY = ["verify", "--problem", "mb1_ic1ih6_oc1_kh3", "--algorithms", "naive"]


def python(*arguments, cwd=ROOT, path=(), **environment):
    """Run Python with the folders of `path` before ours."""
    folders = [*map(str, path), str(ROOT)]
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), **environment},
    )  # fmt: skip


def complaint(done):
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert ": error: " in line
    return line


@pytest.fixture
def crowded(tmp_path):
    """A project that has every one of our names, and a folder of results as we make them."""
    for name in ("algos", "results", "suites", "report", "nursery", "clock"):
        (tmp_path / "taken").mkdir(exist_ok=True)
        (tmp_path / "taken" / f"{name}.py").write_text("raise SystemExit('not the right one')")
    (tmp_path / "results" / "runs").mkdir(parents=True)
    return tmp_path


@pytest.mark.slow
def test_a_users_modules_of_the_same_names_do_not_hide_ours(crowded):
    done = python(ROOT / "convbench.py", *VERIFY, cwd=crowded, path=[crowded / "taken"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of" in done.stdout
    done = python(ROOT / "convbench.py", "report", cwd=crowded, path=[crowded / "taken"])
    assert "no runs yet" in complaint(done)


@pytest.mark.parametrize(
    "name",
    ["algos", *(pytest.param(name, marks=pytest.mark.slow) for name in ("report", "results"))],
)
def test_nor_do_they_where_the_command_is_a_module(name, tmp_path):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('not the right one')")
    done = python("-m", "suites.cli", "report", cwd=tmp_path, path=[tmp_path])
    assert "no runs yet" in complaint(done)


@pytest.mark.slow
def test_a_folder_of_results_does_not_hide_the_package(crowded):
    done = python("-m", "suites.cli", "report", cwd=crowded)
    assert "no runs yet" in complaint(done)
    code = "import convbench, results; print(results.runs_folder())"
    done = python("-c", code, cwd=crowded)
    assert done.stdout.strip() == str(crowded / "results" / "runs"), done.stderr


def test_a_module_of_our_name_that_is_loaded_already_is_told_of(monkeypatch, tmp_path):
    assert load_ours("results") is results
    (tmp_path / "results.py").write_text("")
    monkeypatch.setitem(sys.modules, "results", type(sys)("results"))
    sys.modules["results"].__file__ = str(tmp_path / "results.py")
    with pytest.raises(ImportError, match=r"another one, .*results.py, was imported before"):
        load_ours("results")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_take_no_part_in_the_work(closed, tmp_path):
    words = f"{sys.executable} -m suites.cli {' '.join(VERIFY)} {closed}; echo $? > {tmp_path}/code"
    done = subprocess.run(words, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert (tmp_path / "code").read_text().strip() == "0", done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (">&-" in closed.split()) or "0 of" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["bogus", "tbb"])
def test_a_threading_layer_that_is_not_there_is_one_sentence(layer):
    done = python("-m", "suites.cli", "env", NUMBA_THREADING_LAYER=layer)
    assert done.returncode == 0, done.stderr
    assert f"NUMBA_THREADING_LAYER={layer} has no effect" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_the_library_needs_no_threading_layer():
    code = (
        "import numpy as np, algos\n"
        "x = np.ones((1, 8, 200, 200)); w = np.ones((8, 8, 3, 3))\n"
        "print(algos.conv(x, w, algorithm='parallel').sum())"
    )
    for name in ("NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY"):
        done = python("-W", "error", "-c", code, **{name: "bogus"})
        assert float(done.stdout) == 8 * 8 * 9 * 198**2, done.stderr


def test_a_backend_of_another_environment_is_not_asked_for(tmp_path):
    code = (
        "import os, numpy as np\n"
        "from suites.cases import pictures\n"
        "pictures.contact_sheet({'a': np.eye(4)}, 'sheet.png')\n"
        "import matplotlib.pyplot, results.figures.draw\n"
        "print(os.environ['MPLBACKEND'], os.path.exists('sheet.png'))"
    )
    done = python("-W", "error", "-c", code, cwd=tmp_path, MPLBACKEND="module://not_there.at_all")
    assert done.stdout.strip() == "module://not_there.at_all True", done.stderr


def test_a_backend_that_is_there_is_kept(tmp_path):
    code = (
        "from results.figures.matplotlib_backend import import_matplotlib\n"
        "import_matplotlib()\n"
        "import matplotlib; print(matplotlib.rcParams['backend'])"
    )
    assert python("-c", code, MPLBACKEND="svg").stdout.strip().lower() == "svg"


def test_runs_are_kept_in_the_present_folder_unless_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONVBENCH_RUNS", raising=False)
    assert results.runs_folder() == tmp_path / "results" / "runs"
    monkeypatch.setenv("CONVBENCH_RUNS", "elsewhere")
    assert results.runs_folder() == tmp_path / "elsewhere"
    with pytest.raises(algos.ConvbenchError, match=r"no runs yet in .*elsewhere"):
        convbench.read()


def test_plans_say_what_they_are():
    w = np.ones((4, 3, 3, 3), np.float32)
    problem = algos.parse_descriptor("mb1_ic3ih8_oc4_kh3")
    assert repr(algos.plan(problem, w)) == (
        "Plan('mb1_ic3ih8_oc4_kh3', algorithm='parallel', threads=1)"
    )
    from algos.pooling.plan import PoolPlan

    pool = PoolPlan(algos.PoolProblem(size=(8, 8), window=2), algorithm="naive", threads=1)
    assert repr(pool).startswith("PoolPlan('max_")
    assert "__repr__" in vars(InceptionPlan)


def test_progress_has_units_and_says_that_compiling_comes_on_top():
    first = progress_line(Progress(0, "64² fft", 41.0, 12, 30))
    assert "12 of 42 comparisons decided · at most 41 s left beside compiling" in first
    assert "compiling" not in progress_line(Progress(1, "64² fft", 41.0, 12, 30))


def test_one_import_offers_everything(monkeypatch, tmp_path):
    for name in ("conv", "plan", "convolve", "correlate", "pool", "grad_input", "run", "read",
                 "verify", "ConvbenchError"):  # fmt: skip
        assert callable(getattr(convbench, name)), name
    assert convbench.conv is algos.conv
    asked = []
    monkeypatch.setattr(cli, "perform", lambda words: asked.append(words) or 0)
    monkeypatch.setattr(results, "latest", lambda folder: folder)
    monkeypatch.setattr(results, "read", lambda folder: folder)
    assert convbench.run("sizes", algorithms=["fft", "naive"], threads=(1, 2), budget=9,
                         runs=tmp_path) == tmp_path  # fmt: skip
    assert asked[0] == [
        "run", f"--runs={tmp_path}", "--threads=1,2", "--algorithms=fft,naive", "--budget=9",
        "--", "sizes",
    ]  # fmt: skip
    assert convbench.verify(algorithms="fft", cases=3)
    assert asked[1] == ["verify", "--cases=3", "--seed=0", "--algorithms=fft"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"suite": "qick"}, "did you mean 'quick'"),
        ({"budget": -1}, "must be a positive number of seconds"),
        ({"threads": 0}, "expected counts"),
        ({"algorithms": "fftt"}, "did you mean 'fft'"),
        ({"suite": "--version"}, "no suite '--version'"),
    ],
)
def test_mistakes_raise_our_error(arguments, said, tmp_path):
    with pytest.raises(convbench.ConvbenchError, match=said):
        convbench.run(**arguments, runs=tmp_path)


@pytest.mark.slow
def test_a_run_from_python_returns_its_table(tmp_path):
    frame = convbench.run(
        problems=["mb1_ic2ih12_oc2_kh3"], algorithms=["naive"], budget=1, runs=tmp_path
    )
    assert list(frame["algorithm"]) == ["naive"]
    assert len(convbench.read("problem", tmp_path)) == 1


def test_misspelt_files_are_told_from_misspelt_words():
    for source, kind, said in (
        ("fotograph", choose.pictures.read, "did you mean 'photograph'"),
        ("gausian:15:2.5", choose.filters.make, "did you mean 'gaussian'"),
        ("nothing.there", choose.pictures.read, "cannot be read"),
    ):
        with pytest.raises(algos.ConvbenchError, match=said):
            kind(source)
