"""Histories of synthetic runs: machine drift cancels, machines are kept apart, rows are told."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from history_runs import PROBLEMS, write_history
from rich.console import Console
from synthetic import ENVIRONMENT, cell, write_run

from algos.core.errors import ConvbenchError
from results.records.differences import clauses, same_machine
from results.tables.history import histories
from results.tables.history_rows import as_json, between, markdown, rows, sentences, show
from results.tables.labels import percent
from results.verdicts.statistics import Interval

pytest.importorskip("ruptures")
STEADY = [0.5] * 8
STEP = [0.3] * 5 + [0.36] * 3


def only(folder: Path, **options: object):
    found, remarks = histories(folder, "quick", **options)
    assert remarks == []
    (history,) = found
    return history


def verdicts(history) -> dict[str, str]:
    return {one.algorithm: one.verdict for one in history.series}


def test_a_step_is_found_and_its_run_named(tmp_path: Path) -> None:
    runs = write_history(tmp_path, {"fft": STEADY, "im2col": STEP})
    history = only(tmp_path)
    assert verdicts(history) == {"im2col": "slower", "fft": "steady"}
    assert [one.algorithm for one in history.slower] == ["im2col"]
    ((label, threads, name, change, _, since, state, _),) = rows(history)
    assert (label, threads, name, state) == ("64² · 3²", "1", "im2col", "slower")
    assert re.fullmatch(r"\+(19|20|21)\.\d %", change)
    assert since == f"{runs[5].name} (bd6a1ce)"
    assert "slower than before in 1 of 2 series (im2col)" in " ".join(sentences(history))


def test_drift_of_the_machine_cancels(tmp_path: Path) -> None:
    machine = [1.0, 1.1, 1.3, 0.9, 1.6, 1.7, 1.8, 2.5]
    write_history(tmp_path, {"fft": STEADY, "im2col": STEADY}, machine=machine)
    history = only(tmp_path)
    assert set(verdicts(history).values()) == {"steady"}
    np.testing.assert_allclose(np.exp(history.series[0].logs), 0.5, rtol=0.02)


def test_a_creep_is_found_under_drift(tmp_path: Path) -> None:
    creep = list(0.4 * np.linspace(1, 1.12, 16))
    write_history(tmp_path, {"fft": creep, "im2col": [0.5] * 16}, machine=np.linspace(1, 3, 16))
    history = only(tmp_path)
    assert verdicts(history) == {"fft": "creeping slower", "im2col": "steady"}
    assert [one.algorithm for one in history.slower] == ["fft"]
    assert rows(history)[0][5].startswith("creeping since 20261001")


def test_one_run_is_a_sentence(tmp_path: Path) -> None:
    write_history(tmp_path, {"fft": [0.5]})
    history = only(tmp_path)
    assert rows(history) == []
    assert "One run has no history; a second one makes it one." in sentences(history)


def test_machines_are_kept_apart(tmp_path: Path) -> None:
    other = {"cpu": "Intel Xeon 8481C", "host": "other"}
    write_history(tmp_path, {"fft": [0.5] * 4}, environments=[{}] * 4)
    write_history(tmp_path, {"fft": [0.8] * 5}, environments=[other] * 5, start=2)
    found, _ = histories(tmp_path, "quick")
    assert [(h.machine.split(",")[0], len(h.runs)) for h in found] == [
        ("Intel Xeon 8481C", 5), ("AMD EPYC 9B14", 4),
    ]  # fmt: skip
    assert all(set(verdicts(history).values()) == {"steady"} for history in found)


def test_a_reboot_makes_no_other_machine() -> None:
    now = {**ENVIRONMENT, "memory_bytes": ENVIRONMENT["memory_bytes"] - 454656}
    assert same_machine(ENVIRONMENT, now)
    assert list(clauses(ENVIRONMENT, now)) == []
    assert not same_machine(ENVIRONMENT, {**now, "memory_bytes": 16 << 30})


def test_cold_caches_are_apart(tmp_path: Path) -> None:
    write_history(tmp_path, {"fft": [0.5] * 2})
    write_history(tmp_path, {"fft": [0.9] * 2}, settings={"cold_cache": True}, start=9)
    found, _ = histories(tmp_path, "quick")
    assert [len(history.runs) for history in found] == [2, 2]
    assert "cold caches" in found[0].machine


def test_other_suites_and_damaged_runs_are_left_out(tmp_path: Path) -> None:
    runs = write_history(tmp_path, {"fft": [0.5] * 4})
    write_run(tmp_path, [cell("fft")], suite="sizes")
    damaged = runs[0] / "records.jsonl"
    damaged.write_text(damaged.read_text() + "{}\n")
    write_run(tmp_path, [cell("fft", status="failed")], started="2026-12-01T00:00:00")
    found, remarks = histories(tmp_path, "quick")
    assert [len(history.runs) for history in found] == [3]
    assert len(remarks) == 2
    assert all(remark.startswith("a run is left out: ") for remark in remarks)


def test_any_algorithm_may_be_the_anchor(tmp_path: Path) -> None:
    write_history(tmp_path, {"fft": STEADY, "im2col": STEP})
    assert verdicts(only(tmp_path, anchor="im2col")) == {"fft": "faster", "naive": "faster"}
    with pytest.raises(ConvbenchError, match="timed the anchor 'fftt'; did you mean 'fft'"):
        histories(tmp_path, "quick", anchor="fftt")


def test_a_change_of_the_anchor_is_suspected(tmp_path: Path) -> None:
    write_history(tmp_path, {"fft": STEP, "im2col": [2 * level for level in STEP]})
    said = " ".join(sentences(only(tmp_path)))
    assert "naive, the anchor, may have changed instead" in said


def test_a_changed_version_is_named_beside_its_step(tmp_path: Path) -> None:
    versions = [{"numba": "0.64.0"}] * 5 + [{"numba": "0.65.1"}] * 3
    write_history(tmp_path, {"fft": STEP, "im2col": STEADY}, environments=versions)
    assert rows(only(tmp_path))[0][7] == "numba was 0.64.0, is 0.65.1"


def test_a_series_that_ended_fails_nothing(tmp_path: Path) -> None:
    write_history(tmp_path, {"fft": STEADY[:7], "im2col": STEP[:7]})
    write_history(tmp_path, {"fft": [0.5]}, start=20)
    history = only(tmp_path)
    assert verdicts(history)["im2col"] == "slower"
    assert history.slower == []


def test_problems_have_series_of_their_own(tmp_path: Path) -> None:
    write_history(tmp_path, {"fft": STEADY}, problems=PROBLEMS)
    assert sorted(one.label for one in only(tmp_path).series) == ["256² · 7²", "64² · 3²"]


def test_an_unknown_suite_and_an_empty_folder_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(ConvbenchError, match="no runs yet"):
        histories(tmp_path, "quick")
    write_history(tmp_path, {"fft": [0.5]})
    with pytest.raises(ConvbenchError, match=r"no run of the suite 'quik'.*did you mean 'quick'"):
        histories(tmp_path, "quik")


def test_formats_hold_the_same_changes(tmp_path: Path) -> None:
    libraries = [{}] * 5 + [{"blas": "a|b"}] * 3
    write_history(tmp_path, {"fft": STEADY, "im2col": STEP}, environments=libraries)
    found, _ = histories(tmp_path, "quick")
    content = json.loads(as_json(found))["histories"][0]
    (slower,) = [one for one in content["series"] if one["verdict"] == "slower"]
    assert slower["steps"][0]["run"] == 5
    assert slower["steps"][0]["low"] < 1.2 < slower["steps"][0]["high"]
    assert len(slower["ratio"]) == len(content["runs"]) == 8
    page = markdown(found)
    table = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(table) == 3
    assert {line.replace(r"\|", "").count("|") for line in table} == {9}
    console = Console(width=160, record=True, quiet=False, file=io.StringIO())
    show(found[0], console)
    text = console.export_text()
    assert all(cell in text for cell in ("im2col", "64² · 3²", "slower"))


def test_changes_read_like_percentages() -> None:
    assert [percent(ratio) for ratio in (1.0, 1.083, 0.914, 0.5, 3.0)] == [
        "0.0 %", "+8.3 %", "−8.6 %", "−50.0 %", "+200.0 %",
    ]  # fmt: skip
    assert between(Interval(1.1, 1.08, 1.12)) == "+8.0 … +12.0 %"


def test_a_header_that_says_little_is_enough(tmp_path: Path) -> None:
    for day in (1, 2):
        write_run(
            tmp_path, [cell("naive"), cell("fft")], environment=None, settings=None,
            started=f"2026-10-0{day}", baseline=None,
        )  # fmt: skip
    history = only(tmp_path)
    assert history.machine == "a machine that is not known"
    assert len(history.runs) == 2
    assert ENVIRONMENT["cpu"] not in markdown([history])
