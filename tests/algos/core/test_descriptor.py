"""Descriptor text: the round trip, benchdnn's rules, and where an error is."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import problems

from algos import ConvbenchError, Problem, parse_descriptor
from algos.core.descriptor import DescriptorError

# Lines of oneDNN's tests/benchdnn/inputs/conv, chosen for what each does that others do not.
REAL_LINES = [
    "mb2ic16ih7oc16oh7kh5ph2",
    'mb2_ic32oc32_iw79ow75kw5sw1pw0_ih41oh16kh10sh2ph0n"ds2-swap"',
    "ic2ih1iw9oc3oh1ow4kh1kw3sh1sw2",
    "mb2_g1ic32oc32_ih7oh11kh3ph2",
    "mb2ic3ih300oc32oh150kh3sh2",
    "mb2_g1ic1oc2_ih3oh10kh2sh1dh1ph4_iw5ow12kw2sw1dw1pw2",
    "mb2_g1ic8oc8_ih1oh16kh2ph1",
    "mb1_g1ic128oc256_ih1oh1kh3sh2dh0ph1_iw1ow1kw3sw2dw0pw1",
    "g1_oc16oh56ow56_ic16ih28iw28_kh1kw1sh2sw2ph0pw0",
    'mb1_g1_ic16oc16_kd1kh1kw1_id1ih2iw1_od1oh1ow1_sd1sh3sw1_pd0ph0pw0_dd0dh0dw0n"neg-padding(-1)"',
    "mb1_g3ic3oc3_ih10oh9kh2sh2dh0ph4",
    "g1ic1id2ih1iw1oc1od2oh1ow1kd3kh1kw1pd2ph0pw0n",
    "g1ic16ih7iw1oc16oh1ow1kh11kw1sh2sw1ph5pw0n",
    "g1ic64ih31iw1oc64oh32ow1kh1kw1ph0pw0",
    'mb1_ic1oc16_iw1_ow29_kw14_pw28_dw1_n"dilated_kernel_size_lt_padding"',
    "mb1_ic16oc16_id100od1kd100",
    "g2ic32id5oc6od3kd3pd0noc%simd_width_!=0_with_im2col",
    "mb1_ic16oc16_id4od2kd2sd4dd0pd1_ih4oh2kh2sh4dh0ph1_iw6ow7kw2sw1dw0pw1",
    'ic16oc16_ih13kh3ph1_iw50kw3pw1_id10kd3pd1_n"3d_conv_pad:1"',
    'g3_ic6oc6_id56kd3sd2_n"3d_gconv_non-block_s2"',
    "mb1ic16oc16_ih10kh5_kh5ph7sh1",
    "mb1ic16id1ih1iw1oc16od2oh2ow1kd3kh3kw1dd1dh1ph1pd1",
    'ic512oc1024_iw19ow19kw3sw1dw5pw6n"conv1d_gemm:3"',
    'ic32oc13_ih13oh12kh3ph0_n"tails_conv:1"',
    'ic65oc65_id5od5kd3pd1_ih1oh1kh1_iw1ow1kw1_n"3d_conv:mid_channel_tail"',
    'mb1_ic1oc16_kd1kh1kw3_id1ih1iw1_od1oh1ow1_sd1sh1sw2_pd0ph0pw1_dd0dh0dw5n"pw-right(11)"',
    'mb1_ic1oc16_kd1kh1kw3_id1ih1iw13_od1oh1ow2_sd1sh1sw3_pd0ph0pw1_dd0dh0dw3n"pw-right(-2)"',
    "mb1_g16ic16oc16_ih16kh3oh9_sh2ph1",
    "mb1_g16ic16oc16_ih15oh3kh7sh5ph3_iw10ow10kw3",
    "mb1_g16ic16oc16_ih10oh10kh3_iw15ow8kw1sw2pw0",
    "g128mb1ic128ih56oh32oc128kh4sh2ph0",
    'mb7_g1_ic1oc1_kd1kh3kw3_id1ih2iw2_od1oh1ow1_sd1sh2sw2_pd0ph2pw2_dd0dh0dw0n"pw-right(-1)"',
    "mb1_ic16oc1_ih2oh1kh2sh1dh0ph0_iw100_ow90_kw3sw1dw34pw1",
    "mb1ic4294967311oc1iw1kw1",
    'ic265oc256_ih144oh12kh1sh12dh0ph0_iw32ow16kw1sw2dw0pw0_n"generated_strided_conv:11"',
    'g1mb1ic3ih224iw224oc64oh112ow112kh7kw7sh2sw2ph3pw3n"resnet_50:conv1"',
    'g2mb256ic96ih27oc256oh27kh5ph2n"alexnet:conv2"',
    'mb1ic64oc64_ih300oh300kh3sh1dh0ph1_iw300ow300kw3sw1dw0pw1n"*6"',
]


@given(problems())
@settings(max_examples=400, deadline=None)
def test_text_parses_back_to_the_problem(problem):
    again = parse_descriptor(str(problem))
    assert again == problem
    assert again.name == problem.name
    assert str(again) == str(problem)


@given(st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_in_words(text):
    try:
        assert isinstance(parse_descriptor(text), Problem)
    except ConvbenchError as error:
        assert repr(text) in str(error)


def test_a_quote_in_a_name_does_not_break_the_text():
    problem = Problem(size=5, kernel=3, name='so "called"')
    assert parse_descriptor(str(problem)) == problem


@pytest.mark.parametrize("line", REAL_LINES)
def test_lines_of_benchdnn_files_have_the_output_they_give(line):
    problem = parse_descriptor(line)
    shape = re.sub(r'n("[^"]*"|oc%.*)?$', "", line)
    given = dict(re.findall(r"(o[dhw])(\d+)", shape))
    for axis, size in zip(problem.axis_names, problem.output_size, strict=True):
        assert size == int(given.get("o" + axis, size))
    assert problem.batch == int((re.search(r"mb(\d+)", shape) or [0, 2])[1])
    assert parse_descriptor(str(problem)) == problem


def test_missing_axes_are_taken_from_the_one_before():
    assert parse_descriptor("ic1ih8oc1kh3sh2ph1dh1") == Problem(
        size=(8, 8), kernel=3, stride=2, padding=1, dilation=2, batch=2
    )
    assert parse_descriptor("ic1id8oc1kd3").size == (8, 8, 8)
    assert parse_descriptor("ic1iw8oc1kw3").size == (8,)
    # An axis that is there at all takes nothing from its neighbour.
    problem = parse_descriptor("ic1ih8kh3sh2ph1_iw9kw2_oc1")
    assert problem.stride == (2, 1)
    assert problem.padding == ((1, 1), (0, 0))


def test_dilation_counts_the_zeros_between_taps():
    assert parse_descriptor("ic1ih8oc1kh3").dilation == (1, 1)
    assert parse_descriptor("ic1ih8oc1kh3dh0").dilation == (1, 1)
    assert parse_descriptor("ic1ih8oc1kh3dh2").dilation == (3, 3)


def test_batch_is_two_where_left_out_or_zero_unless_told():
    assert parse_descriptor("ic1ih8oc1kh3").batch == 2
    assert parse_descriptor("mb0ic1ih8oc1kh3").batch == 2
    assert parse_descriptor("mb7ic1ih8oc1kh3").batch == 7
    assert parse_descriptor("ic1ih8oc1kh3", batch=4).batch == 4
    assert parse_descriptor("mb0ic1ih8oc1kh3", batch=4).batch == 4
    assert parse_descriptor("mb7ic1ih8oc1kh3", batch=4).batch == 7


def test_the_output_size_decides_padding_that_is_not_given():
    assert parse_descriptor("ic1ih7oc1oh7kh3").padding == ((1, 1), (1, 1))
    assert parse_descriptor("ic1ih7oc1oh7kh4").padding == ((1, 2), (1, 2))
    assert parse_descriptor("ic1ih7oc1oh5kh3").padding == ((0, 0), (0, 0))
    # With the padding before given, the rest is behind.
    assert parse_descriptor("ic1ih13oc13oh12kh3ph0").padding == ((0, 1), (0, 1))
    assert parse_descriptor("ic1ih13oc13oh0kh3ph0").output_size == (11, 11)


def test_words_of_our_own():
    problem = parse_descriptor("mb1_ic1iw9_oc1_kw2_pw1_rw0_f64_flip_bias_ceil")
    assert problem.padding == ((1, 0),)
    assert (problem.dtype, problem.flip, problem.bias, problem.fit) == (
        "float64", True, True, "ceil",
    )  # fmt: skip
    assert parse_descriptor("ic1iw9oc1kw2", dtype="float64", bias=True).bias


def test_defaults_yield_to_the_text():
    assert parse_descriptor("ic1iw9oc1kw2_f32", dtype="float64").dtype == "float32"


@pytest.mark.parametrize(
    ("text", "column", "part"),
    [
        ("mb1_ic3ih8_oc4_xx3", 16, "'xx3'"),
        ("hello", 1, "'hello'"),
        ("mb1_ic3ih8_oc4_kh", 16, "'kh'"),
        ("mb1_ic3ih8_oc4_kh-3", 16, "'kh-3'"),
        ("mb1_ic3ih8_ic4_kh3", 12, "ic is given twice, as 3 and as 4"),
        ("mb1 ic3", 4, "' ic3'"),
        ("mb1_ic3ih8_oc4_kh3_f16", 20, "'f16'"),
    ],
)
def test_unreadable_text_is_refused_with_the_column(text, column, part):
    with pytest.raises(DescriptorError) as error:
        parse_descriptor(text)
    assert error.value.column == column
    assert f"column {column}" in str(error.value)
    assert part in str(error.value)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "gives no ic"),
        ("ih8_oc4_kh3", "gives no ic"),
        ("ic3ih8_kh3", "gives no oc"),
        ("ic3_oc4", "gives no size"),
        ("ic3ih8_oc4", "gives no kh (kernel size along h)"),
        ("ic3_oc4_kh3", "gives no ih (input size along h)"),
        ("ic3ih8_oc4_kh3_kw3", "gives no iw"),
    ],
)
def test_what_is_missing_is_named(text, part):
    with pytest.raises(DescriptorError, match=re.escape(part)):
        parse_descriptor(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ic1ih5oc1kh7", "the kernel spans 7 samples along h, the padded input only 5"),
        ("g3ic4ih5oc3kh3", "in_channels 4 cannot be split into 3 groups"),
        ("ic1ih5oc1kh3sh0", "stride"),
        (
            "ic1ih10oc1oh4kh3ph0",
            "oh4 does not follow from ih10, kh3, sh1, ph0: the output size is 8",
        ),
        ("ic1ih10oc1oh9kh3ph0rh0", "oh9 does not follow"),
        ("ic1ih0oc1kh3", "size (0, 0) must be along every axis a whole number of at least 1"),
    ],
)
def test_an_impossible_problem_is_readable_but_refused(text, part):
    with pytest.raises(ConvbenchError, match=re.escape(part)) as error:
        parse_descriptor(text)
    assert not isinstance(error.value, DescriptorError)
    assert repr(text) in str(error.value)
