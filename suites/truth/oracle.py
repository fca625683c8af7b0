"""The oracle: convolution and its gradients by definition, in wider arithmetic.

It imports nothing from `algos`, so that no mistake can be shared. It judges float32 in float64,
and float64 in extended precision if the platform has it (64-bit mantissa on x86). Its own error
is then thousands of times smaller than any bound.

Every function here returns two results: the exact one, and the sum of the sizes of its terms.
Rounding errors scale with the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

#: Products made at a time: few enough to stay in a core's cache.
_CHUNK = 1 << 17

#: NumPy's names of the boundaries, which are `scipy.ndimage`'s: see `numpy.pad`.
PADDING = {
    "zeros": "constant", "constant": "constant", "nearest": "edge", "reflect": "symmetric",
    "mirror": "reflect", "wrap": "wrap",
}  # fmt: skip

#: The exact result and the magnitude at every position.
Pair = tuple[np.ndarray, np.ndarray]


def wide(dtype: np.dtype | str) -> np.dtype:
    """Return the data type of the arithmetic that judges `dtype`."""
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
    tile: Sequence[int] = (),
    table: np.ndarray | None = None,
    boundary: str = "zeros",
    cval: float = 0.0,
) -> Pair:
    """Return output elements at `positions`, each the sum over input channels and taps.

    Parameters
    ----------
    positions : int array, (P, 2 + axes)
        Rows (n, o, *spatial) of output indices.
    x : `(N, C, *size)`
    w : `(O, C/groups, *kernel)`
        With `tile`, `(*tile, O, C/groups, *kernel)`.
    bias : `(O,)`, `(O, *output_size)` or `(O, *tile)`
    stride, dilation, before : `one entry per spatial axis`
        `before` is the padding in front.
    tile : `one entry per spatial axis, optional`
        Period of the kernels: output position i uses kernel i mod t.
    table : `(O, C/groups)`, optional
        True for connected channels.
    boundary, cval
        Values of the padding, in the names of `scipy.ndimage`.

    Returns
    -------
    two ndarrays, (P,), in `wide(x.dtype)`
    """
    axes = x.ndim - 2
    tile = tile or (1,) * axes
    w = _every_kernel(w, tile, axes, flip)
    outputs, inputs = w.shape[axes] // groups, w.shape[axes + 1]

    how = PADDING[boundary], cval
    windows = _windows(x, w.shape[axes + 2 :], positions[:, 2:], stride, dilation, before, how)

    def products(part: np.ndarray) -> np.ndarray:
        output = part[:, 1]
        channels = (output // outputs * inputs)[:, None] + np.arange(inputs)
        at = [part[:, 2 + a, None] * stride[a] for a in range(axes)]
        patches = windows[(part[:, :1], channels, *at)].astype(wide(x.dtype))
        if table is not None:
            patches[~table[output]] = 0
        phase = tuple(part[:, 2 + a] % t for a, t in enumerate(tile))
        return patches * w[(*phase, output)]

    sums, sizes = _summed(positions, int(np.prod(w.shape[axes + 1 :])), products)
    place = positions[:, 2:] % bias.shape[1:] if bias.ndim > 1 else positions[:, :0]
    offset = bias[(positions[:, 1], *place.T)].astype(sums.dtype)
    return sums + offset, sizes + abs(offset)


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
    tile: Sequence[int] = (),
    table: np.ndarray | None = None,
    boundary: str = "zeros",
    size: Sequence[int] = (),
) -> Pair:
    """Return elements of the input's gradient, summed over all outputs that read them.

    Parameters
    ----------
    positions : int array, (P, 2 + axes)
        Rows (n, c, *spatial) of input indices.
    g : `(N, O, *output_size)`
        Gradient of the output.
    w : `(O, C/groups, *kernel)`
        With `tile`, `(*tile, O, C/groups, *kernel)`.
    size : one entry per spatial axis
        Size of the input; needed with a boundary other than zeros.

    Returns
    -------
    two ndarrays, (P,), in `wide(g.dtype)`
    """
    axes = g.ndim - 2
    tile = tile or (1,) * axes
    if boundary != "zeros":
        steps: dict[str, Any] = {"stride": stride, "dilation": dilation, "tile": tile}
        reach = _reach(g.shape[2:], w.shape[w.ndim - axes :], stride, dilation)
        copies = _copies(positions, size, before, reach, PADDING[boundary])
        pairs = grad_input_at(
            copies.reshape(-1, 2 + axes), g, w, **steps, before=(0,) * axes, groups=groups,
            flip=flip, table=table,
        )  # fmt: skip
        sums, sizes = (one.reshape(copies.shape[:2]).sum(axis=1) for one in pairs)
        return sums, sizes
    w = _every_kernel(w, tile, axes, flip)
    outputs, inputs = w.shape[axes] // groups, w.shape[axes + 1]

    def products(part: np.ndarray) -> np.ndarray:
        group, channel = part[:, 1] // inputs, part[:, 1] % inputs
        senders = (group * outputs)[:, None] + np.arange(outputs)
        at, phase, taps_at = [], [], []
        for a, taps in enumerate(w.shape[axes + 2 :]):
            along = (-1, *[1] * (a + 1), taps, *[1] * (axes - 1 - a))
            shifted = part[:, 2 + a, None] + before[a] - np.arange(taps) * dilation[a]
            at.append(np.where(shifted % stride[a] == 0, shifted // stride[a], -1))
            phase.append((at[a] % tile[a]).reshape(along))
            taps_at.append(np.arange(taps).reshape(along))
        sent = _gather(g, part[:, :1], senders, at)
        if table is not None:
            connected = table[senders, channel[:, None]]
            sent = np.where(connected.reshape(*senders.shape, *[1] * axes), sent, 0)
        ones = [1] * axes
        pair = senders.reshape(*senders.shape, *ones), channel.reshape(-1, 1, *ones)
        return sent * w[(*phase, *pair, *taps_at)].astype(sent.dtype)

    return _summed(positions, outputs * int(np.prod(w.shape[axes + 2 :])), products)


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
    tile: Sequence[int] = (),
    table: np.ndarray | None = None,
    boundary: str = "zeros",
    cval: float = 0.0,
) -> Pair:
    """Return elements of the kernel's gradient: sums of samples times the output's gradient.

    Parameters
    ----------
    positions : int array, (P, 2 + axes)
        Rows (o, c, *tap) of kernel indices. With `tile`, (*phase, o, c, *tap).
    x : `(N, C, *size)`
    g : `(N, O, *output_size)`
        Gradient of the output.
    kernel : one entry per spatial axis
    boundary, cval
        Values of the padding, as in `correlate_at`.

    Returns
    -------
    two ndarrays, (P,), in `wide(x.dtype)`
    """
    outputs, inputs = g.shape[1] // groups, x.shape[1] // groups
    images, axes = np.arange(len(x))[None], x.ndim - 2
    if boundary != "zeros":
        reach = _reach(g.shape[2:], kernel, stride, dilation)
        ends = zip(before, reach, x.shape[2:], strict=True)
        pads = [(b, max(0, r - b - n)) for b, r, n in ends]
        x, before = padded(x, pads, PADDING[boundary], cval), (0,) * axes
    tile = tile or (1,) * axes
    uses = [-(-n // t) for n, t in zip(g.shape[2:], tile, strict=True)]

    def products(part: np.ndarray) -> np.ndarray:
        phase, (o, c, *taps) = part.T[: part.shape[1] - 2 - axes], part.T[-2 - axes :]
        channel = (o // outputs * inputs + c)[:, None]
        at, used = [], []
        for a, tap in enumerate(taps):
            place = np.arange(uses[a])[None] * tile[a] + (phase[a][:, None] if len(phase) else 0)
            used.append(np.broadcast_to(place, (len(part), uses[a])))
            tap = kernel[a] - 1 - tap if flip else tap
            read = place * stride[a] + tap[:, None] * dilation[a] - before[a]
            at.append(np.where(place < g.shape[2 + a], read, -1))
        met = _gather(x, images, channel, at)
        if table is not None:
            met = np.where(table[o, c].reshape(-1, 1, *[1] * axes), met, 0)
        return met * _gather(g, images, o[:, None], used)

    return _summed(positions, len(x) * int(np.prod(uses)), products)


def _reach(
    outputs: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[int]:
    """Return the samples that all output positions span, per axis."""
    steps = zip(outputs, kernel, stride, dilation, strict=True)
    return [(o - 1) * s + (f - 1) * d + 1 for o, f, s, d in steps]


def _copies(
    positions: np.ndarray, size: Sequence[int], before: Sequence[int], reach: Sequence[int],
    mode: str,
) -> np.ndarray:  # fmt: skip
    """Return where each sample of `positions` stands in the padded input, (P, copies, 2 + axes).

    Places are counted from the first padded one. Rows are filled up with places that no output
    reads.
    """
    nowhere = -(2**40)
    found = positions[:, None, :]
    for axis, (n, b, r) in enumerate(zip(size, before, reach, strict=True), 2):
        line = np.arange(n).reshape(1, 1, n)
        line = padded(line, [(b, max(0, r - b - n))], mode, -1)[0, 0]
        places = [np.flatnonzero(line == i) for i in range(n)]
        most = max(map(len, places))
        table = np.array([[*p, *[nowhere] * (most - len(p))] for p in places])
        found = np.repeat(found, most, axis=1)
        repeats = found.shape[1] // most
        found[:, :, axis] = np.tile(table[positions[:, axis]], (1, repeats))
    return found


def _every_kernel(w: np.ndarray, tile: Sequence[int], axes: int, flip: bool) -> np.ndarray:
    """Return `w` as (*tile, O, C/groups, *kernel), flipped for correlation if `flip`."""
    w = w.reshape(*tile, *w.shape[w.ndim - 2 - axes :])
    return np.flip(w, tuple(range(axes + 2, w.ndim))) if flip else w


def _summed(
    positions: np.ndarray, terms: int, products: Callable[[np.ndarray], np.ndarray]
) -> Pair:
    """Return the sums of each position's `terms` products, and the sums of their sizes."""
    step = max(1, _CHUNK // max(1, terms))
    sums, sizes = [], []
    for start in range(0, len(positions), step):
        part = positions[start : start + step]
        terms_of = products(part).reshape(len(part), -1)
        sums.append(terms_of.sum(axis=1))
        sizes.append(np.abs(terms_of, out=terms_of).sum(axis=1))
    return np.concatenate(sums), np.concatenate(sizes)


def _windows(
    x: np.ndarray,
    kernel: Sequence[int],
    places: np.ndarray,
    stride: Sequence[int],
    dilation: Sequence[int],
    before: Sequence[int],
    how: tuple[str, float],
) -> np.ndarray:
    """Return a view (N, C, *start, *kernel) of the padded `x`, up to the last of `places`."""
    axes = len(kernel)
    extents = [(f - 1) * d + 1 for f, d in zip(kernel, dilation, strict=True)]
    last = places.max(axis=0, initial=0)
    reach = [int(p) * s + e for p, s, e in zip(last, stride, extents, strict=True)]
    pads = [(b, max(0, r - b - n)) for b, r, n in zip(before, reach, x.shape[2:], strict=True)]
    larger = padded(x, pads, *how)
    windows = np.lib.stride_tricks.sliding_window_view(larger, extents, tuple(range(2, 2 + axes)))
    index: Any = (..., *(slice(None, None, d) for d in dilation))
    return windows[index]


def padded(x: np.ndarray, pads: Sequence[tuple[int, int]], mode: str, cval: float) -> np.ndarray:
    """Return `x`, ``(N, C, *size)``, with `pads` samples before and behind each spatial axis."""
    every = [(0, 0), (0, 0), *pads]
    if mode == "constant":
        return np.pad(x, every, constant_values=x.dtype.type(cval))
    return np.pad(x, every, mode)  # type: ignore[call-overload]


def _gather(
    array: np.ndarray, images: np.ndarray, channels: np.ndarray, at: Sequence[np.ndarray]
) -> np.ndarray:
    """Return array[image, channel, *at] in wider arithmetic, with zeros outside of the array.

    The shape of `images` and `channels` is (P or 1, K or 1). Each spatial axis has an entry
    (P or 1, places) in `at`. The result has shape (P, K, *places).
    """
    axes = len(at)
    index = [some.reshape(*some.shape, *[1] * axes) for some in (images, channels)]
    inside: np.ndarray = np.ones((1,) * (axes + 2), bool)
    for a, places in enumerate(at):
        shape = [len(places), 1, *[1] * axes]
        shape[2 + a] = places.shape[1]
        places = places.reshape(shape)
        inside = inside & (places >= 0) & (places < array.shape[2 + a])
        index.append(np.clip(places, 0, array.shape[2 + a] - 1))
    return np.where(inside, array[tuple(index)], 0).astype(wide(array.dtype))


def every_position(shape: Sequence[int]) -> np.ndarray:
    """Return every index of an output of `shape`, ``(elements, len(shape))``."""
    return np.indices(tuple(shape)).reshape(len(shape), -1).T


def some_positions(shape: Sequence[int], count: int, seed: int = 0) -> np.ndarray:
    """Return about `count` distinct indices of an output of `shape`, with all of its corners.

    A mistake at a border affects few elements, so uniform sampling would seldom find it. Half of
    the samples therefore draw coordinates from the first and last two.
    """
    if int(np.prod(shape)) <= count:
        return every_position(shape)
    rng = np.random.default_rng(seed)
    uniform = rng.integers(0, shape, (count, len(shape)))
    ends = np.stack([rng.choice([0, 1, n - 2, n - 1], count) % n for n in shape], axis=1)
    at_end = rng.random(uniform.shape) < 0.5
    at_end[: count // 2] = False
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(len(shape), -1).T
    chosen = np.concatenate([np.where(at_end, ends, uniform), corners])
    flat = np.unique(np.ravel_multi_index(tuple(chosen.T), tuple(shape)))
    return np.stack(np.unravel_index(flat, tuple(shape)), axis=1)
