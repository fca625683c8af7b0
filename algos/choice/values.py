"""Values of operands that rule a candidate out: NaN, infinities, and kernels that it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.core.family import CONVOLUTION, POOLING


def unsuited(able: Any, problem: Any, w: np.ndarray | None, *others: np.ndarray) -> str | None:
    """Return why the values of the operands rule out a candidate; None if they do not."""
    given = [*others, *([] if w is None else [w])]
    if not able.confines_nonfinite:
        if w is not None and not np.isfinite(w).all():
            return "the kernel holds NaN or infinity, which it would spread"
        if others and may_overflow(*given):
            return "an operand holds NaN, infinity or numbers near overflow, which it would spread"
        if problem.family is POOLING and not others:
            return "it would spread a NaN or infinity, and the input is not known"
    if w is not None:
        reason = able.why_not(problem.with_images, w)
        return None if reason is None else str(reason)
    if able.name == "separable" and problem.family is CONVOLUTION and not given:
        return "it suits some kernels only, and none was given"
    return None


def may_overflow(*operands: np.ndarray) -> bool:
    """Return True where sums of products of the operands' elements may not be finite.

    So it is where they hold NaN or infinity. A direct sum confines all of these to the outputs
    that depend on them; an algorithm that sums over whole tiles does not.
    """
    sums = [float(np.abs(array).max(initial=0.0)) * array.size for array in operands]
    most = float(np.finfo(operands[0].dtype).max) / 4
    return not all(size < most for size in (*sums, math.prod(sums)))
