"""Explanations of a choice: complete, readable, and true to the choice."""

import tracemalloc

import numpy as np
import pytest

import algos
from algos import registry
from algos.choice import forget_choices, model
from algos.choice.model import Time
from algos.pooling import PoolProblem

LAYER = algos.Problem(size=(28, 28), kernel=3, in_channels=64, out_channels=64, padding=1)


@pytest.fixture(autouse=True)
def known_times(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVBENCH_WISDOM", str(tmp_path))
    found = {
        "parallel": Time(4e-3, 1e-4, 1.1), "winograd4": Time(1e-3, 3.1e-3, 1.1),
        "im2col": Time(5e-3, 2e-4, 1.1),
    }  # fmt: skip
    monkeypatch.setattr(model, "predict", lambda *_: found)
    forget_choices()
    yield
    forget_choices()


def test_every_algorithm_of_ours_has_a_row():
    found = algos.explain(LAYER)
    named = {candidate.algorithm for candidate in found.candidates}
    ours = {
        name for name, a in registry.convolutions().items() if not (a.is_peer or a.opt_in)
    }  # fmt: skip
    assert named == ours
    assert all(c.reason or c.time_s is not None for c in found.candidates)


def test_break_even_of_preparing():
    found = {c.algorithm: c.break_even for c in algos.explain(LAYER).candidates}
    assert found["winograd4"] == 1  # saves 3 ms of a call for 3 ms more of preparing
    assert found["parallel"] == 0
    assert found["im2col"] is None


def test_text_table_and_notebook():
    found = algos.explain(LAYER, threads=1)
    assert found.algorithm == "winograd4"
    text = str(found)
    assert "winograd4 (predicted)" in text
    assert "kernel has rank" not in text
    assert found.command in text
    assert found.command.startswith("convbench tune --problem mb1_ic64ih28_oc64_kh3_ph1 ")
    frame = found.to_frame()
    assert list(frame["algorithm"]) == [c.algorithm for c in found.candidates]
    assert "<table" in found._repr_html_()


def test_a_kernel_adds_its_reasons():
    w = np.random.default_rng(0).standard_normal(LAYER.kernel_shape).astype("float32")
    w[0, 0, 0, 0] = np.nan
    found = {c.algorithm: c.reason for c in algos.explain(LAYER, w).candidates}
    assert "NaN or infinity" in found["winograd4"]
    assert found["parallel"] == ""


def test_pooling_is_explained():
    found = algos.explain(PoolProblem(size=(32, 32), window=3))
    assert found.algorithm == "parallel"
    assert len(found.candidates) >= 4


@pytest.mark.parametrize("sizes", [{"padding": 10**6}, {"size": (2 * 10**5, 2 * 10**5)}], ids=str)
def test_a_large_problem_is_explained_without_its_memory(sizes):
    tracemalloc.start()
    try:
        algos.explain(algos.Problem(**{"size": (16, 16), "kernel": 3, **sizes}))
        assert tracemalloc.get_traced_memory()[1] < 2**30
    finally:
        tracemalloc.stop()


def test_what_no_memory_holds_is_refused():
    with pytest.raises(algos.ConvbenchError, match="more than there is"):
        algos.explain(algos.Problem(size=(16, 16), kernel=3, padding=10**8))
