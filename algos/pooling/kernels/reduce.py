"""Reduction of one window to a number, and the spread of its gradient: plain loops.

The taps of a window that lie inside the input are read into a buffer of float64, row-major. All
that follows is one-dimensional and compiled once for every dtype. Sums are formed in float64. Norms
and expectations first divide by the largest sample, so that none over- or underflows. The first
maximum in row-major order counts; the first NaN takes precedence.

Arguments that mean the same in every kernel:

`windows`, `rule`: the `Windows` and the `Rule` of `geometry`; `code` is that of the rule.
`d`, `h`, `w`: output position.
`buffer`, `weights`: float64 arrays with room for the taps of the largest window.
`n`: samples in `buffer`.
`gate`: array (1 or C, *window) of weights.
`x`: input (planes, D, H, W); `y`: output (planes, d, h, w); `grad`: its gradient.
"""

from __future__ import annotations

import math

import numpy as np

from algos.backend.compiler import kernel
from algos.pooling.core.geometry import (
    AVERAGE,
    EXPECTATION,
    GATED,
    GAUSSIAN,
    MAX,
    MIXED,
    NORM,
    SAMPLE,
)

#: Constants of SplitMix64: the increment, and the two multipliers of its scrambler.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@kernel
def _mix(z):
    """Return the scrambled bits of `z`, the output function of SplitMix64."""
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


@kernel
def uniform(seed, index):
    """Return a number in [0, 1) that depends only on `seed` and `index`.

    SplitMix64 (Steele, Lea & Flood, OOPSLA 2014, doi:10.1145/2660193.2660195) as a hash. Thread
    count and order of the calls do not matter.
    """
    z = _mix(_mix(seed) + (np.uint64(index) + np.uint64(1)) * _GOLDEN)
    return np.float64(z >> np.uint64(11)) * 2.0**-53


@kernel
def read(v, windows, d, h, w, buffer):
    """Copy the samples of the window at (d, h, w) of volume `v` to `buffer`; return how many."""
    n = 0
    for i in range(windows.taps[0][d]):
        for j in range(windows.taps[1][h]):
            line = v[
                windows.begin[0][d] + i * windows.dilation[0],
                windows.begin[1][h] + j * windows.dilation[1],
            ]
            for k in range(windows.taps[2][w]):
                buffer[n] = line[windows.begin[2][w] + k * windows.dilation[2]]
                n += 1
    return n


@kernel
def read_weights(gate, windows, code, d, h, w, weights):
    """Copy the weight that a gate or a Gaussian gives to each sample of a window into `weights`."""
    n = 0
    for i in range(windows.taps[0][d]):
        for j in range(windows.taps[1][h]):
            for k in range(windows.taps[2][w]):
                if code == GAUSSIAN:
                    outer = windows.weights[0][d, i] * windows.weights[1][h, j]
                    weights[n] = outer * windows.weights[2][w, k]
                else:
                    weights[n] = gate[
                        windows.skip[0][d] + i, windows.skip[1][h] + j, windows.skip[2][w] + k
                    ]
                n += 1


@kernel
def place_of(windows, height, width, d, h, w, n):
    """Return the flat index of a window's n-th sample, in a volume of `height` × `width` planes."""
    line, k = divmod(n, windows.taps[2][w])
    i, j = divmod(line, windows.taps[1][h])
    plane = windows.begin[0][d] + i * windows.dilation[0]
    row = windows.begin[1][h] + j * windows.dilation[1]
    return (plane * height + row) * width + windows.begin[2][w] + k * windows.dilation[2]


@kernel
def count_of(windows, d, h, w):
    """Return the divisor of the average of a window."""
    return windows.counts[0][d] * windows.counts[1][h] * windows.counts[2][w]


@kernel
def largest(buffer, n):
    """Return the index of the first maximum, or of the first NaN."""
    place = 0
    for i in range(1, n):
        if buffer[i] > buffer[place] or (
            buffer[i] != buffer[i] and buffer[place] == buffer[place]
        ):  # fmt: skip
            place = i
    return place


@kernel
def power(base, p):
    """Return base^p for base >= 0."""
    if p == 2.0:
        return base * base
    return base if p == 1.0 else base**p


@kernel
def norm(buffer, n, p):
    """Return (Σ|x|^p)^(1/p)."""
    most = 0.0
    for i in range(n):
        if abs(buffer[i]) > most or buffer[i] != buffer[i]:
            most = abs(buffer[i])
    if most == 0.0 or not math.isfinite(most):
        return most
    total = 0.0
    for i in range(n):
        total += power(abs(buffer[i]) / most, p)
    return most * (math.sqrt(total) if p == 2.0 else power(total, 1.0 / p))


@kernel
def rectified(buffer, n):
    """Return (largest positive sample m, Σ of positive samples over m, Σ of their squares over m²).

    All three are NaN if a sample is NaN, and zero if no sample is positive.
    """
    most = 0.0
    for i in range(n):
        if buffer[i] > most or buffer[i] != buffer[i]:
            most = buffer[i]
    if not most > 0.0:
        return most, most, most
    first, second = 0.0, 0.0
    for i in range(n):
        share = max(buffer[i], 0.0) / most
        first += share
        second += share * share
    return most, first, second


@kernel
def sample(buffer, n, u):
    """Return the index of a positive sample, chosen with a probability proportional to it.

    It is the first sample at which the running sum exceeds the share u of the whole. If no sample
    is positive it is -1. If there is a NaN it is the first of them.
    """
    most, whole, _ = rectified(buffer, n)
    place, total = -1, 0.0
    for i in range(n):
        if buffer[i] != buffer[i]:
            return i
        if buffer[i] > 0.0:
            total += buffer[i] / most
            place = i
            if total > u * whole and most == most:
                return i
    return place


