"""Canaries for pooling: wrong on purpose; the verifier must fail every one, every time.

Each computes the definition and breaks one thing: the positions of windows, their counts, their
reduction, or the destination of a gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.backend.compiler import kernel
from algos.pooling.algorithms.naive import _pool, _spread, no_switches
from algos.pooling.core.algorithm import PoolAlgorithm
from algos.pooling.core.geometry import Rule, Windows, rule_of, windows_of
from algos.pooling.core.problem import PoolProblem


class _Canary(PoolAlgorithm):
    """The definition; subclasses break its windows, its rule, or the result."""

    gives_switches = True

    def bend(self, problem: PoolProblem, windows: Windows) -> Windows:
        """Other windows."""
        return windows

    def twist(self, problem: PoolProblem, rule: Rule) -> Rule:
        """Another rule."""
        return rule

    def spoil(self, problem: PoolProblem, out: np.ndarray) -> None:
        """Break the right answer."""

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        shape = problem.pooled_planes
        _pool(
            x.reshape(problem.planes), gate, self.bend(problem, windows_of(problem)),
            self.twist(problem, rule_of(problem)), problem.taps, out.reshape(shape),
            no_switches() if switches is None else switches.reshape(shape),
        )  # fmt: skip
        self.spoil(problem, out)

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        out[...] = 0
        _spread(
            grad_out.reshape(problem.pooled_planes), x.reshape(problem.planes), gate,
            self.bend(problem, windows_of(problem)), self.twist(problem, rule_of(problem)),
            problem.taps, out.reshape(problem.planes),
        )  # fmt: skip


class WrongSwitch(_Canary):
    """Right maxima, the last of their switches one too far."""

    name = "canary-wrong-switch"

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        super().forward(problem, x, gate, out, switches, threads)
        if switches is not None:
            switches.reshape(-1)[-1] += 1


class LastOfEqual(_Canary):
    """Gives the gradient of equal maxima to the last instead of the first."""

    name = "canary-last-of-equal"

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        ramp = np.arange(x.size, dtype=x.dtype).reshape(x.shape) / x.size / 4
        super().grad_input(problem, grad_out, x + ramp, gate, out, threads)


class PaddingAsMaximum(_Canary):
    """Lets the zeros of the padding be a maximum."""

    name = "canary-padding-as-maximum"

    def spoil(self, problem: PoolProblem, out: np.ndarray) -> None:
        if problem.kind != "max":
            return
        y = out.reshape(problem.pooled_planes)
        d, h, w = (line.taps < line.counted for line in problem.lines)
        cut = d[:, None, None] | h[:, None] | w
        y[:, cut] = np.maximum(y[:, cut], 0)


class DividesByWindow(_Canary):
    """Divides an average by the whole window, cut or not."""

    name = "canary-divides-by-window"

    def bend(self, problem: PoolProblem, windows: Any) -> Windows:
        return windows._replace(counts=tuple(line.full.astype(float) for line in problem.lines))


class DividesBySamples(_Canary):
    """Divides an average by the samples there are, though padding was to count."""

    name = "canary-divides-by-samples"

    def bend(self, problem: PoolProblem, windows: Any) -> Windows:
        counts = tuple(np.maximum(line.taps, 1).astype(float) for line in problem.lines)
        return windows._replace(counts=counts)


class RaggedDropped(_Canary):
    """Leaves out the smaller region on the right."""

    name = "canary-ragged-dropped"

    def spoil(self, problem: PoolProblem, out: np.ndarray) -> None:
        if problem.placement == "regular" and problem.fit == "ceil":
            line = problem.lines[2]
            if line.counted[-1] < line.full[-1]:
                out[..., -1] = 0


class DilationIgnored(_Canary):
    """Takes a window's taps side by side."""

    name = "canary-dilation-ignored"

    def bend(self, problem: PoolProblem, windows: Any) -> Windows:
        return windows._replace(dilation=(1, 1, 1))


class TapForgotten(_Canary):
    """Leaves out the last tap of every window."""

    name = "canary-pool-tap-forgotten"

    def bend(self, problem: PoolProblem, windows: Any) -> Windows:
        taps = np.maximum(windows.taps[2] - 1, 1)
        return windows._replace(taps=(*windows.taps[:2], taps))


class ShiftedByOne(_Canary):
    """Begins every window one sample late, where there is room."""

    name = "canary-pool-shifted-by-one"

    def bend(self, problem: PoolProblem, windows: Any) -> Windows:
        line = problem.lines[2]
        room = line.begin + (line.taps - 1) * line.dilation + 1 < line.size
        return windows._replace(begin=(*windows.begin[:2], line.begin + room))


