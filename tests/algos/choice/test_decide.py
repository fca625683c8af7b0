"""The automatic choice: what it may take, what rules a candidate out, and how it is guided."""

import json
from dataclasses import replace

import numpy as np
import pytest

import algos
from algos import registry
from algos.backend.threads import available
from algos.choice import forget_choices, model
from algos.choice.model import Time
from algos.choice.wisdom import Entry, Measured, descriptor, remember
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from algos.pooling import PoolProblem
from algos.pooling.plan import PoolPlan

IMAGE = algos.Problem(size=(64, 64), kernel=9, padding=4)
LAYER = algos.Problem(size=(28, 28), kernel=3, in_channels=64, out_channels=64, padding=1)


@pytest.fixture
def predicted(monkeypatch, tmp_path):
    """Return a function that sets the predicted seconds of calls; wisdom is empty."""
    monkeypatch.setenv("CONVBENCH_WISDOM", str(tmp_path / "wisdom"))
    forget_choices()

    def set_times(prepare_s=0.0, **times):
        found = {
            name.replace("_", "-"): Time(call, prepare_s if name != "parallel" else 0.0, 1.2)
            for name, call in times.items()
        }
        monkeypatch.setattr(model, "predict", lambda *_: found)
        forget_choices()

    yield set_times
    forget_choices()


def kernel_of(problem, seed=0):
    return np.random.default_rng(seed).standard_normal(problem.kernel_shape).astype(problem.dtype)


def test_the_fastest_by_the_model_is_chosen(predicted):
    predicted(parallel=2e-3, fft_fused=1e-3, im2col=3e-3)
    assert algos.choose(IMAGE) == "fft-fused"
    predicted(parallel=2e-3, fft_fused=4e-3, im2col=1e-3)
    assert algos.choose(IMAGE) == "im2col"


@pytest.mark.parametrize("use", ["prepared", "once"])
def test_below_the_sizes_of_the_fit_nothing_is_compared(predicted, use):
    predicted(parallel=2e-3, im2col=1e-3)
    layer = algos.Problem(size=(28, 28), kernel=3, padding=1)
    small = algos.Problem(size=(4, 4), kernel=3)
    assert small.compulsory_bytes < layer.compulsory_bytes < model.FEWEST_BYTES
    assert {algos.choose(one, use=use) for one in (small, layer)} == {"parallel"}
    assert algos.choose(replace(layer, size=(32, 32)), use=use) == "im2col"


def test_copies_between_layouts_count(predicted, monkeypatch):
    last = replace(LAYER, layout="channels_last")
    predicted(parallel=2e-3, winograd4=1.5e-3, im2col=3e-3)
    for copying, expected in ((1e-4, "winograd4"), (1e-3, "parallel")):
        monkeypatch.setattr(model, "copying", lambda *_, seconds=copying: seconds)
        forget_choices()
        assert algos.choose(LAYER) == "winograd4"
        assert algos.choose(last) == expected


def test_copies_take_longer_the_more_there_is_to_copy():
    last = replace(LAYER, layout="channels_last")
    assert 0 < 2 * model.copying(last) == model.copying(replace(last, batch=2))
    assert model.copying(replace(last, in_channels=1, out_channels=1)) == 0


def test_the_choice_is_what_runs(predicted):
    predicted(parallel=2e-3, fft_fused=4e-3, im2col=1e-3)
    w = kernel_of(IMAGE)
    assert algos.plan(IMAGE, w).algorithm.name == "im2col"
    x = np.ones(IMAGE.input_shape, "float32")
    assert np.array_equal(
        algos.conv(x, w, padding=4), algos.conv(x, w, padding=4, algorithm="im2col")
    )


def test_without_a_model_parallel_is_chosen(predicted):
    predicted()
    assert algos.choose(IMAGE) == "parallel"
    assert algos.choose(PoolProblem(size=(9, 9), window=3)) == "parallel"


def test_preparing_counts_for_a_single_call(predicted):
    predicted(parallel=2e-3, winograd4=1e-3, prepare_s=5e-3)
    assert algos.choose(LAYER, use="prepared") == "winograd4"
    assert algos.choose(LAYER, use="once") == "parallel"


def test_accuracy_rules_algorithms_out(predicted):
    predicted(parallel=4e-3, winograd2=3e-3, winograd4=2e-3, fft=1e-3)
    assert algos.choose(LAYER) == "fft"
    assert algos.choose(LAYER, accuracy="direct") == "parallel"
    assert algos.choose(LAYER, accuracy="fast") == "fft"
    assert algos.choose(LAYER, accuracy=1.0) == "parallel"


