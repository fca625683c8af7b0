"""OpenCV's sliding maxima and means."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

import numpy as np

from algos.backend.threads import library_threads, load
from algos.core.bound import Bound
from algos.pooling.core.problem import PoolProblem

from .images import same_size
from .library import missing
from .peer import PoolPeer
from .pool_scipy import not_slid, running_error, slid, slid_bytes


class OpenCVPool(PoolPeer):
    """cv2.dilate and cv2.boxFilter, borders constant; 1-D as one row.

    The rectangle of a dilation is two passes. Means are running sums in double precision, times
    one over the number of taps. A NaN stays in them, and maxima pass over it.
    """

    name = "opencv-dilate-box"
    libraries = ("cv2",)
    confines_nonfinite = False
    exact_on_integers = False

    def why_not(self, problem: PoolProblem) -> str | None:
        if problem.axes == 3:
            return "OpenCV filters images of 2 axes, the problem has 3"
        return missing("cv2", "OpenCV") or not_slid("OpenCV", problem)

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        return slid_bytes(problem)

    def work(self, problem: PoolProblem) -> float:
        return float(problem.axes * math.prod(problem.planes))

    def pools(self, threads: int) -> AbstractContextManager[None]:
        load("cv2")
        return library_threads("cv2", threads)

    def bind(self, problem: PoolProblem, *given: np.ndarray, threads: int) -> Bound:
        cv2 = load("cv2")
        lead = (0,) * (2 - problem.axes)
        anchor = (*lead, *same_size(problem).anchor)[::-1]
        window = (*(1 for _ in lead), *problem.window)
        ones, border = np.ones(window, np.uint8), cv2.BORDER_CONSTANT

        def operator(image: np.ndarray, into: np.ndarray) -> None:
            if image.ndim == 1:
                image, into = image[None], into[None]
            if problem.kind == "max":
                cv2.dilate(image, ones, into, anchor, 1, border)
            else:
                cv2.boxFilter(image, -1, window[::-1], into, anchor, True, border)

        return slid(problem, given[0], operator)

    def error_bound(
        self, problem: PoolProblem, first: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        if problem.kind == "max":
            return 0.0
        return running_error(problem, first, magnitude)