class AdaptiveRoundedDown(_Canary):
    """Ends adaptive windows at ⌊(j + 1)·W/O⌋: some samples are shared by no two windows."""

    name = "canary-adaptive-rounded-down"

    def bend(self, problem: PoolProblem, windows: Any) -> Windows:
        if problem.placement != "adaptive":
            return windows
        taps = []
        for line in problem.lines:
            j = np.arange(line.positions) + 1
            taps.append(np.maximum(j * line.size // line.positions - line.begin, 1))
        return windows._replace(taps=tuple(taps))


class FractionalDisjoint(_Canary):
    """Lets no fractional windows share their border."""

    name = "canary-fractional-disjoint"

    def bend(self, problem: PoolProblem, windows: Any) -> Windows:
        if problem.placement != "fractional":
            return windows
        return windows._replace(taps=tuple(np.maximum(taps - 1, 1) for taps in windows.taps))


class OtherNorm(_Canary):
    """A norm of p + 1."""

    name = "canary-other-norm"

    def twist(self, problem: PoolProblem, rule: Any) -> Rule:
        return rule._replace(p=rule.p + 1)


class SharesExchanged(_Canary):
    """Mixes the average with the maximum's share, and the other way round."""

    name = "canary-shares-exchanged"

    def twist(self, problem: PoolProblem, rule: Any) -> Rule:
        return rule._replace(mix=1 - rule.mix)


class OtherSeed(_Canary):
    """Samples by another sequence of random numbers."""

    name = "canary-other-seed"

    def twist(self, problem: PoolProblem, rule: Any) -> Rule:
        return rule._replace(seed=np.uint64(rule.seed + np.uint64(1)))


class WeightsNotNormal(_Canary):
    """Gaussian weights that sum to a little more than one."""

    name = "canary-weights-not-normal"

    def bend(self, problem: PoolProblem, windows: Any) -> Windows:
        return windows._replace(weights=tuple(1.001 * weights for weights in windows.weights))


class NaNLost(_Canary):
    """Passes over a NaN, as a comparison by > alone does."""

    name = "canary-nan-lost"

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        x = np.where(np.isnan(x), x.dtype.type(-np.inf), x)
        super().forward(problem, x, gate, out, switches, threads)


class ShortSums(_Canary):
    """Averages numbers that were rounded to half precision."""

    name = "canary-short-sums"

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        if problem.kind == "average":
            with np.errstate(all="ignore"):
                x = x.astype(np.float16).astype(x.dtype)
        super().forward(problem, x, gate, out, switches, threads)


class Unwritten(_Canary):
    """Never writes the last output."""

    name = "canary-pool-unwritten"

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        held = out.reshape(-1)[-1]
        super().forward(problem, x, gate, out, switches, threads)
        out.reshape(-1)[-1] = held


class FirstChannelOnly(_Canary):
    """Pools the first plane again and again."""

    name = "canary-first-channel-only"

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        if problem.kind != "maxout":
            x = np.broadcast_to(x[:1, :1], x.shape).copy()
        super().forward(problem, x, gate, out, switches, threads)


class GradientAddsToGarbage(_Canary):
    """Adds a gradient to the values that were there."""

    name = "canary-pool-adds-to-garbage"

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        held = out.copy()
        super().grad_input(problem, grad_out, x, gate, out, threads)
        out += held


class GradientLost(_Canary):
    """Forgets the gradient of the last window of every row."""

    name = "canary-gradient-lost"

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        without = grad_out.copy()
        without[..., -1] = 0
        super().grad_input(problem, without, x, gate, out, threads)


class GradientNotDivided(_Canary):
    """Gives each sample of an average the whole gradient."""

    name = "canary-gradient-not-divided"

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        super().grad_input(problem, grad_out, x, gate, out, threads)
        if problem.kind == "average":
            out *= problem.taps


class UnwrittenTemporary(_Canary):
    """Reads one element of an array of its own before it writes there."""

    name = "canary-pool-unwritten-temporary"

    def spoil(self, problem: PoolProblem, out: np.ndarray) -> None:
        sums = np.empty(out.size + 1, out.dtype)
        sums[:-1] = out.reshape(-1)
        with np.errstate(all="ignore"):
            out[...] = sums[:-1].reshape(out.shape)
            out.reshape(-1)[0] += 0 * sums[-1]


class UnwrittenScratch(_Canary):
    """The same in a kernel, and in gradients alone: the end of its scratch is never written."""

    name = "canary-pool-unwritten-scratch"

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        super().grad_input(problem, grad_out, x, gate, out, threads)
        _add_scratch(out.reshape(-1))


@kernel(allocates=True, cache=False)
def _add_scratch(flat: np.ndarray) -> None:
    scratch = np.empty(16, flat.dtype)
    scratch[:15] = 0
    for value in scratch:
        flat[0] += 0 * value
