"""Problem: sizes and costs against counting one by one, and every mistake's message."""

import itertools
import math

import pytest
from hypothesis import given, settings
from problems import problems

from algos import ConvbenchError, Problem


def positions(size, kernel, stride, dilation, before, after, fit):
    """The first sample that each output position reads along one axis, found by walking."""
    extent = 1 + sum(dilation for _ in range(kernel - 1))
    last = size + after - 1
    found = []
    start = -before
    while start + extent - 1 <= last:
        found.append(start)
        start += stride
    # A ragged position is added where input (or padding) is left over.
    if fit == "ceil" and found[-1] + extent - 1 < last:
        found.append(start)
    return found


def per_axis(problem):
    return [
        positions(*column, problem.fit)
        for column in zip(
            problem.size,
            problem.kernel,
            problem.stride,
            problem.dilation,
            [before for before, _ in problem.padding],
            [after for _, after in problem.padding],
            strict=True,
        )
    ]


@given(problems())
@settings(max_examples=300, deadline=None)
def test_output_size_is_what_walking_finds(problem):
    assert problem.output_size == tuple(len(starts) for starts in per_axis(problem))


@given(problems(largest=5, most_channels=2))
@settings(max_examples=150, deadline=None)
def test_multiply_adds_count_every_product_inside_the_input(problem):
    inside = 0
    for start in itertools.product(*per_axis(problem)):
        for tap in itertools.product(*map(range, problem.kernel)):
            read = [s + t * d for s, t, d in zip(start, tap, problem.dilation, strict=True)]
            met = all(0 <= r < w for r, w in zip(read, problem.size, strict=True))
            inside += met or problem.boundary != "zeros"  # then every product counts
    channels = problem.out_channels * problem.in_channels // problem.groups
    assert problem.multiply_adds == problem.batch * channels * inside


@given(problems())
@settings(max_examples=100, deadline=None)
def test_shapes_and_bytes_follow_from_the_fields(problem):
    assert problem.input_shape == (problem.batch, problem.in_channels, *problem.size)
    assert problem.output_shape == (problem.batch, problem.out_channels, *problem.output_size)
    assert problem.taps == math.prod(problem.kernel) * problem.in_channels // problem.groups
    kernels = problem.out_channels * problem.taps
    assert problem.parameters == kernels + problem.bias * problem.out_channels
    moved = math.prod(problem.input_shape) + math.prod(problem.output_shape) + problem.parameters
    assert problem.compulsory_bytes == moved * {"float32": 4, "float64": 8}[problem.dtype]


@given(problems())
@settings(max_examples=100, deadline=None)
def test_as_a_volume_it_is_the_same_problem(problem):
    volume = problem.volume
    assert volume.axes == 3
    assert volume.multiply_adds == problem.multiply_adds
    assert volume.output_size[3 - problem.axes :] == problem.output_size
    assert volume.volume is volume


def test_scalars_stand_for_every_axis():
    problem = Problem(size=(8, 9, 10), kernel=3, stride=2, dilation=1, padding=1)
    assert problem.kernel == (3, 3, 3)
    assert problem.stride == (2, 2, 2)
    assert problem.padding == ((1, 1),) * 3
    assert problem == Problem(
        size=(8, 9, 10), kernel=(3, 3, 3), stride=(2, 2, 2), padding=((1, 1), (1, 1), (1, 1))
    )
    assert Problem(size=12, kernel=3).size == (12,)


def test_a_name_is_a_label_and_no_part_of_the_problem():
    assert Problem(size=5, kernel=3, name="a") == Problem(size=5, kernel=3, name="b")
    assert hash(Problem(size=5, kernel=3, name="a")) == hash(Problem(size=5, kernel=3))


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 5, 6, 7])
def test_same_padding_gives_one_output_per_stride(size, kernel, stride, dilation):
    problem = Problem(size=size, kernel=kernel, stride=stride, dilation=dilation, padding="same")
    ((before, after),) = problem.padding
    assert problem.output_size == (math.ceil(size / stride),)
    assert after - before in (0, 1)


@pytest.mark.parametrize("kernel", [1, 2, 5])
@pytest.mark.parametrize("dilation", [1, 3])
def test_full_padding_reads_every_overlap(kernel, dilation):
    problem = Problem(size=7, kernel=kernel, dilation=dilation, padding="full")
    assert problem.output_size == (7 + (kernel - 1) * dilation,)


