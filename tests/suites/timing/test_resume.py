"""Interrupted runs: the records kept, the runs refused, and completion by resuming."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import results
from algos import Problem
from algos.core.errors import ConvbenchError
from results.records.record import Record
from results.records.records import RunWriter
from results.records.run import FILE, EndRecord, PassRecord, RunHeader
from suites.cases.suite import Case
from suites.timing import resume, schedule
from suites.timing.schedule import Run, Settings

CASES = (
    Case(Problem(size=(9, 9), kernel=3)),
    Case(Problem(size=(12,), kernel=2)),
    Case(Problem(size=(8, 8), kernel=2, in_channels=2)),
)
KILLED = Path(__file__).parents[2] / "helpers" / "killed.py"
PROBLEMS = ("mb1_ic1ih9_oc1_kh3", "mb1_ic2ih8_oc2_kh2", "mb1_ic1iw12_oc1_kw2")


@pytest.fixture(autouse=True)
def few_short_samples(monkeypatch):
    monkeypatch.setattr(schedule, "MAX_BLOCKS", 2)


def settings(**more):
    # Only a factor of a million matters, so five passes decide everything.
    return Settings(
        suite="test", algorithms=("naive", "im2col"), baseline="naive", budget=200.0,
        min_effect=1e6, **more,
    )  # fmt: skip


def header(**more):
    usual = {
        "suite": "test", "started": "2026-11-20T10:42:12", "baseline": "naive",
        "problems": resume.fingerprint(CASES), "environment": {"cpu": "A", "numba": "1"},
        "settings": {"seed": 0, "threads": [1]},
    }  # fmt: skip
    return RunHeader(**{**usual, **more})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the lines of an undisturbed run of `CASES`."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, RunWriter(folder, header()) as writer:
        patch.setattr(schedule, "MAX_BLOCKS", 2)
        for event in Run(CASES, settings(), folder):
            if isinstance(event, Record):
                writer.append(event)
    return (writer.path / FILE).read_bytes().splitlines(keepends=True)


def cut_short(whole, folder, records):
    """Return the run `whole` as it was after a number of records."""
    (folder / "run").mkdir()
    (folder / "run" / FILE).write_bytes(b"".join(whole[: records + 1]))
    return results.read_records(folder / "run")


@pytest.mark.parametrize(
    "records",
    [3, 10, *(pytest.param(number, marks=pytest.mark.slow) for number in (0, 1, 2, 5, 15))],
)
def test_nothing_is_measured_twice_and_nothing_left_out(whole, tmp_path, records):
    before = cut_short(whole, tmp_path, records)
    run = Run(CASES, settings(), tmp_path)
    resume.take_up(run, before)
    with RunWriter.reopen(before.path) as writer:
        for event in run:
            if isinstance(event, Record):
                writer.append(event)
    after = results.read_records(before.path)
    assert after.passes[: len(before.passes)] == before.passes
    made = [(record.number, record.group) for record in after.passes]
    assert made == [(number, group) for number in range(5) for group in range(3)]
    frame = results.read(before.path)
    assert len(frame) == 6
    assert (frame["status"] == "ok").all()
    # Time spent before counts against the budget.
    spent = [record.spent_s for record in after.passes]
    assert spent == sorted(spent)


def test_looks_that_were_taken_are_taken_again(whole, tmp_path):
    """Resume after pass 6; the referee has decided the same pairs as after pass 5."""
    records = cut_short(whole, tmp_path, len(whole))
    more = [replace(record, number=5) for record in records.passes if record.number == 4]
    run = Run(CASES, settings(), tmp_path)
    resume.take_up(run, replace(records, passes=[*records.passes, *more]))
    assert run.first == 5
    assert run.referee.decided == 3
    assert not any(run._open_pairs().values())


def test_a_larger_budget_lets_a_run_go_on(whole, tmp_path):
    before = cut_short(whole, tmp_path, 1)
    short = {"seed": 0, "budget": 10.0, "elastic": True}
    before = replace(before, header=header(budget_s=10.0, settings=short))
    more = header(budget_s=20.0, settings={"seed": 0, "budget": 20.0, "elastic": False})
    assert resume.is_extended(before, more)
    resume.check_same(before, more)
    ended = replace(before, end=EndRecord(status="out of budget", budget_s=20.0))
    assert not resume.is_extended(ended, more)
    less = header(budget_s=5.0, settings={"seed": 0, "budget": 5.0, "elastic": True})
    with pytest.raises(ConvbenchError, match=r"budget was 10\.0, is 5\.0"):
        resume.check_same(before, less)


def test_cells_that_came_too_late_are_measured_with_a_larger_budget(whole, tmp_path):
    before = cut_short(whole, tmp_path, len(whole))
    late = "the time budget of 1 s was spent; raise --budget"
    cells = [
        replace(cell, status="skipped", reason=late) if cell.group == 1 else cell
        for cell in before.cells
    ]
    passes = [one for one in before.passes if one.number == 0 and one.group != 1]
    run = Run(CASES, settings(), tmp_path)
    resume.take_up(run, replace(before, cells=cells, passes=passes))
    made = [(event.number, event.group) for event in run if isinstance(event, PassRecord)]
    assert made[0] == (0, 1)
    assert {group for number, group in made if number == 1} == {0, 1, 2}


def test_an_extended_run_goes_on_with_its_budget(whole, tmp_path):
    short = {"seed": 0, "budget": 10.0, "elastic": True, "needed": 9.0}
    before = replace(cut_short(whole, tmp_path, 1), header=header(budget_s=10.0, settings=short))
    extended = replace(before, end=EndRecord(status="interrupted", budget_s=20.0))
    same = {"seed": 0, "budget": 20.0, "elastic": False, "needed": 8.0}
    resume.check_same(extended, header(budget_s=20.0, settings=same))


def test_a_pass_that_was_interrupted_does_not_shorten_the_others(whole, tmp_path):
    before = cut_short(whole, tmp_path, len(whole))
    (first, *_) = [one for one in before.passes if one.number == 0]
    cut = replace(first, samples_s={name: one[:1] for name, one in first.samples_s.items()})
    run = Run(CASES, settings(), tmp_path)
    resume.take_up(run, replace(before, passes=[cut]))
    assert run.groups[first.group].blocks == schedule.MAX_BLOCKS == 2


def test_a_lean_run_stays_lean(whole, tmp_path):
    before = cut_short(whole, tmp_path, len(whole))
    passes = [
        replace(one, samples_s={"im2col": one.samples_s["im2col"]})
        if (one.number, one.group) == (1, 0) else one
        for one in before.passes
        if one.number < 3
    ]  # fmt: skip
    run = Run(CASES, settings(), tmp_path)
    resume.take_up(run, replace(before, passes=passes))
    assert run.lean
    assert all(cell.seconds > 0 for group in run.groups for cell in group.cells)


def test_another_machine_version_setting_or_suite_is_refused(whole, tmp_path):
    before = cut_short(whole, tmp_path, 1)
    resume.check_same(before, header())
    other = header(
        environment={"cpu": "B", "numba": "2"}, settings={"seed": 0, "threads": [1, 2]}, problems=7
    )
    with pytest.raises(ConvbenchError) as refusal:
        resume.check_same(before, other)
    for clause in (
        "cpu was A, is B", "numba was 1, is 2", "threads was 1, is 1,2", "the problems",
        "start a new one",
    ):  # fmt: skip
        assert clause in str(refusal.value)
    assert "seed" not in str(refusal.value)


def test_half_a_line_is_taken_back(whole, tmp_path):
    file = cut_short(whole, tmp_path, 2).path / FILE
    kept = file.read_bytes()
    file.write_bytes(kept + b'{"record": "pass", "gro')
    with RunWriter.reopen(file.parent) as writer:
        assert file.read_bytes() == kept
        writer.append(EndRecord())
    assert results.read_records(file).status == "complete"


def test_a_run_that_is_being_written_is_nobody_elses(tmp_path):
    refused = pytest.raises(ConvbenchError, match="being written by another process")
    with RunWriter(tmp_path, header()) as writer, refused:
        RunWriter.reopen(writer.path)
    RunWriter.reopen(writer.path).close()


def started(folder, *words):
    """Start a run in a process and process group of its own."""
    environment = {**os.environ, "CONVBENCH_CACHE": str(folder / "cache")}
    return subprocess.Popen(
        [sys.executable, str(KILLED), "run", *words, "--runs", str(folder)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip


def first_words():
    told = [word for problem in PROBLEMS for word in ("--problem", problem)]
    # Only large differences matter, so that the first look decides and the run ends soon.
    return [*told, "--algorithms", "naive,im2col", "--budget", "100", "--min-effect", "80%"]


@pytest.mark.slow
def test_the_command_line_is_that_of_the_run(tmp_path):
    first = started(tmp_path, *first_words())
    first.communicate()
    assert first.returncode == 0
    (folder,) = tmp_path.glob("*-problem")
    content = (folder / FILE).read_bytes()
    lines = content.splitlines(keepends=True)
    (folder / FILE).write_bytes(b"".join(lines[:5]))
    refused = started(tmp_path, "--resume", folder.name, "--cold-cache", "--threads", "2")
    _, complaint = refused.communicate()
    assert refused.returncode == 2
    assert "threads was 1, is 2; cold cache was False, is True." in complaint.decode()
    assert (folder / FILE).read_bytes() == b"".join(lines[:5])
    again = started(tmp_path, "--resume", folder.name)
    again.communicate()
    assert again.returncode == 0
    assert results.read_records(folder).status in ("complete", "out of budget")


def check_whole(folder, known):
    """Assert that all records read before are still there, and that every line is readable."""
    for run in folder.glob("*-problem"):
        records = results.read_records(run)
        lines = (run / FILE).read_bytes().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        assert whole[: len(known)] == known
        assert all(isinstance(json.loads(line), dict) for line in whole)
        made = [(record.number, record.group) for record in records.passes]
        assert len(made) == len(set(made))
        return run, whole
    return None, known


def kill(process, victim, rng):
    """Kill the run alone, one of its workers, or all processes at once."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        below = root.children(recursive=True)
        chosen = {"run": [root], "worker": rng.sample(below, min(1, len(below)))}.get(
            victim, [root, *below]
        )
        for one in chosen:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)


