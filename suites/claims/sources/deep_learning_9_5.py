"""Deep Learning, 9.5: variants of the basic convolution."""

from __future__ import annotations

from functools import partial

import numpy as np

import algos
from results.figures.style import new_sheet
from suites.claims.claim import Findings, about, at_least, at_most, claim, equal, true
from suites.claims.data import normal, whole
from suites.claims.drawing import log_scale
from suites.claims.timing import ratio, times


@claim
def strided_convolution() -> Findings:
    """Skip positions: the same as a full convolution and downsampling, without the waste.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.5, eq. 9.8, fig. 9.12.
    """
    rng = np.random.default_rng(0)
    x, w = whole(rng, 1, 8, 96, 96), whole(rng, 16, 8, 5, 5)
    for stride in (2, 3):
        one = algos.conv(x, w, stride=stride)
        two = algos.conv(x, w)[..., ::stride, ::stride]
        yield true(f"stride {stride}: both ways agree exactly", np.array_equal(one, two))
        skipping = algos.plan(algos.problem_of(x, w, stride=stride), w, threads=1)
        whole_map = algos.plan(algos.problem_of(x, w), w, threads=1)
        computed = whole_map.problem.multiply_adds / skipping.problem.multiply_adds
        yield about(f"stride {stride}: times the multiply-adds of two steps", stride**2, computed)
        waste = ratio(partial(whole_map, x), partial(skipping, x), 0.5)
        yield at_least(f"stride {stride}: times slower in two steps", "wasteful: above 1", waste, 1)


@claim
def zero_padding() -> Findings:
    """Stack kernels of width six: without zeros, sixteen pixels last for three layers.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.5, fig. 9.13.
    """
    w = np.ones((1, 1, 6), "float32")
    x = np.ones((1, 1, 16), "float32")
    widths = [16]
    try:
        while True:
            x = algos.conv(x, w)
            widths.append(x.shape[-1])
    except algos.ConvbenchError as error:
        yield f"layer {len(widths)}: {error}"
    yield equal("pixels lost per layer", 5, widths[0] - widths[1])
    yield equal("widths", "16, 11, 6, 1", ", ".join(map(str, widths)))
    yield equal("layers", 3, len(widths) - 1)
    yield equal("layers that move the kernel", 2, sum(width > 1 for width in widths[1:]))
    x, kept = np.ones((1, 1, 16), "float32"), [16]
    for _ in range(20):
        x = algos.conv(x, w / 6, padding=((2, 3),))
        kept.append(x.shape[-1])
    yield equal("with five zeros: width after 20 layers", 16, kept[-1])
    sheet = new_sheet(
        "claim-zero-padding", "How many layers do sixteen pixels last?",
        "Width after each layer with kernels of width six.", panel_height=2.2,
    )  # fmt: skip
    (axes,) = sheet.axes
    axes.plot(range(len(widths)), widths, "o-", color="#D55E00", label="no zeros")
    axes.plot(range(9), kept[:9], "s-", color="#0072B2", label="five zeros")
    axes.set(xlabel="layers", ylabel="pixels", ylim=(0, 18))
    axes.legend(frameon=False)
    yield sheet


