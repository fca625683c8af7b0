"""im2win, which the suite has for a claim alone, against the definition."""

import numpy as np
import pytest

import algos
from suites.claims.sources.published import Im2win

PROBLEMS = [
    "mb1_ic3ih9_oc4_kh3",
    "mb2_ic3ih9iw12_oc4_kh3kw5_ph1pw2_bias",
    "mb1_ic2ih7iw7_oc3_kh2kw1_flip",
    "mb3_ic1ih6_oc2_kh6",
]


@pytest.mark.parametrize("text", PROBLEMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_im2win_is_exact_on_whole_numbers(text, dtype):
    problem = algos.parse_descriptor(f"{text}_f64" if dtype == "float64" else text)
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-8, 9, shape).astype(dtype) for shape in problem.operands)
    bias = rng.integers(-8, 9, problem.bias_shape).astype(dtype) if problem.bias else None
    one, other = (algos.plan(problem, w, bias, algorithm=a)(x) for a in (Im2win(), "naive"))
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "text", ["mb1_ic3iw9_oc4_kw3", "mb1_ic3ih9_oc4_kh3_sh2", "g2mb1_ic4ih9_oc4_kh3"]
)
def test_what_im2win_cannot_do_has_a_reason(text):
    assert "stride 1" in Im2win().why_not(algos.parse_descriptor(text))
