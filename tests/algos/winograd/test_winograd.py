"""Winograd's filtering: its matrices, every border of its blocking, its bound, its gradients."""

from __future__ import annotations

import numpy as np
import pytest

import algos
from algos import Problem
from algos.registry import get
from algos.winograd import weights as winograd_weights
from algos.winograd import weights_blocking as winograd_weights_blocking
from algos.winograd.blocking import STRIP_TILES, blocking, edges
from algos.winograd.points import POINTS, matrices
from suites.cases.data import arrays
from suites.cases.suite import Case
from suites.truth import oracle
from suites.truth.instance import ConvolutionInstance
from suites.truth.judge import judge

NAMES = ("winograd2", "winograd4", "winograd6")
#: Channels up to which a bound is below the largest product of a tap: it grows with the channels.
MOST_CHANNELS_SEEN = {"winograd6": 256}


@pytest.mark.parametrize(("m", "r"), POINTS)
def test_the_matrices_filter(m, r):
    a, g, b = matrices(m, r)
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((m + r - 1, m + r - 1)), rng.standard_normal((r, r))
    y = a @ ((g @ w @ g.T) * (b @ x @ b.T)) @ a.T
    exact = [[np.sum(x[i : i + r, j : j + r] * w) for j in range(m)] for i in range(m)]
    np.testing.assert_allclose(y, exact, rtol=1e-12)


