"""The time that a run needs is shown before it begins, and sets its budget."""

import pytest

from algos import Problem
from algos.core.errors import ConvbenchError
from suites.cases import suite
from suites.cases.suite import Case
from suites.cli import main
from suites.commands import selection as choose
from suites.timing import audit
from suites.timing.bench import Settings
from suites.timing.estimate import seconds_needed, shortfall

SMALL = Case(Problem(size=(64, 64), kernel=5))
LARGE = Case(Problem(size=(1080, 1920), kernel=9))
ALL = ("naive", "im2col", "parallel", "fft")


def test_more_work_algorithms_and_threads_need_more():
    small = seconds_needed([SMALL], ALL, (1,), 2.0)
    assert small < seconds_needed([LARGE], ALL, (1,), 2.0)
    assert small < seconds_needed([SMALL, LARGE], ALL, (1,), 2.0)
    assert seconds_needed([SMALL], ALL[:2], (1,), 2.0) < small
    assert small < seconds_needed([SMALL], ALL, (1, 2), 2.0) < 2 * small


def test_what_the_call_limit_skips_needs_nothing():
    huge = Case(Problem(size=(20_000, 20_000), kernel=31))
    alone = seconds_needed([huge], ("naive",), (1,), 2.0)
    assert alone == seconds_needed([], ("naive",), (1,), 2.0)


def test_quick_answers_within_its_minute_and_a_half():
    quick = suite.load("quick")
    names = choose.algorithms(None, quick.algorithms, choose.families_of(quick.cases))
    assert seconds_needed(quick.cases, names, (1,), 2.0) < 60


def test_a_short_budget_is_told_what_is_needed():
    assert shortfall(60.0, 55.0) == ""
    said = shortfall(15.0, 54.6)
    assert "need about 55 s" in said
    assert "--budget 55" in said
    assert Settings("quick", ALL, budget=15.0, needed=54.6).short
    assert not Settings("quick", ALL, budget=15.0).short


def test_a_dry_run_says_what_is_needed(capsys):
    words = ["run", "--problem", str(LARGE.problem), "--threads", "1", "--dry-run"]
    assert main([*words, "--budget", "2"]) == 0
    out, notes = capsys.readouterr()
    assert "contenders need about" in " ".join(out.split())
    assert "more than the budget of 2 s" in " ".join(notes.split())
    assert main(words) == 0  # the default budget suffices
    assert "more than the budget" not in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("budget", [1.0, 60.0, 149.0])
def test_an_audit_that_could_say_nothing_is_refused(budget):
    with pytest.raises(ConvbenchError, match=r"too short: .* give --budget 150 or more"):
        audit.check_budget(budget)
    audit.check_budget(150.0)


def test_an_audit_is_refused_from_the_command_line(capsys, tmp_path):
    assert main(["audit", "--budget", "60", "--runs", str(tmp_path)]) == 2
    assert "give --budget 150 or more" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_advice_is_enough():
    assert "give --budget 61." in shortfall(60.0, 60.3)


def test_other_programs_do_not_change_the_estimate(monkeypatch):
    before = seconds_needed([LARGE], ALL, (1,), 2.0)
    monkeypatch.setattr("suites.machine.environment.available_memory", lambda: 1)
    assert seconds_needed([LARGE], ALL, (1,), 2.0) == before
