"""Other people's pooling keeps our contract."""

import pytest

from algos import PoolProblem, registry
from algos.core.family import POOLING
from suites.cases import generate
from suites.cases import pool_generate as pool_cases
from suites.cases.suite import Case
from suites.truth.judge import judge

LIBRARIES = {"opencv-dilate-box": "cv2", "torch": "torch"}
SLID = [
    f"{kind}_{placement}{dtype}"
    for kind in ("max", "average")
    for placement in (
        "mb2_ic2ih12iw17_kh3kw4_sh1_ph1pw1_rh1rw2", "mb1_ic1iw30_kw5_sw1",
        "mb1_ic1ih9_kh4_sh1_ph2", "mb1_ic1ih20iw9_kh11kw1_sh1_ph5pw0",
    )
    for dtype in ("", "_f64")
]  # fmt: skip


def failures(name, cases):
    """Return the verdict on each case that a peer fails, and the number of cases it can do."""
    found = [(case, judge(registry.get(name, (POOLING,)), case, threads=2)) for case in cases]
    done = [pair for pair in found if pair[1].status != "unsupported"]
    return [f"{case.problem} {case.pixels}: {f.reason}" for case, f in done
            if f.status == "failed"], len(done)  # fmt: skip


def cases_for(name):
    from algos.pooling import parse_pool_descriptor

    slid = [Case(parse_pool_descriptor(text), *fill) for text in SLID for fill in pool_cases.FILLS]
    return slid + pool_cases.cases(80, 0, generate.OPERATIONS)


@pytest.mark.slow
def test_scipy_passes_verification():
    failed, done = failures("scipy-ndimage", cases_for("scipy-ndimage"))
    assert not failed, "\n".join(failed)
    assert done >= 60


@pytest.mark.peers
@pytest.mark.parametrize("name", LIBRARIES)
def test_opencv_and_torch_pass_verification(name):
    pytest.importorskip(LIBRARIES[name])
    failed, done = failures(name, cases_for(name))
    assert not failed, "\n".join(failed)
    assert done >= 60


def test_they_run_only_where_asked_for():
    assert all(registry.get(name, (POOLING,)).opt_in for name in (*LIBRARIES, "scipy-ndimage"))


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("scipy-ndimage", {"window": 2}, "scipy.ndimage has no stride"),
        ("scipy-ndimage", {"output": 3}, "it has no adaptive ones"),
        ("scipy-ndimage", {"window": 2, "stride": 1, "operation": "grad_input"}, "no gradient"),
        ("scipy-ndimage", {"window": 2, "stride": 1, "kind": "l2"}, "has no l2 pooling"),
    ],
)
def test_what_a_library_does_not_offer_is_a_sentence(name, fields, said):
    assert said in registry.get(name, (POOLING,)).why_not(PoolProblem(size=(9, 9), **fields))
