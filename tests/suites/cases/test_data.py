"""The numbers of a case: shapes, reproducibility, scale; the case of two files."""

import hashlib
import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given, settings
from problems import problems

import algos
from algos import ConvbenchError, Problem
from suites.cases import data, suite
from suites.cases.suite import Case
from suites.cli import main
from suites.truth.families import instance_of


@given(problems(largest=5))
@settings(max_examples=100, deadline=None)
def test_arrays_fit_the_problem(problem):
    for weights in ("random", "rank1", "gaussian"):
        x, w, bias = data.arrays(Case(problem, weights))
        assert (x.shape, w.shape) == (problem.input_shape, problem.kernel_shape)
        assert (bias is not None) == problem.bias
        if bias is not None:
            assert bias.shape == (problem.out_channels,)
        for array in (x, w, *([bias] if bias is not None else [])):
            assert array.dtype == problem.dtype
            assert array.flags.c_contiguous
            assert array.flags.writeable
            assert np.isfinite(array).all()


def test_the_same_case_gives_the_same_numbers_in_every_process():
    program = (
        "import hashlib; from suites.cases import data; from suites.cases.suite import Case;"
        "from algos import parse_descriptor;"
        "case = Case(parse_descriptor('mb2_ic3ih9_oc4_kh3_bias'), 'rank1');"
        "parts = b''.join(a.tobytes() for a in data.arrays(case, 7));"
        "print(hashlib.sha256(parts).hexdigest())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": "123"},
    )  # fmt: skip
    case = Case(algos.parse_descriptor("mb2_ic3ih9_oc4_kh3_bias"), "rank1")
    parts = b"".join(array.tobytes() for array in data.arrays(case, 7))
    assert run.stdout.strip() == hashlib.sha256(parts).hexdigest()


