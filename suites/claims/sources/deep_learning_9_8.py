"""Deep Learning, 9.8: efficient convolution algorithms."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

import algos
from results.figures.style import Sheet, look, new_sheet
from results.verdicts.statistics import Interval, ratio_interval
from suites.claims.claim import Findings, at_least, between, claim, equal
from suites.claims.data import normal, photograph
from suites.claims.drawing import log_scale
from suites.claims.timing import samples, times

SIZES = (32, 64, 128, 256, 512)
KERNELS = (3, 7, 11, 15, 23, 31)


def _ratio(size: int, kernel: int) -> Interval:
    """Return the time of the direct sum over that of the FFT, one thread."""
    rng = np.random.default_rng(0)
    x, w = photograph(size, size)[None, None], normal(rng, 1, 1, kernel, kernel)
    problem = algos.problem_of(x, w, padding="same")
    plans = {name: algos.plan(problem, w, algorithm=name, threads=1)
             for name in ("parallel", "fft-fused")}  # fmt: skip
    found = samples({name: partial(f, x) for name, f in plans.items()}, 0.15)
    return ratio_interval(found["parallel"], found["fft-fused"])


def _crossing(sizes: list[int], ratios: list[float]) -> float:
    """Return the size at which `ratios` first reach 1, between two of `sizes`; else infinity."""
    for n, value in enumerate(ratios):
        if value >= 1:
            if n == 0:
                return float(sizes[0])
            before, after = math.log(ratios[n - 1]), math.log(value)
            share = -before / (after - before) if after > before else 1.0
            return float(
                math.exp((1 - share) * math.log(sizes[n - 1]) + share * math.log(sizes[n]))
            )
    return math.inf


def _from(ends: list[float], known: tuple[int, ...]) -> str:
    """Return the size from which on the FFT wins, with the ends of its interval, as text."""

    def one(size: float) -> str:
        if size == math.inf:
            return f"beyond {known[-1]}"
        return f"{known[0]} or less" if size == known[0] else f"{size:.0f}"

    middle, low, high = map(one, ends)
    return f"from {middle} on ({low} … {high})" if ends[0] < math.inf else f"{middle}, if at all"


@claim
def fast_fourier_transform() -> Findings:
    """Convolve by FFT: faster than the direct sum beyond some size of the kernel.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.8: for some problem sizes,
    pointwise products of transforms can be faster than the naive implementation.
    """
    found = {size: {k: _ratio(size, k) for k in KERNELS if k <= size} for size in SIZES}
    for size, row in found.items():
        kernels = list(row)
        ends = [_crossing(kernels, [getattr(r, end) for r in row.values()])
                for end in ("middle", "high", "low")]  # fmt: skip
        yield at_least(f"{size} × {size}, kernel {kernels[-1]}: times faster by FFT",
                       "faster beyond some size", row[kernels[-1]], 1)  # fmt: skip
        yield f"{size} × {size}: the FFT wins {_from(ends, KERNELS)}"
        yield f"{size} × {size}: " + ", ".join(f"{k}: {r.middle:.2f}" for k, r in row.items())
    for kernel in KERNELS:
        column = {size: row[kernel] for size, row in found.items() if kernel in row}
        ends = [_crossing(list(column), [getattr(r, end) for r in column.values()])
                for end in ("middle", "high", "low")]  # fmt: skip
        yield f"kernel {kernel} × {kernel}: the FFT wins {_from(ends, SIZES)}"
    yield "Direct sum `parallel` against `fft-fused`, kernel's spectrum kept, one thread."
    yield _lines(found)


def _lines(found: dict[int, dict[int, Interval]]) -> Sheet:
    sheet = new_sheet(
        "claim-fast-fourier-transform", "From which kernel on is the FFT faster?",
        "Time of the direct sum over that of the FFT, one thread, with 95 % intervals of this "
        "process. Above 1 the FFT wins.",
        panel_height=3.0,
    )  # fmt: skip
    (axes,) = sheet.axes
    for (size, row), mark in zip(found.items(), "osD^v", strict=True):
        middle = np.array([r.middle for r in row.values()])
        ends = np.array([[r.low, r.high] for r in row.values()]).T
        axes.errorbar(list(row), middle, np.abs(ends - middle), marker=mark, ms=4, capsize=2,
                      label=f"{size}²")  # fmt: skip
    axes.axhline(1, color="black", lw=1)
    axes.set(xscale="log", xlabel="taps of the kernel per axis", ylabel="ratio")
    axes.set_xticks(KERNELS, map(str, KERNELS))
    axes.minorticks_off()
    log_scale(axes, "y")
    axes.legend(title="image", frameon=False, ncols=5, loc="lower right")
    return sheet


#: Output size, widths for the direct sum and for separable passes, by the number of axes.
CASES = {
    2: (128, (11, 17, 25, 35, 49), (25, 49, 73, 97, 121)),
    3: (24, (5, 7, 9, 13, 17), (9, 17, 25, 33, 41)),
}
#: Seconds by number of axes, algorithm and width of the kernel.
Curves = dict[int, dict[str, dict[int, float]]]


def _bell(width: int, axes: int) -> np.ndarray:
    """Return a kernel (1, 1, width, …) that is an outer product of bells."""
    line = np.hanning(width + 2)[1:-1]
    line /= line.sum()
    w = line
    for _ in range(axes - 1):
        w = np.multiply.outer(w, line)
    return w[None, None].astype("float32")


def _exponent(seconds: dict[int, float]) -> Interval:
    """Return the exponent of a power law, and its 95 % interval from the residuals."""
    from scipy.stats import linregress, t

    fit = linregress(np.log(list(seconds)), np.log(list(seconds.values())))
    reach = float(t.ppf(0.975, len(seconds) - 2) * fit.stderr)
    return Interval(float(fit.slope), float(fit.slope) - reach, float(fit.slope) + reach)


@claim
def separable_kernels() -> Findings:
    """Compose d one-dimensional kernels: O(w · d) instead of O(w^d).

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.8: runtime and parameter
    storage of kernels that are w wide in d dimensions.
    """
    rng = np.random.default_rng(0)
    curves: Curves = {}
    for axes, (outputs, naive, separable) in CASES.items():
        calls = {}
        for name, widths in (("naive", naive), ("separable", separable)):
            for width in widths:
                kernel = _bell(width, axes)
                x = normal(rng, 1, 1, *[outputs + width - 1] * axes)
                f = algos.plan(algos.problem_of(x, kernel), kernel, algorithm=name, threads=1)
                calls[f"{name} {width}"] = partial(f, x)
        seconds = {key: time.middle for key, time in times(calls, 2.0).items()}
        curves[axes] = {
            "naive": {width: seconds[f"naive {width}"] for width in naive},
            "separable": {width: seconds[f"separable {width}"] for width in separable},
        }
        width = naive[-1]
        kernel = _bell(width, axes)[0, 0]
        yield equal(f"{axes}-D, w = {width}: numbers in the kernel, w^d", width**axes, kernel.size)
        enough = sum(kernel.shape) if _is_product(kernel) else kernel.size
        yield equal(f"{axes}-D, w = {width}: numbers that suffice, w · d", width * axes, enough)
        yield between(f"{axes}-D, direct: exponent of w in the time", str(axes),
                      _exponent(curves[axes]["naive"]), axes - 0.3, axes + 0.3)  # fmt: skip
        yield between(f"{axes}-D, separable: exponent of w in the time", "1",
                      _exponent(curves[axes]["separable"]), 0.7, 1.3)  # fmt: skip
    yield _sweep(curves)


def _is_product(kernel: np.ndarray) -> bool:
    """Return True if every unfolding of `kernel` has rank one, but for rounding."""
    for axis in range(kernel.ndim):
        values = np.linalg.svd(
            np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1), compute_uv=False
        )
        if values[1] > 1e-5 * values[0]:
            return False
    return True


def _sweep(curves: Curves) -> Sheet:
    sheet = new_sheet(
        "claim-separable-kernels", "How does time grow with the width of the kernel?",
        "Left, an output of 128²; right, one of 24³. One thread; dotted lines have the slopes of w "
        "and of w^d.",
        panels=2, columns=2, panel_height=2.8, legend=("naive", "separable"),
    )  # fmt: skip
    for axes, (dimensions, lines) in zip(sheet.axes, curves.items(), strict=True):
        for name, power in (("naive", dimensions), ("separable", 1)):
            widths = np.array(list(lines[name]))
            values = np.array(list(lines[name].values())) * 1e3
            style = look(name)
            axes.plot(widths, values, marker=style.marker, color=style.colour)
            slope = values[-1] * (widths / widths[-1]) ** power
            axes.plot(widths, slope, ":", color=style.colour)
        axes.set(xlabel="w", ylabel="time (ms)")
        log_scale(axes, "x")
        log_scale(axes, "y")
        axes.set_title(f"{dimensions}-D")
    return sheet
