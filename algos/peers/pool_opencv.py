"""OpenCV's sliding maxima and means."""

from __future__ import annotations

import math

import numpy as np

from algos.backend.threads import library_threads, load
from algos.pooling.core.algorithm import PoolAlgorithm
from algos.pooling.core.problem import PoolProblem

from .images import same_size
from .library import missing
from .pool_scipy import not_slid, running_error


class OpenCVPool(PoolAlgorithm):
    """cv2.dilate and cv2.boxFilter, borders constant; 1-D as one row.

    The rectangle of a dilation is two passes. Means are running sums in double precision, times
    one over the number of taps. A NaN stays in them, and maxima pass over it.
    """

    is_peer = True
    name = "opencv-dilate-box"
    libraries = ("cv2",)
    opt_in = True
    confines_nonfinite = False
    exact_on_integers = False

    def why_not(self, problem: PoolProblem) -> str | None:
        if problem.axes == 3:
            return "OpenCV filters images of 2 axes, the problem has 3"
        return missing("cv2", "OpenCV") or not_slid("OpenCV", problem)

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        return 2 * math.prod(same_size(problem).size) * problem.itemsize

    def work(self, problem: PoolProblem) -> float:
        return float(problem.axes * math.prod(problem.planes))

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        cv2 = load("cv2")
        placed = same_size(problem)
        lead = (0,) * (2 - problem.axes)
        anchor = (*lead, *placed.anchor)[::-1]
        window = (*(1 for _ in lead), *problem.window)
        ones = np.ones(window, np.uint8)
        is_max = problem.kind == "max"

        def operator(source: np.ndarray, result: np.ndarray) -> None:
            source, target = (a.reshape(-1, a.shape[-1]) for a in (source, result))
            if is_max:
                cv2.dilate(source, ones, dst=target, anchor=anchor, borderType=cv2.BORDER_CONSTANT)
            else:
                cv2.boxFilter(
                    source, -1, window[::-1], dst=target, anchor=anchor, normalize=True,
                    borderType=cv2.BORDER_CONSTANT,
                )  # fmt: skip

        images = x.reshape(-1, *problem.size)
        with library_threads("cv2", threads):
            for image, into in zip(images, out.reshape(-1, *problem.output_size), strict=True):
                placed.filter(image, into, operator, -np.inf if is_max else 0.0)

    def error_bound(
        self, problem: PoolProblem, first: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        if problem.kind == "max":
            return 0.0
        return running_error(problem, first, magnitude)
