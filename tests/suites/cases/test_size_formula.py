"""`convbench shape`: the formula with numbers, or why the numbers do not fit."""

import pytest

from algos import ConvbenchError, parse_descriptor
from algos.notation import parse
from suites.cases.size_formula import explain
from suites.cli import main
from suites.truth.families import family_cases


def lines(text):
    return explain(parse_descriptor(text))


def test_the_formula_is_filled_in_per_axis():
    found = lines("mb1_ic3ih227iw30_oc96_kh11kw3_sh4sw1_ph0pw1_rh0rw2_dh0dw1")
    assert found[:3] == [
        "input  (1, 3, 227, 30)",
        "kernel (96, 3, 11, 3)",
        "output (1, 96, 55, 29), per axis (W − (F − 1)·D − 1 + P)/S + 1:",
    ]
    assert found[3] == "  h: (227 − (11 − 1)·1 − 1 + 0)/4 + 1 = 55"
    assert found[4] == "  w: (30 − (3 − 1)·2 − 1 + (1 + 2))/1 + 1 = 29"


@pytest.mark.parametrize(
    "word, said",
    [
        ("", "= 3.333, rounded down to 3; 1 sample is never read: pad by 2 more or crop by 1"),
        ("_ceil", "= 3.333, rounded up to 4; the last is ragged: pad by 2 more or crop by 1"),
    ],
)
def test_a_rest_is_explained(word, said):
    assert said in lines(f"mb1_ic1iw10_oc1_kw3_sw3{word}")[3]


def test_the_matrix_of_im2col_is_named():
    said = "columns 363 × 3025: kernel taps × output positions"
    assert said in "\n".join(lines("mb1_ic3ih227_oc96_kh11_sh4"))
    assert "columns 18 × 36 of each group of each image" in "\n".join(lines("g2mb3_ic4ih8_oc2_kh3"))


def test_a_window_beyond_the_input_is_not_cropped_away():
    assert lines("mb1_ic1iw2_oc1_kw3_sw2_ceil")[3].endswith(
        "= 0.5, rounded up to 1; the last is ragged: pad by 1 more for a whole fit"
    )


def test_large_sizes_keep_their_digits():
    assert lines("mb1_ic1iw1048576_oc1_kw2_sw2")[3].endswith("= 524288")
    assert "= 524288.5, rounded" in lines("mb1_ic1iw1048577_oc1_kw2_sw2")[3]


def test_gradients_say_what_goes_in_and_which_sizes_share_an_output():
    text = "\n".join(lines("g2mb1_ic4ih8_oc2_kh3_sh2_bwdd"))
    assert "2 groups, each from 2 to 1 channels" in text
    assert "grad_input: from (1, 2, 3, 3) and (2, 2, 3, 3) to (1, 4, 8, 8)" in text
    assert "inputs of 7 … 8 × 7 … 8 have this output" in text
    assert "at most 9 products a sum" in lines("mb1_ic1ih5_oc1_kh3_bwdw")[-2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_mb1_ic2ih6iw7_kh3_sh2", "w: (7 − (3 − 1)·1 − 1 + 0)/2 + 1 = 3"),
        ("max_mb1_ic2ih6_kh3_sh2", "rounded down to 2; 1 sample is never read: pad by 1 more"),
        ("average_mb1_ic2ih6_kh3_sh2_ceil", "rounded up to 3; the last is ragged"),
        ("max_mb1_ic1ih4_kh2_sh3_ph1_ceil", "would begin in the padding behind, and is left out"),
        ("average_mb1_ic2ih7_output=3,3", "7 samples in 3 windows of 3"),
        ("max_mb1_ic2ih8_levels=4,2,1", "16 + 4 + 1 = 21 bins"),
        ("max_mb1_ic1iw25_ratio=1.5", "25 samples in 16 windows of 2 … 3"),
        ("maxout_mb1_ic6ih3_pieces=3", "6/3 = 2 channels"),
        ("max_mb1_ic2ih8_kh3_sh2", "unpooling: inputs of 7 … 8 × 7 … 8 pool to this output"),
        ("l2_mb1_ic2ih8_kh3_sh2_backward", "grad_input: from (1, 2, 3, 3) and (1, 2, 8, 8)"),
        ("inception_ic4ih8_ones=1_threes=2,3_fives=1,2_pooled=1", "they save 60%"),
    ],
)
def test_pooling_and_modules_have_their_formulas(text, said):
    problem = parse(text)
    assert said in "\n".join(family_cases(problem).explain(problem))


def test_a_pooling_that_does_not_fit_says_what_would(capsys):
    assert main(["shape", "max_mb1_ic1ih4_kh7"]) == 2
    assert "the window spans 7 samples along h" in capsys.readouterr().err
    assert main(["shape", "max_mb1_ic1ih9_kh2_sh2_ph2"]) == 2
    assert "pad by at most half the window" in capsys.readouterr().err
    assert main(["shape", "average_mb1_ic1ih9_kh2_sh2_exact"]) == 2
    assert "is not whole, 1 of 9 samples" in capsys.readouterr().err


def test_the_command_prints_it_and_refuses_in_one_sentence(capsys):
    assert main(["shape", "mb1_ic3ih227_oc96_kh11_sh4"]) == 0
    assert "(227 − (11 − 1)·1 − 1 + 0)/4 + 1 = 55" in capsys.readouterr().out
    assert main(["shape", "mb1_ic1ih4_oc1_kh7"]) == 2
    assert "padding of at least 2" in capsys.readouterr().err
    with pytest.raises(ConvbenchError, match="is not whole, 1 of 8 samples"):
        lines("mb1_ic1ih8_oc1_kh3_sh2_exact")
