"""The slow truth: convolution and its gradients by definition, in wider arithmetic.

Imports nothing from `algos`, so that no mistake can be shared. float32 is judged in float64;
float64 in extended precision where the platform has it (64-bit mantissa on x86), which leaves
the oracle's own error thousands of times below any bound it is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Elements of input gathered at a time.
_CHUNK = 1 << 22


def wide(dtype: np.dtype | str) -> np.dtype:
    """The arithmetic that judges `dtype`."""
    return np.dtype(np.float64) if np.dtype(dtype) == np.float32 else np.dtype(np.longdouble)


def correlate_at(
    positions: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    before: Sequence[int],
    groups: int,
    flip: bool,
) -> np.ndarray:
    """Output elements at `positions`, each the sum over input channels and taps.

    Parameters
    ----------
    positions : int array, (P, 2 + axes)
        Rows (n, o, *spatial) of output indices.
    x : (N, C, *size)
    w : (O, C/groups, *kernel)
    bias : (O,)
    stride, dilation, before : one entry per spatial axis
        `before` is the zero padding in front.

    Returns
    -------
    ndarray, (P,), in `wide(x.dtype)`
    """
    kind = wide(x.dtype)
    axes = x.ndim - 2
    if flip:
        w = w[(slice(None), slice(None), *[slice(None, None, -1)] * axes)]
    per_group, inputs = w.shape[0] // groups, w.shape[1]
    results = np.empty(len(positions), kind)
    step = max(1, _CHUNK // max(1, int(np.prod(w.shape[1:]))))
    for start in range(0, len(positions), step):
        part = positions[start : start + step]
        image, output = part[:, 0], part[:, 1]
        channels = (output // per_group * inputs)[:, None] + np.arange(inputs)
        index: list[np.ndarray] = [
            image.reshape(-1, *[1] * (axes + 1)),
            channels.reshape(len(part), inputs, *[1] * axes),
        ]
        inside: np.ndarray = np.ones((1,) * (axes + 2), bool)
        for a in range(axes):
            at = part[:, 2 + a, None] * stride[a] - before[a]
            at = at + np.arange(w.shape[2 + a]) * dilation[a]
            shape = [len(part), 1, *[1] * axes]
            shape[2 + a] = w.shape[2 + a]
            at = at.reshape(shape)
            inside = inside & (at >= 0) & (at < x.shape[2 + a])
            index.append(np.clip(at, 0, x.shape[2 + a] - 1))
        patches = np.where(inside, x[tuple(index)], 0).astype(kind)
        kernels = w[output].astype(kind)
        products = (patches * kernels).reshape(len(part), -1)
        results[start : start + step] = products.sum(axis=1) + bias[output].astype(kind)
    return results


def grad_input_at(
    positions: np.ndarray,
    g: np.ndarray,
    w: np.ndarray,
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    before: Sequence[int],
    groups: int,
    flip: bool,
) -> np.ndarray:
    """Elements of the input's gradient: what reaches them from every output that read them.

    Parameters
    ----------
    positions : int array, (P, 2 + axes)
        Rows (n, c, *spatial) of input indices.
    g : (N, O, *output_size)
        Gradient of the output.
    w : (O, C/groups, *kernel)

    Returns
    -------
    ndarray, (P,), in `wide(g.dtype)`
    """
    kind = wide(g.dtype)
    axes = g.ndim - 2
    if flip:
        w = w[(slice(None), slice(None), *[slice(None, None, -1)] * axes)]
    outputs, inputs = w.shape[0] // groups, w.shape[1]
    results = np.empty(len(positions), kind)
    step = max(1, _CHUNK // max(1, outputs * int(np.prod(w.shape[2:]))))
    for start in range(0, len(positions), step):
        part = positions[start : start + step]
        group, channel = part[:, 1] // inputs, part[:, 1] % inputs
        senders = (group * outputs)[:, None] + np.arange(outputs)
        ones = [1] * axes
        index = [part[:, 0].reshape(-1, 1, *ones), senders.reshape(*senders.shape, *ones)]
        meets: np.ndarray = np.ones((1,) * (axes + 2), bool)
        for a in range(axes):
            shifted = part[:, 2 + a, None] + before[a] - np.arange(w.shape[2 + a]) * dilation[a]
            shape = [len(part), 1, *ones]
            shape[2 + a] = w.shape[2 + a]
            at = (shifted // stride[a]).reshape(shape)
            whole = (shifted % stride[a] == 0).reshape(shape)
            meets = meets & whole & (at >= 0) & (at < g.shape[2 + a])
            index.append(np.clip(at, 0, g.shape[2 + a] - 1))
        sent = np.where(meets, g[tuple(index)], 0).astype(kind)
        kernels = w[senders, channel[:, None]].astype(kind)
        results[start : start + step] = (sent * kernels).reshape(len(part), -1).sum(axis=1)
    return results


def grad_weight_at(
    positions: np.ndarray,
    x: np.ndarray,
    g: np.ndarray,
    *,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    before: Sequence[int],
    groups: int,
    flip: bool,
) -> np.ndarray:
    """Elements of the kernel's gradient: every sample they met, times the gradient there.

    Parameters
    ----------
    positions : int array, (P, 2 + axes)
        Rows (o, c, *tap) of kernel indices.
    x : (N, C, *size)
    g : (N, O, *output_size)
        Gradient of the output.
    kernel : one entry per spatial axis

    Returns
    -------
    ndarray, (P,), in `wide(x.dtype)`
    """
    kind = wide(x.dtype)
    axes = x.ndim - 2
    outputs, inputs = g.shape[1] // groups, x.shape[1] // groups
    results = np.empty(len(positions), kind)
    images = np.arange(len(x)).reshape(1, -1, *[1] * axes)
    step = max(1, _CHUNK // max(1, len(x) * int(np.prod(g.shape[2:]))))
    for start in range(0, len(positions), step):
        part = positions[start : start + step]
        channel = part[:, 0] // outputs * inputs + part[:, 1]
        index = [images, channel.reshape(-1, 1, *[1] * axes)]
        inside: np.ndarray = np.ones((1,) * (axes + 2), bool)
        for a in range(axes):
            tap = kernel[a] - 1 - part[:, 2 + a] if flip else part[:, 2 + a]
            at = np.arange(g.shape[2 + a]) * stride[a] + tap[:, None] * dilation[a] - before[a]
            shape = [len(part), 1, *[1] * axes]
            shape[2 + a] = g.shape[2 + a]
            at = at.reshape(shape)
            inside = inside & (at >= 0) & (at < x.shape[2 + a])
            index.append(np.clip(at, 0, x.shape[2 + a] - 1))
        met = np.where(inside, x[tuple(index)], 0).astype(kind)
        gradients = g[:, part[:, 0]].swapaxes(0, 1).astype(kind)
        results[start : start + step] = (met * gradients).reshape(len(part), -1).sum(axis=1)
    return results


def every_position(shape: Sequence[int]) -> np.ndarray:
    """Every index of an output of `shape`, ``(elements, len(shape))``."""
    return np.indices(tuple(shape)).reshape(len(shape), -1).T


def some_positions(shape: Sequence[int], count: int, seed: int = 0) -> np.ndarray:
    """About `count` distinct indices of an output of `shape`: borders favoured, corners always.

    Where a mistake at a border shows on few elements, uniform sampling would seldom see it;
    so each coordinate of half of the samples is drawn from the first and last two.
    """
    if int(np.prod(shape)) <= count:
        return every_position(shape)
    rng = np.random.default_rng(seed)
    uniform = rng.integers(0, shape, (count, len(shape)))
    ends = np.stack([rng.choice([0, 1, n - 2, n - 1], count) % n for n in shape], axis=1)
    at_end = rng.random(uniform.shape) < 0.5
    at_end[: count // 2] = False
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(len(shape), -1).T
    return np.unique(np.concatenate([np.where(at_end, ends, uniform), corners]), axis=0)
