"""Winograd's filtering: its matrices, every border of its blocking, its bound, its gradients."""

from __future__ import annotations

import numpy as np
import pytest

import algos
from algos import Problem
from algos.adapters import performer
from algos.registry import get
from algos.winograd import weights as winograd_weights
from algos.winograd import weights_blocking as winograd_weights_blocking
from algos.winograd.blocking import STRIP_TILES, blocking, edges
from algos.winograd.form import Form
from algos.winograd.points import POINTS, matrices
from suites.cases.data import arrays
from suites.cases.suite import Case
from suites.truth import oracle
from suites.truth.instance import ConvolutionInstance
from suites.truth.judge import judge

NAMES = ("winograd2", "winograd4", "winograd6")
FOUR = Form((4, 3), (4, 3))
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


@pytest.mark.parametrize("key", [key for key in POINTS if POINTS[key]])
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


#: Signals, kernels that are one tap wide, and kernels whose other taps are summed like channels.
LINES = [
    {"size": (1,), "kernel": 3, "padding": 1},
    {"size": (401,), "kernel": 3, "in_channels": 3, "out_channels": 34, "batch": 2, "bias": True},
    {"size": (97,), "kernel": 5, "padding": ((1, 3),), "in_channels": 6, "groups": 2,
     "out_channels": 4, "flip": True},
    {"size": (200,), "kernel": 7, "padding": 6, "in_channels": 12, "out_channels": 5},
    {"size": (60,), "kernel": 9, "padding": "full", "in_channels": 4, "dtype": "float64"},
    {"size": (17, 17), "kernel": (1, 7), "padding": ((0, 0), (3, 3)), "in_channels": 20,
     "out_channels": 18},
    {"size": (17, 19), "kernel": (7, 1), "padding": ((3, 3), (1, 0)), "in_channels": 20,
     "out_channels": 18, "batch": 2},
    {"size": (9, 70), "kernel": (3, 1), "in_channels": 2, "bias": True, "flip": True},
    {"size": (12, 13), "kernel": (5, 1), "padding": 2, "groups": 2, "in_channels": 2,
     "out_channels": 4},
    {"size": (11, 14), "kernel": (7, 7), "padding": 3, "in_channels": 3, "out_channels": 4},
    {"size": (15, 14), "kernel": (4, 3), "stride": (2, 1), "dilation": (3, 1), "in_channels": 3,
     "padding": ((4, 2), (1, 1))},
    {"size": (5, 6, 31), "kernel": (2, 4, 5), "stride": (2, 1, 1), "padding": 2},
]  # fmt: skip
VOLUMES = [
    {"size": (1, 1, 1), "padding": 1},
    {"size": (6, 9, 10), "padding": 1, "in_channels": 5, "out_channels": 18, "batch": 2},
    {"size": (7, 5, 40), "kernel": (2, 3, 3), "padding": ((2, 1), (0, 3), (1, 0)),
     "stride": (2, 1, 1), "dilation": (3, 1, 1), "groups": 2, "in_channels": 4,
     "out_channels": 6, "bias": True},
    {"size": (4, 8, 7), "kernel": (5, 3, 3), "padding": "full", "flip": True, "dtype": "float64"},
    {"size": (3, 9, 9), "kernel": (1, 3, 3), "in_channels": 7, "out_channels": 2},
    {"size": (4, 9, 12), "kernel": 2, "padding": 1, "in_channels": 5, "out_channels": 3},
    {"size": (14, 33), "kernel": 2, "in_channels": 3, "out_channels": 9, "batch": 2},
]  # fmt: skip


#: Those that are tried by default; every form takes seconds to compile.
FEW = (LINES[1], LINES[6], *VOLUMES[1:3])
TRIED = (("winograd4", "forward"), ("winograd4", "grad_weight"))