def test_separable_is_chosen_for_separable_kernels_alone(predicted):
    predicted(parallel=2e-3, separable=1e-3)
    w = kernel_of(IMAGE)
    outer = (w[0, 0, 0][:, None] * w[0, 0, 1]).reshape(w.shape)
    assert algos.choose(IMAGE, outer) == "separable"
    assert algos.choose(IMAGE, w) == "parallel"
    assert algos.choose(IMAGE) == "parallel"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_kernel_that_is_not_finite_gets_a_direct_sum(predicted, value):
    predicted(parallel=2e-3, fft_fused=1e-3)
    w = kernel_of(IMAGE)
    w[0, 0, 4, 4] = value
    assert algos.choose(IMAGE, w) == "parallel"
    assert algos.plan(IMAGE, w).algorithm.name == "parallel"


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_an_input_that_is_not_finite_gets_a_direct_sum(predicted, value):
    predicted(parallel=2e-3, fft_fused=1e-3)
    x, w = np.ones(IMAGE.input_shape, "float32"), kernel_of(IMAGE)
    x[0, 0, 0, 0] = value
    y = algos.conv(x, w, padding=4)
    assert np.isfinite(y[0, 0, 10:, 10:]).all()
    with np.errstate(all="ignore"):
        assert np.array_equal(y, algos.conv(x, w, padding=4, algorithm="parallel"), equal_nan=True)


def test_gradients_keep_nan_where_a_direct_sum_does(predicted):
    predicted(parallel=2e-3, fft=1e-3, winograd4=5e-4)
    x = np.ones(LAYER.input_shape, "float32")
    g = np.ones(LAYER.output_shape, "float32")
    x[0, 0, 0, 0] = np.nan
    dw = algos.grad_weight(x, g, kernel=3, padding=1)
    assert np.isfinite(dw[:, 1:]).all()
    g[0, 0, 0, 0] = np.nan
    dx = algos.grad_input(g, kernel_of(LAYER), size=28, padding=1)
    assert np.isfinite(dx[:, :, 3:, 3:]).all()


def test_memory_limits_the_choice(predicted):
    predicted(parallel=2e-3, fft=1e-3)
    need = algos.explain(LAYER).candidates[0].workspace_bytes
    assert algos.choose(LAYER, memory=need) == "fft"
    assert algos.choose(LAYER, memory=need - 1) == "parallel"
    with pytest.raises(ConvbenchError, match=r"parallel needs the least, [1-9]"):
        algos.choose(LAYER, memory=10)


def test_wrong_arguments_are_named(predicted):
    predicted(parallel=1e-3)
    for words, sentence in (
        ({"accuracy": "standart"}, "did you mean 'standard'"),
        ({"accuracy": 0.5}, "accuracy"),
        ({"use": "twice"}, "use"),
        ({"memory": -1}, "memory"),
        ({"memory": [1]}, "memory"),
        ({"threads": 0}, "threads"),
    ):
        with pytest.raises(ConvbenchError, match=sentence):
            algos.choose(IMAGE, **words)
    with pytest.raises(ConvbenchError, match="must be of type"):
        algos.choose("mb1_ic1ih9_oc1_kh3")


def test_a_named_algorithm_takes_no_limits():
    x, w = np.ones(IMAGE.input_shape, "float32"), kernel_of(IMAGE)
    with pytest.raises(ConvbenchError, match="leave them out"):
        algos.conv(x, w, algorithm="parallel", accuracy="direct")


def test_wisdom_replaces_predictions(predicted):
    predicted(parallel=1e-3, fft_fused=2e-3)
    assert algos.choose(IMAGE, threads=1) == "parallel"
    times = {"parallel": Measured(2e-3, 1.9e-3, 2.1e-3), "fft-fused": Measured(1e-3, 9e-4, 1.1e-3)}
    remember(Entry(descriptor(IMAGE), 1, times))
    forget_choices()
    assert algos.choose(IMAGE, threads=1) == "fft-fused"
    assert algos.explain(IMAGE, threads=1).source == "measured here"
    assert algos.choose(IMAGE, threads=1, deterministic=True) == "parallel"