#: Times that the slow test kills a run; each takes some seconds.
KILLS = int(os.environ.get("CONVBENCH_KILLS", "6"))


@pytest.mark.slow
def test_kills_lose_nothing(tmp_path):
    rng = random.Random(5)
    killed, number = 0, 0
    lasted = 4.0  # seconds of an undisturbed run; measured below
    while killed < KILLS:
        number += 1
        folder = tmp_path / str(number)
        known: list[bytes] = []
        run, kills = None, rng.randint(3, 7)
        for life in range(kills + 1):
            begun = time.monotonic()
            process = started(folder, *(["--resume", run.name] if run else first_words()))
            if life < kills:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(rng.uniform(0.2, 1.0) * lasted)
                if process.poll() is None:
                    killed += 1
                    kill(process, rng.choice(["run", "worker", "everything"]), rng)
            _, complaint = process.communicate()
            assert process.returncode in (0, 1, -signal.SIGKILL), complaint.decode()
            if process.returncode == 0:
                lasted = 0.5 * (lasted + time.monotonic() - begun)
            run, known = check_whole(folder, known)
        assert process.returncode in (0, 1)
        assert results.read_records(run).status in ("complete", "out of budget")
        frame = results.read(run)
        assert len(frame) == 6
        assert set(frame["status"]) <= {"ok", "failed"}  # a worker killed is a cell failed
