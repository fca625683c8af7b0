"""Agreement of sentences and rows of a run: times, ratios, leads, and missing cells."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from synthetic import cell, measured, write_run

import report
import results
from algos.core.problem import Problem
from results.records.run import EndRecord
from results.tables.ratios import ratios
from results.tables.summary import summary, verdicts
from results.tables.terminal import show
from results.verdicts.decide import judge
from results.verdicts.statistics import drift, group_times, shared_levels, time_drift

IMAGE = Problem(size=(64, 64), kernel=5, padding="same")
BUSY = {"other_cores": 1.04, "steal": 0.0, "switches": 300, "sampled_s": 2.0}


def noisy(time: float, passes: int, seed: int, late: float = 1.0, change: int = 5) -> list[float]:
    """Return noisy samples of `time`, `late` times as long from pass `change` on."""
    noise = np.exp(np.random.default_rng(seed).normal(0, 0.004, passes))
    return [time * float(n) * (late if at >= change else 1) for at, n in enumerate(noise)]


def table(folder: Path, cells: list[dict], **changes: Any) -> pd.DataFrame:
    return results.read(write_run(folder, cells, **changes))


def printed(frame: pd.DataFrame) -> str:
    out = io.StringIO()
    show(frame, Console(file=out, width=160))
    return out.getvalue()


def the_contradiction() -> list[dict]:
    """Return a baseline that left after 5 passes, and two others, one slowing by 40 %."""
    return [
        cell("naive", IMAGE, samples=noisy(271e-3, 5, 0)),
        cell("fft", IMAGE, samples=noisy(3.98e-3, 74, 1, late=1.43)),
        cell("parallel", IMAGE, samples=noisy(4.75e-3, 74, 2, late=1.12)),
    ]


def test_speedups_are_ratios_of_the_times_beside_them(tmp_path: Path) -> None:
    frame = table(tmp_path, the_contradiction()).set_index("algorithm")
    for name in ("fft", "parallel"):
        row = frame.loc[name]
        assert row["speedup"] == pytest.approx(frame.loc["naive", "time_s"] / row["time_s"])
        assert row["speedup_low"] <= row["speedup"] <= row["speedup_high"]
    assert frame.loc["naive", "time_s"] == pytest.approx(271e-3, rel=0.01)
    assert frame["winner"].idxmax() == frame["time_s"].idxmin() == frame["speedup"].idxmax()


def test_a_single_pass_has_ratios_that_agree_with_its_times(tmp_path: Path) -> None:
    taken = {"naive": [[8.0, 9.0, 30.0]], "fft": [[2.0, 1.0, 9.0]]}
    times = group_times({name: dict(enumerate(passes)) for name, passes in taken.items()})
    assert times["naive"].middle / times["fft"].middle == pytest.approx(4.5)


def test_levels_are_plain_means_where_all_share_their_passes() -> None:
    rng = np.random.default_rng(0)
    times = {name: dict(enumerate(rng.normal(size=6))) for name in "abc"}
    found = shared_levels(times)
    for name, values in times.items():
        assert found[name] == pytest.approx(np.mean([*values.values()]))


def test_levels_do_not_mind_that_the_machine_changes_when_one_has_left() -> None:
    machine = [0.0] * 5 + [0.7] * 20
    times = {
        "naive": {at: 5.0 + machine[at] for at in range(5)},
        "fft": {at: 1.0 + machine[at] for at in range(25)},
        "parallel": {at: 1.1 + machine[at] for at in range(25)},
    }
    assert shared_levels(times) == pytest.approx({"naive": 5.0, "fft": 1.0, "parallel": 1.1})


def test_a_step_and_a_slope_are_drift_and_noise_is_none() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.01, 20)
    assert drift(noise + 0.3 * (np.arange(20) >= 4)) == pytest.approx(0.3, abs=0.02)
    assert drift(noise + 0.02 * np.arange(20)) > 0.1
    found = sum(drift(rng.normal(size=14)) != 0 for _ in range(500))
    assert found < 20
    assert drift([1.0, 1.0, 1.0, 1.0, 1.0, 1.0]) == 0
    assert drift([]) == 0


def test_drift_that_could_overturn_a_lead_keeps_it_undecided(tmp_path: Path) -> None:
    frame = table(tmp_path, the_contradiction())
    best = frame[frame["winner"]].iloc[0]
    assert not best["decided"]
    assert "drifts between early and late passes" in best["doubt"]
    assert frame.set_index("algorithm").loc["fft", "drift"] == pytest.approx(1.43, rel=0.02)
    said = " ".join(verdicts(frame))
    assert "Late passes took longer or less long than early ones in 2 of 3 cells" in said
    assert "fft on 64² · 5² 1.4×" in said
    assert "drift" in printed(frame)


def test_a_verdict_is_taken_back_where_later_passes_drift_away() -> None:
    group = {
        "base": dict(enumerate([one] for one in noisy(1.0, 28, 3))),
        "mine": dict(enumerate([one] for one in noisy(0.8, 28, 4, late=1.4, change=9))),
    }
    early = {name: {at: s for at, s in taken.items() if at < 7} for name, taken in group.items()}
    assert judge({0: early}, "base", 0.02).verdict(0, "mine", "base") == "faster"
    late = judge({0: group}, "base", 0.02)
    assert late.verdict(0, "mine", "base") == "undecided"
    assert late.drifting(0, "base", "mine")


def test_a_large_lead_outlives_a_small_drift(tmp_path: Path) -> None:
    frame = table(tmp_path, [
        cell("naive", IMAGE, samples=noisy(90.0, 12, 5)),
        cell("fft", IMAGE, samples=noisy(1.0, 12, 6, late=1.3)),
    ]).set_index("algorithm")  # fmt: skip
    assert frame.loc["fft", "verdict"] == "faster"
    assert frame.loc["fft", "decided"]
    assert frame.loc["fft", "drift"] == pytest.approx(1.3, rel=0.02)


def test_a_lead_smaller_than_what_the_winner_drifted_after_the_other_had_left(
    tmp_path: Path,
) -> None:
    frame = table(tmp_path, [
        cell("naive", IMAGE, samples=noisy(1.5, 5, 7)),
        cell("fft", IMAGE, samples=noisy(1.0, 20, 8, late=2.2, change=10)),
    ]).set_index("algorithm")  # fmt: skip
    assert frame.loc["fft", "verdict"] == "undecided"
    assert not frame.loc["fft", "decided"]
    assert frame.loc["fft", "rivals"] == "naive"


def test_time_drift_is_late_over_early() -> None:
    assert time_drift(dict(enumerate([one] for one in noisy(1.0, 20, 9, late=2.0)))) == (
        pytest.approx(2.0, rel=0.01)
    )
    assert time_drift({0: [1.0]}) == 1


def test_too_few_passes_are_not_called_noise(tmp_path: Path) -> None:
    frame = table(tmp_path, measured(IMAGE, blocks=2), end="out of budget")
    assert summary(frame)[0].doubt == "not decided yet (2 of 5 passes)"
    report.build(frame.attrs["path"])
    page = (Path(frame.attrs["path"]) / "report.md").read_text(encoding="utf-8")
    for text in (printed(frame), page):
        assert "not decided yet (2 of 5 passes)" in text
        assert "within the noise" not in text


def with_lacking(late: str) -> list[dict]:
    """Return 31 problems: fft is best overall but lacks 2; parallel has all."""
    cells = []
    for number in range(31):
        problem = Problem(size=(64 + number, 64), kernel=5, padding="same")
        cells += [
            cell("naive", problem, samples=[9.0] * 5),
            cell("parallel", problem, samples=[2.0 + 0.01 * (number % 7)] * 5),
            cell("fft", problem, samples=[1.0] * 5)
            if number > 1
            else cell("fft", problem, status="skipped", reason=late),
        ]
    return cells


def test_an_algorithm_that_lacks_cells_for_want_of_budget_is_judged_and_named(
    tmp_path: Path,
) -> None:
    late = "the time budget of 60 s was spent; raise --budget"
    frame = table(tmp_path, with_lacking(late), end="out of budget")
    (said,) = [text for text in verdicts(frame) if text.startswith("Were one algorithm")]
    assert "fft would cost least, on the 29 of 31 that all have done" in said
    assert "fft lacks 2 of 31 for want of budget" in said
    undecided = frame[frame["winner"] & ~frame["decided"]]
    assert undecided["rivals"].tolist() == ["fft", "fft"]
    assert undecided["doubt"].unique().tolist() == ["not compared with fft for want of budget"]


def test_what_was_too_slow_for_the_call_limit_is_named_for_that(tmp_path: Path) -> None:
    slow = "one call would take about 3 s at the best pace it showed, longer than --call-limit 2 s"
    frame = table(tmp_path, with_lacking(slow))
    (said,) = [text for text in verdicts(frame) if text.startswith("Were one algorithm")]
    assert "fft lacks 2 of 31 as too slow for --call-limit" in said
    assert frame.loc[frame["winner"], "decided"].all()


def test_ratios_against_peers_agree_with_the_times_beside_them(tmp_path: Path) -> None:
    cells = [
        cell("fft", IMAGE, samples=noisy(1.0, 12, 10, late=1.5)),
        cell("opencv-filter2d", IMAGE, samples=noisy(2.0, 5, 11)),
    ]
    (found,) = ratios(table(tmp_path, cells, peers=["opencv-filter2d"]))
    assert found.ratio.middle == pytest.approx(found.peer_s / found.ours_s)


def busy_run(folder: Path, cells: list[dict], noise: dict[str, Any] = BUSY) -> pd.DataFrame:
    path = write_run(folder, cells, end=None)
    with results.RunWriter.reopen(path) as writer:
        writer.append(EndRecord(noise=noise))
    return results.read(path)


def test_a_busy_machine_is_a_note_where_verdicts_were_decided(tmp_path: Path) -> None:
    cells = [
        cell("naive", IMAGE, samples=noisy(9.0, 7, 12)),
        cell("fft", IMAGE, samples=noisy(1.0, 7, 13)),
    ]
    frame = busy_run(tmp_path, cells)
    assert frame.attrs["noise"] == BUSY
    assert frame.attrs["disturbance"]["level"] == "note"
    (sentence,) = frame.attrs["disturbance"]["sentences"]
    assert "kept 1.0 cores busy" in sentence  # logical cores, unlike those of the environment
    assert "150 times a second" in sentence
    assert "of 1 problem 1 could be decided all the same" in sentence
    assert "not to be trusted" not in printed(frame)
    assert "Note: other processes" in printed(frame)
    page = report.build(frame.attrs["path"])[0].read_text(encoding="utf-8")
    assert "- Note: other processes" in page
    assert "machine not quiet" in page


def test_a_busy_machine_is_not_trusted_where_the_samples_suffered(tmp_path: Path) -> None:
    rng = np.random.default_rng(14)
    cells = [
        cell(name, IMAGE, samples=time * np.exp(rng.normal(0, 0.8, 7)))
        for name, time in (("naive", 1.2), ("fft", 1.0), ("parallel", 1.1))
    ]
    frame = busy_run(tmp_path, cells)
    assert frame.attrs["disturbance"]["level"] == "distrust"
    assert "Warning: other processes" in printed(frame)
    page = report.build(frame.attrs["path"])[0].read_text(encoding="utf-8")
    assert page.count("not to be trusted") >= 2  # the sentence and the figure


def test_a_busy_machine_is_a_note_where_a_beaten_baseline_left_early(tmp_path: Path) -> None:
    cells = [
        cell("naive", IMAGE, samples=noisy(9.0, 1, 12)),
        cell("fft", IMAGE, samples=noisy(1.0, 7, 13)),
        cell("parallel", IMAGE, samples=noisy(2.0, 7, 14)),
    ]
    assert busy_run(tmp_path, cells).attrs["disturbance"]["level"] == "note"


def test_a_quiet_machine_is_not_mentioned(tmp_path: Path) -> None:
    quiet = {"other_cores": 0.02, "steal": 0.0, "switches": 3, "sampled_s": 2.0}
    frame = busy_run(tmp_path, measured(IMAGE), quiet)
    assert frame.attrs["disturbance"] == {"level": "quiet", "sentences": []}