@pytest.mark.parametrize(
    ("padding", "wanted"),
    [
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        (((1, 0), (2, 3)), ((1, 0), (2, 3))),
        ([1, (0, 2)], ((1, 1), (0, 2))),
        ("valid", ((0, 0), (0, 0))),
        ("same", ((1, 1), (1, 1))),
        ("full", ((2, 2), (2, 2))),
    ],
)
def test_padding_is_understood_in_every_form(padding, wanted):
    assert Problem(size=(9, 9), kernel=3, padding=padding).padding == wanted


def test_floor_leaves_over_ceil_adds_and_exact_refuses():
    fields = {"size": (10,), "kernel": 3, "stride": 2}
    assert Problem(**fields).output_size == (4,)
    assert Problem(**fields).reach == (9,)
    assert Problem(**fields, fit="ceil").output_size == (5,)
    assert Problem(**fields, fit="ceil").reach == (11,)
    with pytest.raises(ConvbenchError) as error:
        Problem(**fields, fit="exact")
    text = str(error.value)
    assert "stride 2 does not fit along w" in text
    assert "(10 − 3 + 0)/2 = 3.5" in text
    assert "1 of 10 samples" in text
    for remedy in ("pad by 1 more", "crop by 1", 'fit="floor"', 'fit="ceil"'):
        assert remedy in text
    assert Problem(**{**fields, "size": (11,)}, fit="exact").output_size == (5,)
    assert Problem(**fields, padding=((0, 1),), fit="exact").output_size == (5,)


def mistake(**fields):
    fields = {"size": (8, 8), "kernel": 3, **fields}
    with pytest.raises(ConvbenchError) as error:
        Problem(**fields)
    return str(error.value)


def test_a_kernel_larger_than_the_padded_input_is_refused_with_the_numbers():
    text = mistake(size=(8, 5), kernel=7, padding=((0, 0), (1, 0)))
    assert "7 samples along w" in text
    assert "only 6 (1 + 5 + 0)" in text
    assert "padding of at least 1" in text
    assert "spans 13 samples along h" in mistake(kernel=7, dilation=2)
    # The remedy it names is enough.
    assert Problem(size=(5,), kernel=7, padding=1).output_size == (1,)


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"size": (1, 2, 3, 4)}, ("4 axes", "1, 2 or 3")),
        ({"size": ()}, ("size ()", "at least 1")),
        ({"size": (8, 0)}, ("size (8, 0)", "at least 1")),
        ({"size": 2.5}, ("size 2.5", "whole numbers")),
        ({"size": "8x8"}, ("size '8x8'", "whole numbers")),
        ({"kernel": (3, 3, 3)}, ("kernel (3, 3, 3)", "3 entries", "2 spatial axes")),
        ({"kernel": 0}, ("kernel 0", "at least 1")),
        ({"stride": 0}, ("stride 0", "at least 1")),
        ({"stride": (1,)}, ("stride (1,)", "1 entries", "2 spatial axes")),
        ({"dilation": 0}, ("dilation 0", "at least 1")),
        ({"dilation": (1, 1.5)}, ("dilation (1, 1.5)", "whole numbers")),
        ({"batch": -1}, ("batch -1", "at least 0")),
        ({"batch": "many"}, ("batch 'many'", "whole numbers")),
        ({"in_channels": -1}, ("in_channels -1", "at least 1")),
        ({"groups": 0}, ("groups 0", "at least 1")),
        ({"in_channels": 6, "groups": 4, "out_channels": 4}, ("in_channels 6", "4 groups")),
        ({"in_channels": 4, "groups": 4, "out_channels": 6}, ("out_channels 6", "4 groups")),
        ({"dtype": "float16"}, ("dtype 'float16'", "did you mean")),
        ({"dtype": "int8"}, ("dtype 'int8'", "float32, float64")),
        ({"fit": "cell"}, ("fit 'cell'", "did you mean 'ceil'")),
        ({"padding": "sam"}, ("padding 'sam'", "did you mean 'same'")),
        ({"padding": -1}, ("padding -1", "at least 0")),
        ({"padding": (1, 2, 3)}, ("padding (1, 2, 3)", "3 entries", "2 spatial axes")),
        ({"padding": ((1, 2, 3), (1, 1))}, ("padding (1, 2, 3)", "(before, after)")),
        ({"padding": (0.5, 1)}, ("padding 0.5", "whole numbers")),
    ],
)
def test_a_field_out_of_range_is_named_with_its_value(fields, parts):
    text = mistake(**fields)
    for part in parts:
        assert part in text