@kernel
def opening(buffer, weights, n):
    """Return (1/(1 + exp(−Σ gate·x)), one minus that): openness of a gate and its complement."""
    total = 0.0
    for i in range(n):
        total += weights[i] * buffer[i]
    return 1.0 / (1.0 + math.exp(-total)), 1.0 / (1.0 + math.exp(total))


@kernel
def reduce(buffer, weights, n, count, rule, u):
    """Return (value, index of the sample chosen or -1) of the n samples in `buffer`.

    `count`: divisor of the average. `u`: uniform number for stochastic pooling.
    """
    code = rule.code
    if code == NORM:
        return norm(buffer, n, rule.p), -1
    if code == SAMPLE:
        place = sample(buffer, n, u)
        return (buffer[place] if place >= 0 else 0.0), place
    if code == EXPECTATION:
        most, first, second = rectified(buffer, n)
        return (most * (second / first) if most > 0.0 else most), -1
    total = 0.0
    for i in range(n):
        total += (weights[i] if code == GAUSSIAN else 1.0) * buffer[i]
    if code == GAUSSIAN:
        return total, -1
    mean = total / count
    if code == AVERAGE:
        return mean, -1
    place = largest(buffer, n)
    if code == MAX:
        return buffer[place], place
    share, rest = rule.mix, 1.0 - rule.mix
    if code == GATED:
        share, rest = opening(buffer, weights, n)
    return share * buffer[place] + rest * mean, place


@kernel
def slopes(buffer, weights, n, count, rule, u):
    """Replace each of the n samples in `buffer` by the derivative of the window's value.

    `count` and `u` are those of `reduce`.
    """
    code = rule.code
    place, share, slope = -1, 1.0, 0.0
    if code == NORM:
        size = norm(buffer, n, rule.p)
        for i in range(n):
            if size != 0.0 and buffer[i] != 0.0:
                steep = power(abs(buffer[i]) / size, rule.p - 1.0)
                buffer[i] = math.copysign(steep, buffer[i])
        return
    if code == EXPECTATION:
        most, first, second = rectified(buffer, n)
        for i in range(n):
            inside = not buffer[i] <= 0.0
            steep = 2.0 * (buffer[i] / most) - second / first if inside else 0.0
            buffer[i] = steep / first if inside else 0.0
        return
    if code == GAUSSIAN:
        for i in range(n):  # a slice takes Numba seconds to compile
            buffer[i] = weights[i]
        return
    if code == SAMPLE:
        place = sample(buffer, n, u)
    elif code != AVERAGE:
        place = largest(buffer, n)
    if code in (MIXED, AVERAGE):
        share = rule.mix if code == MIXED else 0.0
        slope = (1.0 - share) / count
    if code != GATED:
        for i in range(n):
            buffer[i] = slope
    else:
        share, rest = opening(buffer, weights, n)
        total = 0.0
        for i in range(n):
            total += buffer[i]
        lever = share * rest * (buffer[place] - total / count)
        for i in range(n):
            buffer[i] = rest / count + lever * weights[i]
    if place >= 0:
        buffer[place] += share


@kernel
def pool_row(x, gate, windows, rule, b, d, h, y, switches, buffer, weights):
    """Compute one row of outputs, y[b, d, h].

    `switches`: the index in its volume of each chosen sample is written here, or -1; empty to skip.
    """
    code = rule.code
    wants_weights = code in (GAUSSIAN, GATED)
    row = (b * y.shape[1] + d) * y.shape[2] + h
    for w in range(y.shape[3]):
        n = read(x[b], windows, d, h, w, buffer)
        if wants_weights:
            read_weights(gate[b % rule.channels % len(gate)], windows, code, d, h, w, weights)
        u = uniform(rule.seed, row * y.shape[3] + w) if code == SAMPLE else 0.0
        value, place = reduce(buffer, weights, n, count_of(windows, d, h, w), rule, u)
        y[b, d, h, w] = value
        if switches.size:
            if place >= 0:
                place = place_of(windows, x.shape[2], x.shape[3], d, h, w, place)
            switches[b, d, h, w] = place


@kernel
def spread_plane(grad, x, gate, windows, rule, b, into, buffer, weights):
    """Add the gradient of every output of grad[b] to the samples of its window in into[b]."""
    code = rule.code
    wants_weights = code in (GAUSSIAN, GATED)
    index = b * grad.shape[1] * grad.shape[2] * grad.shape[3]
    for d in range(grad.shape[1]):
        for h in range(grad.shape[2]):
            for w in range(grad.shape[3]):
                n = read(x[b], windows, d, h, w, buffer)
                if wants_weights:
                    which = b % rule.channels % len(gate)
                    read_weights(gate[which], windows, code, d, h, w, weights)
                u = uniform(rule.seed, index) if code == SAMPLE else 0.0
                slopes(buffer, weights, n, count_of(windows, d, h, w), rule, u)
                add_slopes(grad[b, d, h, w], windows, d, h, w, buffer, into[b])
                index += 1


@kernel
def add_slopes(g, windows, d, h, w, buffer, into):
    """Add g times the slopes in `buffer` to the samples of the window at (d, h, w)."""
    n = 0
    for i in range(windows.taps[0][d]):
        for j in range(windows.taps[1][h]):
            line = into[
                windows.begin[0][d] + i * windows.dilation[0],
                windows.begin[1][h] + j * windows.dilation[1],
            ]
            for k in range(windows.taps[2][w]):
                if buffer[n] != 0.0:  # zero times an infinite gradient would be NaN
                    line[windows.begin[2][w] + k * windows.dilation[2]] += g * buffer[n]
                n += 1
