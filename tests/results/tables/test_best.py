"""Winners of a run, and the calls that run them."""

from pathlib import Path

import numpy as np
import pytest
from synthetic import grid, measured, troubled, write_run

import algos
import convbench
import results
from algos.core.problem import Problem
from algos.pooling import parse_pool_descriptor
from results.tables.best import COLUMNS, call

LAYER = Problem(size=(7, 8), kernel=3, in_channels=4, out_channels=6, groups=2, padding=1,
                stride=2, flip=True, bias=True, name="a layer's")  # fmt: skip
RNG = np.random.default_rng(0)


def test_a_row_per_problem_names_the_winner_and_its_lead(tmp_path: Path) -> None:
    frame = results.read(write_run(tmp_path, grid((64,), (3, 31), threads=(1, 2)) + troubled()))
    best = results.best(frame)
    assert list(best.columns) == list(COLUMNS)
    assert len(best) == len(frame[frame["winner"]]) == 5
    assert best.attrs["suite"] == "quick"
    for row in best.to_dict("records"):
        same = (frame["label"] == row["label"]) & (frame["threads"] == row["threads"])
        times = frame[same].sort_values("time_s")["time_s"].tolist()
        assert row["time_s"] == times[0]
        assert row["lead"] == pytest.approx(times[1] / times[0])


def test_an_algorithm_alone_has_no_lead(tmp_path: Path) -> None:
    cells = measured(LAYER, algorithms=["naive"])
    row = results.best(results.read(write_run(tmp_path, cells))).iloc[0]
    assert (row["next"], row["algorithm"]) == ("", "naive")
    assert np.isnan(row["lead"])


def test_nothing_timed_gives_an_empty_table(tmp_path: Path) -> None:
    best = results.best(results.read(write_run(tmp_path, [], end=None)))
    assert len(best) == 0
    assert list(best.columns) == list(COLUMNS)


@pytest.mark.parametrize("operation", ["forward", "grad_input", "grad_weight"])
def test_the_call_of_a_layer_runs(operation: str) -> None:
    problem = LAYER.asking(operation)
    arrays = {
        "x": RNG.standard_normal(problem.input_shape, "f4"),
        "w": RNG.standard_normal(problem.kernel_shape, "f4"),
        "g": RNG.standard_normal(problem.output_shape, "f4"),
        "bias": RNG.standard_normal(problem.out_channels, "f4"),
    }
    row = {"problem": str(problem), "operation": operation, "kind": "convolution",
           "algorithm": "im2col", "threads": 1}  # fmt: skip
    y = eval(call(row), {"convbench": convbench, "algos": algos, **arrays})
    assert y.shape == problem.result_shape
    if operation == "forward":
        expected = algos.plan(problem, arrays["w"], arrays["bias"], algorithm="toeplitz")
        np.testing.assert_allclose(y, expected(arrays["x"]), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("direction", ["", "backward_"])
def test_the_call_of_a_pooling_runs(kind: str, direction: str) -> None:
    problem = parse_pool_descriptor(f"{kind}_{direction}mb1_ic2ih8_kh2")
    arrays = {"x": RNG.standard_normal(problem.input_shape, "f4"),
              "g": RNG.standard_normal(problem.output_shape, "f4")}  # fmt: skip
    row = {"problem": str(problem), "operation": problem.operation, "kind": kind,
           "algorithm": "naive", "threads": 1}  # fmt: skip
    y = eval(call(row), {"convbench": convbench, "algos": algos, **arrays})
    assert y.shape == problem.result_shape


def test_the_call_of_a_winner_in_another_layout_names_the_layout() -> None:
    x = RNG.random((1, 4, 9, 9), dtype="f4")
    w = RNG.random((6, 4, 3, 3), dtype="f4")
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    row = {"problem": "mb1_ic4ih9_oc6_kh3", "threads": 1, "operation": "forward",
           "kind": "convolution"}  # fmt: skip
    text = call(row | {"algorithm": "parallel@channels_last"})
    y = eval(text, {"convbench": convbench, "x": last, "w": w})
    np.testing.assert_allclose(y, algos.conv(x, w), rtol=1e-5)
    assert np.moveaxis(y, 1, -1).flags.c_contiguous
    row["problem"] += "_axb"
    text = call(row | {"algorithm": "parallel@channels_first"})
    assert eval(text, {"convbench": convbench, "x": x, "w": w}).flags.c_contiguous
