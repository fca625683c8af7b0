"""Suites: the contents of the shipped ones, the reading of a user's, and every mistake in it."""

import itertools
import math
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from algos import ConvbenchError, Problem, parse_descriptor, registry
from suites.cases import suite
from suites.cases.entrants import called
from suites.cases.suite import Case
from suites.commands import selection as choose

NETWORKS = ("alexnet", "vgg16", "resnet50", "googlenet", "mobilenet")
OTHERS = (
    "gradients", "headline", "volumes", "pooling", "inception", "papers", "signals", "unshared",
    "deblur", "layouts",
)  # fmt: skip
SHIPPED = ("quick", "sizes", "kernels", "channels", "photo", *OTHERS, *NETWORKS)


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str) -> suite.Suite:
    return suite.load(write(folder, text))


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConvbenchError) as error:
        load(folder, text)
    assert "mine.toml" in str(error.value)
    return str(error.value)


def test_the_shipped_suites_are_all_there_and_quick_comes_first():
    assert suite.names()[0] == "quick"
    assert set(suite.names()) == set(SHIPPED)


def test_an_operation_can_be_swept_over(tmp_path):
    text = """
    [[sweep]]
    problems = ["mb1_ic3ih8_oc4_kh3"]
    operation = ["forward", "grad_input", "grad_weight"]
    """
    found = [case.problem.operation for case in load(tmp_path, text).cases]
    assert found == ["forward", "grad_input", "grad_weight"]
    text = '[[sweep]]\nsize = 8\nweights = "gaussian:3"\noperation = "grad_weight"'
    assert "grad_weight computes one" in refusal(tmp_path, text)
    assert "did you mean 'grad_input'" in refusal(
        tmp_path, '[[sweep]]\nsize = 8\nkernel = 3\noperation = "grad_inputs"'
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_suite_reads_well(name):
    loaded = suite.load(name)
    assert loaded.name == name
    assert loaded.title
    assert loaded.question.endswith("?")
    assert len(set(loaded.cases)) == len(loaded.cases) > 4


@pytest.mark.parametrize("name", [n for n in SHIPPED if n not in ("headline", "quick", "deblur")])
def test_a_suite_that_is_no_race_times_every_algorithm(name):
    """Names in a suite would leave out an algorithm that is added later."""
    loaded = suite.load(name)
    assert loaded.algorithms == ()
    assert not any(case.algorithms for case in loaded.cases)
    families = choose.families_of(loaded.cases)
    usual = {n for f in families for n, a in registry.of(f).items() if not a.opt_in}
    assert set(choose.algorithms(None, loaded.algorithms, families)) == usual


def test_papers_times_what_papers_propose_besides_the_usual():
    loaded = suite.load("papers")
    assert {"kn2row", "mec", "indirect", "im2win", "fft-gauss"} == set(loaded.also)
    families = choose.families_of(loaded.cases)
    usual = set(choose.algorithms(None, (), families))
    assert not usual & set(loaded.also)
    timed = choose.algorithms(None, loaded.algorithms, families, loaded.also)
    assert set(timed) == usual | set(loaded.also)
    assert choose.algorithms("naive", (), families, loaded.also) == ("naive",)
    with pytest.raises(ConvbenchError, match="did you mean 'mec'"):
        choose.algorithms(None, (), families, ("mecc",))


def test_quick_is_cheap_and_holds_something_of_everything():
    quick = suite.load("quick")
    assert 12 <= len(quick.cases) <= 22
    problems = [case.problem for case in quick.cases]
    assert max(p.multiply_adds for p in problems) < 3e8
    assert {p.axes for p in problems} == {1, 2, 3}
    assert {case.weights for case in quick.cases} == {"random", "gaussian"}
    assert any(p.groups == p.in_channels > 1 for p in problems)


def test_sizes_and_kernels_span_what_they_promise():
    sizes = [c.problem for c in suite.load("sizes").cases if c.problem.in_channels == 1]
    assert {p.size[0] for p in sizes} == {64, 128, 256, 512, 1024, 2048}
    assert {p.kernel[0] for p in sizes} == {3, 7, 15, 31, 63}
    assert len(suite.load("sizes").cases) == 6 * 5 * 2 + 6
    kernels = [c.problem for c in suite.load("kernels").cases]
    assert min(p.kernel for p in kernels) == (1, 1)
    assert max(p.kernel for p in kernels) == (127, 127)
    assert {p.size for p in kernels} == {(512, 512)}
    channels = [c.problem for c in suite.load("channels").cases]
    assert {p.in_channels for p in channels} == {2**n for n in range(10)}
    assert all(p.in_channels == p.out_channels and p.size == (28, 28) for p in channels)


def layers(name: str) -> list[Problem]:
    """Return every layer of a network in the order of its file, with repeated ones."""
    file = Path(suite.__file__).parents[1] / f"{name}.toml"
    (sweep,) = tomllib.loads(file.read_text(encoding="utf-8"))["sweep"]
    bias = sweep.get("bias", False)
    return [parse_descriptor(text, bias=bias) for text in sweep["problems"]]


# Convolution layers alone, as the papers and their reference models count them; a
# multiply-add with padding counts as one there.
@pytest.mark.parametrize(
    ("name", "count", "distinct", "parameters", "multiply_adds"),
    [
        ("alexnet", 5, 5, 2_334_080, 665_784_864),
        ("vgg16", 13, 9, 14_714_688, 15_346_630_656),
        ("resnet50", 53, 23, 23_454_912, 4_087_136_256),
        ("googlenet", 57, 49, 5_973_552, 1_581_647_872),
        ("mobilenet", 27, 19, 3_185_088, 567_716_352),
    ],
)
def test_a_network_adds_up_to_the_published_figures(
    name, count, distinct, parameters, multiply_adds
):
    listed = layers(name)
    assert len(listed) == count
    assert sum(p.parameters for p in listed) == parameters
    with_padding = [p.taps * math.prod(p.output_shape) for p in listed]
    assert sum(with_padding) == multiply_adds
    assert all(p.multiply_adds <= most for p, most in zip(listed, with_padding, strict=True))
    loaded = suite.load(name)
    assert len(loaded.cases) == distinct
    assert {case.problem for case in loaded.cases} == set(listed)
    assert all(p.batch == 1 and p.name.startswith(f"{name}:") for p in listed)
    assert len({p.name for p in listed}) == count


def test_the_layers_of_a_network_fit_onto_each_other():
    for name in ("vgg16", "mobilenet"):
        listed = layers(name)
        for first, then in itertools.pairwise(listed):
            assert then.in_channels == first.out_channels
            assert first.output_size[0] // then.size[0] in (1, 2)
    module = {p.name.split("/")[1]: p for p in layers("googlenet") if "_4e/" in p.name}
    ends = ("1x1", "3x3", "5x5", "pool_proj")
    assert sum(module[end].out_channels for end in ends) == 832
    assert len({p.output_size for p in module.values()}) == 1


def test_photo_runs_on_both_pictures_with_flipped_kernels():
    photo = suite.load("photo")
    assert {case.pixels for case in photo.cases} == {"photograph", "mri"}
    assert all(case.problem.flip for case in photo.cases)
    colour = [c.problem for c in photo.cases if c.pixels == "photograph"]
    assert {p.input_shape for p in colour} == {(3, 1, 600, 512)}
    assert "photograph:sobel-x" in {p.name for p in colour}


def test_a_sweep_runs_over_every_combination_last_key_fastest(tmp_path):
    loaded = load(
        tmp_path,
        """
        title = "Mine"
        question = "Which?"
        baseline = "fft"
        seconds = 5
        algorithms = ["fft", "naive"]
        [[sweep]]
        size = [8, [9, 10]]
        kernel = [1, 3]
        dtype = ["float32", "float64"]
        """,
    )
    assert (loaded.name, loaded.title, loaded.question) == ("mine", "Mine", "Which?")
    assert (loaded.baseline, loaded.seconds) == ("fft", 5)
    assert loaded.algorithms == ("fft", "naive")
    seen = [(c.problem.size, c.problem.kernel[0], c.problem.dtype) for c in loaded.cases]
    sizes = ((8, 8), (9, 10))
    assert seen == [(s, k, d) for s in sizes for k in (1, 3) for d in ("float32", "float64")]


def test_little_needs_to_be_said(tmp_path):
    loaded = load(tmp_path, "[[sweep]]\nsize = 8\nkernel = 3\n")
    assert loaded.cases == (Case(Problem(size=(8, 8), kernel=3)),)
    assert (loaded.title, loaded.baseline, loaded.algorithms) == ("mine", "naive", ())
    assert loaded.seconds > 0


def test_combinations_that_do_not_fit_are_passed_over(tmp_path):
    text = "[[sweep]]\nsize = [4, 8]\nkernel = [3, 7]\n"
    seen = [(c.problem.size[0], c.problem.kernel[0]) for c in load(tmp_path, text).cases]
    assert seen == [(4, 3), (8, 3), (8, 7)]
    padded = load(tmp_path, text + 'padding = [1, 2, "same", [[2, 1], 3]]\n').cases
    seen = {(c.problem.size[0], c.problem.kernel[0], c.problem.padding) for c in padded}
    assert (4, 7, ((1, 1), (1, 1))) not in seen
    assert (4, 7, ((2, 2), (2, 2))) in seen
    assert (4, 7, ((2, 1), (3, 3))) in seen
    assert (4, 7, ((3, 3), (3, 3))) in seen
    assert "kernels fit its sizes" in refusal(tmp_path, "[[sweep]]\nsize = 4\nkernel = 7\n")


def test_other_axes_channels_and_fields_are_swept_too(tmp_path):
    loaded = load(
        tmp_path,
        """
        [[sweep]]
        axes = [1, 3]
        size = 8
        kernel = 3
        channels = [2, 4]
        groups = 2
        stride = [1, 2]
        dilation = 2
        batch = 3
        bias = true
        flip = [true, false]
        name = "x"
        """,
    )
    assert len(loaded.cases) == 16
    assert {c.problem.axes for c in loaded.cases} == {1, 3}
    problem = loaded.cases[0].problem
    assert problem == Problem(
        size=8, kernel=3, in_channels=2, out_channels=2, groups=2, dilation=2, batch=3,
        bias=True, flip=True,
    )  # fmt: skip
    assert problem.name == "x"


def test_descriptors_stand_alone_or_share_fields(tmp_path):
    loaded = load(
        tmp_path,
        """
        problems = ['mb1_ic3ih9_oc4_kh3_n"first"']
        [[sweep]]
        problems = ["ic2iw9_oc2_kw3", "mb5_ic1iw9_oc1_kw3"]
        batch = 4
        dtype = "float64"
        weights = ["random", "gaussian"]
        """,
    )
    first, *rest = loaded.cases
    assert (first.problem.name, first.problem.batch) == ("first", 1)
    assert [(c.problem.batch, c.problem.dtype, c.weights) for c in rest] == [
        (4, "float64", "random"),
        (4, "float64", "gaussian"),
        (5, "float64", "random"),
        (5, "float64", "gaussian"),
    ]


def test_what_two_sweeps_share_is_listed_once(tmp_path):
    text = "[[sweep]]\nsize = [8, 9]\nkernel = 3\n[[sweep]]\nsize = [9, 8, 7]\nkernel = 3\n"
    assert [c.problem.size[0] for c in load(tmp_path, text).cases] == [8, 9, 7]


def test_files_are_found_beside_the_suite(tmp_path):
    np.save(tmp_path / "kernel.npy", np.ones((3, 5)))
    np.save(tmp_path / "input.npy", np.ones((20, 30)))
    (case,) = load(tmp_path, '[[sweep]]\nweights = "kernel.npy"\npixels = "input.npy"\n').cases
    assert (case.problem.size, case.problem.kernel) == ((20, 30), (3, 5))
    assert case.problem.name == "input:kernel"
    assert Path(case.weights) == tmp_path / "kernel.npy"
    assert Path(case.pixels) == tmp_path / "input.npy"


def test_a_suite_is_loaded_by_path_as_text_or_path(tmp_path):
    path = write(tmp_path, "[[sweep]]\nsize = 8\nkernel = 3\n")
    assert suite.load(str(path)) == suite.load(path)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("quik", "did you mean 'quick'"),
        ("resnet", "did you mean 'resnet50'"),
        ("zzz", "known: quick,"),
        ("", "known: quick,"),
    ],
)
def test_a_misspelt_name_is_answered(name, part):
    with pytest.raises(ConvbenchError, match=re.escape(f"no suite {name!r}")) as error:
        suite.load(name)
    assert part in str(error.value)


