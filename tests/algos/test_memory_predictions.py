"""Algorithms predict the memory they hold; each is measured in a process of its own."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from algos.adapters import performer
from algos.core.descriptor import parse_descriptor
from algos.fft.algorithm import FFT
from algos.registry import convolutions, get
from suites.cases.suite import Case
from suites.machine.memory import is_off
from suites.workers.messages import Unable, Weigh
from suites.workers.process import Worker

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="this system does not tell the peak"
)

#: Descriptors and weights; large enough for a tenth to be more than the mebibyte that is free.
PROBLEMS = {
    "image": ("mb1_ic1ih1500_oc1_kh9_ph4", "rank1"),
    "layer": ("mb4_ic16ih112_oc16_kh3_ph1", "random"),
    "wide": ("mb1_ic32ih40_oc64_kh5_ph2", "random"),
    "strided": ("mb2_ic8ih224_oc16_kh7_sh2ph3", "rank1"),
    "depthwise": ("mb2_g16ic16ih160_oc16_kh5_ph2", "rank1"),
    "signal": ("mb4_ic2iw100000_oc4_kw64", "rank1"),
    "volume": ("mb1_ic4id40_oc8_kd3_pd1", "rank1"),
    "picture": ("mb2_ic3ih40_oc4_kh5", "random"),  # small enough for a matrix of it
    "border": ("mb1_ic2ih1200_oc2_kh9_ph4_mirror", "rank1"),
    "flipped": ("mb1_ic512ih8_oc512_kh3_ph1_flip", "random"),  # mostly kernel
    "groups": ("mb2_g8ic8ih50_oc16_kh7_ph3", "random"),
}
#: Seconds that an answer may take, kernels compiled for half a minute on a busy machine included.
COMPILING = 600.0
QUICK = ("image", "layer", "picture", "border", "flipped")
OPERATIONS = ("forward", "grad_input", "grad_weight")
OURS = [name for name, algorithm in convolutions().items() if not algorithm.is_peer]


def weighed(algorithm, labels=PROBLEMS, operations=OPERATIONS):
    """Return the measured cases of `algorithm`, with bytes predicted and measured."""
    worker = Worker(1)
    try:
        for label, operation in itertools.product(labels, operations):
            descriptor, weights = PROBLEMS[label]
            problem = replace(parse_descriptor(descriptor), operation=operation)
            able = performer(get(algorithm), problem)
            if able.why_not(problem):
                continue
            case = Case(problem, weights=weights if operation == "forward" else "random")
            request = Weigh(case=case.as_words(), algorithm=algorithm, threads=1)
            answer = worker.ask(COMPILING, request)
            if isinstance(answer, Unable):  # a ConvbenchError's: these values are not for it
                assert not answer.reason.startswith("it raised"), answer.reason
            elif answer.peak_extra_bytes is not None:
                predicted = able.workspace_bytes(problem, 1)
                yield f"{label} {operation}", predicted, answer.peak_extra_bytes
    finally:
        worker.close()


def check(algorithm, *chosen):
    """Hold every prediction to what was held."""
    found = list(weighed(algorithm, *chosen))
    assert found
    for what, predicted, measured in found:
        assert not is_off(measured, predicted), (
            f"{algorithm} on {what}: {predicted} bytes were predicted, {measured} were held"
        )


@pytest.mark.parametrize("algorithm", OURS)
def test_what_is_predicted_is_held(algorithm):
    check(algorithm, QUICK, ["forward"])


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", OURS)
def test_what_is_predicted_is_held_whatever_the_problem(algorithm):
    check(algorithm)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_wrong_prediction_is_noticed(monkeypatch, factor):
    right = FFT.workspace_bytes
    monkeypatch.setattr(FFT, "workspace_bytes", lambda *given: round(factor * right(*given)))
    with pytest.raises(AssertionError, match="were predicted"):
        check("fft", ["wide"], ["forward"])
