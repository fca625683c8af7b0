"""Pooling: windows of feature maps reduced to one number each, forward and backward.

Maxima of 2 × 2 windows:

>>> import numpy as np, algos
>>> x = np.arange(16.0).reshape(1, 1, 4, 4)
>>> algos.pool(x, "max", size=2)[0, 0]
array([[ 5.,  7.],
       [13., 15.]])
"""

from .api import names, pool, pool_grad, pool_problem_of, unpool, why_not
from .core.algorithm import PoolAlgorithm
from .core.descriptor import parse_pool_descriptor
from .core.problem import PoolProblem
from .parameters import grad_gate, grad_mix
from .plan import PoolPlan

__all__ = [
    "PoolAlgorithm", "PoolPlan", "PoolProblem", "grad_gate", "grad_mix", "names",
    "parse_pool_descriptor", "pool", "pool_grad", "pool_problem_of", "unpool", "why_not",
]  # fmt: skip
