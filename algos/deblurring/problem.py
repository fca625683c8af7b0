"""Deblurring by Richardson and Lucy's iteration, as one problem.

The blur is a convolution. An iteration has three steps. It blurs the estimate, divides the image by
the result, and multiplies the estimate by the adjoint of the blur applied to this ratio. The
adjoint is the gradient of the input, so it fits the blur at the border, too.

*Sources*: Richardson, JOSA 62, 1972, doi:10.1364/JOSA.62.000055. Lucy, Astronomical Journal 79,
1974, doi:10.1086/111605.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from algos.core.arguments import whole_number, whole_numbers
from algos.core.descriptor import parse_descriptor, whole
from algos.core.errors import ConvbenchError
from algos.core.family import DEBLURRING, Family
from algos.core.problem import Problem


@dataclass(frozen=True)
class DeblurProblem:
    """One deconvolution of images of one channel.

    Parameters
    ----------
    size : int or tuple of int
        Spatial size of the image in samples. One number holds for a line.
    kernel : int or tuple of int
        Odd size of the blur in samples. One number holds for every axis.
    iterations : int
        Number of iterations, by default 10.
    batch, boundary, cval, dtype, name
        The same as for `Problem`. The boundary is that of the sharp image.

    Examples
    --------
    >>> problem = DeblurProblem((64, 48), (5, 5), 20, boundary="reflect")
    >>> str(problem)
    'deblur20_mb1_ic1ih64iw48_oc1_kh5kw5_ph2pw2_flip_reflect'
    """

    size: Any
    kernel: Any
    iterations: int = 10
    batch: int = 1
    boundary: str = "zeros"
    cval: float = 0.0
    dtype: str = "float32"
    name: str = field(default="", compare=False)

    #: Fixed: only the estimate is computed.
    operation = "forward"
    operations = ("forward",)
    in_channels = 1

    def __post_init__(self) -> None:
        put = lambda key, value: object.__setattr__(self, key, value)  # noqa: E731
        put("iterations", whole_number("iterations", self.iterations, 1))
        blur = self.blur
        for key in ("size", "kernel", "batch", "boundary", "cval", "dtype"):
            put(key, getattr(blur, key))
        if even := [n for n in blur.kernel if n % 2 == 0]:
            raise ConvbenchError(
                f"kernel {blur.kernel} has {even[0]} taps along an axis; a blur needs an odd number"
            )

    @cached_property
    def blur(self) -> Problem:
        """The convolution that blurs an estimate, its kernel centred."""
        kernel = whole_numbers("kernel", self.kernel)
        half: Any = tuple(k // 2 for k in kernel) if len(kernel) > 1 else kernel[0] // 2
        return Problem(
            self.size, self.kernel, batch=self.batch, padding=half, flip=True, name=self.name,
            boundary=self.boundary, cval=self.cval, dtype=self.dtype,
        )  # fmt: skip

    @property
    def back(self) -> Problem:
        """The adjoint of the blur."""
        return self.blur.asking("grad_input")

    @property
    def family(self) -> Family:
        """Family of the algorithms that compute it."""
        return DEBLURRING

    def asking(self, operation: str) -> DeblurProblem:
        """Return the same problem for "forward"; refuse every other operation."""
        if operation != "forward":
            raise ConvbenchError(f"deblurring has no {operation}; ask the convolution {self.blur}")
        return self

    @property
    def axes(self) -> int:
        """Number of spatial axes."""
        return self.blur.axes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(N, 1, *size)``, of the image and of the estimate."""
        return self.blur.input_shape

    output_shape = result_shape = input_shape

    @property
    def result_layout(self) -> str:
        """Layout of the estimate."""
        return self.blur.layout

    @property
    def output_size(self) -> tuple[int, ...]:
        """Size of the estimate, the same as that of the image."""
        return self.blur.size

    @property
    def operands(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the arrays that a plan is called with."""
        return (self.input_shape,)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.blur.itemsize

    @property
    def terms(self) -> int:
        """Number of products summed into one number."""
        return self.blur.terms

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of all convolutions; products with zeros beyond the border do not count."""
        return self.iterations * (self.blur.multiply_adds + self.back.multiply_adds)

    @property
    def parameters(self) -> int:
        """Kernel elements."""
        return self.blur.parameters

    @property
    def compulsory_bytes(self) -> int:
        """Bytes that must move at least once: image and kernel in, estimate out."""
        return self.blur.compulsory_bytes

    @property
    def with_images(self) -> DeblurProblem:
        """The same problem with at least one image, for algorithms, which see no empty batch."""
        return self if self.batch else replace(self, batch=1)

    @property
    def table_bytes(self) -> int:
        """Bytes of the blur's tables."""
        return self.blur.table_bytes

    @property
    def geometry(self) -> dict[str, Any]:
        """Channels, kernel and steps for tables."""
        ones = (1,) * self.axes
        return {
            "kind": "deblur", "in_channels": 1, "out_channels": 1, "groups": 1,
            "kernel": self.blur.kernel, "stride": ones, "dilation": ones,
            "parameters": self.parameters, "flops": 2 * self.multiply_adds,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"deblur{self.iterations}_{self.blur}"


def parse_deblur(text: str, **defaults: Any) -> DeblurProblem:
    """Return the problem that a text such as ``deblur10_mb1_ic1ih64_oc1_kh5ph2_flip`` describes.

    Behind the number of iterations follows the descriptor of the blur.
    """
    match = re.match(r"_*deblur([0-9]+)_", text)
    if not match:
        raise ConvbenchError(
            f"descriptor {text!r}: expected deblur, the number of iterations, and the descriptor "
            f"of the blur, such as deblur10_mb1_ic1ih64_oc1_kh5ph2_flip"
        )
    blur = parse_descriptor(text[match.end() :], **defaults)
    found = DeblurProblem(
        blur.size, blur.kernel, whole(text, match[1], match.start(1)), blur.batch, blur.boundary,
        blur.cval, blur.dtype, blur.name,
    )  # fmt: skip
    if found.blur != blur:
        raise ConvbenchError(
            f"descriptor {text!r}: the blur must be a flipped, centred convolution of one channel; "
            f"write {found}"
        )
    return found
