"""Sums over the layers of a network."""

import math
from dataclasses import replace

import pytest
from synthetic import cell, write_run

import results
from algos.core.problem import Problem
from suites.cases.choosing import key_of
from suites.cases.suite import Case
from suites.choice.networks import Layer, best_times, layer_of, sentences, sum_up

FIRST = Layer("first", {"parallel": 4.0, "fft": 1.0}, {"parallel": 0, "fft": 4096}, "fft", 1.0)
SECOND = Layer("second", {"parallel": 2.0, "fft": 8.0, "im2col": 3.0}, {"parallel": 16}, "parallel")
#: Times of a peer and of another layout are not ours to choose.
SECONDS = {"parallel": 3.0, "fft": 2.0, "torch": 1.0, "parallel@channels_last": 1.0}


def test_sums_of_one_algorithm_and_of_the_choice():
    found = sum_up([FIRST, SECOND])
    assert (found.single, found.single_s, found.auto_s) == ("parallel", 6.0, 3.0)
    assert (found.single_bytes, found.auto_bytes) == (16, 4096)
    assert (found.measured, found.best_s, found.best_auto_s) == (1, 1.0, 1.0)


def test_the_layers_in_which_the_choice_matters():
    found = sum_up([FIRST, SECOND])
    assert [layer.label for layer in found.deciding] == ["first"]
    said = " ".join(sentences(found))
    assert "2.0× the time of auto" in said
    assert "in 1 layer: first (fft, saves 3.00 s)" in said
    assert "of the 1 measured layers" in said


def test_no_single_algorithm():
    other = Layer("other", {"im2col": 1.0}, {}, "im2col")
    found = sum_up([FIRST, other])
    assert found.single == ""
    assert math.isnan(found.best_s) is False
    assert "No algorithm can do all" in " ".join(sentences(found))


def test_unknown_times_are_not_summed_up():
    unknown = Layer("unknown", {}, {}, "parallel")
    (said,) = sentences(sum_up([FIRST, unknown]))
    assert "The time of 1 of 2 layers is not known" in said


def test_an_explanation_becomes_a_layer():
    from suites.cases.choosing import explained

    case = Case(Problem(size=(32, 32), kernel=5))
    found = explained(case, 1)
    layer = layer_of("a", found)
    assert layer.chosen == found.algorithm
    able = {one.algorithm for one in found.candidates if not one.reason and one.time_s}
    assert set(layer.times) == able


def test_measured_times_are_those_of_ours(tmp_path):
    problem = Problem(size=(64, 64), kernel=3)
    cells = [cell(name, problem, samples=[seconds] * 3) for name, seconds in SECONDS.items()]
    frame = results.read(write_run(tmp_path, cells, peers=["torch"]))
    assert best_times(frame) == {key_of(Case(problem), 1): pytest.approx(2.0)}


def test_a_key_is_that_of_a_row(tmp_path):
    """Records keep the descriptor without the name."""
    problem = Problem(size=(64, 64), kernel=3, name="a layer")
    row = {**cell("parallel", problem), "problem": str(replace(problem, name=""))}
    (found,) = best_times(results.read(write_run(tmp_path, [row])))
    assert found == key_of(Case(problem, "random"), 1)
