"""Ratios to the best peer: pairing, preparation, ties, and rows that are behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from synthetic import cell, write_run

import report
import results
from algos.core.problem import Problem
from results.tables.ratios import direct_ratios, mean_ratio, ratio_sentences, ratios
from results.tables.terminal import show

SMALL, LARGE = Problem(size=(64, 64), kernel=3), Problem(size=(512, 512), kernel=3)
ALGORITHMS = {"algorithms": ["parallel", "fft", "torch", "opencv-filter2d"]}
PEERS = {**ALGORITHMS, "peers": ["torch", "opencv-filter2d"]}


def run(tmp_path: Path) -> Path:
    times = {
        SMALL: {"parallel": 2.0, "fft": 1.0, "torch": 4.0, "opencv-filter2d": 3.0},
        LARGE: {"parallel": 5.0, "fft": 6.0, "torch": 4.0},
    }
    cells = [
        cell(name, problem, samples=[seconds * drift for drift in (1.0, 1.2, 1.1)], prepare_s=1.0)
        for problem, entries in times.items()
        for name, seconds in entries.items()
    ]
    return write_run(tmp_path, cells, **PEERS)


def test_the_fastest_of_ours_meets_the_fastest_peer(tmp_path: Path) -> None:
    small, large = ratios(results.read(run(tmp_path)))
    assert (small.ours, small.peer, small.verdict) == ("fft", "opencv-filter2d", "ahead")
    assert small.ratio == pytest.approx((3.0, 3.0, 3.0))
    assert (large.ours, large.peer, large.verdict) == ("parallel", "torch", "behind")
    assert large.ratio.middle == pytest.approx(0.8)


def test_preparation_counts_where_nothing_was_planned(tmp_path: Path) -> None:
    small, _ = ratios(results.read(run(tmp_path)))
    assert small.unplanned == pytest.approx((3.3 + 1) / (1.1 + 1), rel=1e-2)


def test_the_mean_is_geometric_with_an_interval(tmp_path: Path) -> None:
    mean = mean_ratio(ratios(results.read(run(tmp_path))))
    assert mean.middle == pytest.approx((3.0 * 0.8) ** 0.5)
    assert mean.low < mean.middle < mean.high


def test_rows_that_fall_short_are_named(tmp_path: Path) -> None:
    first, *short = ratio_sentences(ratios(results.read(run(tmp_path))))
    assert "1 of 2 rows" in first and "1.55×" in first
    assert len(short) == 1 and "torch" in short[0] and "0.80×" in short[0]


def test_report_and_terminal_show_the_table(tmp_path: Path) -> None:
    folder = run(tmp_path)
    frame = results.read(folder)
    assert "fastest peers" in report.page_text(frame, [], folder)
    console = Console(record=True, width=160)
    show(frame, console)
    assert "best peer" in console.export_text()


def test_no_peers_no_table(tmp_path: Path) -> None:
    frame = results.read(write_run(tmp_path, [cell("naive"), cell("fft")]))
    assert ratios(frame) == []
    assert "fastest peers" not in report.page_text(frame, [], tmp_path)


def test_a_second_table_is_among_algorithms_with_a_direct_sums_accuracy(tmp_path: Path) -> None:
    times = {"parallel": 2.0, "fft": 1.0, "torch": 4.0, "opencv-filter2d": 3.0}
    normwise = ("fft", "opencv-filter2d")
    cells = [
        cell(
            name, SMALL, samples=[seconds] * 3, relative_error=1e-7,
            accuracy="normwise" if name in normwise else "direct",
        )
        for name, seconds in times.items()
    ]  # fmt: skip
    frame = results.read(write_run(tmp_path, cells, **PEERS))
    (over_all,), (equal,) = ratios(frame), direct_ratios(frame)
    assert (over_all.ours, over_all.peer) == ("fft", "opencv-filter2d")
    assert (equal.ours, equal.peer, equal.error) == ("parallel", "torch", 1e-7)
    winners = frame.set_index("algorithm")
    assert winners.index[winners["winner"]].tolist() == ["fft"]
    assert winners.index[winners["direct_winner"]].tolist() == ["parallel"]
    assert "direct sum's accuracy" in report.page_text(frame, [], tmp_path)


def test_without_an_accuracy_there_is_one_table(tmp_path: Path) -> None:
    assert direct_ratios(results.read(run(tmp_path))) == []
