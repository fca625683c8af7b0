"""Comparison of `parallel` with the definition in NumPy float64."""

from __future__ import annotations

from unittest import mock

import numpy as np

import algos
from algos.core.arrays import new
from algos.core.memory_order import laid_out
from algos.parallel import algorithm
from algos.parallel.algorithm import choose_path
from algos.registry import get


def reference(problem, x, w, bias=None):
    """Return the cross-correlation or convolution in float64, zero-padded, tap by tap."""
    axes = problem.axes
    x, w = x.astype(float), w.astype(float)
    if problem.flip:
        w = w[(..., *[slice(None, None, -1)] * axes)]
    room = [(before, max(after, r - before - size)) for (before, after), r, size in zip(
        problem.padding, problem.reach, problem.size, strict=True)]  # fmt: skip
    x = np.pad(x, [(0, 0), (0, 0), *room])
    groups = problem.groups
    outputs = problem.out_channels // groups
    y = np.zeros((problem.batch, groups, outputs, *problem.output_size))
    x = x.reshape(problem.batch, groups, -1, *x.shape[2:])
    w = w.reshape(groups, outputs, *w.shape[1:])
    for tap in np.ndindex(*problem.kernel):
        window = x[(..., *[
            slice(t * d, t * d + (o - 1) * s + 1, s)
            for t, d, o, s in zip(
                tap, problem.dilation, problem.output_size, problem.stride, strict=True)
        ])]  # fmt: skip
        y += np.einsum("bgc...,goc->bgo...", window, w[(..., *tap)])
    y = y.reshape(problem.output_shape)
    return y if bias is None else y + bias.reshape(-1, *[1] * axes)


def check(problem, seed=0, threads=None, path=None):
    """Check random data against the derived bound: out starts as NaN, inputs are read-only.

    `path`: key of `PATHS` that is taken instead of the chosen one.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(problem.input_shape).astype(problem.dtype)
    w = rng.standard_normal(problem.kernel_shape).astype(problem.dtype)
    bias = rng.standard_normal(problem.out_channels).astype(problem.dtype)
    x = laid_out(x, problem.layout)
    for array in (x, w, bias):
        array.flags.writeable = False
    given = bias if problem.bias else None
    out = new(problem.output_shape, np.dtype(problem.dtype), problem.layout)
    out.fill(np.nan)
    with mock.patch.object(algorithm, "choose_path", lambda p: path or choose_path(p)):
        algos.plan(problem, w, given, algorithm="parallel", threads=threads)(x, out)
    exact = reference(problem, x, w, given)
    magnitude = reference(problem, abs(x), abs(w), None if given is None else abs(given))
    bound = get("parallel").error_bound(problem, x, w, magnitude)
    np.testing.assert_array_less(abs(out - exact), bound + 1e-12 * magnitude + 1e-300)
    return out
