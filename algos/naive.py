"""The definitions, as loops: for every output, the sum over channels and taps.

Goodfellow, Bengio & Courville, *Deep Learning* (2016), eq. 9.7 with the stride of eq. 9.8:

    Z[i, j, k] = Σ_{l,m,n} V[l, (j−1)·s + m, (k−1)·s + n] · K[i, l, m, n].

The two gradients that train it are eq. 9.11 for the kernel and eq. 9.13 for the input. In a tiled
layer (eq. 9.10) K has indices before these: position j modulo the period t. With a table of
connections the sum over l leaves out the channels that are not connected to i.

Cost: every multiply-add of the definition, one after the other, on one thread. It is the
algorithm to read first, and the baseline the others are compared with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .backend.compiler import kernel
from .core.algorithm import Algorithm, as_correlation, flipped_bytes
from .core.problem import Problem


def convolve_image(V: np.ndarray, K: np.ndarray) -> np.ndarray:  # noqa: N803
    """Eq. 9.7 for one image, counted from 0: stride 1, no padding, plain Python.

    To be read before the kernels below, which add stride, padding, groups and more.

    Parameters
    ----------
    V : ndarray, shape (C, height, width)
        Input.
    K : ndarray, shape (O, C, rows, columns)
        Kernels; they are not flipped.

    Returns
    -------
    ndarray, shape (O, height − rows + 1, width − columns + 1)
        One feature map per kernel.

    Examples
    --------
    >>> convolve_image(np.arange(9.0).reshape(1, 3, 3), np.ones((1, 1, 2, 2)))
    array([[[ 8., 12.],
            [20., 24.]]])
    """
    outputs, channels, rows, columns = K.shape
    Z = np.zeros((outputs, V.shape[1] - rows + 1, V.shape[2] - columns + 1))  # noqa: N806
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            for k in range(Z.shape[2]):
                for l in range(channels):  # noqa: E741
                    for m in range(rows):
                        for n in range(columns):
                            Z[i, j, k] += V[l, j + m, k + n] * K[i, l, m, n]
    return Z


@kernel
def _cross_correlate(V, K, table, bias, stride, dilation, before, groups, Z):  # noqa: N803
    """Eq. 9.8 and 9.10 for a batch of volumes, with zero padding, dilation and groups.

    Names are the book's: V input, K kernels ``(*t, O, C/groups, *kernel)``, Z output; i output
    channel, l input channel, (h, j, k) output position, (p, m, n) kernel tap.
    """
    t = K.shape[:3]
    outputs_per_group = K.shape[3] // groups
    inputs_per_group = K.shape[4]
    for b in range(Z.shape[0]):
        for i in range(Z.shape[1]):
            first = i // outputs_per_group * inputs_per_group
            for h in range(Z.shape[2]):
                for j in range(Z.shape[3]):
                    for k in range(Z.shape[4]):
                        total = bias[i]
                        kernel = K[h % t[0], j % t[1], k % t[2], i]
                        for l in range(kernel.shape[0]):  # noqa: E741
                            if not table[i, l]:
                                continue
                            for p in range(kernel.shape[1]):
                                d = h * stride[0] + p * dilation[0] - before[0]
                                if d < 0 or d >= V.shape[2]:
                                    continue
                                for m in range(kernel.shape[2]):
                                    r = j * stride[1] + m * dilation[1] - before[1]
                                    if r < 0 or r >= V.shape[3]:
                                        continue
                                    for n in range(kernel.shape[3]):
                                        c = k * stride[2] + n * dilation[2] - before[2]
                                        if c < 0 or c >= V.shape[4]:
                                            continue
                                        total += V[b, first + l, d, r, c] * kernel[l, p, m, n]
                        Z[b, i, h, j, k] = total


@kernel
def _gradient_of_kernel(G, V, stride, dilation, before, groups, phase, t, dK):  # noqa: N803
    """Eq. 9.11: g(G, V, s)[i, j, k, l] = Σ_{m,n} G[i, m, n] · V[j, (m−1)·s + k, (n−1)·s + l].

    Summed over the images b as well; (h, m, n) is the output position, (p, k, l) the tap. Of a
    tiled layer it is one kernel's gradient: positions from `phase` on, the period `t` apart.
    """
    outputs_per_group = dK.shape[0] // groups
    for i in range(dK.shape[0]):
        first = i // outputs_per_group * dK.shape[1]
        for j in range(dK.shape[1]):
            for p in range(dK.shape[2]):
                for k in range(dK.shape[3]):
                    for l in range(dK.shape[4]):  # noqa: E741
                        total = dK.dtype.type(0)
                        for b in range(V.shape[0]):
                            for h in range(phase[0], G.shape[2], t[0]):
                                d = h * stride[0] + p * dilation[0] - before[0]
                                if d < 0 or d >= V.shape[2]:
                                    continue
                                for m in range(phase[1], G.shape[3], t[1]):
                                    r = m * stride[1] + k * dilation[1] - before[1]
                                    if r < 0 or r >= V.shape[3]:
                                        continue
                                    for n in range(phase[2], G.shape[4], t[2]):
                                        c = n * stride[2] + l * dilation[2] - before[2]
                                        if c < 0 or c >= V.shape[4]:
                                            continue
                                        total += G[b, i, h, m, n] * V[b, first + j, d, r, c]
                        dK[i, j, p, k, l] = total


@kernel
def _meeting(position, tap, stride, dilation, before, outputs):
    """Return the output whose `tap` lies on `position` of the input along one axis, or −1."""
    shifted = position + before - tap * dilation
    if shifted < 0 or shifted % stride or shifted // stride >= outputs:
        return -1
    return shifted // stride


@kernel
def _gradient_of_input(K, G, table, stride, dilation, before, groups, dV):  # noqa: N803
    """Eq. 9.13: h(K, G, s)[i, j, k] = Σ_{l,m} Σ_{n,p} Σ_q K[q, i, m, p] · G[q, l, n].

    The sums run over (l−1)·s + m = j and (n−1)·s + p = k. Channels are i (input) and q (output).
    Positions are (e, j, k) in the input, (z, m, p) in the kernel and (h, l, n) in the output.
    """
    t = K.shape[:3]
    outputs_per_group, inputs_per_group = K.shape[3] // groups, K.shape[4]
    for b in range(dV.shape[0]):
        for i in range(dV.shape[1]):
            first = i // inputs_per_group * outputs_per_group
            for e in range(dV.shape[2]):
                for j in range(dV.shape[3]):
                    for k in range(dV.shape[4]):
                        total = dV.dtype.type(0)
                        for z in range(K.shape[5]):
                            h = _meeting(e, z, stride[0], dilation[0], before[0], G.shape[2])
                            if h < 0:
                                continue
                            for m in range(K.shape[6]):
                                l = _meeting(  # noqa: E741
                                    j, m, stride[1], dilation[1], before[1], G.shape[3]
                                )
                                if l < 0:
                                    continue
                                for p in range(K.shape[7]):
                                    n = _meeting(
                                        k, p, stride[2], dilation[2], before[2], G.shape[4]
                                    )
                                    if n < 0:
                                        continue
                                    kernels = K[h % t[0], l % t[1], n % t[2]]
                                    for q in range(first, first + outputs_per_group):
                                        if table[q, i % inputs_per_group]:
                                            weight = kernels[q, i % inputs_per_group, z, m, p]
                                            total += weight * G[b, q, h, l, n]
                        dV[b, i, e, j, k] = total


class Naive(Algorithm):
    """The definitions, as plain loops on one thread."""

    name = "naive"
    operations = ("forward", "grad_input", "grad_weight")
    any_layer = True

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the flipped kernel."""
        return flipped_bytes(problem)

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        return flipped_bytes(problem)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the kernels as volumes ``(*t, O, C/groups, *kernel)``, flipped for convolution."""
        return as_correlation(problem, w).reshape(_every_kernel(problem))

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        v = problem.volume
        _cross_correlate(
            x.reshape(v.input_shape), prepared, v.table, bias, v.stride, v.dilation, v.before,
            v.groups, out.reshape(v.output_shape),
        )  # fmt: skip

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        v = problem.volume
        _gradient_of_input(
            prepared, g.reshape(v.output_shape), v.table, v.stride, v.dilation, v.before,
            v.groups, out.reshape(v.input_shape),
        )  # fmt: skip

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        v = problem.volume
        gradient = out.reshape(_every_kernel(problem))
        for phase in np.ndindex(v.tile):
            _gradient_of_kernel(
                g.reshape(v.output_shape), x.reshape(v.input_shape), v.stride, v.dilation,
                v.before, v.groups, phase, v.tile, gradient[phase],
            )  # fmt: skip
        if v.connections:
            gradient[..., ~v.table, :, :, :] = 0
        if problem.flip:
            gradient[...] = gradient[..., ::-1, ::-1, ::-1].copy()


def _every_kernel(problem: Problem) -> tuple[int, ...]:
    """Return the shape of all kernels of a layer as volumes, tiled or not."""
    v = problem.volume
    return (*v.tile, v.out_channels, v.in_channels // v.groups, *v.kernel)
