"""Entrants: names split, mistakes in them, and the problem that a process computes for each."""

import pytest

from algos.core.errors import ConvbenchError
from algos.notation import parse
from results.records.entrants import Entrant
from suites.cases.choosing import is_admitted
from suites.cases.entrants import algorithm_of, called

LAYER = "mb1_ic8ih20_oc8_kh3"
LAST = "parallel@channels_last"


def refusal(function, *arguments):
    with pytest.raises(ConvbenchError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_name_is_an_algorithm_and_perhaps_a_layout():
    assert Entrant.of("parallel") == ("parallel", None)
    assert Entrant.of(LAST) == ("parallel", "channels_last")
    assert algorithm_of(LAST) is algorithm_of("parallel")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("paralel@channels_last", "did you mean 'parallel'?"),
        ("parallel@chanels_last", "did you mean 'channels_last'?"),
        ("parallel@", "no layout '', as in 'parallel@'; known: channels_first, channels_last"),
        ("parallel@channels_last@channels_last", "no layout 'channels_last@channels_last'"),
        ("torch@channels_last", "another library"),
    ],
)
def test_mistakes_in_a_name_have_a_sentence(name, sentence):
    assert sentence in refusal(algorithm_of, name)
    assert sentence in refusal(called, parse(LAYER), name)


@pytest.mark.parametrize("text", [LAYER, f"g8{LAYER}", "mb2_ic8id6_oc8_kd3", "max_mb1_ic8ih20_kh2"])
def test_the_process_computes_the_same_problem_in_the_other_layout(text):
    problem = parse(text)
    assert called(problem, "parallel") == (problem, "parallel")
    assert called(problem, LAST) == (parse(text, layout="channels_last"), "parallel")


def test_channels_first_is_a_layout_of_problems_written_with_channels_last():
    problem = parse(f"{LAYER}_axb")
    assert called(problem, "parallel@channels_first") == (parse(LAYER), "parallel")


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        (f"{LAYER}_axb", LAST, "is channels_last as it is written"),
        ("mb1_ic1ih20_oc1_kh3", LAST, "the same in every layout"),
        ("max_mb1_ic1ih20_kh2", LAST, "the same in every layout"),
        ("deblur10_mb1_ic1ih16_oc1_kh9_ph4_flip", LAST, "a deblurring problem has no layout"),
        (LAYER, "winograd4@channels_last", "winograd4 does not read channels_last arrays"),
        ("max_mb1_ic8ih20_kh2", "separable@channels_last", "would be that of copies"),
        (f"{LAYER}_bwdd", LAST, "would be that of copies"),
        (f"{LAYER}_bwdw", LAST, "would be that of copies"),
        ("max_mb1_ic8ih20_kh2", "winograd4@channels_last", "it cannot pool"),
    ],
)
def test_problems_that_an_entrant_cannot_be_timed_on_have_a_reason(text, name, sentence):
    assert sentence in refusal(called, parse(text), name)


def test_the_default_accuracy_admits_an_entrant_like_its_algorithm():
    problem = parse(LAYER)
    assert is_admitted(problem, LAST)
    assert not is_admitted(problem, "winograd6@channels_last")
