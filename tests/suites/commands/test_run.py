"""Runs as a user starts them: files, exit codes, full disks and interruptions."""

import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import CONVBENCH, complaint, convbench, environment

from results.records.run import SCHEMA
from suites import cli
from suites.commands.resuming import resumed
from suites.commands.run import COMMAND

BROKEN = str(Path(__file__).parents[2] / "helpers" / "broken.py")
PROBLEM = "mb1_ic2ih12_oc2_kh3"
QUICKLY = ["--algorithms", "naive", "--budget", "1"]


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
        "records.jsonl", "table.csv", "table.md", "report.md", "report.html", "figures",
    }  # fmt: skip
    assert {path.suffix for path in (run / "figures").iterdir()} == {".png", ".svg"}
    header, *rest, end = map(json.loads, (run / "records.jsonl").read_text().splitlines())
    cells = [record for record in rest if record["record"] == "cell"]
    assert len(rest) - len(cells) >= 2 * 5  # passes of both problems
    assert header["record"] == "run"
    assert header["algorithms"] == ["naive", "im2col"]
    assert [cell["status"] for cell in cells] == ["ok"] * 4
    assert end["status"] in ("complete", "out of budget")  # as the machine's noise has it


def test_dry_run_writes_nothing(tmp_path):
    done = convbench("run", "quick", "--dry-run", "--runs", tmp_path / "runs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Nothing was timed" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_files_are_found_from_where_the_user_stands(folder, tmp_path):
    """Workers run elsewhere, but relative paths are the user's."""
    np.save(folder / "kernel.npy", np.ones((3, 3)) / 9)
    done = convbench(
        "run", "--input", "ok.npy", "--kernel", "kernel.npy", *QUICKLY, "--runs", tmp_path,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = tmp_path.iterdir()
    assert (run / "pictures" / "sheet.png").is_file()


@pytest.mark.slow
def test_nan_is_timed_with_a_warning(folder, tmp_path):
    done = convbench(
        "run", "--input", "holes.npy", "--kernel", "gaussian:3", *QUICKLY, "--runs", tmp_path,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.startswith("warning: ")
    assert "holds NaN or infinite values" in done.stderr


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    """Restore Ctrl-C, which shells disable for processes in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted_run(tmp_path, number, *more):
    """Send signal `number` to a slow run once a cell is on the disk."""
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


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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


@pytest.mark.slow
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


@pytest.mark.parametrize("kernel", [(2, 3, 3, 3), (3, 3)])
def test_kernel_files_of_layers_are_timed(kernel, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("k.npy", np.ones(kernel))
    np.save("x.npy", np.ones((8, 9, 3)))
    assert cli.main(["run", "--input", "x.npy", "--kernel", "k.npy", "--dry-run"]) == 0
    words = ["run", "--problem", "mb1_ic3ih8_oc2_kh3", "--weights", "k.npy", "--dry-run"]
    assert cli.main(words) == 0
    np.save("k.npy", np.full(kernel, np.nan))
    assert cli.main(words) == 2
    assert "holds NaN or infinite values" in capsys.readouterr().err


def test_a_kernel_of_a_volume_layer_is_timed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("k.npy", np.ones((2, 3, 3, 3, 3)))
    words = ["run", "--problem", "mb1_ic3id8_oc2_kd3", "--weights", "k.npy", "--dry-run"]
    assert cli.main(words) == 0


def recorded(folder, *words):
    """Write the records of a run that was started with `words`."""
    run = folder / "20260101-000000-quick"
    run.mkdir()
    header = {"record": "run", "schema": SCHEMA, "suite": "quick", "words": ["run", *words]}
    (run / "records.jsonl").write_text(json.dumps(header) + "\n")
    return run


def test_resumed_options_are_those_of_the_run_and_what_is_given_now(tmp_path):
    words = ("--problem", PROBLEM, "--algorithms", "naive", "--budget", "9", "--peers")
    earlier = recorded(tmp_path, *words)
    now = ["--resume", earlier.name, "--runs", str(tmp_path), "--threads", "2", "--budget", "5"]
    told = resumed(COMMAND, COMMAND.parse(now), earlier.name)
    assert told.problem == (PROBLEM,)
    assert (told.algorithms, told.peers) == ("naive", True)
    assert (told.threads, told.budget, told.runs) == ("2", 5.0, str(tmp_path))
    assert (told.words, told.earlier, told.resume) == (("run", *words), earlier, None)


def test_a_run_that_was_extended_keeps_its_budget(tmp_path):
    earlier = recorded(tmp_path, "--problem", PROBLEM, "--budget", "9")
    with (earlier / "records.jsonl").open("a") as file:
        file.write(json.dumps({"record": "end", "status": "interrupted", "budget_s": 60.0}) + "\n")
    now = COMMAND.parse(["--resume", earlier.name, "--runs", str(tmp_path)])
    assert resumed(COMMAND, now, earlier.name).budget == 60.0


@pytest.mark.slow
@pytest.mark.parametrize("manner", ["--quiet", "--json"])
def test_a_quiet_run_prints_its_result_alone(tmp_path, manner):
    done = convbench("run", "--problem", PROBLEM, *QUICKLY, "--runs", tmp_path, manner,
                     cwd=tmp_path)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = tmp_path.iterdir()
    if manner == "--quiet":
        assert done.stdout == f"{run / 'report.html'}\n"
    else:
        assert json.loads(done.stdout)["id"] == run.name


def test_manners_of_printing_exclude_each_other(tmp_path):
    done = convbench("run", "--quiet", "--json", cwd=tmp_path)
    assert "not allowed with" in complaint(done)
