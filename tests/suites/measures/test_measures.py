"""Measurements of single features: they run, and the recipes compute what SciPy computes."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, signal

from algos.winograd.points import POINTS
from suites.measures import borders, integers, masks, neighbours, points, recipes
from suites.measures.turns import in_turns

PAGE = Path(__file__).parents[3] / "docs" / "recipes.md"
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("module", [
    recipes, pytest.param(borders, marks=pytest.mark.slow),
    *(pytest.param(m, marks=pytest.mark.peers) for m in (integers, masks))
], ids=lambda m: m.__name__.split(".")[-1])  # fmt: skip
def test_a_table_is_printed(module, capsys):
    for library in {integers: ("cv2",), masks: ("astropy",)}.get(module, ()):
        pytest.importorskip(library)
    module.main(["--quick", "--rounds", "1"])
    printed = capsys.readouterr().out.splitlines()
    assert "thread(s)" in printed[0]
    rows = [line for line in printed if line.startswith("|")]
    assert len(rows) >= 3
    assert len({row.count("|") for row in rows}) == 1


@pytest.mark.slow
def test_calls_beside_neighbours_are_a_table(capsys):
    neighbours.main(["--rows", "9×9 on 384", "--calls", "3"])
    *_, row = capsys.readouterr().out.splitlines()
    assert row.startswith("| 9×9 on 384² | separable | ")
    assert row.count("|") == 9


def test_every_call_has_its_turn():
    count = {"a": 0, "b": 0}
    calls = {name: lambda name=name: count.update({name: count[name] + 1}) for name in count}
    times = in_turns(calls, 4)
    assert count == {"a": 5, "b": 5}
    assert times["a"].shortest <= times["a"].median


def test_the_search_for_points_finds_none_much_better(capsys):
    points.main(["F(2,3)", "F(2, 5)", "--starts", "4"])
    *_, three, five = capsys.readouterr().out.splitlines()
    assert three == "| F(2, 3) | ±1 | 1.29 | ±1 | 1.29 |"
    assert five == "| F(2, 5) | ±5/8, ±3/2 | 2.32 | ±5/8, ±3/2 | 2.32 |"
    # Of these, simulations with rounded numbers chose among the best.
    for m, r in ((4, 3), (4, 5), (6, 3)):
        best, _ = points.search(m, r, 4, 3)
        assert points.amplification(POINTS[m, r], r) < 1.05 * best


def test_a_search_for_points_asks_for_a_form():
    with pytest.raises(SystemExit, match="write F"):
        points.main(["4x3"])


RECIPES = ("oaconvolve", "fftconvolve", "gaussian_filter", "uniform_filter")


@pytest.mark.parametrize("name", RECIPES)
def test_the_page_shows_the_code(name):
    assert inspect.getsource(getattr(recipes, name)) in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolutions_are_those_of_scipy(mode):
    a, b = RNG.standard_normal((40, 300)), RNG.standard_normal((9, 12))
    for name in ("oaconvolve", "fftconvolve"):
        got, exact = getattr(recipes, name)(a, b, mode), getattr(signal, name)(a, b, mode)
        np.testing.assert_allclose(got, exact, rtol=0, atol=1e-11)


@pytest.mark.parametrize("shape", [(200,), (60, 50), (20, 18, 16)])
@pytest.mark.parametrize("mode", ["reflect", "mirror", "nearest", "wrap"])
def test_filters_are_those_of_scipy(shape, mode):
    x = RNG.standard_normal(shape)
    for name, size in (("gaussian_filter", 1.3), ("uniform_filter", 5), ("uniform_filter", 4)):
        got = getattr(recipes, name)(x, size, mode)
        exact = getattr(ndimage, name)(x, size, mode=mode)
        np.testing.assert_allclose(got, exact, rtol=0, atol=1e-12)
