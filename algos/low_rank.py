"""Any 2-D kernel as a sum of outer products: the opt-in form of `separable`.

A kernel of rank r is the sum of r outer products (its singular value expansion). So it takes r
pairs of 1-D passes: r·(F_h + F_w) multiply-adds per output against F_h·F_w. This pays for large
kernels of small rank, such as a Gabor (rank 2) or a difference of Gaussians. The rank counts every
singular value above rounding, so the result is as accurate as that of any other algorithm.
"""

from __future__ import annotations

import numpy as np

from .core.algorithm import as_correlation, unit_roundoff
from .core.problem import Problem
from .separable.algorithm import TOLERANCE, Factors, Separable


class LowRank(Separable):
    """2-D kernels of rank r as r separable terms (singular value expansion)."""

    name = "low-rank"
    opt_in = True

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        if problem.axes != 2:
            return f"it is for 2 spatial axes, the problem has {problem.axes}"
        if w is None:
            return None
        if not np.isfinite(w).all():
            return "the kernel holds NaN or infinity, and has no rank"
        rank, full = _rank(w, problem.dtype), sum(problem.kernel)
        if rank * full >= problem.kernel[0] * problem.kernel[1] > 1:
            return (
                f"rank {rank} needs {rank}·{full} multiply-adds per output, "
                f"no fewer than the kernel's {problem.kernel[0]}·{problem.kernel[1]}"
            )
        return None

    def _terms(self, problem: Problem) -> int:
        return min(problem.kernel)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Factors:
        """Return the leading singular triplets of every kernel, up to the largest rank."""
        rank = max(_rank(w, problem.dtype), 1)
        matrices = as_correlation(problem, w)[:, :, 0].astype(np.float64)
        u, s, vt = np.linalg.svd(matrices, full_matrices=False)
        root = np.sqrt(s[:, :, :rank])[..., None]
        along_h = np.swapaxes(u, 2, 3)[:, :, :rank] * root
        along_w = vt[:, :, :rank] * root
        along_d = np.ones((*along_h.shape[:3], 1))
        along = tuple(np.ascontiguousarray(f, dtype=w.dtype) for f in (along_d, along_h, along_w))
        return Factors(along)


def _rank(w: np.ndarray, dtype: str) -> int:
    """Return the largest numerical rank among the kernels of `w` (O, C/groups, F_h, F_w)."""
    values = np.linalg.svd(w.astype(np.float64), compute_uv=False)
    visible = values > TOLERANCE * unit_roundoff(dtype) * values[..., :1]
    return int(visible.sum(axis=-1).max(initial=0))