def test_another_seed_or_case_gives_other_numbers_another_name_does_not():
    fields = {"size": (9, 9), "kernel": 3, "bias": True}
    base = data.arrays(Case(Problem(**fields)), 0)
    same = data.arrays(Case(Problem(**fields, name="label")), 0)
    for a, b in zip(base, same, strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (
        data.arrays(Case(Problem(**fields)), 1),
        data.arrays(Case(Problem(**fields, padding=1)), 0),
        data.arrays(Case(Problem(**fields), "rank1"), 0),
    ):
        assert all((a != b).all() for a, b in zip(base, other, strict=True))
    x, w, _ = base
    assert not np.isin(w.ravel() * 3, x.ravel()).any()


@pytest.mark.parametrize("weights", ["random", "rank1"])
def test_outputs_are_of_order_one_however_long_the_sums(weights):
    for kernel, channels, filters in ((1, 1, 256), (3, 64, 8), (15, 8, 16)):
        problem = Problem(
            size=(40, 40), kernel=kernel, in_channels=channels, out_channels=filters,
            dtype="float64",
        )  # fmt: skip
        x, w, _ = data.arrays(Case(problem, weights))
        assert np.std(algos.conv(x, w, algorithm="naive")) == pytest.approx(1, rel=0.5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rank1_is_an_outer_product_per_filter_up_to_rounding(dtype):
    problem = Problem(size=(9, 9), kernel=(5, 7), in_channels=2, out_channels=3, dtype=dtype)
    _, w, _ = data.arrays(Case(problem, "rank1"))
    singular = np.linalg.svd(w.astype(np.float64), compute_uv=False)
    assert (singular[..., 1] < 10 * np.finfo(dtype).eps * singular[..., 0]).all()
    _, full, _ = data.arrays(Case(problem))
    assert np.linalg.svd(full, compute_uv=False)[..., 4].min() > 1e-3


def test_a_hand_made_kernel_is_the_same_for_every_pair_and_scaled_by_their_number():
    problem = Problem(size=(9, 9), kernel=5, in_channels=6, out_channels=4, groups=2)
    _, w, _ = data.arrays(Case(problem, "gaussian"))
    assert w.sum(axis=(1, 2, 3)) == pytest.approx(1)
    np.testing.assert_array_equal(w, np.broadcast_to(w[:1, :1], w.shape))


def test_pictures_become_planes_of_a_batch_or_channels():
    layout = {"size": (600, 512), "kernel": 3}
    batch, _, _ = data.arrays(Case(Problem(**layout, batch=3), pixels="photograph"))
    channels, _, _ = data.arrays(Case(Problem(**layout, in_channels=3), pixels="photograph"))
    assert (batch.shape, channels.shape) == ((3, 1, 600, 512), (1, 3, 600, 512))
    np.testing.assert_array_equal(batch.ravel(), channels.ravel())
    batch[:] = 0  # a copy: the picture itself stays
    again, _, _ = data.arrays(Case(Problem(**layout, batch=3), pixels="photograph"))
    assert again.any()


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ConvbenchError, match=re.escape("has shape (3, 600, 512)")) as error:
        data.arrays(Case(Problem(size=(64, 64), kernel=3), pixels="photograph"))
    assert "reads (1, 64, 64)" in str(error.value)


def test_nonfinite_values_are_noticed():
    x = np.zeros((1, 1, 4), dtype=np.float32)
    assert not data.has_nonfinite(x)
    for value in (np.nan, np.inf, -np.inf):
        x[0, 0, 2] = value
        assert data.has_nonfinite(x)


def run_case(case):
    x, w, bias = data.arrays(case)
    return algos.plan(case.problem, w, bias, algorithm="naive")(x)


@pytest.mark.parametrize("kernel", ["gaussian:5", "sobel-x", "edge", "box:4"])
def test_files_are_filtered_as_scipy_does(tmp_path, kernel):
    image = np.random.default_rng(0).standard_normal((12, 15))
    np.save(tmp_path / "image.npy", image)
    case = data.case_from_files(str(tmp_path / "image.npy"), kernel, "float64")
    assert case.problem.name == f"image:{kernel}"
    assert case.problem.output_size == (12, 15)
    wanted = scipy.signal.convolve(image, data.filters.make(kernel), mode="same", method="direct")
    np.testing.assert_allclose(run_case(case)[0, 0], wanted, atol=1e-12)


def test_files_of_one_and_three_axes_are_signals_and_volumes(tmp_path):
    path = tmp_path / "array.npy"
    rng = np.random.default_rng(0)
    for shape in ((40,), (6, 7, 8)):
        array = rng.standard_normal(shape)
        np.save(path, array)
        case = data.case_from_files(str(path), "gaussian:3", "float64")
        assert case.problem.input_shape == (1, 1, *shape)
        kernel = data.filters.make("gaussian:3", axes=len(shape))
        wanted = scipy.ndimage.convolve(array, kernel, mode="constant")
        np.testing.assert_allclose(run_case(case)[0, 0], wanted, atol=1e-12)
        data.pictures.examine.cache_clear()


def test_one_kernel_filters_every_plane_of_a_colour_picture():
    case = data.case_from_files("photograph", "sobel-x")
    assert case.problem.input_shape == (3, 1, 600, 512)
    assert case.problem.kernel_shape == (1, 1, 3, 3)
    assert case.problem.flip
    assert case.problem.dtype == "float32"


def test_a_kernel_file_with_channels_is_a_layer(tmp_path):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 8, 9)), rng.standard_normal((5, 3, 3, 3))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "w.npy", w)
    case = data.case_from_files(str(tmp_path / "x.npy"), str(tmp_path / "w.npy"), "float64")
    assert case.problem.output_shape == (2, 5, 8, 9)
    assert not case.problem.flip
    wanted = algos.conv(x, w, padding="same", algorithm="naive")
    np.testing.assert_array_equal(run_case(case), wanted)
    np.save(tmp_path / "w.npy", rng.standard_normal((5, 4, 3, 3)))
    with pytest.raises(ConvbenchError, match=r"6 channels.*sums over 4"):
        data.case_from_files(str(tmp_path / "x.npy"), str(tmp_path / "w.npy"))


