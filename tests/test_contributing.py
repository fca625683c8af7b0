"""The algorithm that CONTRIBUTING.md works through is right, as it stands on the page."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import algos
from algos.core.family import algorithms_in
from suites.cases import generate
from suites.commands import starter
from suites.truth import oracle
from suites.truth.instance import ConvolutionInstance

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The one algorithm that the page's Python block defines."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    path = tmp_path_factory.mktemp("page") / "shift_and_add.py"
    path.write_text(code)
    spec = importlib.util.spec_from_file_location("shift_and_add", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (algorithm,) = algorithms_in(module)
    return algorithm


def test_it_passes_verification(example):
    judged = 0
    for case in generate.cases(120):
        if example.why_not(case.problem):
            continue
        trial = ConvolutionInstance(case)
        out = np.full(case.problem.output_shape, np.nan, case.problem.dtype)
        plan, given = trial.plan(example, 1)
        plan(*given, out)
        verdict = trial.check(example, out, oracle.every_position(out.shape))
        assert verdict.passed, f"{case.problem}: {verdict.reason}"
        judged += 1
    assert judged > 40


def test_the_page_shows_what_new_algorithm_writes():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert code == starter.render("shift-and-add")


@pytest.mark.parametrize("name", ["", "Upper", "two words", "naive", "trailing-", "../up"])
def test_names_that_cannot_be(name):
    with pytest.raises(algos.ConvbenchError):
        starter.render(name)


def test_nothing_is_overwritten(tmp_path):
    path = starter.write("mine", tmp_path)
    path.write_text("precious")
    with pytest.raises(algos.ConvbenchError, match="exists already"):
        starter.write("mine", tmp_path)
    assert path.read_text() == "precious"


def test_what_it_cannot_do_is_a_sentence(example):
    problem = algos.Problem(size=(8,), kernel=3, in_channels=2, out_channels=2, groups=2)
    with pytest.raises(algos.ConvbenchError, match="shift-and-add cannot do this: it is written"):
        algos.plan(problem, np.ones(problem.kernel_shape, "f4"), algorithm=example)
