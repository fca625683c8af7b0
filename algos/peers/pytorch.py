"""PyTorch's convolutions on the CPU, that is oneDNN's for float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from algos.backend.threads import library_threads, load
from algos.core.bound import Bound
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem

from .images import as_image, for_correlation, zeros
from .library import missing
from .peer import Peer


class Torch(Peer):
    """torch.conv1d, conv2d, conv3d on contiguous tensors; oneDNN for float32.

    Tensors are PyTorch's own, made in inference mode, so a call does nothing for autograd. The
    result is a new tensor, since PyTorch cannot convolve into memory of the caller
    (`aten::convolution.out` computes apart and copies). Zeros are added by `constant_pad_nd` where
    they differ on the two sides, which is what PyTorch itself does for ``padding="same"``. Products
    are summed in the data's precision, directly or as a matrix product. The oneDNN library no
    longer has Winograd's algorithm on x86, so the bound is that of any direct method. Gradients are
    those of `aten::convolution_backward`, as autograd calls it, for one operand alone.
    """

    name = "torch"
    libraries = ("torch",)
    operations: tuple[str, ...] = ("forward", "grad_input", "grad_weight")

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return missing("torch", "PyTorch")

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of PyTorch's own tensors, and of all arrays in oneDNN's blocks of 16.

        float64 is not oneDNN's: PyTorch unrolls the columns (im2col) of the whole batch, group
        by group.
        """
        positions = problem.batch * math.prod(problem.output_size)
        counts = math.prod(problem.input_shape) + math.prod(problem.output_shape)
        counts += math.prod(problem.kernel_shape)
        if problem.dtype == "float64":
            counts += positions * problem.taps
        else:
            counts += positions * -(-problem.out_channels // 16) * 16
            counts += math.prod(problem.input_shape)
        if problem.operation != "forward":
            counts += math.prod(problem.result_shape)
        return counts * problem.itemsize

    def pools(self, threads: int) -> AbstractContextManager[None]:
        load("torch")
        return library_threads("torch", threads)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return the kernels for cross-correlation as a tensor."""
        with load("torch").inference_mode():
            kernels = tensor_of(for_correlation(problem, w))
            return self._laid_out(kernels.view(self._image(problem).kernel_shape))

    def bind(self, problem: Problem, *given: Any, threads: int) -> Bound:
        with load("torch").inference_mode():
            return getattr(self, f"_{problem.operation}")(self._image(problem), *given)

    def _forward(self, image: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray) -> Bound:
        """Return a forward pass; its result, (N, O, *output_size), has PyTorch's own layout."""
        own = self._laid_out(tensor_of(x).view(image.input_shape))
        offset = tensor_of(bias).clone() if image.bias else None
        convolve, padding = self._function(image), _padding(image)
        after = (prepared, offset, *self._settings(image))
        if padding.is_even:
            return Bound(partial(convolve, own, *after), fetch)
        return Bound(lambda: convolve(padding.extend(own), *after), fetch)

    def _function(self, image: Problem) -> Callable[..., Any]:
        """Return the function of PyTorch that convolves a tensor."""
        torch = load("torch")
        function: Callable[..., Any] = (torch.conv1d, torch.conv2d, torch.conv3d)[image.axes - 1]
        return function

    def _settings(self, image: Problem) -> tuple[Any, ...]:
        """Return the arguments that follow input, kernel and bias."""
        return image.stride, _padding(image).both, image.dilation, image.groups

    def _grad_input(self, image: Problem, g: np.ndarray, prepared: Any) -> Bound:
        slope = self._laid_out(tensor_of(g).view(image.output_shape))
        extra = _padding(image).extra
        extended = [n + sum(pair) for n, pair in zip(image.size, extra, strict=True)]
        x = self._laid_out(slope.new_zeros((image.batch, image.in_channels, *extended)))
        inside = tuple(slice(b, b + n) for n, (b, _) in zip(image.size, extra, strict=True))

        def fetch_part(result: Any, out: np.ndarray) -> None:
            fetch(result[(..., *inside)], out)

        return Bound(partial(_backward, image, slope, x, prepared, 0), fetch_part)

    def _grad_weight(self, image: Problem, x: np.ndarray, g: np.ndarray) -> Bound:
        own = self._laid_out(tensor_of(x).view(image.input_shape))
        slope = self._laid_out(tensor_of(g).view(image.output_shape))
        w, padding = self._laid_out(slope.new_zeros(image.kernel_shape)), _padding(image)

        def fetch_part(result: Any, out: np.ndarray) -> None:
            fetch(result.flip(tuple(range(2, result.ndim))) if image.flip else result, out)

        if padding.is_even:
            return Bound(partial(_backward, image, slope, own, w, 1), fetch_part)
        return Bound(lambda: _backward(image, slope, padding.extend(own), w, 1), fetch_part)

    def _image(self, problem: Problem) -> Problem:
        """Return the problem that PyTorch computes in place of `problem`."""
        return problem

    def _laid_out(self, x: Any) -> Any:
        """Return a copy of `x` in PyTorch's memory and the layout of this algorithm."""
        return x.clone()


class TorchChannelsLast(Torch):
    """torch.conv2d, conv3d on tensors that have their channels last in memory.

    Input, kernel and result stay in this layout, as in a network that was moved to it. One spatial
    axis is an image of one row. PyTorch reads the layout from a tensor's strides and takes a tensor
    of one channel for contiguous. The strides are therefore set explicitly, which is 8 times as
    fast on a large image of one channel.
    """

    name = "torch-channels-last"

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        if reason := super().why_not(problem, w):
            return reason
        if problem.dtype != "float32":
            return "channels last is a layout of oneDNN's, which has no float64"
        return None

    def _image(self, problem: Problem) -> Problem:
        return as_image(problem)

    def _laid_out(self, x: Any) -> Any:
        return channels_last(x)


class TorchPrepacked(TorchChannelsLast):
    """oneDNN through PyTorch with kernels packed once, channels last in between.

    `torch.ops.mkldnn._convolution_pointwise` on weights of `_reorder_convolution_weight`: what
    TorchInductor calls when it freezes a network. It works on channels last throughout, and
    is for the forward operation.
    """

    name = "torch-prepacked"
    operations = ("forward",)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return the kernels in the blocked layout that oneDNN wants for this problem."""
        torch, image = load("torch"), as_image(problem)
        if not (
            torch.backends.mkldnn.is_available()
            and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        ):  # known only once PyTorch is imported, which `why_not` must not do
            raise ConvbenchError(
                f"PyTorch {torch.__version__} does not let Python reach oneDNN's packed weights; "
                f"use torch or torch-channels-last"
            )
        p = _padding(image)
        size = [n + sum(extra) for n, extra in zip(image.size, p.extra, strict=True)]
        with torch.inference_mode(), library_threads("torch", threads):
            kernels = tensor_of(for_correlation(problem, w)).view(image.kernel_shape).clone()
            return torch.ops.mkldnn._reorder_convolution_weight(
                kernels, p.both, image.stride, image.dilation, image.groups,
                [image.batch, image.in_channels, *size],
            )  # fmt: skip

    def _function(self, image: Problem) -> Callable[..., Any]:
        function: Callable[..., Any] = load("torch").ops.mkldnn._convolution_pointwise.default
        return function

    def _settings(self, image: Problem) -> tuple[Any, ...]:
        both = _padding(image).both
        return both, image.stride, image.dilation, image.groups, "none", [], ""


def _backward(image: Problem, g: Any, x: Any, w: Any, wanted: int) -> Any:
    """Return the gradient of the input (0) or of the kernel (1); the other is not computed."""
    mask = [number == wanted for number in range(3)]
    return load("torch").ops.aten.convolution_backward.default(
        g, x, w, None, image.stride, _padding(image).both, image.dilation, False,
        [0] * image.axes, image.groups, mask,
    )[wanted]  # fmt: skip


@dataclass(frozen=True)
class Padding:
    """Zeros per axis: `both` on either side, by the convolution itself, then `extra` ones."""

    both: tuple[int, ...]
    extra: tuple[tuple[int, int], ...]

    @property
    def is_even(self) -> bool:
        """True if the convolution adds all zeros itself."""
        return not any(map(any, self.extra))

    def extend(self, x: Any) -> Any:
        """Return `x` with the extra zeros around it."""
        if self.is_even:
            return x
        last_axis_first = [n for pair in reversed(self.extra) for n in pair]
        return load("torch").constant_pad_nd(x, last_axis_first)


@lru_cache(maxsize=256)
def _padding(problem: Problem) -> Padding:
    """Return the padding of `problem` in PyTorch's terms: the same on both sides, rounded down."""
    both, extra = [], []
    for w, e, s, o, (before, after) in zip(
        problem.size, problem.extent, problem.stride, problem.output_size, zeros(problem),
        strict=True,
    ):  # fmt: skip
        if (w + 2 * before - e) // s + 1 == o:
            after = before
        both.append(min(before, after))
        extra.append((before - both[-1], after - both[-1]))
    return Padding(tuple(both), tuple(extra))


class _Writable:
    """A read-only array's memory under a writable face: PyTorch warns of any other."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def tensor_of(array: np.ndarray) -> Any:
    """Return a tensor on the memory of `array`, which is not written unless it is the output."""
    if not array.flags.writeable:
        array = np.asarray(_Writable(array))
    return load("torch").from_numpy(array)


def channels_last(x: Any) -> Any:
    """Return a copy of `x` (N, C, *size) that has the strides of NHWC."""
    n, c = x.shape[:2]
    size: Sequence[int] = x.shape[2:]
    return x.new_empty((n, *size, c)).movedim(-1, 1).copy_(x)


def fetch(result: Any, out: np.ndarray) -> None:
    """Copy a tensor of any layout into `out`, which has as many elements in the same order."""
    tensor_of(out).view(result.shape).copy_(result)
