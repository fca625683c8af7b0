"""PyTorch's convolutions on the CPU, that is oneDNN's for float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from algos.backend.threads import library_threads, load
from algos.core.algorithm import Algorithm
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem

from .images import as_image, for_correlation
from .library import missing

#: Channels from which a change of layout is quicker as one matrix transposition per image:
#: 0.44 against 0.69 ms for 64 channels of 112², but 0.27 against 0.08 ms for 3 of 224².
TRANSPOSED_CHANNELS = 16


class Torch(Algorithm):
    """torch.conv1d, conv2d, conv3d on contiguous tensors; oneDNN for float32.

    Input, kernel and bias are shared with NumPy, not copied. PyTorch cannot convolve into memory of
    the caller (`aten::convolution.out` copies as well). The result is therefore copied to the
    output once. The copy takes 2 to 25 % of the time of a layer, most for the smallest layers.
    Zeros are added by `constant_pad_nd` where they differ on the two sides, which is what PyTorch
    itself does for ``padding="same"``. Everything runs in inference mode. Products are summed in
    the data's precision, directly or as a matrix product. The oneDNN library no longer has
    Winograd's algorithm on x86, so the bound is that of any direct method. Gradients are those of
    `aten::convolution_backward`, as autograd calls it, for one operand alone.
    """

    is_peer = True
    name = "torch"
    libraries = ("torch",)
    opt_in = True
    operations: tuple[str, ...] = ("forward", "grad_input", "grad_weight")

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return missing("torch", "PyTorch")

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the result before its copy, and of all arrays in oneDNN's blocks of
        16.

        float64 is not oneDNN's: PyTorch unrolls the columns (im2col) of the whole batch, group
        by group.
        """
        positions = problem.batch * math.prod(problem.output_size)
        counts = math.prod(problem.output_shape) + math.prod(problem.kernel_shape)
        if problem.dtype == "float64":
            counts += positions * problem.taps
        else:
            counts += positions * -(-problem.out_channels // 16) * 16
            counts += math.prod(problem.input_shape)
        if problem.operation != "forward":  # before it is cut, flipped and copied
            counts += math.prod(problem.result_shape)
        return counts * problem.itemsize

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return the kernels for cross-correlation as a tensor."""
        load("torch")
        return _tensor(for_correlation(problem, w))

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        torch = load("torch")
        with torch.inference_mode(), library_threads("torch", threads):
            offset = _tensor(bias) if problem.bias else None
            y = self.convolve(problem, _tensor(x), prepared, offset)
            _copy(y, _tensor(out).view(y.shape))

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        torch, image = load("torch"), self._image(problem)
        with torch.inference_mode(), library_threads("torch", threads):
            slope = self._laid_out(_tensor(g).view(image.output_shape))
            sizes = zip(image.size, _padding(image).extra, strict=True)
            extended = [n + sum(extra) for n, extra in sizes]
            x = self._laid_out(slope.new_empty((image.batch, image.in_channels, *extended)))
            result = self._backward(image, slope, x, prepared, 0)
            for axis, (n, (before, _)) in enumerate(
                zip(image.size, _padding(image).extra, strict=True), 2
            ):
                result = result.narrow(axis, before, n)
            _copy(result, _tensor(out).view(image.input_shape))

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        torch, image = load("torch"), self._image(problem)
        with torch.inference_mode(), library_threads("torch", threads):
            slope = self._laid_out(_tensor(g).view(image.output_shape))
            extended = _padding(image).extend(_tensor(x).view(image.input_shape))
            w = self._laid_out(slope.new_empty(image.kernel_shape))
            result = self._backward(image, slope, self._laid_out(extended), w, 1)
            if problem.flip:
                result = result.flip(tuple(range(2, result.ndim)))
            _tensor(out).view(image.kernel_shape).copy_(result)

    def _backward(self, image: Problem, g: Any, x: Any, w: Any, wanted: int) -> Any:
        """Return the gradient of the input (0) or of the kernel (1); the other is not computed."""
        mask = [number == wanted for number in range(3)]
        return load("torch").ops.aten.convolution_backward(
            g, x, w, None, image.stride, _padding(image).both, image.dilation, False,
            [0] * image.axes, image.groups, mask,
        )[wanted]  # fmt: skip

    def _image(self, problem: Problem) -> Problem:
        """Return the problem that PyTorch computes in place of `problem`."""
        return problem

    def _laid_out(self, x: Any) -> Any:
        """Return `x` in the memory layout of this algorithm."""
        return x

    def convolve(self, problem: Problem, x: Any, prepared: Any, bias: Any) -> Any:
        """Return the result for tensors, in PyTorch's own memory and layout."""
        torch = load("torch")
        p = _padding(problem)
        function = (torch.conv1d, torch.conv2d, torch.conv3d)[problem.axes - 1]
        return function(
            p.extend(x), prepared, bias, problem.stride, p.both, problem.dilation, problem.groups
        )


class TorchChannelsLast(Torch):
    """torch.conv2d, conv3d with channels last in memory, laid out so and back on each call.

    Arrays here have their channels first, so a call includes the two changes of layout. With a
    single channel nothing is moved. One spatial axis is an image of one row. PyTorch reads the
    layout from a tensor's strides and takes a tensor of one channel for contiguous. The strides are
    therefore set explicitly, which is 8 times as fast on a large image of one channel.
    """

    name = "torch-channels-last"

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        if reason := super().why_not(problem, w):
            return reason
        if problem.dtype != "float32":
            return "channels last is a layout of oneDNN's, which has no float64"
        return None

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of all arrays with channels last, and of oneDNN's copy of the
        kernels."""
        counts = 2 * math.prod(problem.kernel_shape) + math.prod(problem.output_shape)
        counts += math.prod(problem.input_shape)
        return counts * problem.itemsize

    def _image(self, problem: Problem) -> Problem:
        return as_image(problem)

    def _laid_out(self, x: Any) -> Any:
        return _channels_last(x)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return the kernels for cross-correlation as a tensor with channels last."""
        prepared = super().prepare(problem, w, threads)
        return _channels_last(prepared.view(as_image(problem).kernel_shape))

    def convolve(self, problem: Problem, x: Any, prepared: Any, bias: Any) -> Any:
        image = as_image(problem)
        x = _channels_last(_padding(image).extend(x.view(image.input_shape)))
        return self._convolve(image, x, prepared, bias)

    def _convolve(self, image: Problem, x: Any, prepared: Any, bias: Any) -> Any:
        torch = load("torch")
        function = torch.conv2d if image.axes == 2 else torch.conv3d
        both = _padding(image).both
        return function(x, prepared, bias, image.stride, both, image.dilation, image.groups)


class TorchPrepacked(TorchChannelsLast):
    """oneDNN through PyTorch with kernels packed once, channels last in between.

    `torch.ops.mkldnn._convolution_pointwise` on weights of `_reorder_convolution_weight`: what
    TorchInductor calls when it freezes a network. It works on channels last throughout, and
    is for the forward operation: gradients are made of that.
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
        weights = Torch.prepare(self, problem, w, threads).view(image.kernel_shape)
        with torch.inference_mode(), library_threads("torch", threads):
            return torch.ops.mkldnn._reorder_convolution_weight(
                weights, p.both, image.stride, image.dilation, image.groups,
                [image.batch, image.in_channels, *size],
            )  # fmt: skip

    def _convolve(self, image: Problem, x: Any, prepared: Any, bias: Any) -> Any:
        return load("torch").ops.mkldnn._convolution_pointwise(
            x, prepared, bias, _padding(image).both, image.stride, image.dilation, image.groups,
            "none", [], "",
        )  # fmt: skip


@dataclass(frozen=True)
class Padding:
    """Zeros per axis: `both` on either side, by the convolution itself, then `extra` ones."""

    both: tuple[int, ...]
    extra: tuple[tuple[int, int], ...]

    def extend(self, x: Any) -> Any:
        """Return `x` with the extra zeros around it."""
        if not any(map(any, self.extra)):
            return x
        last_axis_first = [n for pair in reversed(self.extra) for n in pair]
        return load("torch").constant_pad_nd(x, last_axis_first)


@lru_cache(maxsize=256)
def _padding(problem: Problem) -> Padding:
    """Return the padding of `problem` in PyTorch's terms: the same on both sides, rounded down.

    Zeros behind count only as far as an output position reads them, so a ragged last position
    gets them and an unused rest does not.
    """
    both, extra = [], []
    for w, e, s, o, reach, (before, _) in zip(
        problem.size, problem.extent, problem.stride, problem.output_size, problem.reach,
        problem.padding, strict=True,
    ):  # fmt: skip
        after = max(reach - w - before, 0)
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


def _tensor(array: np.ndarray) -> Any:
    """Return a tensor on the memory of `array`, which is not written unless it is the output."""
    if not array.flags.writeable:
        array = np.asarray(_Writable(array))
    return load("torch").from_numpy(array)


def _channels_last(x: Any) -> Any:
    """Return `x` (N, C, *size) with the strides of NHWC; copied only if it has several channels."""
    n, c = x.shape[:2]
    size: Sequence[int] = x.shape[2:]
    if c == 1:
        return x.reshape(n, *size, 1).movedim(-1, 1)
    last = x.new_empty((n, *size, c))
    moved = last.movedim(-1, 1)
    if c < TRANSPOSED_CHANNELS:
        moved.copy_(x)
        return moved
    for image, into in zip(x.reshape(n, c, -1), last.view(n, -1, c), strict=True):
        into.copy_(image.t())
    return moved


def _copy(y: Any, out: Any) -> None:
    """Copy `y` of any layout into contiguous `out` of the same shape (N, O, *size)."""
    n, o = y.shape[:2]
    last = y.movedim(1, -1)
    if o < TRANSPOSED_CHANNELS or y.is_contiguous() or not last.is_contiguous():
        out.copy_(y)
        return
    for image, into in zip(last.reshape(n, -1, o), out.view(n, o, -1), strict=True):
        into.copy_(image.t())
