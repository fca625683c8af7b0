"""OpenVINO's convolution on the CPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend.threads import load, tell
from algos.core.bound import Bound
from algos.core.problem import Problem

from .images import as_image, for_correlation, zeros
from .library import missing, single_precision
from .peer import Peer


class OpenVINO(Peer):
    """OpenVINO: a compiled model of one convolution, in float32 and for the least latency.

    The weights are constants, packed when the model is compiled. Input and result are tensors of
    OpenVINO's with their channels last (``NHWC``), which it took 1.1 to 1.6 times as long without.
    One spatial axis is an image of one row. It sums products directly or as a matrix product.
    """

    name = "openvino"
    libraries = ("openvino",)
    forks = False

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return missing("openvino", "OpenVINO") or single_precision("OpenVINO", problem.dtype)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of its own tensors, of both in blocks of 16 channels, and of kernels."""
        tensors = math.prod(problem.input_shape) + math.prod(problem.output_shape)
        return (3 * tensors + 4 * math.prod(problem.kernel_shape)) * problem.itemsize

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return the compiled model, or the kernels where it must wait for a bias."""
        image = as_image(problem)
        w = for_correlation(problem, w).reshape(image.kernel_shape)
        return w if problem.bias else _compiled(image, w, None, threads)

    def bind(self, problem: Problem, *given: Any, threads: int) -> Bound:
        openvino, image = load("openvino"), as_image(problem)
        x, prepared, bias = given
        compiled = _compiled(image, prepared, bias, threads) if problem.bias else prepared
        request = compiled.create_infer_request()
        own, result = (
            openvino.Tensor(openvino.Type.f32, compiled_side.shape)
            for compiled_side in (compiled.input(0), compiled.output(0))
        )
        own.data[...] = np.moveaxis(x.reshape(image.input_shape), 1, -1)
        request.set_input_tensor(own)
        request.set_output_tensor(result)

        def fetch(_: Any, out: np.ndarray) -> None:
            out.reshape(image.output_shape)[...] = np.moveaxis(result.data, -1, 1)

        return Bound(request.infer, fetch)


def _compiled(image: Problem, w: np.ndarray, bias: np.ndarray | None, threads: int) -> Any:
    """Return a model that convolves with the kernels `w` for cross-correlation."""
    openvino = load("openvino")
    nodes, axes = openvino.opset13, image.axes
    x = nodes.parameter(image.input_shape, np.float32)
    pads = zeros(image)
    before, after = [b for b, _ in pads], [a for _, a in pads]
    if image.groups == 1:
        y = nodes.convolution(x, _constant(w), image.stride, before, after, image.dilation)
    else:
        grouped = w.reshape(image.groups, -1, *w.shape[1:])
        y = nodes.group_convolution(
            x, _constant(grouped), image.stride, before, after, image.dilation
        )
    if bias is not None:
        y = nodes.add(y, _constant(bias.reshape(1, -1, *[1] * axes)))
    layouts = openvino.preprocess.PrePostProcessor(openvino.Model([y], [x]))
    first, last = ("NC" + "DHW"[-axes:], "N" + "DHW"[-axes:] + "C")
    for side in (layouts.input(), layouts.output()):
        side.tensor().set_layout(openvino.Layout(last))
        side.model().set_layout(openvino.Layout(first))
    compiled = openvino.Core().compile_model(
        layouts.build(),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # the harness places threads
        },
    )
    tell("openvino", int(compiled.get_property("INFERENCE_NUM_THREADS")))
    return compiled


def _constant(array: np.ndarray) -> Any:
    return load("openvino").opset13.constant(np.array(array), np.float32)
