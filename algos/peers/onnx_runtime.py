"""ONNX Runtime's convolution on the CPU."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from algos.backend.threads import load, tell
from algos.core.bound import Bound
from algos.core.problem import Problem

from .images import for_correlation, zeros
from .library import missing, single_precision
from .peer import Peer


class OnnxRuntime(Peer):
    """ONNX Runtime: a session of one Conv node, its weights an initialiser, tensors bound.

    The weights are packed when the session is made. Input and result are tensors of ONNX Runtime's,
    bound once (`io_binding`), so a call copies neither. They have their channels first, the only
    layout that its convolution has for float32. It sums products directly or as a matrix product.
    """

    name = "onnxruntime"
    libraries = ("onnxruntime", "onnx")
    forks = False

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return (
            missing("onnxruntime", "ONNX Runtime")
            or missing("onnx", "ONNX, which writes its models,")
            or single_precision("ONNX Runtime", problem.dtype)
        )

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of its own tensors, of both in blocks of 16 channels, and of columns."""
        tensors = math.prod(problem.input_shape) + math.prod(problem.output_shape)
        columns = math.prod(problem.output_size) * problem.taps
        return (3 * tensors + 3 * math.prod(problem.kernel_shape) + columns) * problem.itemsize

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return the session, or the kernels where it must wait for a bias."""
        w = for_correlation(problem, w)
        return w if problem.bias else _session(problem, w, None, threads)

    def bind(self, problem: Problem, *given: Any, threads: int) -> Bound:
        x, prepared, bias = given
        session = _session(problem, prepared, bias, threads) if problem.bias else prepared
        value, binding = load("onnxruntime").OrtValue, session.io_binding()
        own = value.ortvalue_from_shape_and_type(x.shape, x.dtype)
        own.update_inplace(x)
        result = value.ortvalue_from_shape_and_type(problem.output_shape, x.dtype)
        binding.bind_ortvalue_input("x", own)
        binding.bind_ortvalue_output("y", result)

        def fetch(_: Any, out: np.ndarray) -> None:
            out[...] = result.numpy()

        return Bound(partial(session.run_with_iobinding, binding), fetch)


def _session(problem: Problem, w: np.ndarray, bias: np.ndarray | None, threads: int) -> Any:
    """Return a session that convolves with the kernels `w` for cross-correlation."""
    runtime, onnx = load("onnxruntime"), load("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    constants = {"w": w} if bias is None else {"w": w, "b": bias}
    pads = zeros(problem)
    node = helper.make_node(
        "Conv", ["x", *constants], ["y"], kernel_shape=problem.kernel, strides=problem.stride,
        dilations=problem.dilation, group=problem.groups,
        pads=[before for before, _ in pads] + [after for _, after in pads],
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "convolution",
        [helper.make_tensor_value_info("x", kind, problem.input_shape)],
        [helper.make_tensor_value_info("y", kind, problem.output_shape)],
        [onnx.numpy_helper.from_array(np.array(array), name) for name, array in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors alone
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    tell("onnxruntime", session.get_session_options().intra_op_num_threads)
    return session