@pytest.mark.parametrize("m", [2, 4, 6])
def test_the_matrices_give_the_kernel_s_gradient(m):
    a, g, b = matrices(m)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((m + 2, m + 2)), rng.standard_normal((m, m))
    w = g.T @ ((a.T @ y @ a) * (b @ x @ b.T)) @ g
    exact = [[np.sum(x[i : i + m, j : j + m] * y) for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(w, exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("m", "r"), POINTS)
def test_the_coefficients_of_both_ways_are_exact_in_float32(m, r):
    for matrix in (matrices(m, r).output, matrices(m, r).input):
        np.testing.assert_array_equal(matrix, matrix.astype(np.float32))


@pytest.mark.parametrize("key", POINTS)
def test_points_come_as_zero_and_pairs(key):
    zero, *pairs = POINTS[key]
    assert zero == 0
    assert all(p == -q for p, q in zip(pairs[::2], pairs[1::2], strict=True))


SHAPES = [
    {"size": (1, 1), "padding": 1},
    {"size": (3, 3)},
    {"size": (13, 9), "padding": "full", "in_channels": 3, "out_channels": 5, "bias": True},
    {"size": (8, 67), "padding": ((0, 3), (2, 1)), "in_channels": 4, "out_channels": 34},
    {"size": (14, 14), "padding": 1, "in_channels": 40, "out_channels": 70, "batch": 3},
    {"size": (7, 7), "padding": 1, "in_channels": 12, "out_channels": 36, "groups": 3, "batch": 2},
    {"size": (5, 300), "padding": 4, "out_channels": 17, "flip": True, "bias": True},
    {"size": (30, 18), "padding": 1, "in_channels": 5, "out_channels": 5, "groups": 5},
]


@pytest.mark.parametrize("operation", ["forward", "grad_weight"])
@pytest.mark.parametrize("fields", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_within_the_bound_at_every_output(name, fields, operation):
    bias = operation == "forward" and fields.get("bias", False)
    problem = Problem(kernel=3, **{**fields, "operation": operation, "bias": bias})
    trial = ConvolutionInstance(Case(problem, "random"), seed=1)
    positions = oracle.every_position(problem.result_shape)
    results = []
    for threads in range(1, algos.backend.threads.available() + 1):
        out = np.full(problem.result_shape, np.nan, problem.dtype)
        plan, given = trial.plan(get(name), threads)
        plan(*given, out)
        verdict = trial.check(get(name), out, positions)
        assert verdict.passed, verdict.reason
        assert problem.terms < 100 or verdict.error_over_bound > 1e-4  # a bound worth its name
        results.append(out)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


FIVE = [
    {"size": (1, 1), "padding": 2},
    {"size": (5, 7)},
    {"size": (13, 9), "padding": "full", "in_channels": 3, "out_channels": 5, "bias": True},
    {"size": (9, 67), "padding": ((0, 3), (2, 1)), "in_channels": 4, "out_channels": 34},
    {"size": (14, 14), "padding": 2, "in_channels": 40, "out_channels": 70, "batch": 3},
    {"size": (7, 7), "padding": 2, "in_channels": 12, "out_channels": 36, "groups": 3},
    {"size": (5, 300), "padding": 4, "out_channels": 17, "flip": True, "dtype": "float64"},
]


@pytest.mark.parametrize("fields", FIVE, ids=str)
def test_five_taps_are_within_the_bound_at_every_output(fields):
    problem = Problem(kernel=5, **fields)
    trial = ConvolutionInstance(Case(problem, "random"), seed=1)
    positions = oracle.every_position(problem.result_shape)
    out = np.full(problem.result_shape, np.nan, problem.dtype)
    plan, given = trial.plan(get("winograd4"), 2)
    plan(*given, out)
    verdict = trial.check(get("winograd4"), out, positions)
    assert verdict.passed, verdict.reason
    assert problem.terms < 100 or verdict.error_over_bound > 1e-4
    assert "3 × 3 taps, not 5 × 5" in get("winograd2").why_not(problem)
    assert "gradients" in get("winograd4").why_not(problem.asking("grad_weight"))


@pytest.mark.parametrize("operation", ["forward", "grad_input", "grad_weight"])
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_judged_in_every_way(name, dtype, operation):
    problem = Problem(size=(11, 22), kernel=3, padding=1, in_channels=9, out_channels=18,
                      dtype=dtype, operation=operation)  # fmt: skip
    for pixels in ("random", "integers", "spread", "offset"):
        weights = "integers" if pixels == "integers" else "random"
        verdict = judge(get(name), Case(problem, weights, pixels=pixels), threads=2)
        assert verdict.status in ("ok", "mistrusted"), verdict.reason


@pytest.mark.parametrize("channels", [1, 16, 512])
@pytest.mark.parametrize("name", NAMES)
def test_the_bound_sees_a_lost_tap(name, channels):
    channels = min(channels, MOST_CHANNELS_SEEN.get(name, channels))
    problem = Problem(size=(9, 9), kernel=3, padding=1, in_channels=channels, out_channels=4)
    x, w, _ = arrays(Case(problem, "random"))
    bound = get(name).error_bound(problem, x, w, np.array([3.0 * channels]))
    assert bound < abs(x).max() * abs(w).max() / 2


@pytest.mark.parametrize("name", NAMES)
def test_the_bound_on_the_kernel_s_gradient_sees_a_lost_position(name):
    problem = Problem(size=(20, 20), kernel=3, in_channels=4, out_channels=4, batch=5,
                      operation="grad_weight")  # fmt: skip
    x, g, _ = arrays(Case(problem, "random"))
    bound = get(name).error_bound(problem, x, g, np.array([500.0]))
    assert bound < abs(x).max() * abs(g).max() / 2


@pytest.mark.parametrize("name", NAMES)
def test_sums_over_tiles_go_on_where_they_stopped(name, monkeypatch):
    """However many rows of tiles are transformed at a time, it changes no bit."""
    problem = Problem(size=(30, 13), kernel=3, padding=1, in_channels=70, out_channels=20,
                      batch=2, operation="grad_weight")  # fmt: skip
    x, g, _ = arrays(Case(problem, "random"))
    plan = algos.plan(problem, algorithm=name)
    whole, chunks = plan(x, g), [1]
    blocking = winograd_weights_blocking.blocking.__wrapped__  # past the cache
    monkeypatch.setattr(winograd_weights, "blocking", blocking)
    for size in (1 << 19, 1):
        monkeypatch.setattr(winograd_weights_blocking, "CHUNK_BYTES", (size, size))
        chunks.append(blocking(problem, get(name).step, 1).shape.chunks)
        np.testing.assert_array_equal(plan(x, g), whole)
    assert chunks[0] < chunks[1] < chunks[2]


def test_the_smaller_the_tile_the_more_accurate():
    problem = Problem(size=(28, 28), kernel=3, padding=1, in_channels=64, out_channels=16)
    x, w, _ = arrays(Case(problem, "random"))
    exact = algos.plan(
        Problem(size=(28, 28), kernel=3, padding=1, in_channels=64, out_channels=16,
                dtype="float64"), w.astype(float), algorithm="im2col",
    )(x.astype(float))  # fmt: skip
    errors = {
        name: np.sqrt(np.mean((algos.plan(problem, w, algorithm=name)(x) - exact) ** 2))
        for name in (*NAMES, "naive")
    }
    assert errors["winograd2"] < errors["winograd4"] < errors["winograd6"] < 20 * errors["naive"]


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_cannot(name):
    whys = [
        get(name).why_not(Problem(size=size, kernel=kernel, **more))
        for size, kernel, more in [
            ((9, 9), 7, {}), ((9,), 3, {}), ((9, 9), 3, {"stride": 2}), ((9, 9), 3, {"dilation": 2})
        ]
    ]  # fmt: skip
    assert all(whys)
    assert "7 × 7" in whys[0]
    assert get(name).why_not(Problem(size=(9, 9), kernel=3, groups=1)) is None


def test_wide_images_are_cut_into_bands_and_small_ones_joined():
    wide = blocking(Problem(size=(20, 2000), kernel=3, in_channels=8, out_channels=8), 4, 1)
    assert wide.shape.columns <= STRIP_TILES
    batch = Problem(size=(7, 7), kernel=3, padding=1, in_channels=64, out_channels=64, batch=16)
    shape = blocking(batch, 4, 1).shape
    assert shape.strips < shape.all_rows / 2


def test_small_images_occupy_every_thread():
    deep = algos.parse_descriptor("mb1_ic512ih7_oc512_kh3ph1")
    assert blocking(deep, 4, 2).items == 2


@pytest.mark.parametrize("operation", ["forward", "grad_weight"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_written_beside_the_output(name, operation):
    problem = Problem(size=(9, 21), kernel=3, padding=1, in_channels=3, out_channels=18,
                      operation=operation)  # fmt: skip
    room = np.full(np.prod(problem.result_shape) + 64, 7, problem.dtype)
    out = room[32:-32].reshape(problem.result_shape)
    plan, given = ConvolutionInstance(Case(problem, "random"), seed=0).plan(get(name), 1)
    plan(*given, out)
    assert (room[:32] == 7).all()
    assert (room[-32:] == 7).all()


@pytest.mark.parametrize("operation", ["forward", "grad_weight"])
def test_workspace_grows_with_threads(operation):
    problem = Problem(size=(56, 56), kernel=3, padding=1, in_channels=64, out_channels=64,
                      operation=operation)  # fmt: skip
    one, two = (get("winograd4").workspace_bytes(problem, n) for n in (1, 2))
    assert 36 * 64 * 64 * 4 < one < two


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_rows_of_tiles_evenly(threads):
    shape = blocking(Problem(size=(56, 56), kernel=3, padding=1, in_channels=64,
                             out_channels=64), 4, threads).shape  # fmt: skip
    rows = np.diff(edges(shape.all_rows, shape.strips))
    shares = [part.sum() for part in np.split(rows, edges(rows.size, threads)[1:-1])]
    assert max(shares) == -(-shape.all_rows // threads)