def test_a_missing_or_unreadable_file_is_answered(tmp_path):
    write(tmp_path, "", "mine.toml")
    with pytest.raises(ConvbenchError, match=r"does not exist; did you mean 'mine.toml'"):
        suite.load(tmp_path / "nine.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ConvbenchError, match="does not exist"):
        suite.load(tmp_path / "folder.toml")
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    with pytest.raises(ConvbenchError, match=r"latin.toml.* cannot be read"):
        suite.load(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('title = "a"\nseconds = = 3\n', ("not TOML", "line 2, column 11")),
        ('title = "a\n', ("not TOML", "line 1, column 11")),
        ("problems = [", ("not TOML", "line 1, column 13")),
        ("a = 1\na = 2\n", ("not TOML", "line 2")),
        ("titel = 'a'", ("key 'titel' is not known", "did you mean 'title'")),
        ("title = 3", ("title = 3 must be text",)),
        ("seconds = 0", ("seconds = 0 must be a number of seconds above 0",)),
        ("seconds = true", ("seconds = True",)),
        ("algorithms = 'fft'", ("algorithms = 'fft' must be a list of texts",)),
        ("problems = [3]", ("problems = [3] must be a list of texts",)),
        ("sweep = 3", ("[[sweep]]",)),
        ("", ("holds no problem",)),
        ("problems = ['mb1_ic3ih9_oc4_xx']", ("column 16", "'xx'")),
        ("problems = ['ic3ih9_oc4_kh11']", ("kernel spans 11 samples",)),
    ],
)
def test_a_mistake_at_the_top_is_named(tmp_path, text, parts):
    message = refusal(tmp_path, text)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("kernal = 3", ("key 'kernal' is not known", "did you mean 'kernel'")),
        ("size = '8'\nkernel = 3", ("size = '8' must be", "whole number")),
        ("size = 8.0\nkernel = 3", ("size = 8.0 must be",)),
        ("size = true\nkernel = 3", ("size = True must be",)),
        ("size = []\nkernel = 3", ("size = [] must be",)),
        ("size = [[8, 'x']]\nkernel = 3", ("size =", "must be")),
        ("size = 8\nkernel = 3\nflip = 1", ("flip = 1 must be true or false",)),
        ("size = 8\nkernel = 3\npadding = 1.5", ("padding = 1.5 must be",)),
        ("size = 8\nkernel = 3\npadding = 'sam'", ("size = 8", "did you mean 'same'")),
        ("size = 8\nkernel = 3\ndtype = 'float16'", ("dtype 'float16'", "did you mean")),
        ("size = 8\nkernel = 3\naxes = 4", ("axes = 4",)),
        ("size = [[8, 8]]\nkernel = [[3, 3, 3]]", ("3 entries", "2 spatial axes")),
        ("size = 8\nkernel = 3\nin_channels = 4\ngroups = 3", ("in_channels 4", "3 groups")),
        ("size = 8\nkernel = 3\nchannels = 4\nin_channels = 2", ("channels sets in_channels",)),
        ("size = 8", ("gives no kernel",)),
        ("kernel = 3", ("gives no size",)),
        ("size = 8\nkernel = 3\nstride = 2\nfit = 'exact'", ("does not fit along h",)),
        ("size = 8\nkernel = 3\nweights = 'gausian'", ("did you mean 'gaussian'",)),
        ("size = 8\nkernel = [3, 5]\nweights = 'sobel-x'", ("kernel = 5", "is 3×3, not 5×5")),
        ("size = 8\nweights = 'missing.npy'", ("missing.npy", "cannot be read")),
        ("pixels = 'photo'\nkernel = 3", ("did you mean 'photograph'",)),
        ("pixels = 'missing.png'\nkernel = 3", ("missing.png", "cannot be read")),
        ("pixels = 'mri'\nsize = 64\nkernel = 3", ("'mri' has shape (1, 256, 256)",)),
        ("problems = ['ic1ih8_oc1_kh3']\nkernel = 3", ("kernel cannot stand beside problems",)),
        ("problems = ['ic1ih8_oc1']", ("gives no kh",)),
    ],
)
def test_a_mistake_in_a_sweep_is_named_with_its_place(tmp_path, text, parts):
    good = "[[sweep]]\nsize = 8\nkernel = 3\n"
    message = refusal(tmp_path, f"{good}[[sweep]]\n{text}\n")
    assert "[[sweep]] number 2" in message
    for part in parts:
        assert part in message


