"""One small problem for every algorithm, so that the default tests leave none out.

Thorough tests of some algorithms compile for minutes and are marked slow.
"""

import pytest

from algos import parse_descriptor
from algos.core.family import CONVOLUTION, POOLING, Family
from algos.pooling import parse_pool_descriptor
from algos.registry import of
from suites.cases.suite import Case
from suites.truth.judge import judge

#: A square image and a kernel of rank one, which every convolution takes.
CONVOLVED = [Case(parse_descriptor("mb1_ic1ih20_oc1_kh3_ph1"), "rank1")]
#: No algorithm computes every kind of pooling; each takes the first that it can.
POOLED = [
    Case(parse_pool_descriptor(f"{kind}_mb1_ic2ih12_kh3_sh1_ph1")) for kind in ("max", "average")
]


def ours(family: Family) -> list[str]:
    return [name for name, algorithm in of(family).items() if not algorithm.is_peer]


# The parameter is not called `name`: tests/conftest.py marks those of slow algorithms.
@pytest.mark.parametrize(
    ("family", "chosen", "cases"),
    [
        *((CONVOLUTION, each, CONVOLVED) for each in ours(CONVOLUTION)),
        *((POOLING, each, POOLED) for each in ours(POOLING)),
    ],
)
def test_it_stays_within_its_bound(family: Family, chosen: str, cases: list[Case]) -> None:
    algorithm = of(family)[chosen]
    case = next(case for case in cases if algorithm.why_not(case.problem) is None)
    found = judge(algorithm, case, threads=2)
    assert found.status == "ok", found.reason
    assert found.error_over_bound <= 1
