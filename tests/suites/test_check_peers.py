"""The check without the harness is short, and computes what it says."""

import re
from pathlib import Path

import numpy as np
import pytest

from suites import check_peers
from suites.cases import suite

SOURCE = Path(check_peers.__file__).read_text(encoding="utf-8")


def test_it_can_be_read_in_five_minutes_and_uses_nothing_of_the_harness():
    assert len(SOURCE.splitlines()) < 150
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", SOURCE, re.MULTILINE))
    assert not imported & {"suites", "results", "report", "convbench"}


def test_its_rows_are_problems_of_the_headline():
    named = {case.problem.name: case.problem for case in suite.load("headline").cases}
    assert len(check_peers.ROWS) >= 20
    for name, (c, n, o, k, s, p, g) in check_peers.ROWS.items():
        problem = named[name]
        given = (problem.in_channels, problem.out_channels, problem.groups)
        assert given == (c, o, g)
        assert {*problem.size, *problem.kernel} == {n, k}
        assert (set(problem.stride), set(problem.padding)) == ({s}, {(p, p)})


@pytest.mark.peers
def test_it_prints_a_row_in_which_all_sides_have_taken_their_turns(monkeypatch, capsys):
    for module in ("torch", "onnxruntime", "onnx", "ncnn"):
        pytest.importorskip(module)
    monkeypatch.setattr(check_peers, "WAKE", 0.0)
    monkeypatch.setattr(check_peers, "TIMED", 0.0)
    check_peers.check("googlenet:3a 5x5", 1)
    line = capsys.readouterr().out
    ours, theirs = r"(?:parallel(?:@channels_last)?|winograd[46]) +[\d.]+ ms", r"[\w-]+ +[\d.]+ ms"
    ratio = r"[\d.]+ +\[[\d.]+, [\d.]+\]"
    assert re.fullmatch(rf"googlenet:3a 5x5 +{ours} +{theirs} +{ratio}\n", line)


@pytest.mark.peers
def test_both_sides_compute_the_same():
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 8, 12, 12), "f4")
    w = rng.standard_normal((4, 8, 3, 3), "f4")
    layer = (x, w, 1, 1, 1, 1)
    results = {name: call().copy() for name, call in check_peers.ours(*layer).items()}
    results |= {name: call().numpy() for name, call in check_peers.torch(*layer).items()}
    assert len(results) == 7
    for name, result in results.items():
        # Its errors are about five times those of winograd4, as its class of accuracy says.
        tolerance = 5e-4 if name == "winograd6" else 1e-4
        np.testing.assert_allclose(result, results["parallel"], atol=tolerance)


def test_ours_takes_part_with_its_channels_last_where_it_reads_them_in_place():
    rng = np.random.default_rng(0)
    for channels, name in ((8, "parallel@channels_last"), (1, None)):
        x = rng.standard_normal((1, channels, 12, 12), "f4")
        w = rng.standard_normal((8, channels, 3, 3), "f4")
        calls = check_peers.ours(x, w, 1, 1, 1, 1)
        assert {side for side in calls if "@" in side} == ({name} if name else set())
        if name:
            plan, given, out = calls[name].func, *calls[name].args
            assert plan.problem.layout == "channels_last"
            for array in (given, out):
                assert np.moveaxis(array, 1, -1).flags.c_contiguous
                assert not array.flags.c_contiguous
            np.testing.assert_array_equal(given, x)
            np.testing.assert_allclose(calls[name](), calls["parallel"](), atol=1e-4)
