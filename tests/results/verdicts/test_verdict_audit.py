"""Counts of an audit on simulated samples, and the effect of its result."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import ENVIRONMENT, cell, header, write_run

import report
import results
from results.records.run import PassRecord, RunRecords
from results.tables.summary import verdicts
from results.verdicts.audit import AGAIN, AUDITS, FILE, NAMES, Rate, audit_of, objection, save
from results.verdicts.others import RULES, pyperf_significant


def audited(folder: Path, pairs: int, passes: int, spread: float = 0.01) -> RunRecords:
    """Write an audit with correct samples, and noise between and within passes."""
    rng = np.random.default_rng(pairs)
    shape = (passes, pairs, len(NAMES), 3)
    noise = np.exp(rng.normal(0, spread, (*shape[:3], 1)) + rng.normal(0, spread, shape))
    records = [
        PassRecord(
            group=group, number=number,
            samples_s={
                name: list((1 + effect) * noise[number, group, at])
                for at, (name, effect) in enumerate(NAMES.items())
            },
        )
        for number in range(passes)
        for group in range(pairs)
    ]  # fmt: skip
    folder.mkdir(exist_ok=True)
    return RunRecords(folder, header(suite="audit", min_effect=0.02), [], records, None)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> RunRecords:
    return audited(tmp_path_factory.mktemp("runs"), 120, 14, 0.007)


def test_a_sound_harness_meets_its_targets(sound: RunRecords) -> None:
    found = audit_of(sound)
    assert found.shortcomings == []
    assert found.alarms["convbench"].hits == 0
    assert found.power["convbench"]["A +5 %"].interval[0] > 0.95
    assert found.power["convbench"]["A +1 %"].interval[0] < 0.05
    low, high = found.coverage[AGAIN].interval
    assert low < 0.95 < high
    low, high = found.variances[1:]
    assert low < 1.0 < high  # equal variance between passes and within
    assert found.passes == 14


def test_rules_without_a_test_see_what_is_not_there(sound: RunRecords) -> None:
    alarms = audit_of(sound).alarms
    assert set(alarms) == {"convbench", *RULES}
    assert alarms["pytest-benchmark mean"].interval[0] > 0.03
    assert alarms["pyperf"].interval[0] > 0.05  # samples of one process are not independent


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    run = audited(tmp_path, 100, 5, spread=0.001)
    biased = [
        replace(r, samples_s={**r.samples_s, AGAIN: [2 * (s or 0) for s in r.samples_s[AGAIN]]})
        for r in run.passes
    ]
    found = audit_of(RunRecords(run.path, run.header, [], biased, None))
    assert found.alarms["convbench"] == Rate(100, 100)
    assert [sentence.split(" ")[0] for sentence in found.shortcomings] == ["false", "coverage"]


def test_the_interval_of_a_rate_is_exact() -> None:
    from scipy.stats import beta

    assert Rate(3, 500).interval == pytest.approx(
        (beta.ppf(0.025, 3, 498), beta.ppf(0.975, 4, 497))
    )
    assert str(Rate(0, 500)) == "0 (0.0–0.7)"
    assert str(Rate(52, 53)) == "98.1 (90–100)"
    assert str(Rate(0, 0)) == "–"


def test_pyperf_itself_says_the_same() -> None:
    theirs = pytest.importorskip("pyperf._utils").is_significant
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.01, 0.02, 0.03) * 10:
        one, other = rng.normal(1, 0.03, 15), rng.normal(1 + shift, 0.03, 15)
        assert pyperf_significant(one, other) == theirs(list(one), list(other))[0]


@pytest.mark.parametrize("statistic", ["min", "mean", "median"])
def test_pytest_benchmark_itself_says_the_same(statistic: str) -> None:
    from pytest_benchmark.utils import parse_compare_fail

    rng = np.random.default_rng(1)
    for shift in (0.0, 0.02, 0.04) * 5:
        one, other = np.exp(rng.normal(0, 0.01, 9)), np.exp(rng.normal(shift, 0.01, 9))
        stats = [{statistic: float(getattr(np, statistic)(side))} for side in (one, other)]
        check = parse_compare_fail(f"{statistic}:2%")
        fails = [check.fails(new, old) for new, old in (stats, stats[::-1])]
        rule = RULES[f"pytest-benchmark {statistic}"]
        assert rule({0: list(one)}, {0: list(other)}) == any(fails)


def test_an_audit_holds_for_its_machine_and_the_last_one_counts(tmp_path: Path) -> None:
    folder = tmp_path / AUDITS
    assert "have not been audited" in str(objection(folder, ENVIRONMENT))
    folder.mkdir()
    run = audited(folder / "sound", 100, 5, spread=0.001)
    save(audit_of(run), run)
    assert objection(folder, ENVIRONMENT) is None
    assert "have not been audited" in str(objection(folder, {**ENVIRONMENT, "numba": "9.9"}))
    content = json.loads((run.path / FILE).read_text())
    content |= {"shortcomings": ["false alarms 9 %"], "started": "2027-01-01"}
    (folder / "later").mkdir()
    (folder / "later" / FILE).write_text(json.dumps(content))
    assert "false alarms 9 %" in str(objection(folder, ENVIRONMENT))


def test_strict_reports_withhold_verdicts_without_an_audit(tmp_path: Path) -> None:
    cells = [cell("naive", samples=[2.0] * 7), cell("fft", samples=[1.0] * 7)]
    path = write_run(tmp_path, cells)
    assert results.read(path)["verdict"].to_list() == ["", "faster"]
    page = report.build(path, strict=True)[0].read_text()
    assert "Verdicts are withheld: this machine" in page
    assert "withheld" in (path / "table.md").read_text()
    (tmp_path / AUDITS).mkdir()
    run = audited(tmp_path / AUDITS / "sound", 100, 5, spread=0.001)
    save(audit_of(run), run)
    assert "withheld" not in report.build(path, strict=True)[0].read_text()
    frame = results.read(write_run(tmp_path, cells, withheld="there was no audit"))
    assert frame["verdict"].to_list() == ["", "withheld"]
    assert "Verdicts are withheld: there was no audit." in verdicts(frame)
