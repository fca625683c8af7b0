"""Sums over the layers of a network, each as often as the network has it."""

import math

import pytest
from synthetic import cell, write_run

import report
import results
from algos.core.problem import Problem
from results.page import page
from results.tables.network import headings, rows, sentences, sums_sentence, whole_network

FIRST = Problem(size=(32, 32), kernel=3, name="conv1 ×1")
OTHERS = Problem(size=(16, 16), kernel=3, name="conv2 ×5")
POOL = Problem(size=(8, 8), kernel=2, name="pool ×2")


def times(seconds):
    return [seconds * ripple for ripple in (1.0, 1.0, 1.0, 1.0, 1.0)]


def frame_of(folder, without=()):
    """Return a run of two convolutions and a pooling by three of ours and a peer."""
    seconds = {
        FIRST: {"naive": 4e-3, "parallel": 2e-3, "fft": 1e-3, "torch": 3e-3},
        OTHERS: {"naive": 4e-4, "parallel": 1e-4, "fft": 9e-4, "torch": 2e-4},
        POOL: {"naive": 1e-5, "parallel": 2e-5},
    }
    cells = [
        cell(
            name, problem, samples=times(time), kind="max" if problem is POOL else "convolution",
            auto=name == "parallel",
        )
        for problem, own in seconds.items()
        for name, time in own.items()
        if (problem.name, name) not in without
    ]  # fmt: skip
    path = write_run(
        folder, cells, algorithms=["naive", "parallel", "fft", "torch"], peers=["torch"]
    )
    return results.read(path)


def test_sums_count_every_layer_as_often_as_it_stands_in_the_network(tmp_path):
    (whole,) = whole_network(frame_of(tmp_path))
    assert whole.layers == {"convolution": 6, "pooling": 2, "all layers": 8}
    sums = {(way.name, way.kind): way.seconds for way in whole.ways}
    assert sums["auto", ""] == pytest.approx(
        {"convolution": 2.5e-3, "pooling": 4e-5, "all layers": 2.54e-3}
    )
    assert sums["parallel", "single"] == sums["auto", ""]
    assert sums["the fastest of ours for each layer", ""] == pytest.approx(
        {"convolution": 1.5e-3, "pooling": 2e-5, "all layers": 1.52e-3}
    )
    torch = sums["torch", "peer"]
    assert torch["convolution"] == pytest.approx(4e-3)
    assert math.isnan(torch["pooling"])
    assert math.isnan(torch["all layers"])
    assert headings(whole) == ["computed by", "convolution (6)", "pooling (2)", "all layers (8)"]
    assert rows(whole)[1] == [
        "parallel, the best single algorithm", "2.50 ms", "40.0 µs", "2.54 ms"
    ]  # fmt: skip
    assert rows(whole)[3] == ["torch", "4.00 ms", "–", "–"]
    assert sentences(whole) == [
        "Layers that have no time, of 8 layers: torch 2; a dash stands for a sum that would lack "
        "them."
    ]


def test_a_missing_layer_leaves_no_sum_rather_than_a_small_one(tmp_path):
    lacking = {("conv2 ×5", "parallel"), ("conv2 ×5", "naive")}
    (whole,) = whole_network(frame_of(tmp_path, lacking))
    assert [way.name for way in whole.ways if way.kind == "single"] == []
    assert math.isnan(whole.ways[0].seconds["all layers"])  # the choice of conv2 is not known
    assert "No single algorithm of the run has a time for every layer." in sentences(whole)
    assert "auto 5, torch 2" in sentences(whole)[1]
    assert "it takes an algorithm that has none in this run" in sentences(whole)[2]


def test_other_runs_have_no_network(tmp_path):
    path = write_run(tmp_path, [cell("naive", FIRST), cell("naive", Problem(size=9, kernel=2))])
    assert whole_network(results.read(path)) == []


def test_the_report_shows_the_sums(tmp_path):
    frame = frame_of(tmp_path)
    text = report.page_text(frame, [], tmp_path)
    assert "## The whole network, 1 thread: the sum over its layers" in text
    assert "| parallel, the best single algorithm | 2.50 ms | 40.0 µs | 2.54 ms |" in text
    (whole,) = whole_network(frame)
    said = sums_sentence(whole)
    assert "2.54 ms with auto; 2.54 ms with parallel, the best single algorithm; 1.52 ms" in said
    assert "4.00 ms with torch, convolution alone" in said
    assert said in page.page_text(frame, tmp_path)


def test_an_algorithm_in_another_layout_has_a_row_of_its_own(tmp_path):
    seconds = {"parallel": 3e-3, "fft": 2e-3, "parallel@channels_last": 1e-3}
    cells = [cell(name, FIRST, samples=times(time)) for name, time in seconds.items()]
    (whole,) = whole_network(results.read(write_run(tmp_path, cells, algorithms=[*seconds])))
    sums = {way.name: way.seconds["all layers"] for way in whole.ways}
    assert sums["the fastest of ours for each layer"] == pytest.approx(2e-3)
    assert sums["parallel@channels_last"] == pytest.approx(1e-3)
    assert [way.name for way in whole.ways if way.kind == "single"] == ["fft"]
