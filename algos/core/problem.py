"""Problem: one convolution, or one of its gradients, with its output size and its cost.

A problem is a value: frozen, hashable, and equal to any other that asks for the same
computation. It holds no data. Its text form is in `algos.core.descriptor`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from .arguments import choice, dtype_name, per_axis, text, truth, whole_number, whole_numbers
from .arrays import read_only
from .boundary import most_copies, resolve_boundary
from .connections import as_table, resolve_connections
from .errors import ConvbenchError
from .family import CONVOLUTION, Family
from .memory_order import CHANNELS_FIRST, LAYOUTS
from .sizes import (
    AXES,
    FITS,
    Padding,
    check_fit,
    extent,
    output_positions,
    reads_inside,
    resolve_padding,
)
from .spelling import format_descriptor

__all__ = ["AXES", "DTYPES", "OPERATIONS", "Padding", "Problem"]

BIASES = ("channel", "location", "tile")
DTYPES = ("float32", "float64")
OPERATIONS = ("forward", "grad_input", "grad_weight")


@dataclass(frozen=True)
class Problem:
    """One convolution (or cross-correlation) of a batch of feature maps.

    A scalar stands for every spatial axis. After construction, every spatial field is a tuple with
    one entry per axis, in the order of the axes (``w``, ``hw`` or ``dhw``).

    Parameters
    ----------
    size : int or tuple of int
        Spatial size W of the input in samples. Its length sets the number of axes, 1 to 3.
    kernel : int or tuple of int
        Spatial size F of the kernel in taps. The dilation does not change it.
    batch, in_channels, out_channels : int
        Sizes N, C and O. The input is ``(N, C, *size)``, the output ``(N, O, *output_size)``. A
        batch of 0 has an empty output. Descriptors cannot spell it: their ``mb0`` means 2.
    stride, dilation : int or tuple of int
        Steps S between windows and D between taps. Dilation 1 is the ordinary, dense kernel.
    padding : int, str, per axis, or per axis and side
        Samples added at the border. Numbers are ``1``, ``(1, 2)`` per axis, or
        ``((1, 0), (2, 2))`` per axis and side. Padding ``"valid"`` adds none. Padding ``"same"``
        gives ``ceil(W/S)`` outputs, with the odd sample behind. Padding ``"full"`` covers every
        position where kernel and input overlap. `boundary` gives the values.
    groups : int
        Number of independent groups. Each has C/groups input and O/groups output channels.
    tile : int, tuple of int, or "unshared"
        Period t per axis. Output position i uses kernel i mod t (Goodfellow eq. 9.10, counted from
        0). Period 1 is convolution. If t is the output size or more, no kernel is shared, and the
        layer is locally connected (eq. 9.9). Text "unshared" stands for the output size. Kernels
        beyond that size are not used.
    connections : table (O, C) of truth values, or one whole number per output channel
        Connections between channels (fig. 9.15). An output channel sums over the input
        channels it is connected to. Bit c of a number stands for input channel c. The kernels keep
        their shape. Values of absent connections are not read, and their gradients are zero.
        Default: all are connected.
    dtype : {"float32", "float64"}
        Type of input, kernel and output.
    flip : bool
        True flips the kernel (convolution, Goodfellow eq. 9.5). False does not (cross-correlation,
        eq. 9.6). Networks call the latter convolution.
    bias : bool or str
        Kind of bias. One number per output "channel", per output "location", or per channel and
        kernel of the "tile". True means "channel".
    fit : {"floor", "ceil", "exact"}
        Rule for a stride that does not fit. Rule "floor" leaves the rest unused. Rule "ceil" adds a
        ragged last position that reads beyond the padding. The kernel may then exceed the padded
        input by less than a stride, as in PyTorch's pooling. Rule "exact" raises.
    operation : {"forward", "grad_input", "grad_weight"}
        Result to compute. Sizes and shapes are those of the layer, for every operation. Operation
        "forward" gives the output y from the input x and the kernel w. Operation "grad_input" gives
        the gradient of x from w and the gradient g of y (transposed convolution, Goodfellow
        eq. 9.13). Operation "grad_weight" gives the gradient of w from x and g (eq. 9.11).
    boundary : {"zeros", "constant", "nearest", "reflect", "mirror", "wrap"}
        Values beyond the border of the input. The names are those of `scipy.ndimage`; see
        `algos.core.boundary`. A "constant" with a `cval` of 0 is the same as "zeros".
    cval : float
        Value beyond the border with boundary "constant". It is rounded to `dtype`.
    layout : {"channels_first", "channels_last"}
        Order in memory of input and output, and of their gradients. With "channels_last", the
        channels of a pixel lie side by side. Shapes are the same for both. Kernels have no layout.
    name : str
        Label. Two problems that differ only in name are equal.

    Raises
    ------
    ConvbenchError
        If a field is out of range or the kernel does not fit the padded input.

    Examples
    --------
    >>> conv1 = Problem(size=(227, 227), kernel=11, in_channels=3, out_channels=96, stride=4)
    >>> conv1.output_size, conv1.multiply_adds
    ((55, 55), 105415200)
    >>> Problem(size=(5,), kernel=3, padding="same").padding
    ((1, 1),)
    """

    size: Any
    kernel: Any
    batch: int = 1
    in_channels: int = 1
    out_channels: int = 1
    stride: Any = 1
    dilation: Any = 1
    padding: Any = 0
    groups: int = 1
    tile: Any = 1
    connections: Any = None
    dtype: str = "float32"
    flip: bool = False
    bias: bool | str = False
    fit: str = "floor"
    operation: str = "forward"
    boundary: str = "zeros"
    cval: float = 0.0
    layout: str = CHANNELS_FIRST
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        size = whole_numbers("size", self.size)
        if not 1 <= len(size) <= 3:
            raise ConvbenchError(f"size {size} has {len(size)} axes; 1, 2 or 3 are supported")
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("size", size)
        for name in ("kernel", "stride", "dilation"):
            put(name, per_axis(name, getattr(self, name), len(size)))
        for name in ("batch", "groups", "in_channels", "out_channels"):
            put(name, whole_number(name, getattr(self, name), least=int(name != "batch")))
        put("dtype", dtype_name(self.dtype, DTYPES))
        put("flip", truth("flip", self.flip))
        put("bias", self.bias if isinstance(self.bias, str) else truth("bias", self.bias))
        self._check_choices()
        boundary, cval = resolve_boundary(self.boundary, self.cval, self.dtype)
        put("boundary", boundary)
        put("cval", cval)
        put("padding", resolve_padding(self.padding, self.size, self.extent, self.stride))
        check_fit(self.axis_names, self.size, self.extent, self.stride, self.padding, self.fit)
        unshared = isinstance(self.tile, str) and self.tile == "unshared"
        put("tile", self.output_size if unshared else per_axis("tile", self.tile, len(size)))
        put("bias", True if self.bias == "channel" else self.bias)
        channels = self.out_channels, self.in_channels
        put("connections", resolve_connections(self.connections, *channels))
        if self.connections and self.groups > 1:
            raise ConvbenchError("groups are connections already; give one of the two")

    def _check_choices(self) -> None:
        choice("fit", self.fit, FITS)
        choice("operation", self.operation, OPERATIONS)
        choice("layout", self.layout, LAYOUTS)
        text("name", self.name)
        if isinstance(self.bias, str):
            choice("bias", self.bias, BIASES)
        if self.bias and self.operation != "forward":
            raise ConvbenchError(
                f"{self.operation} knows no bias: leave it out here, its own gradient is "
                f"algos.grad_bias"
            )
        for name in ("in_channels", "out_channels"):
            count = getattr(self, name)
            if count % self.groups:
                raise ConvbenchError(
                    f"{name} {count} cannot be split into {self.groups} groups; "
                    f"choose a number of groups that divides it"
                )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Worked out once: what depends on a problem alone is looked up by it at every call."""
        return hash(tuple(getattr(self, f.name) for f in fields(self) if f.compare))

    def __getstate__(self) -> dict[str, Any]:
        # A hash holds for one process alone, and all that is cached follows from the fields.
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def family(self) -> Family:
        """Family of the algorithms that compute it."""
        return CONVOLUTION

    @property
    def axes(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    @property
    def axis_names(self) -> str:
        """One letter per spatial axis: ``w``, ``hw`` or ``dhw``."""
        return AXES[self.axes]

    @cached_property
    def extent(self) -> tuple[int, ...]:
        """Samples that the dilated kernel spans, (F − 1)·D + 1, per axis."""
        return tuple(map(extent, self.kernel, self.dilation))

    @cached_property
    def before(self) -> tuple[int, ...]:
        """Samples of padding in front of the first one of the input, per axis."""
        return tuple(before for before, _ in self.padding)

    @cached_property
    def output_size(self) -> tuple[int, ...]:
        """(W − (F−1)·D − 1 + P)/S + 1 per axis, rounded as `fit` says."""
        return tuple(
            output_positions(w, e, s, sides, self.fit)
            for w, e, s, sides in zip(
                self.size, self.extent, self.stride, self.padding, strict=True
            )
        )

    @cached_property
    def reach(self) -> tuple[int, ...]:
        """Samples the output positions span per axis, counted from the first padded one.

        This is what a buffer of padded input has to hold: less than the padded input
        where the stride leaves samples unused, more where ``fit="ceil"`` is ragged.
        """
        return tuple(
            (o - 1) * s + e
            for o, s, e in zip(self.output_size, self.stride, self.extent, strict=True)
        )

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """``(N, C, *size)``."""
        return (self.batch, self.in_channels, *self.size)

    @cached_property
    def kernel_shape(self) -> tuple[int, ...]:
        """``(O, C/groups, *kernel)``; where `tile` is not 1, ``(*tile, O, C/groups, *kernel)``."""
        one = (self.out_channels, self.in_channels // self.groups, *self.kernel)
        return (*self.tile, *one) if self.is_tiled else one

    @cached_property
    def output_shape(self) -> tuple[int, ...]:
        """``(N, O, *output_size)``."""
        return (self.batch, self.out_channels, *self.output_size)

    @cached_property
    def operands(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of the two arrays that are multiplied, in the order a call takes them."""
        return {
            "forward": (self.input_shape, self.kernel_shape),
            "grad_input": (self.output_shape, self.kernel_shape),
            "grad_weight": (self.input_shape, self.output_shape),
        }[self.operation]

    @cached_property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of what is computed: of the output, the input or the kernel."""
        return {
            "forward": self.output_shape,
            "grad_input": self.input_shape,
            "grad_weight": self.kernel_shape,
        }[self.operation]

    @property
    def result_layout(self) -> str:
        """Layout of what is computed; a kernel has its channels first."""
        return CHANNELS_FIRST if self.operation == "grad_weight" else self.layout

    @cached_property
    def bias_shape(self) -> tuple[int, ...]:
        """``(O,)``, ``(O, *output_size)`` or ``(O, *tile)``."""
        further = {"location": self.output_size, "tile": self.tile}
        return (self.out_channels, *further.get(str(self.bias), ()))

    @cached_property
    def is_tiled(self) -> bool:
        """True if a pair of channels has more than one kernel."""
        return max(self.tile) > 1

    @cached_property
    def is_plain(self) -> bool:
        """True if all positions share one kernel and no connection within a group is missing."""
        return not self.is_tiled and self.connections is None

    @cached_property
    def table(self) -> np.ndarray:
        """`connections` as truth values, ``(O, C/groups)``."""
        if self.connections is None:
            return read_only(np.ones((self.out_channels, self.in_channels // self.groups), bool))
        return as_table(self.connections, self.in_channels)

    @property
    def channel_pairs(self) -> int:
        """Pairs of an output and an input channel that are connected."""
        if self.connections:
            return sum(map(int.bit_count, self.connections))
        return self.out_channels * (self.in_channels // self.groups)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return 8 if self.dtype == "float64" else 4

    @property
    def taps(self) -> int:
        """Products summed into one output element that is connected to all, C/groups · ΠF."""
        return self.in_channels // self.groups * math.prod(self.kernel)

    @cached_property
    def terms(self) -> int:
        """Most products summed into one element of the result: what rounding errors grow with.

        An output sums over channels and taps. An input's gradient sums over output channels and the
        taps that meet it, at most ⌈F·gcd(S, D)/S⌉ per axis, once for each position that the sample
        stands at. A kernel's gradient sums over images and the output positions that use it.
        """
        if self.operation == "forward":
            widest = map(int.bit_count, self.connections or ())
            return max(widest, default=self.in_channels // self.groups) * math.prod(self.kernel)
        if self.operation == "grad_input":
            copies = (
                most_copies(self.boundary, *axis)
                for axis in zip(self.size, self.before, self.reach, strict=True)
            )
            meeting = (
                min(c * min(-(-f * math.gcd(s, d) // s), o), f * o)
                for c, f, s, d, o in zip(
                    copies, self.kernel, self.stride, self.dilation, self.output_size, strict=True
                )
            )
            most = self.out_channels // self.groups
            if self.connections:
                most = int(self.table.sum(0).max())
            return most * math.prod(meeting)
        return self.batch * math.prod(
            -(-o // t) for o, t in zip(self.output_size, self.tile, strict=True)
        )

    @cached_property
    def multiply_adds(self) -> int:
        """Multiply-adds of the direct algorithm, exactly; products with zeros of padding do not
        count.

        The three operations multiply the same pairs and sum them up otherwise.
        """
        if self.boundary != "zeros":
            pairs = math.prod(self.output_size) * math.prod(self.kernel)
            return self.batch * self.channel_pairs * pairs
        pairs = math.prod(
            map(
                reads_inside,
                self.output_size,
                self.stride,
                self.kernel,
                self.dilation,
                self.before,
                self.size,
            )
        )
        return self.batch * self.channel_pairs * pairs

    @property
    def parameters(self) -> int:
        """Numbers the layer learns: elements of kernels that are connected, and biases."""
        return self._learnt(self.tile)

    @cached_property
    def compulsory_bytes(self) -> int:
        """Bytes that must move at least once: input and used parameters in, output out."""
        used = self._learnt(tuple(map(min, self.tile, self.output_size)))
        return (math.prod(self.input_shape) + used + math.prod(self.output_shape)) * self.itemsize

    @property
    def table_bytes(self) -> int:
        """Bytes of what the sizes are looked up in while computing: the table of connections."""
        return 9 * self.out_channels * self.in_channels if self.connections else 0

    def _learnt(self, tile: tuple[int, ...]) -> int:
        biases = math.prod(self.bias_shape) if self.bias else 0
        return math.prod(tile) * self.channel_pairs * math.prod(self.kernel) + biases

    @property
    def operations(self) -> tuple[str, ...]:
        """All that may be asked of the layer."""
        return OPERATIONS

    def asking(self, operation: str) -> Problem:
        """Return the same layer, asked for `operation`; a gradient knows no bias."""
        return replace(self, operation=operation, bias=self.bias and operation == "forward")

    @property
    def with_images(self) -> Problem:
        """The same problem with at least one image, for algorithms, which see no empty batch."""
        return self if self.batch else replace(self, batch=1)

    @property
    def geometry(self) -> dict[str, Any]:
        """Channels, kernel and steps, as tables list them."""
        return {
            "kind": self.family.name,
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "groups": self.groups,
            "kernel": self.kernel,
            "stride": self.stride,
            "dilation": self.dilation,
            "parameters": self.parameters,
            "flops": 2 * self.multiply_adds,
        }

    @cached_property
    def volume(self) -> Problem:
        """The same problem with three spatial axes; the added leading ones have size one.

        Kernels are written once, for volumes: an image is a volume of depth one.
        """
        lead = 3 - self.axes
        if not lead:
            return self
        return replace(
            self,
            size=(1,) * lead + self.size,
            kernel=(1,) * lead + self.kernel,
            stride=(1,) * lead + self.stride,
            dilation=(1,) * lead + self.dilation,
            padding=((0, 0),) * lead + self.padding,
            tile=(1,) * lead + self.tile,
        )

    def __str__(self) -> str:
        return format_descriptor(self)