def test_a_sweep_says_who_takes_part(tmp_path):
    text = """
    problems = ["mb1_ic1ih9_oc1_kh3"]
    [[sweep]]
    algorithms = ["fft", "torch"]
    size = 8
    kernel = 3
    """
    everywhere, restricted = load(tmp_path, text).cases
    chosen = ("fft", "naive")
    assert everywhere.entrants(chosen) == chosen
    assert restricted.entrants(chosen) == ("fft",)
    widened = choose.admitting(load(tmp_path, text), ("naive",)).cases
    assert widened[1].entrants(chosen) == chosen
    assert widened[0].entrants(chosen) == chosen


def test_a_sweep_takes_boundaries(tmp_path):
    path = tmp_path / "borders.toml"
    path.write_text('[[sweep]]\nsize = 9\nkernel = 3\npadding = 1\nboundary = ["zeros", "wrap"]\n')
    assert [case.problem.boundary for case in suite.load(path).cases] == ["zeros", "wrap"]
    path.write_text('[[sweep]]\nsize = 9\nkernel = 3\nboundary = "constant"\ncval = 2.5\n')
    assert suite.load(path).cases[0].problem.cval == 2.5
    path.write_text('[[sweep]]\nsize = 9\nkernel = 3\nboundary = "wrap"\ncval = 2.5\n')
    with pytest.raises(ConvbenchError, match=r"cval 2\.5 is given with boundary='wrap'"):
        suite.load(path)


def test_a_sweep_may_name_an_algorithm_in_a_layout(tmp_path):
    sweep = '[[sweep]]\nsize = 8\nkernel = 3\nalgorithms = ["parallel", "{}"]'
    (case,) = load(tmp_path, sweep.format("parallel@channels_last")).cases
    names = ("parallel", "parallel@channels_last", "fft")
    assert case.entrants(names) == names[:2]
    said = refusal(tmp_path, sweep.format("parallel@chanels_last"))
    assert "did you mean 'channels_last'?" in said


def test_the_headline_times_ours_in_both_layouts_beside_peers_with_channels_last():
    headline, last = suite.load("headline"), "parallel@channels_last"
    assert last in headline.algorithms
    for case in headline.cases:
        layers = case.problem.operands[0][1] > 1 and case.problem.operation == "forward"
        assert (last in case.algorithms) == layers, case.problem
        if layers:
            assert called(case.problem, last)[0].layout == "channels_last"
