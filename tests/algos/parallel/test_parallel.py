"""`parallel` against the definition in NumPy float64, around every border of its blocking."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from direct import check, reference

import algos
from algos import Problem
from algos.parallel import channels as direct_channels
from algos.parallel import channels_blocking
from algos.parallel import pixels as direct_pixels
from algos.parallel import rows as direct_rows
from algos.parallel.algorithm import choose_path
from algos.registry import get
from algos.simd import registers as simd

#: Types of numbers; each has kernels of its own, which take long to compile.
DTYPES = ["float32", pytest.param("float64", marks=pytest.mark.slow)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("outputs", [8, 15, 16, 17, 31, 32, 33, 64])
def test_channels_around_vectors_of_outputs(outputs, dtype):
    problem = Problem(size=(5, 29), kernel=3, in_channels=8, out_channels=outputs, padding=1,
                      dtype=dtype, bias=True)  # fmt: skip
    check(problem, path="channels")


@pytest.mark.parametrize("width", [1, 6, 7, 8, 13, 14, 15, 16, 17, 27, 28, 29, 32, 33, 57])
def test_channels_around_tiles_of_pixels(width):
    problem = Problem(size=(7, width), kernel=3, in_channels=9, out_channels=32, padding=1)
    check(problem, path="channels")


@pytest.mark.parametrize("outputs", [48, 64, 65])
@pytest.mark.parametrize("width", [4, 5, 9, 10, 11])
def test_channels_around_short_rows(width, outputs):
    problem = Problem(size=(7, width + 2), kernel=3, in_channels=9, out_channels=outputs)
    check(problem, path="channels")


@pytest.mark.skipif(
    len(channels_blocking.TILES) < 5, reason="five register tiles are for AVX-512 of many loads"
)
@pytest.mark.parametrize("width", [5, 7, 10, 14, 28])
def test_a_register_tile_fills_its_rows(width):
    problem = Problem(size=(9, width + 2), kernel=3, in_channels=64, out_channels=64)
    pixels = channels_blocking.blocking(problem, 1).shape.pixels
    assert width % pixels == 0


@pytest.mark.parametrize("inputs", [1, 63, 64, 65, 128, 129, 200])
def test_channels_around_blocks_of_inputs(inputs):
    problem = Problem(size=(9, 16), kernel=3, in_channels=inputs, out_channels=32, bias=True)
    check(problem, path="channels")


@pytest.mark.parametrize(
    "fields",
    [
        {"stride": 2, "padding": 2},
        {"stride": 3, "padding": 1, "fit": "ceil"},
        {"stride": (1, 2), "dilation": (2, 3), "padding": ((0, 3), (2, 1))},
        {"stride": (3, 2), "dilation": (2, 1), "kernel": (4, 5)},
        {"groups": 2, "padding": "same"},
        {"groups": 4, "stride": 2, "padding": 1, "batch": 3},
        {"kernel": 1},
        {"kernel": 1, "stride": 2},
        {"kernel": (1, 7), "padding": "full"},
        {"kernel": (21, 3), "padding": (20, 0), "flip": True},
        {"kernel": 5, "padding": 8},
    ],
)
def test_channels_shapes(fields):
    problem = Problem(**{
        "size": (21, 30), "kernel": 3, "in_channels": 24, "out_channels": 48, "bias": True, **fields
    })  # fmt: skip
    check(problem, path="channels")


@pytest.mark.parametrize(
    "fields",
    [
        {"size": (7, 7), "padding": 1},
        {"size": (9, 16), "padding": 7, "kernel": 5, "dilation": 2},
        {"size": (9, 9, 14), "padding": 2, "dilation": 2},
        {"size": (9, 10, 14), "padding": 3, "kernel": (3, 4, 5), "stride": (2, 2, 1)},
        {"size": (3, 20), "padding": (9, 1), "kernel": (2, 3)},
    ],
)
def test_channels_where_rows_of_taps_see_padding_alone(fields):
    problem = Problem(
        **{"kernel": 3, "in_channels": 70, "out_channels": 48, "bias": True, **fields}
    )
    check(problem, path="channels")


def test_rows_of_taps_that_see_padding_alone_are_left_out():
    cut = direct_channels.blocking(Problem(size=(14, 84), kernel=3, padding=1, in_channels=64,
                                           out_channels=64), 1)  # fmt: skip
    assert cut.shape.row_classes == 3
    first = len(cut.shape) + 1 + 14  # behind the classes of planes and rows
    assert sorted(cut.table[first + 1 : first + 6 : 2]) == [6, 6, 9]


def tile_of_pixels(dtype):
    return direct_pixels.COLUMNS * simd.REGISTER_BYTES // np.dtype(dtype).itemsize


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("beyond", [0, 1, -1])
@pytest.mark.parametrize("tiles", [1, 2, 7])
def test_pixels_around_tiles(tiles, beyond, dtype):
    pixels = tiles * tile_of_pixels(dtype) + beyond
    problem = Problem(size=pixels, kernel=1, in_channels=33, out_channels=16, dtype=dtype)
    check(problem)


@pytest.mark.parametrize("outputs", [1, 7, 8, 9, 15, 64])
def test_pixels_around_blocks_of_outputs(outputs):
    problem = Problem(size=(12, 24), kernel=1, in_channels=24, out_channels=2 * outputs, groups=2,
                      batch=3, bias=True)  # fmt: skip
    one, two = (check(problem, threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_pixels_of_a_volume_in_several_bands():
    problem = Problem(size=(4, 12, 25), kernel=1, in_channels=300, out_channels=40, bias=True)
    assert choose_path(problem) == "pixels"
    check(problem)


def test_wide_rows_are_cut_into_bands():
    problem = Problem(size=5000, kernel=5, in_channels=40, out_channels=32, padding=2)
    assert direct_channels.blocking(problem, 1).shape.columns < 5000
    check(problem)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 97, 129, 200])
def test_rows_around_tiles(width, dtype):
    for height in (1, 5, 6, 7, 13):
        check(Problem(size=(height, width), kernel=(3, 5), padding=(1, 2), dtype=dtype))


@pytest.mark.parametrize("kernel", range(1, 18))
def test_rows_kernels_of_every_run_of_taps(kernel):
    check(Problem(size=(20, 70), kernel=(kernel, 4), padding=(kernel // 2, 1)))


@pytest.mark.parametrize(
    "fields",
    [
        {"stride": 2, "padding": 2},
        {"stride": 3, "padding": 1, "fit": "ceil", "kernel": 5},
        {"stride": (1, 2), "dilation": (3, 1)},
        {"stride": (2, 1), "dilation": (3, 2), "kernel": (5, 4)},
        {"dilation": 4, "padding": "same", "bias": True},
        {"padding": "full", "kernel": (9, 31)},
        {"padding": ((0, 5), (7, 0)), "flip": True},
        {"in_channels": 3, "out_channels": 2, "bias": True, "batch": 2, "kernel": 5},
        {"in_channels": 6, "out_channels": 6, "groups": 6, "bias": True, "kernel": 2},
        {"in_channels": 6, "out_channels": 12, "groups": 6, "stride": 2, "bias": True, "kernel": 5},
        {"in_channels": 8, "out_channels": 8, "groups": 2, "padding": 1, "kernel": (3, 4)},
        {"kernel": (40, 70), "padding": ((20, 19), (35, 34))},
        {"kernel": 1, "stride": 5},
    ],
)
def test_rows_shapes(fields):
    problem = Problem(**{"size": (40, 70), "kernel": 3, **fields})
    check(problem, path="rows")


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 1, "kernel": 1},
        {"size": 1000, "kernel": 63, "padding": 31},
        {"size": 300, "kernel": 300, "padding": "full"},
        {"size": (5, 9, 17), "kernel": 3, "padding": 1},
        {"size": (5, 9, 17), "kernel": 3, "padding": (2, 1, 0), "stride": 2, "dilation": (2, 1, 1)},
        {
            "size": (5, 9, 17),
            "kernel": (3, 2, 3),
            "in_channels": 16,
            "out_channels": 16,
            "padding": 1,
        },
        {
            "size": (7, 9, 17),
            "kernel": 2,
            "in_channels": 16,
            "out_channels": 16,
            "stride": (2, 1, 3),
        },
        {"size": (6, 5, 4), "kernel": 1, "in_channels": 20, "out_channels": 33, "batch": 2},
    ],
)
def test_one_and_three_axes(fields):
    check(Problem(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"padding": 31},
        {"padding": ((0, 40),), "dilation": 2, "bias": True, "flip": True},
        {"kernel": 1, "in_channels": 3, "out_channels": 2},
        {"batch": 2, "in_channels": 4, "out_channels": 4, "groups": 4, "padding": "full"},
        {"size": (1, 1, 5000), "kernel": (1, 1, 8), "padding": ((0, 0), (0, 0), (9, 2))},
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_long_rows_are_folded(fields, dtype):
    problem = Problem(**{"size": 4999, "kernel": 63, "dtype": dtype, **fields})
    assert direct_rows.folded(problem) is not problem
    check(problem)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_random_problems(seed):
    rng = np.random.default_rng(seed)
    done = 0
    while done < 12:
        axes = int(rng.integers(1, 4))
        pick = lambda *values: tuple(int(rng.choice(values)) for _ in range(axes))  # noqa: B023, E731
        groups = int(rng.choice([1, 1, 2, 5]))
        try:
            problem = Problem(
                size=pick(*range(1, (90, 30, 12)[axes - 1])), kernel=pick(1, 2, 3, 5),
                stride=pick(1, 1, 2, 3), dilation=pick(1, 1, 2),
                padding=tuple(zip(pick(0, 1, 2), pick(0, 1, 3), strict=True)),
                batch=int(rng.integers(1, 3)), in_channels=groups * int(rng.choice([1, 3, 16])),
                out_channels=groups * int(rng.choice([1, 2, 17, 32])), groups=groups,
                bias=bool(rng.integers(2)), flip=bool(rng.integers(2)),
                fit=str(rng.choice(["floor", "ceil"])),
                dtype=str(rng.choice(["float32", "float64"])),
            )  # fmt: skip
        except algos.ConvbenchError:
            continue
        check(problem, seed)
        done += 1


LAYERS = [
    Problem(size=(14, 17), kernel=3, in_channels=70, out_channels=40, padding=1),
    Problem(size=(30, 70), kernel=5, in_channels=2, out_channels=2, groups=2, padding=2),
    Problem(size=(30, 70), kernel=3, stride=2, padding=1),
    Problem(size=(9, 9), kernel=1, in_channels=20, out_channels=20),
]


@pytest.mark.parametrize("problem", LAYERS, ids=str)
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_bad_pixels_reach_their_outputs_alone(problem, bad):
    rng = np.random.default_rng(1)
    w = rng.standard_normal(problem.kernel_shape).astype(problem.dtype)
    height, width = problem.size
    corners = [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)]
    for r, c in [*corners, (height // 2, width // 2), (height // 2, width - 1)]:
        x = rng.standard_normal(problem.input_shape).astype(problem.dtype)
        x[:, 0, r, c] = bad
        y = algos.plan(problem, w, algorithm="parallel")(x)
        mark = np.zeros(problem.input_shape)
        mark[:, 0, r, c] = 1
        reached = reference(problem, mark, np.ones_like(w)) > 0
        np.testing.assert_array_equal(np.isfinite(y), ~reached)


@pytest.mark.parametrize("problem", LAYERS, ids=str)
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_bad_weights_are_not_multiplied_by_padding(problem, bad):
    rng = np.random.default_rng(2)
    x = rng.standard_normal(problem.input_shape).astype(problem.dtype)
    w = rng.standard_normal(problem.kernel_shape).astype(problem.dtype)
    w[(0,) * w.ndim] = bad
    plan = algos.plan(problem, w, algorithm="parallel")
    assert plan._made_ready[0].path == "generic"
    np.testing.assert_array_equal(plan(x), algos.plan(problem, w, algorithm="naive")(x))


@pytest.mark.parametrize("problem", LAYERS, ids=str)
def test_threads_change_no_bit(problem):
    results = [check(problem, threads=n) for n in range(1, algos.backend.threads.available() + 1)]
    for one, other in itertools.pairwise(results):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("problem", LAYERS, ids=str)
def test_nothing_is_written_beside_the_output(problem):
    rng = np.random.default_rng(3)
    x = rng.standard_normal(problem.input_shape).astype(problem.dtype)
    w = rng.standard_normal(problem.kernel_shape).astype(problem.dtype)
    room = np.full(np.prod(problem.output_shape) + 64, 7, problem.dtype)
    out = room[32:-32].reshape(problem.output_shape)
    algos.plan(problem, w, algorithm="parallel")(x, out)
    assert (room[:32] == 7).all()
    assert (room[-32:] == 7).all()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("mb1_ic256ih56_oc256_kh3ph1", "channels"),
        ("mb1_ic64ih56_oc256_kh1", "pixels"),
        ("mb1_ic2048ih7_oc512_kh1", "channels"),
        ("mb1_ic64ih56_oc256_kh1sh2", "channels" if simd.REGISTERS == 32 else "shallow"),
        ("mb1_ic3ih224_oc64_kh7sh2ph3", "channels" if simd.REGISTERS == 32 else "shallow"),
        ("mb1_ic1ih1024_oc1_kh7ph3", "sliding" if simd.FEW_LOADS else "rows"),
        ("g96mb1_ic96ih56_oc96_kh7ph3", "sliding" if simd.REGISTER_BYTES == 64 else "rows"),
        ("mb1_ic1ih2160_oc1_kh7ph3", "rows"),
        ("mb1_ic1ih512_oc1_kh3ph1", "planes"),
        ("mb1_ic1ih2160iw3841_oc1_kh3kw3ph1pw1", "rows"),
        ("g64mb1_ic64ih112_oc64_kh3ph1", "planes"),
        ("g64mb1_ic64ih112_oc64_kh3sh2ph1", "planes"),
        ("g32mb1_ic128ih56_oc128_kh3ph1", "planes" if simd.REGISTERS == 32 else "shallow"),
        ("g64mb1_ic64ih112_oc64_kh3ph1dh1", "rows"),
    ],
)
def test_path_follows_the_shape(text, path):
    assert choose_path(algos.parse_descriptor(text)) == path


@pytest.mark.parametrize("problem", LAYERS, ids=str)
def test_workspace_is_reported(problem):
    parallel = get("parallel")
    one, two = (parallel.workspace_bytes(problem, threads) for threads in (1, 2))
    assert type(one) is int  # records hold it as JSON
    assert one >= np.prod(problem.kernel_shape) * problem.itemsize
    assert two >= one


def test_small_images_occupy_every_thread():
    deep = algos.parse_descriptor("mb1_ic512ih7_oc512_kh3ph1")
    thin = algos.parse_descriptor("mb1_ic1ih3iw5000_oc1_kh5kw5ph2pw2")
    assert direct_channels.blocking(deep, 2).shape.items % 2 == 0
    assert direct_rows.blocking(thin, 2).shape.items >= 8
