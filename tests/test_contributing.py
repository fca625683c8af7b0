"""Both algorithms that CONTRIBUTING.md explains are right as printed."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import algos
from algos.backend.threads import available
from algos.core.family import algorithms_in
from suites.cases import generate
from suites.commands import new_algorithm
from suites.truth import oracle
from suites.truth.instance import ConvolutionInstance

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(scope="module", params=range(len(BLOCKS)), ids=["first", "fast"])
def example(request, tmp_path_factory):
    """Yield the algorithm that one Python block of the page defines."""
    name = f"page_example_{request.param}"
    path = tmp_path_factory.mktemp("page") / f"{name}.py"
    path.write_text(BLOCKS[request.param])
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # threads of kernels find their module by its name
    spec.loader.exec_module(module)
    (algorithm,) = algorithms_in(module)
    yield algorithm
    del sys.modules[name]


def test_it_passes_verification(example):
    judged = 0
    for case in generate.cases(120):
        trial = ConvolutionInstance(case)
        out = trial.result()
        try:
            plan, given = trial.plan(example, 1)
        except algos.ConvbenchError as refusal:
            assert f"{example.name} cannot do this: it " in str(refusal)
            continue
        plan(*given, out)
        verdict = trial.check(example, out, oracle.every_position(out.shape))
        assert verdict.passed, f"{case.problem}: {verdict.reason}"
        judged += 1
    assert judged > 40


def test_the_page_shows_what_new_algorithm_writes():
    assert BLOCKS[0] == new_algorithm.render("shift-and-add")


def test_an_example_gives_the_same_bits_on_all_threads(example):
    problem = algos.parse_descriptor("mb2_ic4ih9_oc6_kh3_ph1")
    rng = np.random.default_rng(0)
    x = rng.standard_normal(problem.input_shape).astype("f4")
    w = rng.standard_normal(problem.kernel_shape).astype("f4")
    one, all_of_them = (
        algos.plan(problem, w, algorithm=example, threads=threads)(x)
        for threads in (1, available())
    )
    np.testing.assert_array_equal(one, all_of_them)
    np.testing.assert_allclose(one, algos.conv(x, w, padding=1, algorithm="naive"), 1e-4, 1e-4)


@pytest.mark.parametrize("name", ["", "Upper", "two words", "naive", "trailing-", "../up"])
def test_names_that_cannot_be(name):
    with pytest.raises(algos.ConvbenchError):
        new_algorithm.render(name)


def test_nothing_is_overwritten(tmp_path):
    path = new_algorithm.write("mine", tmp_path)
    path.write_text("precious")
    with pytest.raises(algos.ConvbenchError, match="exists already"):
        new_algorithm.write("mine", tmp_path)
    assert path.read_text() == "precious"


def test_what_it_cannot_do_is_a_sentence(example):
    refused = {
        "shift-and-add": ({"in_channels": 2, "out_channels": 2, "groups": 2}, "it is written"),
        "row-sums": ({"stride": 2}, "it needs stride 1 along the last axis, not 2"),
    }
    options, sentence = refused[example.name]
    problem = algos.Problem(size=(8,), kernel=3, **options)
    with pytest.raises(algos.ConvbenchError, match=f"{example.name} cannot do this: {sentence}"):
        algos.plan(problem, np.ones(problem.kernel_shape, "f4"), algorithm=example)
