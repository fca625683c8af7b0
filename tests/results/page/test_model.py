"""Data of the page: complete, of JSON's types, and ranked as by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import LAYERS, cell, grid, layers, measured, troubled, write_run

import results
from algos.core.problem import Problem
from results.page.model import MOST_SAMPLES, group_numbers, page_model
from results.page.ranking import costs, ranking
from results.page.scaling import exponent

FIRST, SECOND = LAYERS[:2]


def frame_of(folder: Path, cells: list[dict], **changes: object) -> pd.DataFrame:
    return results.read(write_run(folder, cells, **changes))


def standings_of(frame: pd.DataFrame) -> list:
    return ranking(costs(frame, group_numbers(frame)))


def test_every_cell_and_group_is_in_the_data(tmp_path: Path) -> None:
    cells = grid((64, 128, 256), (3, 7)) + layers() + troubled()
    frame = frame_of(tmp_path, cells)
    model = page_model(frame)
    assert {len(column) for column in model["cells"].values()} == {len(cells)}
    assert len(model["groups"]) == frame["label"].nunique()
    assert {group["label"] for group in model["groups"]} == set(frame["label"])
    wrong = model["cells"]["status"].index("failed")
    assert model["cells"]["time"][wrong] is None
    assert "17 times its bound" in model["cells"]["reason"][wrong]
    json.dumps(model, allow_nan=False)


def test_costs_are_relative_to_the_winner(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, [
        cell("parallel", FIRST, samples=[1e-3] * 5), cell("fft", FIRST, samples=[3e-3] * 5),
    ])  # fmt: skip
    model = page_model(frame)
    assert model["cells"]["cost"] == [1, pytest.approx(3)]


def test_a_missing_time_counts_as_twice_the_slowest(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, [
        cell("parallel", FIRST, samples=[1e-3] * 5), cell("fft", FIRST, samples=[4e-3] * 5),
        cell("parallel", SECOND, samples=[1e-3] * 5),
        cell("fft", SECOND, status="unsupported", reason="it cannot"),
    ])  # fmt: skip
    first, second = standings_of(frame)
    assert (first.algorithm, first.rank, first.wins, first.timed) == ("parallel", 1, 2, 2)
    assert (second.algorithm, second.rank, second.timed) == ("fft", 2, 1)
    assert second.cost.middle == pytest.approx(math.sqrt(4 * 2))


def test_overlapping_intervals_share_a_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noisy = 1e-3 * np.exp(rng.normal(0, 0.1, (2, 6)))
    frame = frame_of(tmp_path, [
        cell("parallel", FIRST, samples=noisy[0]), cell("fft", FIRST, samples=noisy[1]),
        cell("naive", FIRST, samples=50 * noisy[0]),
    ])  # fmt: skip
    assert [one.rank for one in standings_of(frame)] == [1, 1, 3]


def test_the_interval_is_students_over_passes(tmp_path: Path) -> None:
    ratios = np.array([2.0, 2.1, 1.9, 2.05, 1.95])
    frame = frame_of(tmp_path, [
        cell("parallel", FIRST, samples=[1e-3] * 5), cell("fft", FIRST, samples=1e-3 * ratios),
    ])  # fmt: skip
    interval = standings_of(frame)[1].cost
    logs = np.log(ratios)
    reach = 2.776445 * logs.std(ddof=1) / math.sqrt(5)  # quantile of t with 4 degrees of freedom
    assert math.log(interval.high / interval.middle) == pytest.approx(reach, rel=1e-4)


def test_two_passes_give_no_interval(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, [
        cell("parallel", FIRST, samples=[1e-3] * 2), cell("fft", FIRST, samples=[3e-3, 4e-3]),
    ])  # fmt: skip
    assert math.isnan(standings_of(frame)[1].cost.low)


@pytest.mark.parametrize(("power", "points"), [(1.0, 8), (2.5, 4), (0.0, 5)])
def test_an_exponent_is_found_again(power: float, points: int) -> None:
    sizes = 2.0 ** np.arange(points)
    noise = np.exp(np.random.default_rng(1).normal(0, 0.01, points))
    fit = exponent(sizes, 1e-6 * sizes**power * noise)
    assert fit.low < fit.middle < fit.high
    assert fit.middle == pytest.approx(power, abs=0.1)


def test_small_sizes_do_not_bend_the_exponent() -> None:
    sizes = 2.0 ** np.arange(10)
    assert exponent(sizes, 10 + sizes**2).middle == pytest.approx(2, abs=0.02)


def test_two_sizes_give_no_exponent() -> None:
    assert math.isnan(exponent(np.array([1.0, 2.0]), np.array([1.0, 4.0])).middle)


def test_sweeps_and_maps_name_their_groups(tmp_path: Path) -> None:
    model = page_model(frame_of(tmp_path, grid((64, 128, 256), (3, 7), threads=(1, 2))))
    sweep = next(one for one in model["sweeps"] if one["axis"].startswith("input"))
    assert sorted(sweep["points"].values()) == [64, 128, 256]
    assert 1.8 < sweep["work"] < 2.2
    assert {one["threads"] for one in model["maps"]} == {1, 2}
    assert all(len(one["places"]) == 6 for one in model["maps"])


def test_presets_select_some_problems_but_not_all(tmp_path: Path) -> None:
    model = page_model(frame_of(tmp_path, grid((64, 128), (3, 15)) + layers()))
    assert {"Layers", "Images", "Signals", "Volumes", "Small kernels"} <= set(model["presets"])
    assert set(model["verdicts"]) == {
        f"{preset}|{threads}" for preset in ["", *model["presets"]] for threads in ("", 1)
    }
    layer = page_model(frame_of(tmp_path / "b", measured(FIRST)))
    assert layer["presets"] == []


def test_many_samples_are_thinned_and_the_shortest_kept(tmp_path: Path) -> None:
    run = write_run(tmp_path, measured(FIRST, blocks=5))
    frame = results.read(run)
    many = tuple(tuple(1e-3 + 1e-9 * at for at in range(20_000)) for _ in range(4))
    frame["samples"] = [many] * len(frame)
    kept = page_model(frame)["cells"]["samples"]
    assert sum(len(taken) for passes in kept for taken in passes) <= MOST_SAMPLES
    assert all(taken[0] == 1e-3 for passes in kept for taken in passes)


def test_verdicts_that_are_withheld_are_not_told(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, measured(FIRST), withheld="the machine was not audited")
    assert page_model(frame)["verdicts"]["|"] == (
        "Verdicts are withheld: the machine was not audited."
    )


def test_the_automatic_choice_is_told(tmp_path: Path) -> None:
    cells = [
        cell(name, problem, samples=[seconds] * 3, auto=name == "fft")
        for problem in (FIRST, SECOND)
        for name, seconds in {"fft": 2.0 + problem.stride[0], "parallel": 2.0}.items()
    ]
    said = page_model(frame_of(tmp_path, cells, baseline="parallel"))["verdicts"]["|"]
    assert said.endswith("takes the fastest in 0 of 2, and on average 2.1× its time.")


def test_one_problem_is_told_by_its_time(tmp_path: Path) -> None:
    said = page_model(frame_of(tmp_path, measured(Problem(size=(64, 64), kernel=3))))["verdicts"]
    assert "is the fastest:" in said["|"]
