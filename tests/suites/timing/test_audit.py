"""The audit: planted slow-downs are exact, and a run decides the verdicts."""

import pytest
from rich.console import Console

from results import read_records
from results.verdicts.audit import AGAIN, AUDITS, BASELINE, EFFECTS, FILE, NAMES
from suites.timing import audit
from suites.timing.bench import Settings
from suites.timing.schedule import Run


def settings(**changes):
    return Settings(suite="audit", algorithms=(), baseline=BASELINE, budget=60.0, **changes)


def test_there_are_pairs_enough_and_all_of_them_differ():
    cases = list(audit.cases())
    assert len({(str(case.problem), name) for case, name in cases}) == len(cases) >= 500


@pytest.mark.parametrize(
    ("calls", "effect"), [(calls, e) for calls, all_ in audit.PLANTED.items() for e in all_]
)
def test_what_is_planted_is_a_whole_number_of_calls(calls, effect):
    more = calls * effect
    assert round(more) == pytest.approx(more, abs=1e-9)
    assert round(calls * (1 + effect)) == calls + round(more)


def test_all_effects_are_planted():
    assert sorted(e for all_ in audit.PLANTED.values() for e in all_) == sorted(EFFECTS)


def test_every_pair_is_one_algorithm_under_several_names(tmp_path):
    run = audit.AuditRun(560, settings(), tmp_path)
    assert isinstance(run, Run)
    assert len(run.groups) == 560
    for group in run.groups:
        assert {BASELINE, AGAIN} <= {cell.algorithm for cell in group.cells}
        assert len({cell.runs for cell in group.cells}) == 1
    for effect in EFFECTS:
        name = audit.planted(effect)
        assert sum(name in {c.algorithm for c in group.cells} for group in run.groups) >= 70


@pytest.mark.slow
def test_an_audit_is_stored_with_what_it_found(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "ALGORITHMS", ("naive",))
    monkeypatch.setattr(audit, "MOST_PAIRS", 2)
    monkeypatch.setattr(audit, "FAST", {"naive": 10**9})  # slow-downs in both
    out = Console(record=True, width=100)
    assert (
        audit.run_and_show(settings(min_effect=0.9), tmp_path / AUDITS, out) == 1
    )  # of too few pairs
    (folder,) = (tmp_path / AUDITS).iterdir()
    assert (folder / FILE).is_file()
    records = read_records(folder)
    assert {record.number for record in records.passes} >= set(range(5))
    assert {name for record in records.passes for name in record.samples_s} == set(NAMES)
    text = out.export_text()
    for said in ("false alarms", "pytest-benchmark", "pyperf", "Variance between passes", "few"):
        assert said in text
