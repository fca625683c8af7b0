"""Convolution and pooling: interchangeable algorithms behind one interface.

This package reads no clock and draws no plot. It writes three things to files: measured times
(wisdom), compiled code, and the journal of a convolution in blocks. `suites` times the algorithms.
`results` and `report.py` show the times.

>>> import numpy as np, algos
>>> x = np.random.default_rng(0).random((1, 3, 32, 32), dtype=np.float32)
>>> w = np.random.default_rng(1).random((8, 3, 3, 3), dtype=np.float32)
>>> algos.conv(x, w, padding="same", algorithm="naive").shape
(1, 8, 32, 32)
"""

from . import blocks
from . import dask as dask
from .api import conv, convolve, correlate, names, plan, problem_of, why_not
from .choice import choose, explain
from .choice import learn as wisdom
from .core.algorithm import Algorithm
from .core.descriptor import parse_descriptor
from .core.errors import ConvbenchError
from .core.problem import Problem
from .plan import Plan
from .pooling import PoolProblem, pool, pool_grad, unpool
from .registry import register
from .training import conv_transpose, grad_bias, grad_input, grad_weight

__all__ = [
    "Algorithm", "ConvbenchError", "Plan", "PoolProblem", "Problem", "blocks", "choose", "conv",
    "conv_transpose", "convolve", "correlate", "explain", "grad_bias", "grad_input", "grad_weight",
    "names", "parse_descriptor", "plan", "pool", "pool_grad", "problem_of", "register", "unpool",
    "why_not", "wisdom",
]  # fmt: skip
