"""The command line as a user meets it: a real process, its words and its exit code."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import CONVBENCH, complaint, convbench, environment

BROKEN = str(Path(__file__).parents[2] / "helpers" / "broken.py")
PROBLEM = "mb1_ic2ih12_oc2_kh3"
QUICKLY = ["--algorithms", "naive", "--budget", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of files that a user may hand over, most of them bad."""
    here = tmp_path_factory.mktemp("user")
    rng = np.random.default_rng(0)
    np.save(here / "ok.npy", rng.random((30, 40)))
    np.save(here / "holes.npy", np.where(np.eye(30) > 0, np.nan, 1.0))
    np.save(here / "empty.npy", np.zeros((0, 5)))
    np.save(here / "complex.npy", np.zeros((5, 5), complex))
    np.save(here / "text.npy", np.array([["a", "b"]]))
    np.save(here / "objects.npy", np.array([[None, 1]], dtype=object))
    np.save(here / "scalar.npy", np.float64(3))
    (here / "torn.npy").write_bytes((here / "ok.npy").read_bytes()[:300])
    (here / "junk.png").write_bytes(b"hello")
    (here / "bad.toml").write_text("title = \n")
    (here / "key.toml").write_text('title = "x"\nproblemz = ["mb1_ic1ih5_oc1_kh3"]\n')
    (here / "bad.batch").write_text("mb1_ic3ih5_oc2_kh3\nfoo bar\n")
    (here / "none.batch").write_text("# nothing\n")
    (here / "binary.batch").write_bytes(bytes(range(256)))
    (here / "nothing.py").write_text("x = 1\n")
    (here / "import.py").write_text("import nosuchmodule\n")
    (here / "exit.py").write_text("import sys\nsys.exit(7)\n")
    (here / "leave.py").write_text("import os\nos._exit(3)\n")
    (here / "crash.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    (here / "syntax.py").write_text("def f(:\n")
    (here / "clash.py").write_text(
        "from algos import Algorithm\n\n\nclass Mine(Algorithm):\n    name = 'fft'\n"
    )
    return here


@pytest.mark.parametrize("command", ["run", "verify", "report", "compile", "list", "env", None])
def test_help_shows_examples(command, tmp_path):
    done = convbench(*([command] if command else []), "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    _, examples = done.stdout.lower().split("example", 1)
    assert f"convbench {command or 'run'}" in examples
    assert max(map(len, done.stdout.split("\n"))) <= 100


MISTAKES = {
    "runn": "did you mean 'run'",
    "run quik": "did you mean 'quick'",
    "run --bogus": "unrecognized arguments: --bogus",
    "run --algorithms ffft": "did you mean 'fft'",
    "run --algorithms ,": "names none",
    "run --baseline navie": "did you mean 'naive'",
    "run --algorithms naive --baseline fft": "not among the algorithms to be timed",
    "run --threads 0": "expected counts such as 1 or 1,2",
    "run --threads 1,x": "expected counts such as 1 or 1,2",
    "run --threads ²": "expected counts such as 1 or 1,2",
    "run --threads 9999": "this machine offers",
    "run --budget -1": "positive number of seconds",
    "run --budget soon": "'soon' must be a positive number of seconds",
    "run --budget inf": "positive number of seconds",
    "run --call-limit 0": "positive number of seconds",
    "run --timeout nan": "positive number of seconds",
    "run --seed -1": "whole number from 0 on",
    "run --seed 1.5": "whole number from 0 on",
    "run --weights rank1": "with --problem or --batch",
    "run quick --problem mb1_ic1ih5_oc1_kh3": "choose one",
    "run --problem hello": "column 1",
    "run --problem ''": "descriptor ''",
    "run --problem mb1_ic1ih5_oc1_kh9": "the kernel spans 9 samples",
    "run --problem mb1_ic1ih10_oc1_kh3_sh2_exact": "stride 2 does not fit",
    "run --problem mb1_ic1ih5_oc1_kh3 --dtype float16": "did you mean 'float64'",
    "run --problem mb1_ic1ih5_oc1_kh3 --dtype int32": "'int32' is not supported",
    "run --problem mb1_ic1ih5_oc1_kh3 --weights gausian": "did you mean 'gaussian'",
    "run --problem mb1_ic1ih5_oc1_kh3 --weights no.npy": "no.npy",
    "run --problem mb1_ic1ih300000_oc1_kh3": "may be used",
    "run --input ok.npy": "--kernel gaussian:15",
    "run --kernel gaussian:3": "--kernel goes with --input",
    "run --input ok.npy --kernel gausian:3": "did you mean 'gaussian'",
    "run --input ok.npy --kernel gaussian:0": "whole number of taps",
    "run --input ok.npy --kernel holes.npy": "holds NaN",
    "run --input empty.npy --kernel gaussian:3": "none of them empty",
    "run --input complex.npy --kernel gaussian:3": "complex128",
    "run --input text.npy --kernel gaussian:3": "real-valued",
    "run --input objects.npy --kernel gaussian:3": "cannot be read",
    "run --input scalar.npy --kernel gaussian:3": "shape ()",
    "run --input torn.npy --kernel gaussian:3": "cannot be read",
    "run --input missing.npy --kernel gaussian:3": "No such file",
    "run --input junk.png --kernel gaussian:3": "cannot be read",
    "run --input . --kernel gaussian:3": "not known",
    "run bad.toml": "not TOML",
    "run key.toml": "did you mean 'problems'",
    "run missing.toml": "does not exist",
    "run --batch bad.batch": "bad.batch, line 2, column 1",
    "run --batch none.batch": "no descriptor",
    "run --batch binary.batch": "cannot be read",
    "run --batch missing.batch": "No such file",
    "run --algorithm-file missing.py": "does not exist",
    "run --algorithm-file nothing.py": "defines no algorithm",
    "run --algorithm-file import.py": "No module named 'nosuchmodule'",
    "run --algorithm-file exit.py": "SystemExit",
    "run --algorithm-file syntax.py": "SyntaxError",
    "run --algorithm-file crash.py": "cannot be loaded: its process was ended by SIGSEGV",
    "verify --algorithm-file leave.py": "cannot be loaded: its process exited with code 3",
    "run --algorithm-file ok.npy": "no Python file",
    "verify --algorithm-file clash.py": "a name that is taken",
    "verify --cases 0": "whole number from 1 on",
    "verify --algorithms nope": "there is no algorithm 'nope'",
    "verify --threads 9999": "this machine offers",
    "verify --problem zzz": "column 1",
    "verify --weights rank1": "with --problem or --batch",
    "list": "required",
    "list thing": "invalid choice: 'thing'",
    "list problems": "whose problems?",
    "list problems vgg": "did you mean 'vgg16'",
    "report nope": "no runs yet",
    "report": "no runs yet",
    "env extra": "unrecognized arguments",
}


#: Runs every line of its input as a command of its own, all in one process: 60 starts of Python
#: would take a minute.
DRIVER = """
import contextlib, io, json, shlex, sys
from suites.cli import main

for line in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(shlex.split(line))
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def test_every_mistake_is_one_sentence(folder, tmp_path):
    lines = [
        line + (f" --runs {tmp_path / 'runs'}" if line.startswith(("run ", "report")) else "")
        for line in MISTAKES
    ]
    driven = subprocess.run(
        [sys.executable, "-c", DRIVER], cwd=folder, env=environment(), input=json.dumps(lines),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert driven.returncode == 0, driven.stderr
    finished = map(json.loads, driven.stdout.splitlines())
    for (line, part), (code, out, err) in zip(MISTAKES.items(), finished, strict=True):
        done = subprocess.CompletedProcess(line, code, out, err)
        assert part in complaint(done), line
        assert out == "", line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("line", ["runn", "run quik", "run --threads ²", "report --runs none"])
def test_mistakes_in_a_process_of_their_own(line, tmp_path):
    complaint(convbench(*line.split(), cwd=tmp_path))


def test_nothing_judged_is_no_success(tmp_path):
    done = convbench(
        "verify", "--algorithms", "low-rank", "--problem", "mb1_ic1iw9_oc1_kw3", cwd=tmp_path
    )
    assert "nothing was judged" in complaint(done)


def test_no_command_shows_the_help(tmp_path):
    done = convbench(cwd=tmp_path)
    assert done.returncode == 2
    assert "convbench run" in done.stdout


def test_run_leaves_records_tables_and_figures(tmp_path):
    done = convbench(
        "run", "--problem", PROBLEM, "--problem", "mb1_ic1ih64_oc1_kh5", "--algorithms",
        "naive,im2col", "--budget", 20, "--min-effect", "80%", "--runs", tmp_path, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (run,) = tmp_path.iterdir()
    assert str(run) in done.stdout
    assert {path.name for path in run.iterdir()} == {
        "records.jsonl", "table.csv", "table.md", "report.md", "figures",
    }  # fmt: skip
    assert {path.suffix for path in (run / "figures").iterdir()} == {".png", ".svg"}
    header, *rest, end = map(json.loads, (run / "records.jsonl").read_text().splitlines())
    cells = [record for record in rest if record["record"] == "cell"]
    assert len(rest) - len(cells) >= 2 * 5  # passes of both problems
    assert header["record"] == "run"
    assert header["algorithms"] == ["naive", "im2col"]
    assert [cell["status"] for cell in cells] == ["ok"] * 4
    assert end["status"] in ("complete", "out of budget")  # as the machine's noise has it
    again = convbench("report", "--runs", tmp_path, cwd=tmp_path)
    assert again.returncode == 0, again.stderr


def test_dry_run_writes_nothing(tmp_path):
    done = convbench("run", "quick", "--dry-run", "--runs", tmp_path / "runs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Nothing was timed" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_files_are_found_from_where_the_user_stands(folder, tmp_path):
    """The workers run elsewhere; relative paths are the user's."""
    np.save(folder / "kernel.npy", np.ones((3, 3)) / 9)
    done = convbench(
        "run", "--input", "ok.npy", "--kernel", "kernel.npy", *QUICKLY, "--runs", tmp_path,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = tmp_path.iterdir()
    assert (run / "pictures" / "sheet.png").is_file()


def test_nan_is_timed_with_a_warning(folder, tmp_path):
    done = convbench(
        "run", "--input", "holes.npy", "--kernel", "gaussian:3", *QUICKLY, "--runs", tmp_path,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.startswith("warning: ")
    assert "holds NaN or infinite values" in done.stderr


def test_a_broken_algorithm_costs_its_own_rows(tmp_path):
    done = convbench(
        "run", "--problem", PROBLEM, "--algorithm-file", BROKEN, "--algorithms",
        "naive,segfault,raises", "--budget", 2, "--runs", tmp_path, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "SIGSEGV" in done.stdout
    (run,) = tmp_path.iterdir()
    _, *rest, _ = map(json.loads, (run / "records.jsonl").read_text().splitlines())
    cells = [record for record in rest if record["record"] == "cell"]
    assert [cell["status"] for cell in cells] == ["ok", "failed", "failed"]


def test_verify_passes_what_is_right(tmp_path):
    done = convbench("verify", "--cases", 20, "--algorithms", "naive", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "naive" in done.stdout


def test_verify_fails_what_is_wrong_and_says_how_to_see_it_again(tmp_path):
    done = convbench(
        "verify", "--cases", 4, "--algorithm-file", os.path.relpath(BROKEN, tmp_path),
        "--algorithms", "off-by-one", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    repro = [line.strip() for line in done.stdout.split("\n") if "convbench verify" in line]
    words = shlex.split(repro[0][repro[0].index("convbench verify") :])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    again = convbench(*words[1:], cwd=elsewhere)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "times the error bound" in again.stdout


def test_lists(tmp_path):
    assert "quick" in convbench("list", "suites", cwd=tmp_path).stdout
    assert "im2col" in convbench("list", "algorithms", cwd=tmp_path).stdout
    problems = convbench("list", "problems", "alexnet", cwd=tmp_path).stdout.strip().split("\n")
    assert len(problems) == 5
    assert all(line.startswith("mb") or line.startswith("g") for line in problems)


def test_environment_and_version(tmp_path):
    told = json.loads(convbench("env", "--json", cwd=tmp_path).stdout)
    assert told["numba"]
    assert "numba" in convbench("env", cwd=tmp_path).stdout
    assert convbench("--version", cwd=tmp_path).stdout.startswith("convbench ")


@pytest.mark.parametrize("line", ["list suites", "--help"])
def test_a_reader_that_leaves_early(line, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*CONVBENCH, *line.split()], env=environment(), cwd=tmp_path, stdout=writing,
        stderr=subprocess.PIPE, text=True, timeout=60,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_into_a_full_disk(tmp_path):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [*CONVBENCH, "list", "suites"], env=environment(), cwd=tmp_path, stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip() == "convbench: error: No space left on device"


def test_a_terminal_without_signs_gets_question_marks(tmp_path):
    done = subprocess.run(
        [*CONVBENCH, "run", "--problem", PROBLEM, "--dry-run"], cwd=tmp_path, timeout=60,
        env=environment(PYTHONIOENCODING="ascii"), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_runs_folder_that_is_a_file(tmp_path):
    (tmp_path / "runs").write_text("")
    done = convbench("run", "--problem", PROBLEM, "--runs", "runs", *QUICKLY, cwd=tmp_path)
    assert "cannot be written" in complaint(done)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_runs_folder_that_may_not_be_written(tmp_path):
    (tmp_path / "runs").mkdir(mode=0o500)
    done = convbench("run", "--problem", PROBLEM, "--runs", "runs", *QUICKLY, cwd=tmp_path)
    assert "cannot be written" in complaint(done)
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("kilobytes", [0, 6])
def test_a_full_disk(kilobytes, tmp_path):
    """A real, very small disk: full at once, and full in the middle."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        (disk / "filler").write_bytes(b"x" * (16 - kilobytes) * 1024)
        problems = [w for n in range(20, 36) for w in ("--problem", f"mb1_ic1ih{n}_oc1_kh3")]
        done = convbench("run", *problems, "--runs", disk, *QUICKLY, cwd=tmp_path)
        assert "the disk is full" in complaint(done)
        for run in disk.iterdir():
            if run.name == "filler":
                continue
            lines = (run / "records.jsonl").read_text().split("\n")
            assert lines.pop() == ""
            assert json.loads(lines[0])["record"] == "run"
            assert all(json.loads(line) for line in lines)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def heed_interruptions():
    """Shells have what they start in the background ignore Ctrl-C, and its children, too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted_run(tmp_path, number, *more):
    """A slow run that is sent signal `number` once a cell is on the disk."""
    process = subprocess.Popen(
        [*CONVBENCH, "run", "--problem", "mb1_ic1ih20_oc1_kh3", "--problem",
         "mb1_ic1ih21_oc1_kh3", "--algorithm-file", BROKEN, "--algorithms", "naive,slow",
         "--budget", "6", "--runs", str(tmp_path / "runs"), *more],
        env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed_interruptions,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if any(f.read_text().count("\n") > 2 for f in tmp_path.glob("runs/*/records.jsonl")):
            break
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess("convbench run", process.returncode, out, err)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interruption_keeps_what_was_measured(tmp_path, number):
    done = interrupted_run(tmp_path, number)
    sentence = complaint(done)
    assert "interrupted; what was measured is kept" in sentence
    command = shlex.split(sentence.split("see it with: ")[1])
    assert command[0] == "convbench"
    (run,) = (tmp_path / "runs").iterdir()
    *_, end = map(json.loads, (run / "records.jsonl").read_text().splitlines())
    assert end["status"] == "interrupted"
    shown = convbench(*command[1:], cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr


def test_an_interruption_before_anything_leaves_nothing(tmp_path):
    process = subprocess.Popen(
        [*CONVBENCH, "run", "--problem", PROBLEM, "--algorithm-file", BROKEN, "--algorithms",
         "hangs", "--runs", str(tmp_path / "runs")],
        env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed_interruptions,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(tmp_path.glob("runs/*/records.jsonl")):
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    done = subprocess.CompletedProcess("convbench run", process.returncode, out, err)
    assert "before anything was timed" in complaint(done)
    assert list((tmp_path / "runs").iterdir()) == []
