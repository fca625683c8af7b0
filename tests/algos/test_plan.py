"""Plans: a snapshot of their parameters, and empty batches."""

import numpy as np
import pytest

import algos
from algos import ConvbenchError, PoolProblem, Problem
from algos.adapters import performer
from algos.inception.plan import InceptionPlan
from algos.inception.problem import InceptionProblem
from algos.pooling import PoolPlan
from algos.registry import convolutions
from algos.registry import poolings as pooling_registry

OURS = [name for name, algorithm in convolutions().items() if not algorithm.is_peer]
PEERS = [name for name, algorithm in convolutions().items() if algorithm.is_peer]
PROBLEMS = {
    "image": Problem((8, 8), 3, bias=True),
    "pointwise": Problem((8, 8), 1, 1, 2, 2, bias=True),
    "dense": Problem((3, 3), 3, bias=True),
    "tiled": Problem((8, 8), 3, tile=2, bias="tile"),
    "gradient": Problem((8, 8), 3, operation="grad_input"),
}

#: Kernels of some algorithms compile for these alone.
COMPILING = ("tiled", "gradient")
LABELS = [label for label in PROBLEMS if label not in COMPILING]


def able(name, problem):
    return (
        performer(convolutions()[name], problem).why_not(
            problem, np.ones(problem.kernel_shape, "f4")
        )
        is None
    )


@pytest.mark.parametrize(
    "label", [*LABELS, *(pytest.param(label, marks=pytest.mark.slow) for label in COMPILING)]
)
@pytest.mark.parametrize(
    "name", [*OURS, *(pytest.param(name, marks=pytest.mark.peers) for name in PEERS)]
)
def test_a_plan_does_not_see_later_changes_of_its_parameters(name, label):
    problem = PROBLEMS[label]
    if not able(name, problem):
        pytest.skip("this algorithm does not do it")
    w = np.ones(problem.kernel_shape, "f4")
    bias = np.ones(problem.bias_shape, "f4") if problem.bias else None
    given = np.ones(problem.operands[0], "f4")
    f = algos.plan(problem, w, bias, algorithm=name)
    before = f(given)
    w[...] = 5
    if bias is not None:
        bias[...] = 7
    assert (f(given) == before).all()


@pytest.mark.slow
def test_plans_of_pooling_and_of_modules_do_not_either():
    x, gate = np.arange(1.0, 37).reshape(1, 1, 6, 6), np.full((2, 2), 0.01)
    f = PoolPlan(PoolProblem((6, 6), "gated", window=2, dtype="float64"), gate, algorithm="naive")
    before = f(x)
    gate[...] = -9
    assert (f(x) == before).all()
    module = InceptionProblem((6, 6), 1, 1, 1, 1, dtype="float64")
    weights = [np.ones(layer.kernel_shape) for layer in module.convolutions]
    f = InceptionPlan(module, weights, algorithm="naive")
    before = f(x)
    for w in weights:
        w[...] = -9
    assert (f(x) == before).all()


def test_fields_given_as_arrays_are_kept_as_they_were():
    size, table = np.array([8, 8]), np.ones((2, 2), bool)
    table[0, 1] = False
    problem = Problem(size, 3, in_channels=2, out_channels=2, connections=table)
    size[:], table[:] = 99, True
    assert problem == Problem((8, 8), 3, in_channels=2, out_channels=2, connections=(1, 3))


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"groups": 2}])
def test_an_empty_batch_has_an_empty_output(name, options):
    x, w = np.empty((0, 2, 8, 8)), np.ones((4, 2 // options.get("groups", 1), 3, 3))
    problem = algos.problem_of(x, w, **options)
    if not able(name, problem.with_images):
        pytest.skip("this algorithm does not do it")
    y = algos.conv(x, w, **options, algorithm=name)
    assert y.shape == problem.output_shape
    assert y.shape == (0, *algos.conv(x=np.ones((1, 2, 8, 8)), w=w, **options,
                                      algorithm="naive").shape[1:])  # fmt: skip
    assert algos.plan(problem, w, algorithm=name)(x).shape == y.shape
    assert name in algos.names(problem)
    assert name not in algos.why_not(problem, w)


@pytest.mark.parametrize("name", ["naive", "im2col", "parallel", "fft"])
def test_gradients_of_an_empty_batch(name):
    x, w, g = np.empty((0, 2, 8, 8)), np.ones((4, 2, 3, 3)), np.empty((0, 4, 6, 6))
    assert algos.grad_input(g, w, size=8, algorithm=name).shape == x.shape
    out = np.full(w.shape, np.nan)
    assert algos.grad_weight(x, g, kernel=3, algorithm=name, out=out) is out
    assert (out == 0).all()
    assert algos.conv_transpose(g, w, np.ones(2), stride=2, algorithm=name).shape == (0, 2, 13, 13)
    assert (algos.grad_bias(g) == np.zeros(4)).all()
    with pytest.raises(ConvbenchError, match="layer's output"):
        algos.grad_weight(x, np.ones((1, 4, 6, 6)), kernel=3, algorithm=name)


@pytest.mark.parametrize("name", sorted(pooling_registry()))
def test_pooling_of_an_empty_batch(name):
    x = np.empty((0, 2, 9, 9))
    for kind, options in {
        "max": {"size": 3, "stride": 2}, "average": {"output_size": 2}, "l2": {"levels": (2, 1)},
        "maxout": {"size": 2}, "gated": {"size": 2, "gate": np.ones((2, 2))},
        "gaussian": {"size": 2}, "stochastic": {"ratio": 1.5},
    }.items():  # fmt: skip
        gate = options.pop("gate", None)
        problem = algos.pooling.pool_problem_of(x, kind, **options)
        one = problem.with_images
        if performer(pooling_registry()[name], one).why_not(one):
            continue
        y = algos.pool(x, kind, **options, gate=gate, algorithm=name)
        assert y.shape == problem.output_shape
        assert y.shape[0] == 0
        back = algos.pooling.PoolPlan(problem, gate, algorithm=name).grad_input(y, x)
        assert back.shape == x.shape
    if pooling_registry()[name].gives_switches:
        y, switches = algos.pool(x, size=3, algorithm=name, return_switches=True)
        assert y.shape == switches.shape == (0, 2, 3, 3)
        assert algos.unpool(y, switches, size=3).shape == x.shape


def test_a_module_of_an_empty_batch():
    module = InceptionProblem((6, 6), 1, 1, 1, 1, batch=0, dtype="float64")
    weights = [np.ones(layer.kernel_shape) for layer in module.convolutions]
    assert InceptionPlan(module, weights)(np.empty(module.input_shape)).shape == (0, 4, 6, 6)


def test_other_axes_may_not_be_empty():
    for x in (np.empty((1, 0, 8, 8)), np.empty((0, 2, 0, 8))):
        with pytest.raises(ConvbenchError, match="no axis may be empty but that of the batch"):
            algos.conv(x, np.ones((4, 2, 3, 3)))
        with pytest.raises(ConvbenchError, match="no axis empty but that of the batch"):
            algos.pool(x, size=2)
