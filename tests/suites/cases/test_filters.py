"""Hand-made kernels: the definition of each, and every refusal."""

import math
import re

import numpy as np
import pytest

import algos
from algos import ConvbenchError
from suites.cases import filters
from suites.cli import main

NOT_READ = re.escape("cannot be read as .npy")


def filtered(spec, image, **fields):
    kernel = filters.make(spec, None, image.ndim)
    x = np.asarray(image, dtype=np.float64)[None, None]
    return algos.conv(x, kernel[None, None], flip=True, algorithm="naive", **fields)[0, 0]


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 8, 15])
def test_smoothing_filters_sum_to_one_and_are_symmetric(axes, size):
    for name in ("gaussian", "box"):
        kernel = filters.make(name, (size,) * axes)
        assert kernel.shape == (size,) * axes
        assert kernel.sum() == pytest.approx(1, abs=1e-12)
        assert (kernel > 0).all()
        np.testing.assert_allclose(kernel, np.flip(kernel), rtol=1e-12)


def test_a_gaussian_has_the_sigma_it_is_given():
    kernel = filters.make("gaussian:41:3", axes=1)
    offsets = np.arange(41) - 20
    assert math.sqrt((kernel * offsets**2).sum()) == pytest.approx(3, rel=1e-6)
    np.testing.assert_allclose(filters.make("gaussian:12"), filters.make("gaussian:12:2"))
    assert np.linalg.matrix_rank(filters.make("gaussian:15")) == 1


def test_sobel_is_positive_where_the_picture_brightens():
    y, x = np.mgrid[0:8, 0:8].astype(float)
    assert filtered("sobel-x", x) == pytest.approx(8)
    assert filtered("sobel-x", y) == pytest.approx(0)
    assert filtered("sobel-y", y) == pytest.approx(8)
    assert filtered("sobel-y", x) == pytest.approx(0)


def test_the_edge_kernel_subtracts_the_left_neighbour():
    image = np.random.default_rng(0).standard_normal((5, 7))
    np.testing.assert_allclose(filtered("edge", image), image[:, 1:] - image[:, :-1])
    signal = image[0]
    np.testing.assert_allclose(filtered("edge", signal), signal[1:] - signal[:-1])


def test_emboss_lights_from_the_upper_left_and_keeps_the_level():
    kernel = filters.make("emboss")
    assert kernel.sum() == 1
    y, x = np.mgrid[0:6, 0:6].astype(float)
    rising = x + y  # a slope that faces away from the light is brightened by it here
    assert (filtered("emboss", rising) > rising[1:-1, 1:-1]).all()


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_laplacian_is_the_second_difference(axes):
    grid = np.meshgrid(*[np.arange(6.0)] * axes, indexing="ij")
    assert filtered("laplacian", sum(g**2 for g in grid)) == pytest.approx(2 * axes)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_identity_and_sharpen_keep_a_flat_picture(axes):
    image = np.random.default_rng(1).standard_normal((7,) * axes)
    np.testing.assert_array_equal(filtered("identity", image, padding="same"), image)
    assert filters.make("sharpen", (5,) * axes).sum() == pytest.approx(1)
    stronger = filters.make("sharpen:5:3", axes=axes)
    assert stronger.sum() == pytest.approx(1)
    assert stronger.max() > filters.make("sharpen:5", axes=axes).max() > 1


def test_gabor_answers_to_its_own_direction():
    kernel = filters.make("gabor:21")
    assert kernel.sum() == pytest.approx(0, abs=1e-12)
    assert np.abs(kernel).sum() == pytest.approx(1)
    wave = np.cos(2 * np.pi * 3 / 21 * np.arange(60))
    along, across = np.tile(wave, (60, 1)), np.tile(wave[:, None], (1, 60))
    assert np.abs(filtered("gabor:21", along)).max() > 0.5
    assert np.abs(filtered("gabor:21", across)).max() < 0.01
    np.testing.assert_allclose(filters.make("gabor:21:90"), kernel.T, atol=1e-12)
    assert np.linalg.matrix_rank(filters.make("gabor:21:30"), tol=1e-6) > 1


def test_motion_has_full_rank():
    assert np.linalg.matrix_rank(filters.make("motion:9")) == 9


def test_a_filter_takes_the_size_of_the_problem():
    assert filters.make("gaussian", (5, 9)).shape == (5, 9)
    assert filters.make("box:5x9").shape == (5, 9)
    assert filters.make("gaussian:9:2", (9, 9)).shape == (9, 9)


def test_every_name_makes_a_kernel_of_its_own_size():
    for name in filters.names():
        kernel = filters.make(name)
        assert kernel.dtype == np.float64
        assert kernel.ndim == 2
        assert np.isfinite(kernel).all()


