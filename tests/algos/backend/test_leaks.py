"""Kernels free what they allocate: nothing is left after a call, by any algorithm."""

from dataclasses import replace

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import algos
from algos import Problem, registry
from algos.pooling import PoolProblem
from algos.pooling.plan import PoolPlan

LAYERS = (
    Problem(size=(20, 18), kernel=3, in_channels=4, out_channels=6, padding=1),
    Problem(size=(14, 14), kernel=3, in_channels=2, out_channels=2, tile=2),
    Problem(size=(6, 7, 8), kernel=(2, 3, 2), boundary="reflect", padding=1),
)
OURS = [name for name, one in registry.convolutions().items() if not one.is_peer]
POOLS = [name for name, one in registry.poolings().items() if not one.is_peer]


@pytest.fixture(autouse=True)
def counted():
    _nrt_python.memsys_enable_stats()
    yield
    _nrt_python.memsys_disable_stats()


def left_by(call):
    """Return the arrays of kernels that are alive after a call and were not before."""
    call()
    before = rtsys.get_allocation_stats()
    for _ in range(3):
        call()
    after = rtsys.get_allocation_stats()
    return (after.mi_alloc - before.mi_alloc) - (after.mi_free - before.mi_free)


@pytest.mark.parametrize("name", OURS)
def test_a_convolution_leaves_nothing(name):
    for layer in LAYERS:
        for operation in layer.operations:
            problem = replace(layer, operation=operation)
            first, second = (np.ones(shape, "float32") for shape in problem.operands)
            given = (second,) if operation != "grad_weight" else ()
            try:
                f = algos.plan(problem, *given, algorithm=name, threads=2)
            except algos.ConvbenchError:
                continue  # the algorithm does not do it
            more = () if given else (second,)
            assert left_by(lambda f=f, x=first, more=more: f(x, *more)) == 0, problem


@pytest.mark.parametrize("name", POOLS)
def test_a_pooling_leaves_nothing(name):
    for kind in ("max", "average", "l2"):
        for operation in ("forward", "grad_input"):
            problem = PoolProblem(
                size=(24, 20), kind=kind, channels=3, window=3, stride=1, operation=operation
            )
            try:
                f = PoolPlan(problem, algorithm=name, threads=2)
            except algos.ConvbenchError:
                continue
            given = [np.ones(shape, "float32") for shape in problem.operands]
            assert left_by(lambda f=f, given=given: f(*given)) == 0, problem