@pytest.mark.parametrize(
    ("name", "fields", "operation"),
    [
        pytest.param(
            name, fields, operation,
            marks=() if (name, operation) in TRIED and fields in FEW else pytest.mark.slow,
        )
        for name, taps in (("winograd2", 9), ("winograd4", 9), ("winograd6", 5))
        for fields in (*LINES, *VOLUMES)
        if np.max(fields.get("kernel", 3)) <= taps
        for operation in ("forward", "grad_input", "grad_weight")
    ],
    ids=str,
)  # fmt: skip
def test_other_forms_are_within_the_bound_at_every_output(name, fields, operation):
    bias = operation == "forward" and fields.get("bias", False)
    problem = Problem(**{"kernel": 3, **fields, "operation": operation, "bias": bias})
    able = performer(get(name), problem)
    assert able.why_not(problem) is None
    trial = ConvolutionInstance(Case(problem, "random"), seed=1)
    positions = oracle.every_position(problem.result_shape)
    results = []
    for threads in (1, 2):
        out = np.full(problem.result_shape, np.nan, problem.dtype)
        plan, given = trial.plan(get(name), threads)
        plan(*given, out)
        verdict = trial.check(able, out, positions)
        assert verdict.passed, verdict.reason
        assert problem.terms < 100 or verdict.error_over_bound > 1e-4
        results.append(out)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("kernel", "down", "across", "sums"),
    [
        ((3,), (1, 1), (4, 3), 1),
        ((3, 3), (4, 3), (4, 3), 1),
        ((2, 2), (5, 2), (5, 2), 1),
        ((1, 7), (1, 1), (4, 7), 1),
        ((7, 1), (4, 7), (1, 1), 1),
        ((7, 7), (1, 1), (4, 7), 7),
        ((3, 3, 3), (4, 3), (4, 3), 3),
        ((2, 5, 1), (4, 5), (1, 1), 2),
        ((2, 2, 3), (1, 1), (4, 3), 4),
    ],
)  # fmt: skip
def test_a_kernel_is_filtered_along_the_axes_that_save_most(kernel, down, across, sums):
    problem = Problem(size=(9,) * len(kernel), kernel=kernel, in_channels=3)
    found = get("winograd4").form(problem)
    assert found == (down, across)
    assert found.sums(problem) == sums
    assert found.taps * sums == np.prod(kernel)


def test_a_tap_that_is_summed_costs_no_way_back():
    """Products of a volume are those of its slices: 4 times fewer than direct with F(4 × 4)."""
    problem = Problem(size=(8, 18, 18), kernel=3, in_channels=8, out_channels=8)
    assert get("winograd4").work(problem) * 4 == problem.multiply_adds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        (name, {"size": (4000,), "kernel": taps})
        for name, most in (("winograd2", 9), ("winograd4", 9), ("winograd6", 5))
        for taps in range(3, most + 1, 2)
    ]
    + [(name, {"size": (14, 18, 22), "kernel": taps}) for name in NAMES for taps in (2, 3)]
    + [(name, {"size": (60, 64), "kernel": 7}) for name in ("winograd2", "winograd4")],
    ids=str,
)
def test_typical_errors_are_what_it_says(name, fields):
    rng = np.random.default_rng(0)
    for channels in (1, 4, 12, 48):
        problem = Problem(in_channels=channels, out_channels=4, **fields)
        x = rng.standard_normal(problem.input_shape).astype("float32")
        w = rng.standard_normal(problem.kernel_shape).astype("float32")
        exact = algos.conv(x.astype("float64"), w.astype("float64"), algorithm="im2col")
        found, direct = (
            np.sqrt(np.mean((algos.conv(x, w, algorithm=one) - exact) ** 2))
            for one in (name, "naive")
        )
        assert found <= 1.1 * get(name).typical_error(problem) * direct


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
        chunks.append(blocking(problem, get(name).form(problem), 1).shape.chunks)
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
            ((12, 12), 11, {}), ((9,), 4, {}), ((9, 9), 3, {"stride": 2}),
            ((9, 9), 3, {"dilation": 2}),
        ]
    ]  # fmt: skip
    assert all(whys)
    assert "3 × 3" in whys[0]
    assert "not 11 × 11" in whys[0]
    assert get(name).why_not(Problem(size=(9, 9), kernel=3, groups=1)) is None


def test_wide_images_are_cut_into_bands_and_small_ones_joined():
    wide = blocking(Problem(size=(20, 2000), kernel=3, in_channels=8, out_channels=8), FOUR, 1)
    assert wide.shape.columns <= STRIP_TILES
    batch = Problem(size=(7, 7), kernel=3, padding=1, in_channels=64, out_channels=64, batch=16)
    shape = blocking(batch, FOUR, 1).shape
    assert shape.strips < shape.all_rows / 2


def test_small_images_occupy_every_thread():
    deep = algos.parse_descriptor("mb1_ic512ih7_oc512_kh3ph1")
    assert blocking(deep, FOUR, 2).items == 2


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
                             out_channels=64), FOUR, threads).shape  # fmt: skip
    rows = np.diff(edges(shape.all_rows, shape.strips))
    shares = [part.sum() for part in np.split(rows, edges(rows.size, threads)[1:-1])]
    assert max(shares) == -(-shape.all_rows // threads)
