"""The audit: what is planted is exact, and what decides is a run."""

import pytest
from rich.console import Console

from results import read_records
from results.audit import AGAIN, AUDITS, BASELINE, FILE, NAMES
from suites import audit
from suites.bench import Settings
from suites.schedule import Run


def settings(**changes):
    return Settings(suite="audit", algorithms=(), baseline=BASELINE, budget=60.0, **changes)


def test_there_are_pairs_enough_and_all_of_them_differ():
    cases = list(audit.cases())
    assert len({(str(case.problem), name) for case, name in cases}) == len(cases) >= 500


@pytest.mark.parametrize("effect", [e for e in NAMES.values() if e])
def test_what_is_planted_is_a_whole_number_of_calls(effect):
    more = audit.CALLS * effect
    assert round(more) == pytest.approx(more, abs=1e-9)
    assert round(audit.CALLS * (1 + effect)) == audit.CALLS + round(more)


def test_every_pair_is_one_algorithm_under_several_names(tmp_path):
    run = audit.AuditRun(560, settings(), tmp_path)
    assert isinstance(run, Run)
    assert len(run.groups) == 560
    for group in run.groups:
        assert {BASELINE, AGAIN} <= {cell.algorithm for cell in group.cells}
        assert len({cell.runs for cell in group.cells}) == 1
    planted = sum(len(group.cells) == len(NAMES) for group in run.groups)
    assert planted >= 140


def test_an_audit_is_stored_with_what_it_found(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "ALGORITHMS", ("naive",))
    monkeypatch.setattr(audit, "MOST_PAIRS", 2)
    out = Console(record=True, width=100)
    assert (
        audit.run_and_show(settings(min_effect=0.9), tmp_path / AUDITS, out) == 1
    )  # of too few pairs
    (folder,) = (tmp_path / AUDITS).iterdir()
    assert (folder / FILE).is_file()
    records = read_records(folder)
    assert {record["pass"] for record in records.passes} >= set(range(5))
    assert {name for record in records.passes for name in record["samples_s"]} == set(NAMES)
    text = out.export_text()
    for said in ("false alarms", "pytest-benchmark", "pyperf", "Variance between passes", "few"):
        assert said in text
