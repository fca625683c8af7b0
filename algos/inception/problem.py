"""Whole Inception modules: four branches over the same maps, their outputs concatenated.

Szegedy et al., *Going Deeper with Convolutions* (CVPR 2015, arXiv:1409.4842), figure 2: 1×1, 3×3
and 5×5 convolutions and a 3×3 maximum, each keeping the size. In figure 2(b), 1×1 convolutions
reduce the channels before the larger kernels and after the pooling. In figure 2(a) nothing does,
which costs several times the multiply-adds. Biases and rectifiers are the same for every algorithm
and are left out.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from algos.core.arguments import dtype_name, text, whole_number, whole_numbers
from algos.core.descriptor import enter, whole
from algos.core.errors import ConvbenchError
from algos.core.family import MODULES, Family
from algos.core.memory_order import CHANNELS_FIRST
from algos.core.problem import DTYPES, Problem
from algos.pooling.core.problem import PoolProblem

Step = Problem | PoolProblem


@dataclass(frozen=True)
class InceptionProblem:
    """One Inception module.

    Parameters
    ----------
    size : (height, width)
        Spatial size of the input in samples.
    in_channels : int
        Number C of input channels. All branches read them.
    ones : int
        Output channels of the 1×1 branch.
    threes, fives : int or (int, int)
        Output channels of the 3×3 and 5×5 branches. A pair gives first the channels after the 1×1
        reduction, then the output channels.
    pooled : int
        Output channels of the pooling branch, made by a 1×1 convolution. Zero leaves out this
        convolution.
    batch, dtype, name
        The same as for `Problem`.

    Examples
    --------
    >>> module = InceptionProblem((28, 28), 192, 64, (96, 128), (16, 32), 32)
    >>> module.output_shape, round(module.saved, 2)
    ((1, 256, 28, 28), 0.58)
    """

    size: Any
    in_channels: int
    ones: int
    threes: Any
    fives: Any
    pooled: int = 0
    batch: int = 1
    dtype: str = "float32"
    name: str = field(default="", compare=False)

    #: Fixed: only the output is computed.
    operation = "forward"
    operations = ("forward",)
    axes = 2

    def __post_init__(self) -> None:
        put = lambda key, value: object.__setattr__(self, key, value)  # noqa: E731
        for key, least in (("in_channels", 1), ("ones", 1), ("batch", 0), ("pooled", 0)):
            put(key, whole_number(key, getattr(self, key), least))
        for key in ("size", "threes", "fives"):
            put(key, whole_numbers(key, getattr(self, key)))
        put("dtype", dtype_name(self.dtype, DTYPES))
        text("name", self.name)
        if len(self.size) != 2:
            raise ConvbenchError(f"size {self.size} has {len(self.size)} axes; a module has 2")
        for key in ("threes", "fives"):
            if len(getattr(self, key)) > 2:
                raise ConvbenchError(
                    f"{key} {getattr(self, key)}: give the channels made, or a pair, those "
                    f"reduced to and those made"
                )

    @property
    def family(self) -> Family:
        """Family of the algorithms that compute it."""
        return MODULES

    def asking(self, operation: str) -> InceptionProblem:
        """Return the same module for "forward"; refuse every other operation."""
        if operation != "forward":
            raise ConvbenchError(f"a module as a whole has no {operation} here; ask its layers")
        return self

    @cached_property
    def branches(self) -> tuple[tuple[Step, ...], ...]:
        """Steps of each branch, in the order of their outputs."""

        def chain(*taps_and_channels: tuple[int, int]) -> tuple[Step, ...]:
            """Return one convolution after another, for each (kernel size, output channels)."""
            steps, channels = [], self.in_channels
            for taps, made in taps_and_channels:
                steps.append(
                    Problem(
                        self.size, taps, batch=self.batch, in_channels=channels,
                        out_channels=made, padding=taps // 2, dtype=self.dtype,
                    )
                )  # fmt: skip
                channels = made
            return tuple(steps)

        pool = PoolProblem(
            self.size, "max", batch=self.batch, channels=self.in_channels, window=3, stride=1,
            padding=1, dtype=self.dtype,
        )  # fmt: skip
        reduced = [[(1, n) for n in widths[:-1]] for widths in (self.threes, self.fives)]
        return (
            chain((1, self.ones)),
            chain(*reduced[0], (3, self.threes[-1])),
            chain(*reduced[1], (5, self.fives[-1])),
            (pool, *(chain((1, self.pooled)) if self.pooled else ())),
        )

    @property
    def convolutions(self) -> tuple[Problem, ...]:
        """Steps that have kernels, in order."""
        steps = [step for branch in self.branches for step in branch]
        return tuple(step for step in steps if isinstance(step, Problem))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(N, C, *size)``."""
        return (self.batch, self.in_channels, *self.size)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """``(N, O, *size)``, O the channels of all branches."""
        made = self.ones + self.threes[-1] + self.fives[-1] + (self.pooled or self.in_channels)
        return (self.batch, made, *self.size)

    @property
    def output_size(self) -> tuple[int, ...]:
        """Size of the output, the same as that of the input."""
        return self.size

    @property
    def operands(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the arrays that a plan is called with."""
        return (self.input_shape,)

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return self.output_shape

    @property
    def result_layout(self) -> str:
        """Layout of the result."""
        return CHANNELS_FIRST

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return 8 if self.dtype == "float64" else 4

    @property
    def terms(self) -> int:
        """Largest number of products summed into one number."""
        return max(step.terms for step in self.convolutions)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of its convolutions; products with padding do not count."""
        return sum(step.multiply_adds for step in self.convolutions)

    @property
    def textbook_multiply_adds(self) -> int:
        """Multiply-adds with padding counted like input, as in the paper's table and CS231n."""
        return sum(step.taps * math.prod(step.output_shape) for step in self.convolutions)

    @property
    def unreduced(self) -> InceptionProblem:
        """The module without its 1×1 reductions: figure 2(a)."""
        return replace(self, threes=self.threes[-1], fives=self.fives[-1], pooled=0)

    @property
    def saved(self) -> float:
        """Share of the multiply-adds (`textbook_multiply_adds`) that the reductions save."""
        return 1 - self.textbook_multiply_adds / self.unreduced.textbook_multiply_adds

    @property
    def parameters(self) -> int:
        """Kernel elements of all its convolutions."""
        return sum(step.parameters for step in self.convolutions)

    @property
    def compulsory_bytes(self) -> int:
        """Bytes that must move at least once: input and parameters in, output out."""
        numbers = math.prod(self.input_shape) + self.parameters + math.prod(self.output_shape)
        return numbers * self.itemsize

    @property
    def with_images(self) -> InceptionProblem:
        """The same module with at least one image, for algorithms, which see no empty batch."""
        return self if self.batch else replace(self, batch=1)

    @property
    def table_bytes(self) -> int:
        """Those of the steps."""
        return sum(step.table_bytes for branch in self.branches for step in branch)

    @property
    def geometry(self) -> dict[str, Any]:
        """Channels, kernel and steps for tables; the kernel is the largest one."""
        reads = sum(s.multiply_adds for b in self.branches for s in b if isinstance(s, PoolProblem))
        return {
            "kind": "inception", "in_channels": self.in_channels,
            "out_channels": self.output_shape[1], "groups": 1, "kernel": (5, 5),
            "stride": (1, 1), "dilation": (1, 1), "parameters": self.parameters,
            "flops": 2 * self.multiply_adds + reads,
            "textbook_multiply_adds": self.textbook_multiply_adds, "saved": self.saved,
        }  # fmt: skip

    def __str__(self) -> str:
        h, w = self.size
        parts = ["inception", f"mb{self.batch}"]
        parts.append(f"ic{self.in_channels}ih{h}" + (f"iw{w}" if w != h else ""))
        for key in ("ones", "threes", "fives", "pooled"):
            value = getattr(self, key)
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            parts += [f"{key}={text}"] if text != "0" else []
        parts += ["f64"] if self.dtype == "float64" else []
        parts += ['n"{}"'.format(self.name.replace('"', "'"))] if self.name else []
        return "_".join(parts)


_PART = re.compile(
    r'_*(?:(mb|ic|ih|iw)([0-9]+)|(ones|threes|fives|pooled)=([0-9]+(?:,[0-9]+)*)|(f32|f64)|n"([^"]*)"$)'
)


def parse_inception(text: str, **defaults: Any) -> InceptionProblem:
    """Return the module that a text such as ``inception_mb1_ic192ih28_ones=64_…`` describes."""
    fields: dict[str, Any] = dict(defaults)
    numbers: dict[str, int] = {}
    at = len("inception")
    while text[at:].strip("_"):
        match = _PART.match(text, at)
        if not match:
            raise ConvbenchError(
                f"descriptor {text!r}, column {at + 1}: cannot read {text[at : at + 12]!r}; "
                f"expected "
                f"parts such as mb1, ic192, ih28, ones=64, threes=96,128, fives=16,32, pooled=32, "
                f'f64 or n"name"'
            )
        key, number, width, channels, dtype, name = match.groups()
        if key:
            enter(text, at, key, number, numbers)
        elif width:
            counts = tuple(whole(text, n, at) for n in channels.split(","))
            if len(counts) > 1 and width in ("ones", "pooled"):
                raise ConvbenchError(
                    f"descriptor {text!r}, column {at + 1}: {width} are made at once; give one "
                    f"number of channels"
                )
            fields[width] = counts if width in ("threes", "fives") else counts[0]
        elif dtype:
            fields["dtype"] = "float" + dtype[1:]
        else:
            fields["name"] = name
        at = match.end()
    missing = [key for key in ("ic", "ih") if key not in numbers]
    missing += [key for key in ("ones", "threes", "fives") if key not in fields]
    if missing:
        raise ConvbenchError(f"descriptor {text!r} gives no {missing[0]}")
    if "mb" in numbers:
        fields["batch"] = numbers["mb"]
    size = (numbers["ih"], numbers.get("iw", numbers["ih"]))
    try:
        return InceptionProblem(size, numbers["ic"], **fields)
    except ConvbenchError as error:
        raise ConvbenchError(f"descriptor {text!r}: {error}") from None
