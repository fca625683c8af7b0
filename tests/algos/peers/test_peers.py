"""Other people's convolutions keep our contract, and cost nothing where they are not asked for."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import algos
from algos import Problem
from algos.backend import threads
from algos.peers import images, library, scipy_signal
from algos.registry import convolutions, get
from suites.cases import generate
from suites.truth.judge import judge

ROOT = Path(__file__).parents[3]
ALWAYS_THERE = (
    "numpy-convolve", "scipy-direct", "scipy-fft", "scipy-ndimage", "scipy-oaconvolve",
)  # fmt: skip
OPTIONAL = {
    "opencv-filter2d": "cv2",
    "opencv-sepfilter2d": "cv2",
    "torch": "torch",
    "torch-channels-last": "torch",
    "torch-prepacked": "torch",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "ncnn": "ncnn",
    "fftw": "pyfftw",
    "ducc0": "ducc0",
}
#: Name of each library in a sentence.
TITLES = {
    "cv2": "OpenCV", "torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO",
    "ncnn": "ncnn", "pyfftw": "FFTW, by pyfftw,", "ducc0": "ducc0",
}  # fmt: skip
#: Modules that are imported when a peer of theirs is first used.
HEAVY = {*TITLES, "onnx", "scipy.signal", "scipy.ndimage"}
IMAGE = Problem(size=(12, 10), kernel=3, padding="same")


@pytest.fixture
def installed(request):
    """Skips where the library of the algorithm under test is not there."""
    module = OPTIONAL[request.getfixturevalue("name")]
    return pytest.importorskip(module)


def ones(problem):
    return np.ones(problem.kernel_shape, problem.dtype)


def failures(name, count, seed=0):
    """Return the verdicts on `count` cases that a peer fails, and the number it can do."""
    verdicts = [
        (case, judge(get(name), case, threads=2, seed=seed)) for case in generate.cases(count, seed)
    ]
    done = [pair for pair in verdicts if pair[1].status != "unsupported"]
    return [f"{case}: {v.reason}" for case, v in done if v.status == "failed"], len(done)


def test_every_peer_is_found_and_runs_only_where_asked_for():
    known = convolutions()
    for name in (*ALWAYS_THERE, *OPTIONAL):
        assert known[name].opt_in


def test_listing_them_imports_no_heavy_module():
    code = (
        "import sys, algos\n"
        "problem = algos.Problem(size=(9, 9), kernel=3)\n"
        "algos.names(), algos.names(problem), algos.why_not(problem)\n"
        "print(*sys.modules)"
    )
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert not HEAVY & set(modules)


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_library_that_is_not_installed_is_a_sentence(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    library.missing.cache_clear()
    try:
        title = TITLES[OPTIONAL[name]]
        package = {"cv2": "opencv-python-headless"}.get(OPTIONAL[name], OPTIONAL[name])
        sentence = f"{title} is not installed; pip install {package}"
        assert algos.why_not(IMAGE)[name] == sentence
        with pytest.raises(algos.ConvbenchError, match=f"{title} is not installed"):
            algos.plan(IMAGE, ones(IMAGE), algorithm=name)
    finally:
        library.missing.cache_clear()


def test_asking_why_not_with_a_kernel_imports_no_heavy_module():
    code = (
        "import sys, numpy, algos\n"
        "problem = algos.Problem(size=(9, 9), kernel=3)\n"
        "algos.why_not(problem, numpy.ones((1, 1, 3, 3), 'f4'))\n"
        "print(*sys.modules)"
    )
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert not set(TITLES) & set(modules)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n == "scipy-direct")) for n in ALWAYS_THERE],
)
def test_scipy_and_numpy_pass_verification(name):
    failed, done = failures(name, 60)
    assert not failed, "\n".join(failed)
    assert done >= (2 if name == "numpy-convolve" else 25)


@pytest.mark.peers
@pytest.mark.parametrize("name", OPTIONAL)
def test_optional_peers_pass_verification(name, installed):
    failed, done = failures(name, 120)
    assert not failed, "\n".join(failed)
    assert done >= 20


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("scipy-oaconvolve", {"stride": 2}, "scipy.signal.oaconvolve has no stride"),
        ("scipy-ndimage", {"dilation": 2}, "scipy.ndimage.correlate has no dilation"),
        ("numpy-convolve", {}, "numpy.convolve has 1 axis, the problem has 2"),
        (
            "scipy-fft",
            {"in_channels": 3, "out_channels": 64},
            "scipy.signal.fftconvolve filters single images; 64 outputs of 3 input channels "
            "are 192 calls to sum, 64 are the most done",
        ),
    ],
)
def test_what_a_library_does_not_offer_is_a_sentence(name, fields, reason):
    assert get(name).why_not(Problem(size=(12, 12), kernel=3, **fields)) == reason


@pytest.mark.parametrize("name", ["scipy-fft", "scipy-ndimage", "scipy-direct"])
def test_depthwise_layers_of_any_width_are_done(name):
    problem = Problem(size=(9, 9), kernel=3, in_channels=200, out_channels=200, groups=200)
    assert get(name).why_not(problem) is None


@pytest.mark.parametrize("before", range(8))
@pytest.mark.parametrize("after", range(8))
def test_same_size_operators_are_placed_for_any_padding(before, after):
    """The tap at the anchor lies on the output's own sample of the image, grown or not."""
    if before + after < 1:
        return
    problem = Problem(size=(3,), kernel=4, padding=((before, after),))
    placed = images.same_size(problem)
    ahead = placed.place[0].start if placed.place else 0
    assert placed.anchor[0] + ahead == before
    assert 0 <= placed.anchor[0] < 4
    assert placed.size[0] >= problem.output_size[0]


