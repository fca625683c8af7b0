"""Only a peer's own call is timed: its tensors are made before, its result is fetched after."""

import dataclasses

import numpy as np
import pytest

import algos
from algos import Problem
from algos.backend import threads
from algos.core.bound import Bound, not_timed
from algos.core.family import CONVOLUTION, POOLING
from algos.peers.peer import Peer
from algos.pooling import PoolPlan, PoolProblem
from algos.registry import convolutions, of, poolings

PEERS = [name for name, algorithm in convolutions().items() if algorithm.is_peer]
POOL_PEERS = [name for name, algorithm in poolings().items() if algorithm.is_peer]
#: One of them suits each peer.
PROBLEMS = (
    Problem(size=(12, 10), kernel=3, padding="same"),
    Problem(size=(40,), kernel=5, padding="same"),
)


class Planted(Peer):
    """A peer whose conversions cost a thousand operations and whose call costs one."""

    name = "planted"

    def __init__(self):
        self.spent = {"call": 0, "convert": 0}

    def bind(self, problem, *given, threads):
        self.spent["convert"] += 1000
        own = given[0].copy()

        def call():
            self.spent["call"] += 1
            return own * 2

        def fetch(result, out):
            self.spent["convert"] += 1000
            out[...] = result

        return Bound(call, fetch)


def bound_plan(name, count=1):
    """Return a bound plan of a peer, its arrays, and its array for the result."""
    algorithm = convolutions()[name]
    problem = next((p for p in PROBLEMS if algorithm.why_not(p) is None), None)
    if problem is None:
        pytest.skip(algorithm.why_not(PROBLEMS[0]))
    rng = np.random.default_rng(0)
    x = rng.standard_normal(problem.input_shape).astype("f4")
    column, row = rng.standard_normal((2, *problem.kernel[-1:]))
    w = np.outer(column, row) if problem.axes == 2 else row
    w = np.broadcast_to(w, problem.kernel_shape).astype("f4")
    out = np.full(problem.output_shape, np.nan, "f4")
    plan = algos.plan(problem, w, algorithm=name, threads=count)
    return plan, plan.bind(x, out=out), x, out


def test_a_call_pays_for_no_conversion():
    problem, planted = Problem(size=(4, 4), kernel=1), Planted()
    x = np.ones(problem.input_shape, "f4")
    out = np.empty(problem.output_shape, "f4")
    bound = algos.plan(problem, np.ones((1, 1, 1, 1), "f4"), algorithm=planted).bind(x, out=out)
    converting = planted.spent["convert"]
    for _ in range(10):
        result = bound.call()
    assert planted.spent == {"call": 10, "convert": converting}
    bound.fetch(result, out)
    assert (out == 2).all()
    assert planted.spent["convert"] == converting + 1000


@pytest.mark.peers
@pytest.mark.parametrize("peer", PEERS)
def test_the_call_of_a_peer_touches_no_array_of_ours(peer):
    plan, bound, x, out = bound_plan(peer)
    expected = plan(x)
    x[...] = np.nan  # a call that reads our array passes this on
    result = bound.call()
    assert np.isnan(out).all()
    bound.fetch(result, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.peers
@pytest.mark.parametrize("peer", POOL_PEERS)
@pytest.mark.parametrize("operation", ["forward", "grad_input"])
def test_the_call_of_a_pooling_peer_touches_no_array_of_ours(peer, operation):
    problem = PoolProblem(
        size=(12, 10), window=3, stride=1, padding="same", channels=4, operation=operation
    )
    if reason := poolings()[peer].why_not(problem):
        pytest.skip(reason)
    given = [np.random.default_rng(0).standard_normal(s).astype("f4") for s in problem.operands]
    out = np.full(problem.result_shape, np.nan, "f4")
    plan = PoolPlan(problem, algorithm=peer, threads=1)
    expected, bound = plan(*given), plan.bind(*given, out=out)
    for array in given:
        array[...] = np.nan
    result = bound.call()
    assert np.isnan(out).all()
    bound.fetch(result, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.peers
@pytest.mark.parametrize("peer", ["torch", "torch-channels-last", "torch-prepacked"])
def test_the_call_of_pytorch_is_one_operation(peer):
    """No copy and no change of layout hides in it."""
    torch = pytest.importorskip("torch")
    from torch.utils._python_dispatch import TorchDispatchMode

    class Noting(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.names = []

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.names.append(function.name())
            return function(*args, **(kwargs or {}))

    problem = Problem(size=(12, 10), kernel=3, padding=1, in_channels=4, out_channels=8)
    x, w = np.ones(problem.input_shape, "f4"), np.ones(problem.kernel_shape, "f4")
    out = np.empty(problem.output_shape, "f4")
    bound = algos.plan(problem, w, algorithm=peer, threads=1).bind(x, out=out)
    with Noting() as noting:
        result = bound.call()
    assert len(noting.names) == 1, noting.names
    if peer != "torch":
        assert result.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["parallel", "naive"])
def test_ours_goes_through_the_same_door_into_a_kept_array(name):
    problem = PROBLEMS[0]
    x, w = np.ones(problem.input_shape, "f4"), np.ones(problem.kernel_shape, "f4")
    out = np.full(problem.output_shape, np.nan, "f4")
    bound = algos.plan(problem, w, algorithm=name).bind(x, out=out)
    assert bound.call() is out
    assert out[0, 0, 1, 1] == 9
    bound.fetch(out, out)


def test_what_an_adapter_of_ours_makes_of_a_peer_is_not_timed():
    from algos.adapters import performer

    tiled = Problem(size=(8, 8), kernel=3, tile=2)
    gradient = dataclasses.replace(PROBLEMS[0], operation="grad_input")
    for name, problem in (("torch", tiled), ("scipy-fft", gradient)):
        algorithm = convolutions()[name]
        assert "not timed" in not_timed(algorithm, performer(algorithm, problem))
    torch = convolutions()["torch"]
    assert not_timed(torch, performer(torch, gradient)) is None
    ours = convolutions()["parallel"]
    assert not_timed(ours, performer(ours, tiled)) is None


@pytest.mark.peers
@pytest.mark.parametrize(("peer", "pool"), [
    ("onnxruntime", "onnxruntime"), ("openvino", "openvino"), ("ncnn", "ncnn"),
    ("fftw", "pyfftw"), ("ducc0", "ducc0"), ("torch", "torch"), ("opencv-filter2d", "cv2"),
])  # fmt: skip
@pytest.mark.parametrize("wanted", [1, 2])
def test_threads_of_each_library_are_set_and_read_back(peer, pool, wanted):
    before = threads.available()
    if wanted > before:
        pytest.skip("one core")
    try:
        threads.use(wanted)
        bound_plan(peer, wanted)[1].call()
        assert threads.read_back()[pool] == wanted
    finally:
        threads.use(before)


@pytest.mark.parametrize("family", [CONVOLUTION, POOLING])
def test_every_peer_binds(family):
    for name, algorithm in of(family).items():
        assert hasattr(algorithm, "bind") == algorithm.is_peer, name