@claim
def border_visits() -> Findings:
    """Count the outputs that each pixel influences under valid, same and full padding.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.5: full padding lets every
    pixel be visited k times in each direction; otherwise border pixels influence fewer outputs.
    """
    m, k = 24, 5
    visits = {}
    for padding, stated in (("valid", m - k + 1), ("same", m), ("full", m + k - 1)):
        problem = algos.Problem(size=(m,), kernel=k, padding=padding)
        yield equal(f"{padding}: output width, m = {m}, k = {k}", stated, problem.output_size[0])
        g = np.ones(problem.output_shape, "float32")
        w = np.ones(problem.kernel_shape, "float32")
        visits[padding] = algos.grad_input(g, w, size=m, padding=padding)[0, 0].astype(int)
    yield equal("full: visits of the border pixel", k, int(visits["full"][0]))
    yield true("full: every pixel is visited k times", bool((visits["full"] == k).all()))
    yield equal("same: visits of the border pixel", "fewer than 5", _fewer(visits["same"][0], k))
    yield equal("valid: visits of the border pixel", "fewer than 5", _fewer(visits["valid"][0], k))
    yield f"border pixel: valid {visits['valid'][0]}, same {visits['same'][0]} of {k} visits"
    for padding, found in visits.items():
        corner, middle = int(found[0]) ** 2, int(found[m // 2]) ** 2
        yield f"in an image, {padding}: corner {corner}, middle {middle} visits"
    sheet = new_sheet(
        "claim-border-visits", "How many outputs does a pixel influence?",
        f"Width {m}, kernel of {k}: the gradient of the sum of all outputs.",
        panel_height=2.4,
    )  # fmt: skip
    (axes,) = sheet.axes
    for (padding, found), mark in zip(visits.items(), ("o-", "s--", "^:"), strict=True):
        axes.plot(range(m), found, mark, ms=4, label=padding)
    axes.set(xlabel="pixel", ylabel="visits", ylim=(0, k + 1))
    axes.legend(frameon=False, ncols=3, loc="lower center")
    yield sheet


def _fewer(found: int, than: int) -> str:
    return f"fewer than {than}" if found < than else str(found)


@claim
def sharing_of_kernels() -> Findings:
    """Share one kernel, a few or none: parameters, memory and time.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.2, 9.5, fig. 9.14 and 9.16.
    Sharing saves storage and leaves the runtime at O(k × n); tiling needs t kernels.
    """
    small = {"convolution": 1, "tiled, t = 2": 2, "locally connected": "unshared"}
    for (name, tile), stated in zip(small.items(), (2, 4, 9), strict=True):
        problem = algos.Problem(size=(5,), kernel=2, padding=((0, 1),), tile=tile)
        x, g = (np.ones(shape, "float32") for shape in (problem.input_shape, problem.output_shape))
        used = algos.grad_weight(x, g, kernel=2, padding=((0, 1),), tile=tile)
        yield equal(f"figures: weights, {name}", stated, int((used != 0).sum()))
    dense = algos.Problem(size=(5,), kernel=5, out_channels=5)
    yield equal("figures: weights, fully connected", 25, dense.parameters)

    rng = np.random.default_rng(0)
    x = normal(rng, 1, 8, 24, 24)
    layers = {"shared": 1, "tiled, t = 2": 2, "tiled, t = 4": 4, "unshared": "unshared"}
    plans = {}
    for name, tile in layers.items():
        problem = algos.Problem(
            (24, 24), 3, in_channels=8, out_channels=8, padding="same", tile=tile
        )
        plans[name] = algos.plan(problem, normal(rng, *problem.kernel_shape), threads=1)
    whole_layer = algos.Problem((24, 24), 24, in_channels=8, out_channels=8 * 24 * 24)
    plans["fully connected"] = algos.plan(
        whole_layer, normal(rng, *whole_layer.kernel_shape), threads=1
    )
    parameters: dict[str, float] = {name: f.problem.parameters for name, f in plans.items()}
    for name, t in (("tiled, t = 2", 2), ("tiled, t = 4", 4)):
        yield equal(f"24 × 24, {name}: times the parameters (t² in two axes)", t * t,
                    parameters[name] / parameters["shared"])  # fmt: skip
    yield equal("24 × 24, unshared: times the parameters (one kernel a position)", 24 * 24,
                parameters["unshared"] / parameters["shared"])  # fmt: skip
    yield equal(
        "unshared: times the multiply-adds",
        1,
        plans["unshared"].problem.multiply_adds / plans["shared"].problem.multiply_adds,
    )
    slower = ratio(partial(plans["unshared"], x), partial(plans["shared"], x), 0.6)
    yield about("unshared: times the time", 1, slower, 0.25)
    yield "Without sharing every weight is read from memory once, and serves one position alone."
    seconds = times({name: partial(f, x) for name, f in plans.items()}, 1.0)
    for name, f in plans.items():
        yield (
            f"{name}: {parameters[name]:,} parameters, {4 * parameters[name] / 2**20:.3g} MiB, "
            f"{f.problem.multiply_adds:,} multiply-adds, {seconds[name].middle * 1e6:.3g} µs"
        )
    sheet = new_sheet(
        "claim-sharing-of-kernels", "What does sharing save?",
        "A layer of 24 × 24 positions with 8 → 8 channels and kernels of 3 × 3; one thread.",
        panels=2, columns=2, panel_height=2.2,
    )  # fmt: skip
    shown: dict[str, dict[str, float]] = {
        "parameters": parameters,
        "time (µs)": {n: t.middle * 1e6 for n, t in seconds.items()},
    }
    for axes, (label, values) in zip(sheet.axes, shown.items(), strict=True):
        axes.barh(list(values)[::-1], list(values.values())[::-1], color="#0072B2", height=0.6)
        axes.set_xlabel(label)
        log_scale(axes, "x")
    yield sheet


@claim
def restricted_connections() -> Findings:
    """Connect half of the channels to each output: half the parameters, less time.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.5, fig. 9.15.
    """
    table = np.kron(np.eye(2), np.ones((2, 2))).astype(bool)
    full = algos.Problem((28, 28), 3, in_channels=4, out_channels=4, padding=1)
    half = algos.Problem((28, 28), 3, in_channels=4, out_channels=4, padding=1, connections=table)
    yield equal("4 channels: connected pairs", "8 of 16",
                f"{half.channel_pairs} of {full.channel_pairs}")  # fmt: skip
    rng = np.random.default_rng(0)
    x = normal(rng, 1, 64, 28, 28)
    w = normal(rng, 64, 64, 3, 3)
    wide = np.kron(np.eye(2), np.ones((32, 32))).astype(bool)
    full_plan = algos.plan(algos.problem_of(x, w, padding=1), w, threads=1)
    half_plan = algos.plan(algos.problem_of(x, w, connections=wide, padding=1), w, threads=1)
    for name, value in (("parameters", "parameters"), ("multiply-adds", "multiply_adds")):
        share = getattr(half_plan.problem, value) / getattr(full_plan.problem, value)
        yield equal(f"64 channels: share of the {name}", 0.5, share)
    yield at_most("64 channels: share of the time", "less than 1",
                  ratio(partial(half_plan, x), partial(full_plan, x), 0.6), 1.0)  # fmt: skip
    grouped = algos.conv(x, np.ascontiguousarray(
        np.concatenate([w[:32, :32], w[32:, 32:]])), padding=1, groups=2)  # fmt: skip
    difference = np.abs(half_plan(x) - grouped).max() / np.abs(grouped).max()
    yield true("the table equals two groups", bool(difference < 1e-5))
