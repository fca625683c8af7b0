"""The definition, as loops: for every output, the sum over channels and taps.

Goodfellow, Bengio & Courville, *Deep Learning* (2016), eq. 9.7 with the stride of eq. 9.8:

    Z[i, j, k] = Σ_{l,m,n} V[l, (j−1)·s + m, (k−1)·s + n] · K[i, l, m, n]

Cost: every multiply-add of the definition, one after the other, on one thread. It is the
algorithm to read first, and the baseline the others are compared with.
"""

from __future__ import annotations

import numpy as np

from .algorithm import Algorithm, as_correlation
from .jit import kernel
from .problem import Problem


@kernel
def _cross_correlate(V, K, bias, stride, dilation, before, groups, Z):  # noqa: N803
    """Eq. 9.8 for a batch of volumes, with zero padding, dilation and groups.

    Names are the book's: V input, K kernel, Z output; i output channel, l input channel,
    (h, j, k) output position, (p, m, n) kernel tap.
    """
    outputs_per_group = K.shape[0] // groups
    inputs_per_group = K.shape[1]
    for b in range(Z.shape[0]):
        for i in range(Z.shape[1]):
            first = i // outputs_per_group * inputs_per_group
            for h in range(Z.shape[2]):
                for j in range(Z.shape[3]):
                    for k in range(Z.shape[4]):
                        total = bias[i]
                        for l in range(K.shape[1]):  # noqa: E741
                            for p in range(K.shape[2]):
                                d = h * stride[0] + p * dilation[0] - before[0]
                                if d < 0 or d >= V.shape[2]:
                                    continue
                                for m in range(K.shape[3]):
                                    r = j * stride[1] + m * dilation[1] - before[1]
                                    if r < 0 or r >= V.shape[3]:
                                        continue
                                    for n in range(K.shape[4]):
                                        c = k * stride[2] + n * dilation[2] - before[2]
                                        if c < 0 or c >= V.shape[4]:
                                            continue
                                        total += V[b, first + l, d, r, c] * K[i, l, p, m, n]
                        Z[b, i, h, j, k] = total


class Naive(Algorithm):
    """The definition, as plain loops on one thread."""

    name = "naive"

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """The kernel as a volume, flipped where the problem asks for convolution."""
        return as_correlation(problem, w)

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        v = problem.volume
        _cross_correlate(
            x.reshape(v.input_shape), prepared, bias, v.stride, v.dilation,
            tuple(before for before, _ in v.padding), v.groups, out.reshape(v.output_shape),
        )  # fmt: skip