def test_a_kernel_file_of_another_shape_is_refused_by_the_case(tmp_path):
    np.save(tmp_path / "w.npy", np.ones((5, 4, 3, 3)))
    case = Case(Problem(size=(8, 8), kernel=3, in_channels=2), str(tmp_path / "w.npy"))
    with pytest.raises(ConvbenchError, match=re.escape("needs (1, 2, 3, 3)")):
        data.arrays(case)


def test_files_that_do_not_fit_each_other_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 5, 6)))
    np.save(tmp_path / "w.npy", np.ones((3, 3)))
    with pytest.raises(ConvbenchError, match="expected 3 spatial axes"):
        data.case_from_files(str(tmp_path / "x.npy"), str(tmp_path / "w.npy"))
    with pytest.raises(ConvbenchError, match="did you mean 'sobel-"):
        data.case_from_files("mri", "sobel")
    with pytest.raises(ConvbenchError, match="dtype 'float16'"):
        data.case_from_files("mri", "sobel-x", "float16")


def test_every_shipped_case_has_its_numbers():
    for name in ("quick", "photo", "alexnet"):
        for case in suite.load(name).cases:
            x, w, _ = data.arrays(case)
            assert (x.shape, w.shape) == (case.problem.input_shape, case.problem.kernel_shape)


@pytest.mark.parametrize("role", ["input", "kernel"])
def test_values_beyond_float32_are_refused_with_where_and_how_much(tmp_path, role, capsys):
    large = np.ones((8, 8))
    large[2, 3] = -1e300
    np.save(tmp_path / "large.npy", large)
    np.save(tmp_path / "one.npy", np.ones((8, 8)))
    names = ["large", "one"] if role == "input" else ["one", "large"]
    image, kernel = (str(tmp_path / f"{name}.npy") for name in names)
    with pytest.raises(ConvbenchError, match=r"-1e\+300 at \(.*2, 3\), beyond 3.4e\+38"):
        data.arrays(data.case_from_files(image, kernel))
    x, w, _ = data.arrays(data.case_from_files(image, kernel, "float64"))
    assert np.isfinite(x).all()
    assert np.isfinite(w).all()
    assert main(["run", "--input", image, "--kernel", kernel, "--runs", str(tmp_path / "r")]) == 2
    assert 'ask for dtype "float64"' in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "r").exists()


def test_pooling_refuses_them_too(tmp_path):
    np.save(tmp_path / "large.npy", np.full((8, 8), 1e300))
    case = Case(algos.PoolProblem((8, 8), window=2), pixels=str(tmp_path / "large.npy"))
    with pytest.raises(ConvbenchError, match=r"64 such values"):
        instance_of(case, 0)


def test_an_empty_batch_is_no_case():
    with pytest.raises(ConvbenchError, match="leaves nothing to compute"):
        Case(algos.PoolProblem((8, 8), window=2, batch=0))


def test_a_file_is_filtered_with_a_boundary_as_in_ndimage(tmp_path):
    rng = np.random.default_rng(3)
    image, kernel = rng.standard_normal((40, 30)), rng.standard_normal((4, 3))
    for name, array in (("image", image), ("kernel", kernel)):
        np.save(tmp_path / f"{name}.npy", array)
    files = str(tmp_path / "image.npy"), str(tmp_path / "kernel.npy")
    case = data.case_from_files(*files, "float64", "reflect")
    x, w, _ = data.arrays(case)
    y = algos.plan(case.problem, w)(x)[0, 0]
    np.testing.assert_allclose(y, scipy.ndimage.convolve(image, kernel, mode="reflect"), atol=1e-12)