@pytest.mark.parametrize(
    ("spec", "size", "parts"),
    [
        ("gausian", None, ("'gausian'", "did you mean 'gaussian'", ".npy")),
        ("", None, ("not known", "known: gaussian, box")),
        ("gaussian:x", None, ("size 'x'", "15x7")),
        ("gaussian:0", None, ("size '0'",)),
        ("gaussian:-3", None, ("size '-3'",)),
        ("gaussian:2.5", None, ("size '2.5'",)),
        ("gaussian:7:wide", None, ("'wide' is not a number",)),
        ("gaussian:7:nan", None, ("'nan' is not a number",)),
        ("gaussian:7:0", None, ("sigma 0 must be above 0",)),
        ("gaussian:7:1:2", None, ("too many numbers", "takes 2")),
        ("sobel-x:3:1", None, ("too many numbers", "takes 1")),
        ("gaussian:7", (9, 9), ("is 7×7", "kernel 9×9", "leave the filter's size out")),
        ("sobel-x", (5, 5), ("'sobel-x' is 3×3, not 5×5",)),
        ("sobel-y", (3,), ("2 axes, not in 1",)),
        ("laplacian:5", None, ("'laplacian' is 3×3, not 5×5",)),
        ("edge", (2, 2), ("'edge' is 1×2, not 2×2",)),
        ("sharpen:4", None, ("tap in the middle", "odd size")),
        ("identity", (2, 3), ("tap in the middle",)),
        ("gabor:20", None, ("odd size",)),
        ("gabor", (5, 5, 5), ("2 axes, not in 3",)),
        ("motion", (5, 7), ("square size",)),
        ("gaussian:5x7", (5,), ("is 5×7", "kernel 5")),
    ],
)
def test_what_makes_no_kernel_is_refused_in_words(spec, size, parts):
    with pytest.raises(ConvbenchError) as error:
        filters.make(spec, size)
    for part in parts:
        assert part in str(error.value)


def test_a_filter_of_the_wrong_number_of_axes_is_refused():
    with pytest.raises(ConvbenchError, match="has 2 axes, the problem has 3"):
        filters.make("box:3x3", axes=3)
    assert filters.make("edge", axes=3).shape == (1, 1, 2)


def test_kernels_are_read_from_files(tmp_path):
    path = tmp_path / "kernel.npy"
    for array in (np.arange(6).reshape(2, 3), np.eye(3, dtype=np.float32), np.eye(2, dtype=bool)):
        np.save(path, array)
        kernel = filters.make(str(path))
        assert kernel.dtype == np.float64
        np.testing.assert_array_equal(kernel, array)
        assert filters.make(str(path), array.shape).shape == array.shape
    np.save(path, np.ones((4, 2, 3, 5)))
    assert filters.make(str(path), (3, 5)).shape == (4, 2, 3, 5)
    assert filters.make(str(path), None, 2).shape == (4, 2, 3, 5)


@pytest.mark.parametrize(
    ("array", "size", "axes", "part"),
    [
        (np.ones((3, 3)), (5, 5), None, "is 3×3, the problem's kernel 5×5"),
        (np.ones(3), (3, 3), None, "has shape (3,); expected 2 spatial axes"),
        (np.ones((3, 3, 3)), None, 2, "has shape (3, 3, 3)"),
        (np.ones((0, 3)), None, None, "none empty"),
        (np.ones((1, 1, 1, 1)), None, None, "has shape (1, 1, 1, 1)"),
        (np.ones((3, 3), dtype=complex), None, None, "holds complex128"),
        (np.array(["a"]), None, None, "real-valued"),
        (np.array([None]), None, None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_kernel_is_refused(tmp_path, array, size, axes, part):
    path = tmp_path / "kernel.npy"
    np.save(path, array)
    with pytest.raises(ConvbenchError, match=re.escape(part)) as error:
        filters.make(str(path), size, axes)
    assert str(path) in str(error.value)


def test_an_unreadable_file_is_refused(tmp_path):
    for content in (b"", b"not an array", b"\x93NUMPY"):
        path = tmp_path / "kernel.npy"
        path.write_bytes(content)
        with pytest.raises(ConvbenchError, match=NOT_READ):
            filters.make(str(path))
    with pytest.raises(ConvbenchError, match=NOT_READ):
        filters.make(str(tmp_path / "missing.npy"))
    with pytest.raises(ConvbenchError, match=NOT_READ):
        filters.make(str(tmp_path))
    np.savez(tmp_path / "two.npz", a=np.ones(2), b=np.ones(3))
    with pytest.raises(ConvbenchError, match=r"holds 2 arrays \(a, b\); expected one"):
        filters.make(str(tmp_path / "two.npz"))
    np.savez(tmp_path / "text.npz", a=np.array(["a"]))
    with pytest.raises(ConvbenchError, match="one real-valued array"):
        filters.make(str(tmp_path / "text.npz"))


def test_every_filter_is_listed_with_the_numbers_it_takes(capsys):
    rows = filters.spellings()
    assert [spec.split("[")[0] for spec, _, _ in rows] == filters.names()
    assert rows[0][:2] == ("gaussian[:SIZE[:SIGMA]]", "7")
    assert all(what for _, _, what in rows)
    for spec, size, _ in rows:
        name, numbers = spec.split("[")[0], spec.count(":")
        filters.make(":".join([name, *[size, "1"][:numbers]]) if name != "edge" else name)
    assert main(["list", "filters"]) == 0
    assert "gabor[:SIZE[:ANGLE]]" in capsys.readouterr().out
