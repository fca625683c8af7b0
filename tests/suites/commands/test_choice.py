"""Commands on the automatic choice: explain, tune and regret, in this process."""

import json

import pytest
from command_line import convbench
from synthetic import cell, write_run

from algos.choice import forget_choices, model, wisdom
from algos.choice.machine import versions
from algos.choice.model import Time
from algos.core.problem import Problem
from results.records.run import SCHEMA
from suites import cli
from suites.commands import tune
from suites.commands.regret import COMMAND as REGRET
from suites.commands.resuming import resumed
from suites.timing import schedule
from suites.timing.progress import Finished

LAYER = Problem(size=(28, 28), kernel=3, in_channels=16, out_channels=16, padding=1)
IMAGE = Problem(size=(512, 512), kernel=31)
HERE = {"cpu": "a", "target": versions()["cpu"], "numba": versions()["numba"]}


@pytest.fixture(autouse=True)
def own_wisdom(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVBENCH_WISDOM", str(tmp_path / "wisdom"))
    monkeypatch.setenv("CONVBENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.delenv("NUMBA_CPU_NAME", raising=False)
    forget_choices()
    yield
    forget_choices()


def run_of(folder, times, **changes):
    """Write an invented run: seconds by problem and algorithm."""
    cells = [
        cell(name, problem, samples=[seconds] * 5, prepare_s=0.0)
        for problem, entries in times.items()
        for name, seconds in entries.items()
    ]
    names = sorted({name for entries in times.values() for name in entries})
    return write_run(folder, cells, algorithms=names, environment=HERE, **changes)


def test_explain_lists_candidates_reasons_and_the_command(capsys):
    assert cli.main(["explain", str(LAYER), "--threads", "1"]) == 0
    said = capsys.readouterr().out
    assert f"for {LAYER}, 1 thread, kernel prepared beforehand" in said
    assert "parallel" in said
    assert "separable: " in said  # the reason why it cannot
    assert f"to settle it: convbench tune --problem {LAYER} --threads 1" in said


def test_explain_suggests_a_suite_for_a_misspelt_one(capsys):
    assert cli.main(["explain", "resnet5"]) == 2
    assert "did you mean 'resnet50'?" in capsys.readouterr().err


def test_explain_as_json(capsys):
    assert cli.main(["explain", str(LAYER), "--json", "--accuracy", "direct", "--use", "once"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["use"] == "once"
    assert told["algorithm"] in {one["algorithm"] for one in told["candidates"]}
    able = [one for one in told["candidates"] if not one["reason"]]
    assert {one["accuracy"] for one in able} == {"direct"}


@pytest.fixture
def predicted(monkeypatch):
    """Set the times that the model predicts."""
    times = {"parallel": 9e-3, "fft": 1e-3, "im2col": 3e-3}
    found = {name: Time(seconds, 0.0, 1.2) for name, seconds in times.items()}
    monkeypatch.setattr(model, "predict", lambda *_: found)
    forget_choices()


def test_explain_sums_up_a_network(predicted, capsys, tmp_path):
    folder = run_of(tmp_path, {LAYER: {"parallel": 1e-3}})
    (tmp_path / "net.batch").write_text(f"{LAYER}\n{IMAGE}\n")
    words = ["explain", "--batch", str(tmp_path / "net.batch"), "--threads", "1"]
    assert cli.main([*words, "--run", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "2 layers with auto: " in said
    assert "With the fastest measured algorithm of each layer: 1.00 ms" in said


def test_regret_of_a_finished_run(capsys, tmp_path):
    folder = run_of(tmp_path, {LAYER: {"parallel": 1e-3, "naive": 1e-2}})
    code = cli.main(["regret", str(folder), "--table", str(tmp_path / "each.csv")])
    said = capsys.readouterr().out
    assert "always parallel" in said
    assert "Limits of geometric mean / 95th percentile / worst, untuned: 5 %" in said
    assert "differed" not in said
    assert code == int("Exceeded" in said)
    assert str(LAYER) in (tmp_path / "each.csv").read_text()


def test_a_resumed_regret_keeps_its_options(tmp_path):
    run = tmp_path / "20260101-000000-everyday"
    run.mkdir()
    words = ["regret", "everyday", "--tuned", "--table", "t.csv", "--count", "40"]
    header = {"record": "run", "schema": SCHEMA, "suite": "everyday", "words": words}
    (run / "records.jsonl").write_text(json.dumps(header) + "\n")
    now = REGRET.parse(["--resume", run.name, "--runs", str(tmp_path), "--threads", "2"])
    told = resumed(REGRET, now, run.name)
    assert (told.what, told.tuned, told.table, told.count) == ("everyday", True, "t.csv", 40)
    assert (told.threads, told.earlier, told.resume) == ("2", run, None)


def test_regret_beyond_a_limit_is_a_finding(capsys, monkeypatch, tmp_path):
    from suites.choice import regrets

    monkeypatch.setattr(regrets, "automatic", lambda *_: "naive")
    folder = run_of(tmp_path, {LAYER: {"parallel": 1e-3, "naive": 1e-2}})
    assert cli.main(["regret", str(folder)]) == 1
    assert "the worst regret is 900.0%, at most 100% is admitted" in capsys.readouterr().out


@pytest.mark.parametrize(("named", "title"), [("haswell", "other instructions"), ("", "untuned")])
def test_limits_go_with_the_instructions(named, title, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CPU_NAME", named)
    folder = run_of(tmp_path, {LAYER: {"parallel": 1e-3, "naive": 1e-2}})
    cli.main(["regret", str(folder)])
    assert title in capsys.readouterr().out


def test_learning_from_a_run_says_what_changed(capsys, tmp_path):
    folder = run_of(tmp_path, {LAYER: {"parallel": 1e-3, "im2col": 1e-5, "fft": 2e-3}})
    assert tune.learn(Finished(folder, (), "complete")) == 0
    said = capsys.readouterr().out
    assert "→ im2col" in said
    assert "1 of 1 problem measured well enough to learn from; 1 choice changed" in said
    assert tune.learn(Finished(folder, (), "complete")) == 0
    assert "no choice is better beyond doubt" in capsys.readouterr().out


def test_a_wrong_result_is_a_finding(capsys, tmp_path):
    cells = [
        cell("parallel", LAYER, samples=[1e-3] * 5),
        cell("fft", LAYER, status="failed", reason="wrong result"),
    ]
    folder = write_run(tmp_path, cells, environment=HERE)
    assert tune.learn(Finished(folder, (), "complete")) == 1
    assert "fft FAILED" in capsys.readouterr().out


def test_what_is_known_moves_through_a_file(capsys, tmp_path):
    tune.learn(Finished(run_of(tmp_path, {LAYER: {"parallel": 1e-3, "fft": 2e-3}}), (), "complete"))
    file = str(tmp_path / "wisdom.json")
    assert cli.main(["tune", "--export", file]) == 0
    assert cli.main(["tune", "--forget"]) == 0
    assert wisdom.entries() == []
    assert cli.main(["tune", "--import", file]) == 0
    assert len(wisdom.entries()) == 1
    said = capsys.readouterr().out
    assert f"1 entry exported to {file}." in said
    assert "1 entry forgotten." in said
    assert f"1 entry imported from {file}." in said


def planned(*words):
    command = cli.load("tune")
    options = command.parse(list(words))
    chosen, _ = tune.chosen_suite(options, options.suite)
    return tune.planned(chosen, options, (1,))


def test_a_budget_that_is_short_leaves_far_algorithms_out(predicted):
    long, settings = planned("--problem", str(IMAGE))
    short, less = planned("--problem", str(IMAGE), "--budget", "1s")
    assert less.budget == 1.0
    assert less.needed < settings.needed
    left_out = set(long.cases[0].algorithms) - set(short.cases[0].algorithms)
    assert left_out == {"parallel"}


def test_everyday_problems_can_be_tuned():
    chosen, settings = planned("everyday", "--count", "5", "--seed", "3", "--budget", "2min")
    assert len(chosen.cases) == 5
    assert settings.budget == 120.0
    assert settings.baseline == "parallel"


@pytest.mark.slow
def test_tune_and_regret_from_the_command_line(tmp_path):
    done = convbench(
        "tune", "--problem", str(LAYER), "--threads", 1, "--budget", "20s", cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "measured well enough to learn from" in done.stdout
    assert len(wisdom.entries()) == 1
    done = convbench(
        "regret", "--problem", str(LAYER), "--threads", 1, "--budget", "20s", cwd=tmp_path
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "auto, kernel prepared" in done.stdout


def test_a_run_records_the_choice(monkeypatch, tmp_path):
    """The real schedule, with few samples, marks one cell of each group."""
    from results.records.columns import CellRecord
    from suites.cases.choosing import automatic
    from suites.cases.suite import Case
    from suites.timing.schedule import Run, Settings

    monkeypatch.setattr(schedule, "MAX_BLOCKS", 2)
    case = Case(Problem(size=(9, 9), kernel=3))
    names = ("naive", "im2col", automatic(case, 1))
    run = Run((case,), Settings("test", tuple(dict.fromkeys(names)), baseline="naive"), tmp_path)
    marks = {}
    for event in run:
        if isinstance(event, CellRecord):
            marks[event.algorithm] = event.auto
        if len(marks) == len(run.groups[0].cells):
            break
    assert [name for name, auto in marks.items() if auto] == [automatic(case, 1)]


def test_regret_checks_its_table_before_it_measures(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    table = tmp_path / "file" / "regret.csv"
    assert cli.main(["regret", "--table", str(table), "--runs", str(tmp_path)]) == 2
    assert f"{table} cannot be written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
