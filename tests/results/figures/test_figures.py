"""Choice of the figures of a run, and their legibility."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Annotation, Text
from synthetic import LIMITS, cell, grid, layers, measured, troubled, write_run

import results
from algos.core.problem import Problem
from results.figures.draw import draw, sheets
from results.figures.looks import look
from results.figures.style import Sheet, rc_context, spread_out
from results.tables.labels import lead_text, times_text


def channels() -> list[dict[str, Any]]:
    counts = (1, 4, 16, 64, 256)
    problems = [
        Problem(size=(28, 28), kernel=k, in_channels=c, out_channels=c, padding="same")
        for k in (1, 3)
        for c in counts
    ]
    return [record for problem in problems for record in measured(problem, blocks=4)]


def photo() -> list[dict[str, Any]]:
    return [
        record
        for pixels, size in (("photograph", (600, 512)), ("mri", (256, 256)))
        for weights, kernel in (("gaussian:15", 15), ("sobel-x", 3), ("a/long/kernel-name.npy", 5))
        for record in measured(
            Problem(size=size, kernel=kernel, padding="same"), weights=weights, pixels=pixels
        )
    ]


PEERS = ("opencv-filter2d", "torch-channels-last")

RUNS: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "sizes": (
        grid((64, 256, 1024), (3, 15, 31), threads=(1, 2), weights=("random", "rank1")),
        ["winner-size-kernel", "time-over-size-1-thread", "time-over-size-2-threads",
         "speedup-over-kernel-1-thread", "speedup-over-kernel-2-threads"],
    ),
    "quick": (
        grid((64, 256, 512), (3, 7, 31)) + grid((512,), (7, 31), weights=("gaussian",)) + layers(),
        ["winner-size-kernel", "time-over-size", "time-over-kernel", "speedup-over-kernel",
         "throughput", "speedup-of-layers"],
    ),
    "kernels": (
        grid((256,), (1, 3, 7, 15, 31, 63, 127), weights=("rank1",)),
        ["time-over-kernel", "speedup-over-kernel"],
    ),
    "channels": (
        channels(),
        ["winner-channels-kernel", "time-over-channels", "speedup-over-channels"],
    ),
    "layers": (layers((1, 2)), ["throughput", "speedup-of-layers"]),
    "photo": (photo(), ["time-of-problems", "speedup-of-problems"]),
    "single": (troubled(), ["time-of-each"]),
    "single, two thread counts": (
        [r for t in (1, 2) for r in measured(Problem(size=(9, 9), kernel=3), threads=t)],
        ["time-of-each"],
    ),
    "two groups that share no size": (
        grid((64, 128, 256), (3, 7))
        + [r for s in (14, 28, 56) for r in measured(
            Problem(size=(s, s), kernel=3, in_channels=64, out_channels=64, padding="same"))],
        ["winner-size-kernel", "time-over-size", "time-over-size-64-channels",
         "speedup-over-size", "speedup-over-size-64-channels"],
    ),
    "volumes and signals": (
        [r for axes in (1, 3) for s in (16, 32, 64) for r in measured(
            Problem(size=(s,) * axes, kernel=3, padding="same"))],
        ["time-over-size", "speedup-over-size"],
    ),
    "no baseline": (
        [r for s in (16, 32, 64) for r in measured(
            Problem(size=(s, s), kernel=3), algorithms=("fft", "parallel"))],
        ["time-over-size"],
    ),
    "one algorithm, one sample": (
        [cell("fft", Problem(size=(s, s), kernel=3), samples=[s * 1e-6]) for s in (16, 32, 64)],
        ["time-over-size"],
    ),
    "with peers": (
        [r for t in (1, 2) for s in (16, 32, 64) for r in measured(
            Problem(size=(s, s), kernel=3), threads=t, algorithms=("fft", "parallel", *PEERS))],
        ["against-peers", "time-over-size"],
    ),
    "nothing timed": (troubled()[2:], []),
    "empty": ([], []),
}  # fmt: skip


#: Runs of many figures, which take long to draw.
LARGE = ("sizes", "kernels", "channels", "two groups that share no size", "volumes and signals")


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in RUNS]
)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[pd.DataFrame, list[str]]:
    cells, expected = RUNS[request.param]
    return results.read(write_run(tmp_path, cells, peers=PEERS)), expected


def texts(sheet: Sheet) -> Iterator[Text]:
    for found in sheet.figure.findobj(Text):
        if isinstance(found, Text) and found.get_visible() and found.get_text().strip():
            yield found


def outside_ticks(sheet: Sheet) -> set[Text]:
    """Return the labels of ticks beyond the limits; matplotlib never draws them."""
    hidden = set()
    for axes in sheet.axes:
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = min(low, high), max(low, high)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low <= tick.get_loc() <= high:
                    hidden |= {tick.label1, tick.label2}
    return hidden


def test_the_figures_follow_from_the_data_and_everything_on_them_can_be_read(
    run: tuple[pd.DataFrame, list[str]],
) -> None:
    frame, expected = run
    with rc_context():
        made = sheets(frame)
        assert [sheet.name for sheet in made] == expected
        for sheet in made:
            check(sheet)


def check(sheet: Sheet) -> None:
    """Check that nothing is cut off, names do not overlap, and no legend covers data."""
    figure = sheet.figure
    figure.draw_without_rendering()
    page = figure.bbox.padded(1)
    drawn = [text for text in texts(sheet) if text not in outside_ticks(sheet)]
    boxes = [(text.get_text(), text.get_window_extent()) for text in drawn]
    for words, box in boxes:
        assert page.x0 <= box.x0 and box.x1 <= page.x1, f"{sheet.name}: {words!r} is cut off"
        assert page.y0 <= box.y0 and box.y1 <= page.y1, f"{sheet.name}: {words!r} is cut off"
    for axes in sheet.axes:
        names = [child for child in axes.get_children() if isinstance(child, Annotation)]
        spans = [(name.get_text(), name.get_window_extent()) for name in names]
        for (one, first), (other, second) in itertools.combinations(spans, 2):
            shared = min(first.y1, second.y1) - max(first.y0, second.y0)
            beside = first.x1 < second.x0 or second.x1 < first.x0
            assert beside or shared < 0.35 * first.height, f"{sheet.name}: {one} meets {other}"
    for legend in figure.legends:
        box = legend.get_window_extent()
        for axes in sheet.axes:
            assert not box.overlaps(axes.get_window_extent()), sheet.name
    heading = [text.get_window_extent() for text in figure.texts]
    for text in heading:
        for axes in sheet.axes:
            assert not text.overlaps(axes.get_tightbbox()), f"{sheet.name}: heading meets panel"


@pytest.mark.slow
def test_pictures_are_written_whole_in_both_formats(tmp_path: Path) -> None:
    frame = results.read(write_run(tmp_path, grid((64, 128, 256), (3, 31))))
    pictures = draw(frame, tmp_path / "figures")
    files = [file for picture in pictures for file in picture.files]
    assert sorted(files) == sorted((tmp_path / "figures").iterdir())
    for file in files:
        content = file.read_bytes()
        assert content.startswith(b"\x89PNG" if file.suffix == ".png" else b"<?xml")
    svg = {file: file.read_bytes() for file in files if file.suffix == ".svg"}
    draw(frame, tmp_path / "figures")
    assert all(file.read_bytes() == content for file, content in svg.items())


def test_the_winner_map_says_where_it_is_undecided(tmp_path: Path) -> None:
    cells = []
    for size, kernel in itertools.product((64, 128, 256), (3, 5)):
        problem = Problem(size=(size, size), kernel=kernel, padding="same")
        close = 1.0 if size == 64 else 3.0
        for name, factor in (("fft", 1.0), ("im2col", close)):
            wobble = [1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0] if name == "fft" else [1.0] * 7
            cells.append(cell(name, problem, samples=[1e-3 * factor * w for w in wobble]))
    frame = results.read(write_run(tmp_path, cells))
    with rc_context():
        first = sheets(frame)[0]
    words = [text.get_text() for text in first.axes[0].texts]
    assert sum(word.startswith("or ") for word in words) == 2
    assert words.count("3.0×") == 4
    hatched = [patch for patch in first.axes[0].patches if patch.get_hatch()]
    assert len(hatched) == 2


def wild(kind: str = "convolution", passes: int = 4) -> list[dict[str, Any]]:
    """Return two layers with intervals over many decades, pooling by `kind`."""
    spread = [1e-3 * 10 ** (n % 2 * 3) for n in range(passes)]
    problems = [
        Problem(size=(n, n), kernel=3, in_channels=3, out_channels=3, name=f"net:{n}")
        for n in (32, 64)
    ]
    return [
        cell(name, problem, samples=[s * factor for s in spread], kind=kind)
        for problem in problems
        for name, factor in (("naive", 8.0), ("fft", 1.0))
    ]


def hollow(sheet: Sheet) -> int:
    lines = [line for axes in sheet.axes for line in axes.get_lines()]
    return sum(str(line.get_label()) == "_arrowhead" for line in lines)


def test_scales_follow_the_marks_and_arrowheads_show_what_goes_on(tmp_path: Path) -> None:
    frame = results.read(write_run(tmp_path, wild(), limits=LIMITS))
    assert (frame["time_high_s"] / frame["time_low_s"]).min() > 1e5
    with rc_context():
        made = {sheet.name: sheet for sheet in sheets(frame)}
    share = made["share-of-roofline"].axes[0]
    low, high = share.get_xlim()
    marks = frame["roofline_percent"]
    assert low > marks.min() / 20 and high < 100 * 20
    assert hollow(made["share-of-roofline"]) > 0
    assert "arrowhead" in made["share-of-roofline"].detail
    title = made["throughput"].axes[0].get_title(loc="left")
    assert title == "line: peak 100"
    assert made["throughput"].axes[0].get_xlim()[1] < 150


def test_fewer_than_three_passes_show_no_interval(tmp_path: Path) -> None:
    frame = results.read(write_run(tmp_path, wild(passes=2), limits=LIMITS))
    with rc_context():
        made = sheets(frame)
    for sheet in made:
        assert hollow(sheet) == 0
        assert "no intervals: fewer than 3 passes" in sheet.detail or sheet.name == "roofline"
        for axes in sheet.axes:
            spans = [c for c in axes.collections if sheet.name != "roofline" and len(c.get_paths())]
            assert not spans, sheet.name


def test_pooling_is_held_to_its_bytes_alone(tmp_path: Path) -> None:
    frame = results.read(write_run(tmp_path, wild("max"), limits=LIMITS))
    bandwidth = {n: 10e9 if n > 100_000 else 20e9 if n > 10_000 else 50e9
                 for n in frame["compulsory_bytes"]}  # fmt: skip
    least = [n / bandwidth[n] for n in frame["compulsory_bytes"]]
    assert frame["attainable_s"].to_list() == pytest.approx(least)
    with rc_context():
        names = [sheet.name for sheet in sheets(frame)]
    assert "share-of-bandwidth" in names
    assert not {"roofline", "share-of-roofline", "throughput"} & set(names)


def test_no_figure_is_drawn_twice(tmp_path: Path) -> None:
    path = write_run(tmp_path, layers() + grid((64, 256, 512), (3, 31)), limits=LIMITS)
    names = [sheet.name for sheet in sheets(results.read(path))]
    assert {"roofline", "share-of-roofline"} <= set(names)
    assert len(names) == len(set(names))


def test_no_name_crosses_the_line_of_all_that_the_machine_can_do(tmp_path: Path) -> None:
    frame = results.read(write_run(tmp_path, layers(), limits=LIMITS))
    with rc_context():
        made = {sheet.name: sheet for sheet in sheets(frame)}
        sheet = made["share-of-roofline"]
        sheet.figure.draw_without_rendering()
        axes = sheet.axes[0]
        right = axes.get_window_extent().x1
        names = [text for text in axes.texts if "%" in text.get_text()]
        assert len(names) == frame["label"].nunique()
        assert all(text.get_window_extent().x0 > right for text in names)


def test_inception_shows_what_reductions_save(tmp_path: Path) -> None:
    image = Problem(size=(28, 28), kernel=5, in_channels=8, out_channels=8, padding="same")
    cells = []
    for name, saved, time in (("a", 0.75, 1e-3), ("a unreduced", 0.0, 4e-3), ("b", 0.5, 2e-3)):
        problem = replace(image, name=name)
        cells += [
            cell(algorithm, problem, samples=[time * factor] * 3, kind="inception", saved=saved)
            for algorithm, factor in (("naive", 2.0), ("fft", 1.0))
        ]
    frame = results.read(write_run(tmp_path, cells))
    with rc_context():
        made = {sheet.name: sheet for sheet in sheets(frame)}
        check(made["savings-of-reductions"])
    said = [text.get_text() for text in made["savings-of-reductions"].axes[0].texts]
    assert said == ["fft: 75 % of time, 75 % of work", "fft: 50 % of work"]


def test_ratios_far_below_one_are_told_apart() -> None:
    assert [times_text(10.0**-n) for n in range(1, 7)] == [
        "0.10×", "0.01×", "0.001×", "0.0001×", "0.00001×", "0.000001×"
    ]  # fmt: skip
    assert lead_text(0.001) == "0.001×"


def test_an_algorithm_looks_the_same_everywhere_and_like_no_other() -> None:
    known = [look(name) for name in ("naive", "im2col", "fft", "separable", "parallel")]
    for part in range(3):
        assert len({entry[part] for entry in known}) == len(known)
    assert look("somebody-elses") == look("somebody-elses")
    assert look("somebody-elses") != look("another")
    assert look("somebody-elses").colour not in {entry.colour for entry in known}


def test_a_dollar_sign_in_a_name_is_text(tmp_path: Path) -> None:
    problems = [Problem(size=(9, 9), kernel=3, name=f"$x_{n}^$") for n in range(2)]
    frame = results.read(write_run(tmp_path, [r for p in problems for r in measured(p)]))
    assert len(draw(frame, tmp_path / "figures")) == 2


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12), st.floats(0.1, 5))
def test_names_are_moved_apart_in_order_and_no_further_than_needed(
    wanted: list[float], gap: float
) -> None:
    placed = spread_out(wanted, gap, 0, 100)
    ordered = [placed[i] for i in sorted(range(len(wanted)), key=lambda i: wanted[i])]
    assert all(b - a >= gap - 1e-9 for a, b in itertools.pairwise(ordered))
    assert min(placed) >= -1e-9
    assert max(placed) <= 100 + 1e-9
    apart = sorted(wanted)
    if all(b - a >= gap for a, b in itertools.pairwise(apart)):
        assert placed == pytest.approx(wanted)