def test_the_default_stays_where_another_is_not_faster_beyond_doubt(predicted):
    predicted(parallel=1e-3, fft_fused=2e-3)
    times = {
        "parallel": Measured(2e-3, 1.5e-3, 2.5e-3), "fft-fused": Measured(1.8e-3, 1.4e-3, 2.2e-3),
    }  # fmt: skip
    remember(Entry(descriptor(IMAGE), 1, times))
    forget_choices()
    found = algos.explain(IMAGE, threads=1)
    assert found.algorithm == "parallel"
    shown = {candidate.algorithm: candidate.time_s for candidate in found.candidates}
    assert shown["parallel"] == 2e-3  # its own time, though it ranks first


def test_a_prediction_is_moved_by_the_error_of_the_others(predicted):
    predicted(parallel=1e-3, im2col=2e-3, fft_fused=1.5e-3)
    times = {"parallel": Measured(1e-2, 9e-3, 1.1e-2), "im2col": Measured(2e-2, 1.9e-2, 2.1e-2)}
    remember(Entry(descriptor(IMAGE), 1, times))
    forget_choices()
    assert algos.choose(IMAGE, threads=1) == "parallel"  # 1.5 ms of the model became 15 ms


def test_pinned_choices_come_first(predicted, monkeypatch, tmp_path):
    predicted(parallel=1e-3, im2col=2e-3)
    file = tmp_path / "choices.json"
    file.write_text(json.dumps({descriptor(IMAGE): "im2col"}))
    monkeypatch.setenv("CONVBENCH_CHOICES", str(file))
    forget_choices()
    assert algos.choose(IMAGE) == "im2col"
    assert algos.explain(IMAGE).source == "pinned"
    assert algos.choose(LAYER) == "parallel"
    for content, sentence in (
        (json.dumps({descriptor(IMAGE): "nosuch"}), "there is no algorithm 'nosuch'"),
        (json.dumps({descriptor(IMAGE): "winograd6"}), "which cannot do this"),
        ("[", "is not JSON of the form"),
    ):
        other = tmp_path / f"{len(content)}.json"
        other.write_text(content)
        monkeypatch.setenv("CONVBENCH_CHOICES", str(other))
        forget_choices()
        with pytest.raises(ConvbenchError, match=sentence):
            algos.choose(IMAGE)


def test_layers_of_several_kernels_are_given_to_parallel(predicted):
    predicted(parallel=2e-3, im2col=1e-3)
    tiled = algos.Problem(size=(8, 8), kernel=3, tile=2)
    assert algos.choose(tiled) == "parallel"
    reasons = {c.algorithm: c.reason for c in algos.explain(tiled).candidates}
    assert "several kernels" in reasons["im2col"]


def test_pooling_is_chosen_too(predicted):
    predicted(parallel=2e-3, integral=1e-3, van_herk=5e-4, separable=3e-3)
    x = np.ones((1, 1, 40, 40), "float32")
    assert PoolPlan(PoolProblem(size=(40, 40), kind="average", window=9)).algorithm.name == (
        "parallel"  # the integral would spread a NaN of an input that is not known yet
    )
    whole = algos.pool(x, "average", size=9)
    assert np.allclose(whole, 1)
    x[0, 0, 0, 0] = np.nan
    assert np.isfinite(algos.pool(x, "average", size=9, stride=1)[0, 0, 1:, 1:]).all()
    y, switches = algos.pool(np.ones((1, 1, 8, 8), "f4"), "max", size=2, return_switches=True)
    assert y.shape == switches.shape == (1, 1, 4, 4)


def test_integers_stay_exact(predicted):
    predicted(parallel=2e-3, fft=1e-3)
    image = np.full((64, 64), 2**40, np.int64)
    kernel = np.ones((31, 31), np.int64)
    assert algos.convolve(image, kernel, "valid").max() == 2**40 * 31 * 31


def test_the_same_choice_twice(predicted):
    predicted(parallel=1e-3, im2col=1e-3, fft=1e-3)
    first = algos.choose(IMAGE)
    forget_choices()
    assert algos.choose(IMAGE) == first


@pytest.mark.skipif(available() < 2, reason="needs two threads")
def test_memory_holds_for_every_thread_that_a_deterministic_call_uses():
    problem = Problem(size=(56, 56), kernel=3, in_channels=64, out_channels=64, padding=1)
    one, several = (registry.get("parallel").workspace_bytes(problem, n) for n in (1, available()))
    assert one < several
    w = np.ones(problem.kernel_shape, "f4")
    plan = algos.plan(problem, w, memory=one, deterministic=True, accuracy="direct")
    assert plan.algorithm.workspace_bytes(problem, plan.threads) <= one
