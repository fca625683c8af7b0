"""The roofline computed by hand, and its columns and figures in a run."""

import math

import pytest
from synthetic import LIMITS, cell, measured, write_run

import results
from algos import Problem
from results.figures import draw as figures
from results.figures.style import rc_context
from results.tables import roofline


@pytest.mark.parametrize(
    ("threads", "operations", "size", "seconds"),
    [
        (1, 100e9, 1000, 1.0),  # arithmetic
        (1, 1, 1000, 1000 / 100e9),
        (1, 1, 1001, 1001 / 50e9),  # no longer in L1
        (1, 1, 100_000, 100_000 / 20e9),
        (1, 1, 1_000_000, 1_000_000 / 10e9),
        (4, 1, 4000, 4000 / 500e9),  # four L1s, and the motion that was quicker
        (4, 1, 100_001, 100_001 / 15e9),  # but one L3
        (2, 200e9, 10, 1.0),  # between one thread and all
        (2, 1, 1_000_000, 1_000_000 / 15e9),
        (8, 300e9, 10, 1.0),
    ],
)
def test_attainable_is_the_longer_of_arithmetic_and_traffic(threads, operations, size, seconds):
    found = roofline.attainable(LIMITS, "float32", threads, operations, size)
    assert found == pytest.approx(seconds)


def test_what_was_not_measured_is_nan():
    assert math.isnan(roofline.attainable(None, "float32", 1, 1.0, 1.0))
    assert math.isnan(roofline.attainable(LIMITS, "float64", 1, 1.0, 1.0))
    assert math.isnan(roofline.attainable(LIMITS, "float32", 1, 1.0, math.nan))


def test_columns_of_a_run(tmp_path):
    problem = Problem(size=(16, 16), kernel=3, padding="same")
    cells = [
        cell("naive", problem, samples=[4e-6] * 3),
        cell("fft", problem, status="failed", reason="no"),
    ]
    frame = results.read(write_run(tmp_path, cells, limits=LIMITS))
    naive, fft = (frame.iloc[i] for i in (0, 1))
    size = problem.compulsory_bytes
    assert naive["intensity"] == pytest.approx(2 * problem.multiply_adds / size)
    assert naive["attainable_s"] == pytest.approx(
        max(2 * problem.multiply_adds / 100e9, size / 50e9)
    )
    assert naive["roofline_percent"] == pytest.approx(100 * naive["attainable_s"] / 4e-6)
    assert fft["attainable_s"] == naive["attainable_s"]
    assert math.isnan(fft["roofline_percent"])


def test_runs_without_limits_have_no_roof(tmp_path):
    frame = results.read(write_run(tmp_path, [cell("naive")]))
    assert frame["intensity"].notna().all()
    assert frame["attainable_s"].isna().all()
    with rc_context():
        assert not [s for s in figures.sheets(frame) if "roof" in s.name]


def test_the_figure_shows_every_roof_and_cell(tmp_path):
    cells = [
        one
        for threads in (1, 4)
        for kernel in (3, 9)
        for one in measured(Problem(size=(32, 32), kernel=kernel, padding="same"), threads=threads)
    ]
    frame = results.read(write_run(tmp_path, cells, limits=LIMITS))
    with rc_context():
        drawn = {sheet.name: sheet for sheet in figures.sheets(frame)}
    sheet = drawn["roofline"]
    assert "machine's limit" in sheet.question
    assert len(sheet.axes) == 2
    for axes, peak in zip(sheet.axes, ("100", "300"), strict=True):
        texts = " ".join(text.get_text() for text in axes.texts)
        assert f"peak {peak} GFLOP/s" in texts
        for level in LIMITS["bandwidth"]:
            assert f"{level} " in texts
        low, high = axes.get_ylim()
        assert all(low < y < high for line in axes.get_lines()[5:] for y in line.get_ydata())
    assert "share-of-roofline" in drawn
