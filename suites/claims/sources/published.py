"""Published comparisons of algorithms, repeated as far as this machine allows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

import algos
from algos.adapters import performer
from algos.backend.threads import blas_threads
from algos.core.algorithm import Algorithm
from algos.registry import get_for
from results.figures.style import Sheet, new_sheet
from results.verdicts.statistics import Interval, mean_interval, ratio_interval
from suites.cases import suite
from suites.claims.claim import Findings, at_least, at_most, claim, equal
from suites.claims.data import normal
from suites.claims.drawing import log_scale
from suites.claims.timing import samples


class Im2win(Algorithm):
    """Windows of whole columns unrolled once, and one matrix product for each column of taps.

    Lu, Chu & Liu, *Im2win: Memory Efficient Convolution On SIMD Architectures* (2023),
    arXiv:2306.14320. A window's columns are shared with the next window, so the input is copied F
    times instead of F². Here the F products are left to BLAS. It takes images, stride 1, and no
    groups.
    """

    name = "im2win"

    def why_not(self, problem: algos.Problem, w: np.ndarray | None = None) -> str | None:
        plain = (problem.axes, problem.groups, max(problem.stride + problem.dilation)) == (2, 1, 1)
        return None if plain else "it takes images with stride 1, dilation 1 and no groups"

    def workspace_bytes(self, problem: algos.Problem, threads: int) -> int:
        """Return the bytes of the windows, the padded image, and the products with their sum."""
        height, width = problem.reach
        rows = problem.output_size[0]
        windows = problem.in_channels * problem.kernel[0] * rows * width
        padded = problem.in_channels * height * width
        return (windows + padded + 2 * problem.out_channels * rows * width) * problem.itemsize

    def prepare(self, problem: algos.Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return one matrix (O, C · F) for each column of taps."""
        w = w[..., ::-1, ::-1] if problem.flip else w
        columns = w.transpose(3, 0, 1, 2)
        return np.ascontiguousarray(columns.reshape(w.shape[3], w.shape[0], -1))

    def forward(
        self, problem: algos.Problem, x: np.ndarray, prepared: Any, bias: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        taps, (rows, columns), width = problem.kernel[0], problem.output_size, problem.reach[1]
        padded = np.pad(x, ((0, 0), (0, 0), *problem.padding))
        windows = np.empty((problem.in_channels, taps, rows, width), x.dtype)
        count = rows * width - problem.kernel[1] + 1
        total = np.empty((problem.out_channels, rows * width), x.dtype)
        with blas_threads(threads):
            for image, y in zip(padded, out, strict=True):
                for row in range(taps):
                    windows[:, row] = image[:, row : row + rows, :width]
                flat = windows.reshape(-1, rows * width)
                np.matmul(prepared[0], flat[:, :count], out=total[:, :count])
                for shift in range(1, len(prepared)):
                    total[:, :count] += prepared[shift] @ flat[:, shift : shift + count]
                y[...] = total.reshape(-1, rows, width)[..., :columns]
                y += bias[:, None, None]


def _layers(*names: str, largest: float = 1e9) -> Iterator[algos.Problem]:
    """Yield the distinct layers of suites by multiply-adds, without groups and 1 × 1 kernels."""
    cases = [case.problem for name in names for case in suite.load(name).cases]
    problems = {replace(p, bias=False) for p in cases if isinstance(p, algos.Problem)}
    for problem in sorted(problems, key=lambda p: p.multiply_adds):
        plain = problem.groups == 1 and max(problem.kernel) > 1
        if plain and problem.multiply_adds <= largest:
            yield problem


class _Race:
    """Two algorithms on layers, one thread: ratios of time, memory and error."""

    def __init__(self, slow: Any, fast: Any, layers: list[algos.Problem]) -> None:
        self.layers = layers
        self.ratios: list[Interval] = []
        self.bytes: dict[str, list[int]] = {"slow": [], "fast": []}
        self.errors: dict[str, float] = {"slow": 0.0, "fast": 0.0}
        rng = np.random.default_rng(0)
        for problem in layers:
            x, w = normal(rng, *problem.input_shape), normal(rng, *problem.kernel_shape)
            plans = {name: algos.plan(problem, w, algorithm=a, threads=1)
                     for name, a in (("slow", slow), ("fast", fast))}  # fmt: skip
            outputs = {name: f(x) for name, f in plans.items()}
            found = samples({n: partial(f, x) for n, f in plans.items()}, 0.2)
            self.ratios.append(ratio_interval(found["slow"], found["fast"]))
            exact = self._exact(problem, x, w)
            for name, f in plans.items():
                able = performer(get_for(problem, f.algorithm), problem)
                self.bytes[name].append(able.workspace_bytes(problem, 1))
                error = float(np.abs(outputs[name][:, :8] - exact).max() / np.abs(exact).max())
                self.errors[name] = max(self.errors[name], error)

    @staticmethod
    def _exact(problem: algos.Problem, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the first eight output channels in float64."""
        return algos.conv(
            x.astype("float64"), w[:8].astype("float64"), stride=problem.stride,
            padding=problem.padding, algorithm="im2col",
        )  # fmt: skip

    @property
    def mean(self) -> Interval:
        """Geometric mean of the ratios over the layers; its interval is over layers, too."""
        found = mean_interval([math.log(ratio.middle) for ratio in self.ratios])
        return Interval(*(math.exp(end) for end in found))

    def working(self, slow: str, fast: str) -> Iterator[str]:
        """Yield a sentence for each layer, and one for errors."""
        for problem, ratio, *memory in zip(
            self.layers, self.ratios, self.bytes["slow"], self.bytes["fast"], strict=True
        ):
            yield (
                f"{problem.name or problem}: {slow}/{fast} {ratio.middle:.2f} "
                f"({ratio.low:.2f} … {ratio.high:.2f}), workspace "
                f"{memory[0] / 2**20:.2f} and {memory[1] / 2**20:.2f} MiB"
            )
        yield (
            f"largest error over the largest output: {slow} {self.errors['slow']:.1e}, "
            f"{fast} {self.errors['fast']:.1e}"
        )

    def sheet(self, name: str, question: str, detail: str, stated: float) -> Sheet:
        """Return a figure of all ratios with their intervals, and the stated value as a line."""
        sheet = new_sheet(name, question, detail, panel_height=0.5 + 0.17 * len(self.layers))
        (axes,) = sheet.axes
        for n, ratio in enumerate(self.ratios):
            axes.plot([ratio.low, ratio.high], [-n, -n], color="#0072B2", lw=1.5)
            axes.plot(ratio.middle, -n, "o", color="#0072B2", ms=4)
        axes.axvline(1, color="black", lw=1)
        axes.axvline(stated, color="#D55E00", lw=1, ls="--")
        axes.set_yticks(range(0, -len(self.layers), -1), [p.name or str(p) for p in self.layers])
        axes.set_ylim(0.6 - len(self.layers), 0.6)
        axes.set_xlabel("ratio of times; dashed, the stated value")
        log_scale(axes, "x")
        return sheet


@claim
def im2win() -> Findings:
    """Share the columns of windows: less memory than im2col, and faster.

    Source: Lu, Chu & Liu, Im2win (2023), arXiv:2306.14320: memory on average 41.6 % of that of
    PyTorch's im2col; 3.6 times faster than im2col, 5.3 times than without data transformation.
    """
    layers = [p for p in _layers("alexnet", "vgg16", "resnet50", largest=3e8) if p.stride == (1, 1)]
    race = _Race("im2col", Im2win(), layers)
    windows = [p.in_channels * p.kernel[0] * p.output_size[0] * p.reach[1] for p in layers]
    columns = [p.taps * math.prod(p.output_size) for p in layers]
    shares = [a / b for a, b in zip(windows, columns, strict=True)]
    yield at_most("windows over whole im2col matrix, mean", "41.6 %", float(np.mean(shares)), 0.416)
    yield at_least("times faster than im2col, mean", "3.6", race.mean, 3.6)
    first = layers[0]
    rng = np.random.default_rng(0)
    x, w = normal(rng, *first.input_shape), normal(rng, *first.kernel_shape)
    plain: dict[str, Any] = {"naive": "naive", "im2win": Im2win()}
    plans = {n: algos.plan(first, w, algorithm=a, threads=1) for n, a in plain.items()}
    found = samples({n: partial(f, x) for n, f in plans.items()}, 0.5)
    yield at_least(f"times faster than plain loops, {first.name or first}", "5.3",
                   ratio_interval(found["naive"], found["im2win"]), 5.3)  # fmt: skip
    yield (
        "The layers are those of AlexNet, VGG-16 and ResNet-50 with stride 1, not the paper's. "
        "Our im2col works in slabs that stay in the cache, and its products are as fast as BLAS."
    )
    yield from race.working("im2col", "im2win")
    yield race.sheet(
        "claim-im2win", "Is im2win faster than im2col?",
        "Time of im2col over that of im2win, one thread, with 95 % intervals of this process.", 3.6,
    )  # fmt: skip


@claim
def fft_against_winograd() -> Findings:
    """Compare transforms on VGG: the FFT is faster than Winograd on modern CPUs.

    Source: Zlateski, Jia, Li & Durand, FFT Convolutions are Faster than Winograd on Modern CPUs,
    Here's Why (2018), arXiv:1809.07851: on VGG and AlexNet FFT generally outperforms Winograd.
    """
    race = _Race("winograd4", "fft", list(_layers("vgg16", largest=1e9)))
    yield at_least("times faster by FFT, mean", "above 1", race.mean, 1)
    faster = sum(ratio.low > 1 for ratio in race.ratios)
    yield at_least("share of layers where the FFT is faster", "most: above 0.5",
                   faster / len(race.ratios), 0.5)  # fmt: skip
    yield (
        "The paper's machines have 10 and more cores, and its FFT multiplies spectra as matrices, "
        "tuned for each cache. Ours is `fft`, the faster of our two on layers with many channels."
    )
    yield from race.working("winograd4", "fft")
    yield race.sheet(
        "claim-fft-against-winograd", "Is the FFT faster than Winograd?",
        "Time of `winograd4` over that of `fft`, kernels transformed beforehand, one thread.",
        1,
    )  # fmt: skip


@claim
def zero_memory_overhead() -> Findings:
    """Convolve directly: no memory overhead, and 10 % to 400 % better than im2col + GEMM.

    Source: Zhang, Franchetti & Low, High Performance Zero-Memory Overhead Direct Convolutions
    (ICML 2018), arXiv:1809.10170.
    """
    race = _Race("im2col", "parallel", list(_layers("alexnet", "vgg16", "googlenet", largest=5e8)))
    yield at_least("times faster than im2col, mean", "1.1 to 5", race.mean, 1.1)
    inside = sum(ratio.middle >= 1.1 for ratio in race.ratios)
    yield equal("layers that gain at least 10 %", f"{len(race.ratios)} of {len(race.ratios)}",
                f"{inside} of {len(race.ratios)}")  # fmt: skip
    yield at_most("most that a layer gains", "400 % more, 5 times",
                  max(ratio.middle for ratio in race.ratios), 5)  # fmt: skip
    most = max(race.bytes["fast"])
    yield equal("bytes beyond input, kernel and output", 0, most)
    columns = [p.taps * math.prod(p.output_size) * p.itemsize for p in race.layers]
    share = max(b / c for b, c in zip(race.bytes["fast"], columns, strict=True))
    yield (
        f"`parallel` packs the kernel and a part of the input: at most {most / 2**20:.2f} MiB, "
        f"{share:.0%} of what the im2col matrix would take. The paper keeps both packed for good."
    )
    yield from race.working("im2col", "parallel")
    yield race.sheet(
        "claim-zero-memory-overhead", "Is direct convolution faster than im2col?",
        "Time of `im2col` over that of `parallel`, one thread, with 95 % intervals.",
        1.1,
    )  # fmt: skip
