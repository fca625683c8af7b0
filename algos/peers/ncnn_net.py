"""ncnn's convolution on the CPU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from algos.backend.threads import load, tell
from algos.core.bound import Bound
from algos.core.problem import Problem
from algos.winograd import error as winograd_error
from algos.winograd.form import Form
from algos.winograd.points import TAPS, matrices_of

from .images import as_image, for_correlation, zeros
from .library import missing, single_precision
from .peer import Peer

#: Outputs per axis of ncnn's tiles for 3 × 3 kernels; it chooses among them by the layer's size.
TILES = (2, 4, 6)

#: Factor on the bound of our own transforms. ncnn's matrices are those of the points 0, ±1, ±2 and
#: ±1/2 with other scales for the rows, which cost one more rounding in each transform.
SCALED = 2.0


@dataclass(frozen=True)
class Net:
    """A network of one convolution; it reads its weights from `weights` as long as it lives."""

    net: Any
    weights: bytes


class Ncnn(Peer):
    """ncnn in float32: a network of one convolution, tensors in its own packed layout.

    Kernels of 3 × 3 taps with stride 1 go through Winograd's minimal filtering, in tiles of up to
    6 × 6 outputs. They lack a direct sum's accuracy. Others are direct or a matrix product.
    Input and result hold channels in packs as wide as a vector register; a call neither packs nor
    unpacks. A batch is one call per image, and a signal is an image of one row.
    """

    name = "ncnn"
    libraries = ("ncnn",)
    confines_nonfinite = False
    exact_on_integers = False

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        if problem.axes == 3:
            return "ncnn is called here for images of 2 axes, the problem has 3"
        return missing("ncnn", "ncnn") or single_precision("ncnn", problem.dtype)

    def has_direct_accuracy(self, problem: Problem) -> bool:
        depthwise = problem.groups == problem.in_channels == problem.out_channels
        alike = {*problem.stride, *problem.dilation} == {1}
        return depthwise or not alike or as_image(problem).kernel != (TAPS, TAPS)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of its own tensors, of a padded input, and of columns or transforms."""
        tensors = math.prod(problem.input_shape) + math.prod(problem.output_shape)
        kernels = math.prod(problem.kernel_shape)
        columns = math.prod(problem.output_size) * problem.taps
        if not self.has_direct_accuracy(problem):
            columns = 6 * tensors
            kernels *= 7 * len(TILES)
        return (3 * tensors + 3 * kernels + columns) * problem.itemsize

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return the network, or the kernels where it must wait for a bias."""
        w = for_correlation(problem, w)
        return w if problem.bias else _net(as_image(problem), w, None, threads)

    def bind(self, problem: Problem, *given: Any, threads: int) -> Bound:
        ncnn, image = load("ncnn"), as_image(problem)
        x, prepared, bias = given
        loaded = _net(image, prepared, bias, threads) if problem.bias else prepared
        net, width = loaded.net, pack(image.in_channels)
        own = []
        for planes in np.array(x).reshape(image.input_shape):  # ncnn reads writeable arrays alone
            shared, packed = ncnn.Mat(planes), ncnn.Mat()
            ncnn.convert_packing(shared, packed, width, net.opt)
            own.append(packed if width > 1 else shared.clone())

        def call() -> list[Any]:
            results = []
            for packed in own:
                extractor = loaded.net.create_extractor()
                extractor.input("x", packed)
                results.append(extractor.extract("y", AS_PACKED)[1])
            return results

        def fetch(results: list[Any], out: np.ndarray) -> None:
            for result, into in zip(results, out.reshape(image.output_shape), strict=True):
                if result.empty():  # its columns did not fit; reading it would end the process
                    raise MemoryError("ncnn gave no result: it ran out of memory")
                plain = ncnn.Mat()
                ncnn.convert_packing(result, plain, 1, net.opt)
                into[...] = np.asarray(plain).reshape(into.shape)

        return Bound(call, fetch)

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the bound of a direct method, or of the least accurate of Winograd's tiles."""
        direct = super().error_bound(problem, x, w, magnitude)
        if self.has_direct_accuracy(problem):
            return direct
        largest = float(np.max(magnitude))
        tiles = (
            winograd_error.bound(
                problem, Form((m, TAPS), (m, TAPS)), x, w, largest,
                (matrices_of(_POINTS[: m + 1]),) * 2,
            )
            for m in TILES
        )  # fmt: skip
        return np.maximum(direct, SCALED * max(tiles))


#: Argument of `extract` for a result in the layout it was computed in.
AS_PACKED = 1
#: Points of ncnn's tiles: the first m + 1 for m outputs.
_POINTS = tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2", "-1/2")))


def pack(channels: int) -> int:
    """Return the number of channels that ncnn keeps together in a tensor of `channels`."""
    widest = _widest_pack()
    return next(n for n in (16, 8, 4, 1) if n <= widest and channels % n == 0)


@cache
def _widest_pack() -> int:
    """Return the widest pack of this machine, as a layer of 16 channels has it."""
    ncnn, layer = load("ncnn"), Problem(size=(4, 4), kernel=1, in_channels=16, out_channels=16)
    loaded = _net(layer, np.zeros(layer.kernel_shape, np.float32), None, 1)
    extractor = loaded.net.create_extractor()
    extractor.input("x", ncnn.Mat(np.zeros((16, 4, 4), np.float32)))
    return int(extractor.extract("y", AS_PACKED)[1].elempack)


def _net(image: Problem, w: np.ndarray, bias: np.ndarray | None, threads: int) -> Net:
    """Return a network that convolves with the kernels `w` for cross-correlation."""
    ncnn = load("ncnn")
    net = ncnn.Net()
    net.opt.num_threads = threads
    for option in dir(net.opt):
        if option.startswith("use_") and any(t in option for t in ("fp16", "bf16", "int8")):
            setattr(net.opt, option, False)
    (rows, columns), (top, bottom), (left, right) = image.kernel, *zeros(image)
    numbers = {
        0: image.out_channels, 1: columns, 11: rows, 2: image.dilation[1], 12: image.dilation[0],
        3: image.stride[1], 13: image.stride[0], 4: left, 15: right, 14: top, 16: bottom,
        5: int(bias is not None), 6: w.size,
    }  # fmt: skip
    kind = "Convolution"
    if image.groups > 1:
        kind, numbers[7] = "ConvolutionDepthWise", image.groups
    words = " ".join(f"{key}={value}" for key, value in numbers.items())
    height, width = image.size
    net.load_param_mem(
        f"7767517\n2 2\nInput in 0 1 x 0={width} 1={height} 2={image.in_channels}\n"
        f"{kind} convolution 1 1 x y {words}\n"
    )
    weights = bytes(4) + w.tobytes() + (b"" if bias is None else bias.tobytes())
    net.load_model_mem(weights)  # four zeros ahead of float32 in full
    tell("ncnn", net.opt.num_threads)
    return Net(net, weights)
