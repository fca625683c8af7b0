"""The harness times the call of a peer and nothing else, and records what stands beside it."""

import numpy as np
import pytest

from algos import Problem, registry
from algos.backend import threads
from algos.core.bound import Bound
from algos.core.family import CONVOLUTION
from algos.peers.peer import Peer
from suites.cases.suite import Case
from suites.timing.cell import obstacle
from suites.workers.messages import Load, Sample
from suites.workers.worker import Session

CASE = Case(Problem(size=(4, 4), kernel=1))


class Planted(Peer):
    """A peer that scales an image: its conversions are counted apart from its calls."""

    name = "planted"

    def __init__(self):
        self.calls = self.conversions = 0

    def bind(self, problem, *given, threads):
        x, w, _ = given
        own = np.array(x)
        self.conversions += 1

        def call():
            self.calls += 1
            return own * w[0, 0]

        def fetch(result, out):
            self.conversions += 1
            out[...] = result

        return Bound(call, fetch)


@pytest.fixture
def planted(monkeypatch):
    peer = Planted()
    monkeypatch.setitem(registry.of(CONVOLUTION), "planted", peer)
    yield peer
    threads.use(threads.available())


def load(session, algorithm):
    about = {"case": CASE.as_words(), "algorithm": algorithm, "threads": 1, "cell": 0}
    return session.load(Load(**about))


def test_a_sample_holds_calls_and_no_conversion(planted):
    session = Session()
    outcome = load(session, "planted")
    assert outcome.status == "ok", outcome.reason
    assert outcome.convert_s > 0
    calls, conversions = planted.calls, planted.conversions
    session.sample(Sample(0, loops=20, warm=3))
    assert planted.calls - calls == 23
    assert planted.conversions == conversions


def test_ours_is_sampled_through_the_same_door(planted):
    session = Session()
    outcome = load(session, "naive")
    assert (outcome.status, outcome.accuracy) == ("ok", "direct")
    assert outcome.relative_error < 1e-6
    assert session.sample(Sample(0, loops=5)).seconds > 0
    assert session.ready[0].bound.call() is session.ready[0].out


def test_a_peer_on_an_adapter_of_ours_has_a_row_without_a_time():
    gradient = Problem(size=(8, 8), kernel=3, padding=1, operation="grad_input")
    status, reason = obstacle(gradient, "scipy-direct", 1, 1 << 30) or ("", "")
    assert status == "unsupported" and "not timed" in reason
    assert obstacle(gradient, "naive", 1, 1 << 30) is None