@pytest.mark.parametrize(("size", "taps"), [(1000, 7), (7, 1000), (64, 33), (200, 1), (480, 63)])
def test_overlap_add_blocks_are_scipys(size, taps):
    from scipy.signal import _signaltools

    if not hasattr(_signaltools, "_calc_oa_lens"):
        pytest.skip("this SciPy keeps its rule elsewhere")
    length, overlap, step, _ = _signaltools._calc_oa_lens(size, taps)
    assert scipy_signal._block(size, taps) == (None if overlap is None else (length, step))


@pytest.mark.peers
@pytest.mark.parametrize(
    ("name", "function"),
    [("opencv-filter2d", "filter2D"), ("opencv-sepfilter2d", "sepFilter2D"), ("torch", "conv2d")],
)
def test_thread_counts_are_honoured_and_put_back(name, function, installed, monkeypatch):
    real, seen = getattr(installed, function), []

    def spy(*arguments, **keywords):
        seen.append(threads.read_back()[installed.__name__])
        return real(*arguments, **keywords)

    monkeypatch.setattr(installed, function, spy)
    before = threads.read_back()
    x = np.ones(IMAGE.input_shape, "f4")
    for wanted in (1, min(2, threads.available())):
        algos.plan(IMAGE, ones(IMAGE), algorithm=name, threads=wanted)(x)
        assert seen.pop() == wanted
        assert threads.read_back() == before


@pytest.mark.peers
@pytest.mark.parametrize("name", ["opencv-filter2d", "torch"])
def test_a_library_loaded_later_takes_the_count_in_use(name, installed):
    code = (
        "from algos.backend import threads\n"
        "threads.use(1)\n"
        f"threads.load({OPTIONAL[name]!r})\n"
        f"print(threads.read_back()[{OPTIONAL[name]!r}])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert said.strip() == "1"


@pytest.mark.peers
@pytest.mark.parametrize("name", ["torch", "torch-channels-last", "torch-prepacked"])
def test_torch_takes_read_only_arrays_in_silence(name, installed):
    x, w = np.ones(IMAGE.input_shape, "f4"), ones(IMAGE)
    x.flags.writeable = w.flags.writeable = False
    y = algos.plan(IMAGE, w, algorithm=name)(x)
    assert y[0, 0, 1, 1] == 9


@pytest.mark.peers
@pytest.mark.parametrize("name", ["ncnn"])
def test_the_class_of_accuracy_follows_ncnn_to_its_tiles(name, installed):
    """One NaN tells: a direct sum keeps it to its kernel, a tile does not."""
    for kernel, direct in (((3, 3), False), ((5, 5), True)):
        problem = Problem(size=(64, 64), kernel=kernel, in_channels=32, out_channels=32)
        x = np.ones(problem.input_shape, "f4")
        x[0, 0, 32, 32] = np.nan
        y = algos.plan(problem, ones(problem), algorithm=name)(x)
        assert get(name).has_direct_accuracy(problem) is direct
        assert bool(np.isnan(y[0, 0]).sum() == kernel[0] * kernel[1]) is direct


@pytest.mark.peers
@pytest.mark.parametrize("name", ["opencv-filter2d"])
@pytest.mark.parametrize(("dtype", "taps"), [("float32", 144), ("float64", 50)])
def test_the_bound_follows_opencv_to_its_transforms(name, dtype, taps, installed):
    """One NaN tells: a direct sum keeps it to its kernel, a transform does not."""
    x = np.ones((1, 1, 64, 64), dtype)
    x[0, 0, 32, 32] = np.nan
    kernels = {144: ((11, 11), (12, 12)), 50: ((7, 7), (5, 10))}[taps]
    spread = []
    for kernel in kernels:
        problem = Problem(size=(64, 64), kernel=kernel, dtype=dtype)
        y = algos.plan(problem, ones(problem), algorithm=name)(x)
        assert get(name).has_direct_accuracy(problem) is (not spread)
        spread.append(np.isnan(y).sum() > kernel[0] * kernel[1])
    assert spread == [False, True]


@pytest.mark.peers
def test_ncnn_without_memory_is_an_error_and_no_crash():
    """Its columns would take 75 GiB; it returns an empty result. With AVX-512 it needs none."""
    pytest.importorskip("ncnn")
    problem = Problem(size=(5, 4), kernel=(380, 370), padding="full")
    x, w = (np.ones(shape, "float32") for shape in (problem.input_shape, problem.kernel_shape))
    f = algos.plan(problem, w, algorithm="ncnn", threads=1)
    try:
        y = f(x)
    except MemoryError as error:
        assert "ncnn" in str(error)
    else:
        np.testing.assert_allclose(y, algos.plan(problem, w, algorithm="fft")(x), atol=1e-4)
