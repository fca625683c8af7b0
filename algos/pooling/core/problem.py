"""PoolProblem: one pooling to compute, with its output size and its cost.

Two things describe it: the reduction of a window (`kind`) and the placement of the windows. The
four placements are:

- Regular: A `window` with stride, padding and dilation. A ``"global"`` window is all of the input.
- Adaptive: As many windows as the `output` has elements, of sizes as equal as possible.
- Pyramid: Several adaptive grids, `levels`, one after the other.
- Fractional: Windows of one to three samples at random places, 1 < `ratio` < 2 times fewer.

Every kind goes with every placement, except that "gated" needs windows of one size and "maxout"
pools channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from algos.core.arguments import (
    choice,
    dtype_name,
    text,
    truth,
    whole_number,
    whole_numbers,
)
from algos.core.errors import ConvbenchError
from algos.core.family import POOLING, Family
from algos.core.memory_order import CHANNELS_FIRST, LAYOUTS
from algos.core.sizes import AXES, FITS, extent

from .options import (
    DEFAULTS,
    KINDS,
    PLACEMENTS,
    check_options,
    fill_defaults,
    put,
    refuse_empty_windows,
    refuse_strangers,
)
from .placements import CHECKS, LINES, each
from .spelling import format_pool_descriptor
from .windows import WindowAxis, regular

DTYPES = ("float32", "float64")
OPERATIONS = ("forward", "grad_input")


@dataclass(frozen=True)
class PoolProblem:
    """One pooling of a batch of feature maps; after construction every field is resolved.

    Parameters
    ----------
    size : int or tuple of int
        Spatial size of the input in samples. Its length sets the number of axes (1-3).
    kind : str
        Reduction of a window: "max" or "average". The norm (Σ|x|^p)^(1/p) is "l2" or "lp". A
        "gaussian" average is weighted by distance from the window's middle. Zeiler & Fergus (2013)
        define "stochastic". Lee, Gallagher & Tu (2016) define "mixed" and "gated". Goodfellow et
        al. (2013) define "maxout".
    batch, channels : int
        N and C. The input is ``(N, C, *size)``.
    window : int, per axis, or "global"
        Size F of regular windows in taps. A "global" window is all of the input.
    stride, padding, dilation, fit
        The same as for `algos.Problem`, except that the default stride is the window. Padding is
        never a maximum; averages count its zeros where `count_include_pad`. ``fit="ceil"`` keeps
        the smaller region on the right (Goodfellow et al., *Deep Learning*, fig. 9.10). It must
        begin inside the input or the padding before it, as in PyTorch. The window may then exceed
        the padded input by less than a stride.
    output : int or per axis
        Output size, for adaptive windows. Window sizes differ by one sample at most.
    levels : tuple of int or of tuples
        Output size of each level of a pyramid. Source: He et al., arXiv:1406.4729 (2014).
    ratio : float or per axis
        Input size over output size of fractional windows. Between 1 and 2 (Graham, 2014).
    sequence : {"pseudorandom", "random"}
        Order of the steps of one and two between fractional windows. By default "pseudorandom".
    overlapping : bool
        True if neighbouring fractional windows share their border sample. By default true.
    seed : int
        Seed of fractional windows and of stochastic samples. By default 0.
    count_include_pad : bool
        True if zeros of the padding count in an average. By default true.
    p : float
        Exponent of the norm, above 0 and finite. By default 2.
    sigma : float, per axis, or None
        Standard deviation of the Gaussian in samples. None is a quarter of each window's span.
    mode : {"train", "test"}
        Mode of stochastic pooling. In training it samples a tap by its probability. In a test it
        weights all taps by theirs, which is the default.
    mix : float
        Share of the maximum in mixed pooling, between 0 and 1. By default one half.
    pieces : int
        Consecutive channels that compete for one output channel of maxout.
    dtype : {"float32", "float64"}
        Type of all arrays. By default "float32".
    operation : {"forward", "grad_input"}
        Result to compute. By default the pooled output.
    layout : {"channels_first", "channels_last"}
        Order in memory of all arrays, as in `algos.Problem`. By default "channels_first".
    name : str
        Label. Two problems that differ in name alone are equal.

    Raises
    ------
    ConvbenchError
        If a field is out of range, belongs to another kind or placement, or a window is empty.

    Examples
    --------
    >>> PoolProblem(size=(5, 5), kind="max", window=2).output_size
    (2, 2)
    >>> PoolProblem(size=(5, 5), kind="max", window=2, fit="ceil").output_size
    (3, 3)
    >>> PoolProblem(size=(7,), kind="average", output=3).multiply_adds
    9
    """

    size: Any
    kind: str = "max"
    batch: int = 1
    channels: int = 1
    window: Any = None
    stride: Any = None
    padding: Any = None
    dilation: Any = None
    fit: Any = None
    output: Any = None
    levels: Any = None
    ratio: Any = None
    sequence: Any = None
    overlapping: Any = None
    seed: Any = None
    count_include_pad: Any = None
    p: Any = None
    sigma: Any = None
    mode: Any = None
    mix: Any = None
    pieces: Any = None
    dtype: str = "float32"
    operation: str = "forward"
    layout: str = CHANNELS_FIRST
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        size = whole_numbers("size", self.size)
        if not 1 <= len(size) <= 3:
            raise ConvbenchError(f"size {size} has {len(size)} axes; 1, 2 or 3 are supported")
        put(self, "size", size)
        put(self, "batch", whole_number("batch", self.batch, least=0))
        put(self, "channels", whole_number("channels", self.channels))
        put(self, "dtype", dtype_name(self.dtype, DTYPES))
        choice("kind", self.kind, KINDS)
        choice("operation", self.operation, OPERATIONS)
        choice("layout", self.layout, LAYOUTS)
        text("name", self.name)
        for name, known in (
            ("fit", FITS), ("mode", ("train", "test")), ("sequence", ("pseudorandom", "random")),
        ):  # fmt: skip
            if getattr(self, name) is not None:
                choice(name, getattr(self, name), known)
        for name in ("count_include_pad", "overlapping"):
            if getattr(self, name) is not None:
                put(self, name, truth(name, getattr(self, name)))
        refuse_strangers(self)
        fill_defaults(self)
        CHECKS[self.placement](self)
        check_options(self)
        if self.placement != "pyramid":
            refuse_empty_windows(self)

    @property
    def family(self) -> Family:
        """Family of the algorithms that compute it."""
        return POOLING

    @property
    def placement(self) -> str:
        """ "regular", "adaptive", "pyramid", "fractional", or "channels" for maxout."""
        if self.kind == "maxout":
            return "channels"
        for placement, options in PLACEMENTS.items():
            if getattr(self, options[0]) is not None:
                return placement
        raise ConvbenchError(
            f"{self.kind} pooling needs to know its windows; give one of size (the window, or "
            f'"global"), output_size, levels or ratio'
        )

    @property
    def axes(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    @property
    def axis_names(self) -> str:
        """One letter per spatial axis: ``w``, ``hw`` or ``dhw``."""
        return AXES[self.axes]

    @property
    def extent(self) -> tuple[int, ...]:
        """Samples that a regular window spans, (F − 1)·D + 1, per axis."""
        return tuple(map(extent, self.window, self.dilation))

    @cached_property
    def parts(self) -> tuple[PoolProblem, ...]:
        """The problems of one grid of windows each that this one consists of, in order."""
        if self.placement != "pyramid":
            return (self,)
        return tuple(replace(self, levels=None, output=level) for level in self.levels)

    @cached_property
    def lines(self) -> tuple[WindowAxis, WindowAxis, WindowAxis]:
        """The windows along d, h and w of `planes`; a pyramid has them in its `parts` alone."""
        if self.placement == "channels":
            samples = math.prod(self.size)
            along = [regular(self.pieces, self.pieces, self.pieces, 1, (0, 0), 1), each(1)]
            return (*along, each(samples))  # type: ignore[return-value]
        along = [LINES[self.placement](self, axis) for axis in range(self.axes)]
        return (*[each(1)] * (3 - self.axes), *along)  # type: ignore[return-value]

    @property
    def has_regular_windows(self) -> bool:
        """True if the windows along each axis have one size and one stride, adaptive ones too."""
        return self.placement in ("regular", "adaptive") and all(line.stride for line in self.lines)

    @cached_property
    def planes(self) -> tuple[int, int, int, int]:
        """The input, its channels first, as independent volumes, ``(N·C, D, H, W)``."""
        volumes = self.batch * self.channels // (self.pieces or 1)
        return (volumes, *(line.size for line in self.lines))  # type: ignore[return-value]

    @cached_property
    def pooled_planes(self) -> tuple[int, int, int, int]:
        """The output of these volumes."""
        return (self.planes[0], *(line.positions for line in self.lines))  # type: ignore[return-value]

    @cached_property
    def output_size(self) -> tuple[int, ...]:
        """Spatial size of the output; of a pyramid, the number of all its bins."""
        if self.placement == "pyramid":
            return (sum(math.prod(part.output_size) for part in self.parts),)
        if self.placement == "channels":
            return self.size
        return tuple(line.positions for line in self.lines[-self.axes :])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(N, C, *size)``."""
        return (self.batch, self.channels, *self.size)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """``(N, C, *output_size)``; C/pieces channels for maxout."""
        return (self.batch, self.channels // (self.pieces or 1), *self.output_size)

    @property
    def is_linear(self) -> bool:
        """True if the result is linear in the input; its gradient then does not depend on it."""
        return self.kind in ("average", "gaussian")

    @property
    def operands(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the arrays that a plan is called with."""
        if self.operation == "forward":
            return (self.input_shape,)
        return (self.output_shape,) if self.is_linear else (self.output_shape, self.input_shape)

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of what is computed: of the output, or of the input."""
        return self.output_shape if self.operation == "forward" else self.input_shape

    @property
    def result_layout(self) -> str:
        """Layout of what is computed."""
        return self.layout

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return 8 if self.dtype == "float64" else 4

    @property
    def taps(self) -> int:
        """Samples of the largest window."""
        return max(math.prod(line.window for line in part.lines) for part in self.parts)

    @cached_property
    def terms(self) -> int:
        """Most samples reduced to an output, or for the gradient all of the windows over one."""
        if self.operation == "forward":
            return self.taps
        return sum(math.prod(line.most_over for line in part.lines) for part in self.parts)

    @property
    def exponent(self) -> float:
        """p of the norm."""
        return 2.0 if self.kind == "l2" else float(self.p or 0)

    @cached_property
    def multiply_adds(self) -> int:
        """Window reads: how often a sample of the input is looked at by the definition."""
        return sum(
            part.planes[0] * math.prod(line.reads for line in part.lines) for part in self.parts
        )

    @property
    def compulsory_bytes(self) -> int:
        """Bytes that must move at least once.

        Forward: input in, output out. Backward: the output's gradient in, the input's out,
        and the input in too where the kind is not linear.
        """
        given, made = math.prod(self.input_shape), math.prod(self.output_shape)
        if self.operation == "grad_input" and not self.is_linear:
            given *= 2
        return (given + made) * self.itemsize

    @property
    def table_bytes(self) -> int:
        """Bytes of what the windows are looked up in: six numbers per position of every axis."""
        positions = sum(line.positions for part in self.parts for line in part.lines)
        return 48 * positions

    @property
    def operations(self) -> tuple[str, ...]:
        """All that may be asked of the layer."""
        return OPERATIONS

    def asking(self, operation: str) -> PoolProblem:
        """Return the same layer, asked for `operation`."""
        return replace(self, operation=operation)

    @property
    def with_images(self) -> PoolProblem:
        """The same problem with at least one image, for algorithms, which see no empty batch."""
        return self if self.batch else replace(self, batch=1)

    @property
    def geometry(self) -> dict[str, Any]:
        """Channels, windows and steps, as tables list them; of uneven windows the largest."""
        lines = self.parts[0].lines[-self.axes :] if self.placement != "channels" else ()
        even = [size // line.positions for size, line in zip(self.size, lines, strict=False)]
        return {
            "kind": self.kind,
            "in_channels": self.channels,
            "out_channels": self.output_shape[1],
            "groups": 1,
            "kernel": tuple(line.window for line in lines) or (1,) * self.axes,
            "stride": tuple(
                line.stride or max(step, 1) for line, step in zip(lines, even, strict=True)
            )
            or (1,) * self.axes,
            "dilation": tuple(line.dilation for line in lines) or (1,) * self.axes,
            "parameters": 0,
            "flops": self.multiply_adds,
        }

    def __str__(self) -> str:
        return format_pool_descriptor(self, DEFAULTS)


#: Names of all fields but the label, in the order in which descriptors give them.
FIELDS = tuple(f.name for f in fields(PoolProblem) if f.name != "name")
