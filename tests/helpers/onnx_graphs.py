"""ONNX graphs for tests, built node by node: four networks, and any single layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from algos.core.problem import Problem
from suites.cases.onnx_tensors import read_tensor
from suites.cases.suite import Case
from suites.models.model import Model


class Graph:
    """A graph that grows by one node at a time; every method returns the name of its output."""

    def __init__(self, *size: Any, dtype: str = "float32", seed: int = 0) -> None:
        self.rng, self.dtype = np.random.default_rng(seed), dtype
        self.size = size
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.channels = {"x": size[1]}

    def node(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add any node."""
        name = f"{operator}_{len(self.nodes)}"
        made = [f"{name}.y", *(f"{name}.y{n}" for n in range(1, outputs))]
        self.nodes.append(helper.make_node(operator, inputs, made, name=name, **attributes))
        self.channels[made[0]] = self.channels.get(inputs[0], 0)
        return made[0]

    def tensor(self, *shape: int, raw: bool = True) -> str:
        """Add an initialiser of normal numbers."""
        name = f"w{len(self.tensors)}"
        values = self.rng.standard_normal(shape).astype(self.dtype)
        made = numpy_helper.from_array(values, name)
        if not raw:
            kind = TensorProto.DOUBLE if self.dtype == "float64" else TensorProto.FLOAT
            made = helper.make_tensor(name, kind, shape, values.ravel())
        self.tensors.append(made)
        return name

    def axes(self, *axes: int) -> str:
        """Add an initialiser of axes."""
        name = f"axes{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.array(axes, np.int64), name))
        return name

    def conv(
        self, x: str, channels: int, *kernel: int, group: int = 1, bias: bool = False, **more: Any
    ) -> str:
        """Add a convolution; `pads` may be one number for all sides."""
        shape = (channels, self.channels[x] // group, *kernel)
        inputs = [x, self.tensor(*shape), *([self.tensor(channels)] if bias else [])]
        if isinstance(pads := more.get("pads"), int):
            more["pads"] = [pads] * 2 * len(kernel)
        if isinstance(stride := more.get("strides"), int):
            more["strides"] = [stride] * len(kernel)
        y = self.node("Conv", *inputs, group=group, **more)
        self.channels[y] = channels
        return y

    def up(self, x: str, channels: int, *kernel: int, group: int = 1, **more: Any) -> str:
        """Add a transposed convolution."""
        weight = self.tensor(self.channels[x], channels // group, *kernel)
        y = self.node("ConvTranspose", x, weight, group=group, **more)
        self.channels[y] = channels
        return y

    def model(self, *outputs: str, opset: int = 19) -> Any:
        """Return the model with these outputs."""
        kind = TensorProto.DOUBLE if self.dtype == "float64" else TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes, "network", [helper.make_tensor_value_info("x", kind, self.size)],
            [helper.make_tensor_value_info(name, kind, None) for name in outputs], self.tensors,
        )  # fmt: skip
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        made.ir_version = 9
        return made

    def save(self, path: Path, *outputs: str) -> str:
        """Write the model with these outputs, by default that of the last node; return the path."""
        onnx.save(self.model(*(outputs or (self.nodes[-1].output[0],))), path)
        return str(path)


def resnet50(width: int = 8, size: Any = 64) -> Graph:
    """Return ResNet-50 (He et al., arXiv:1512.03385, table 1), by default 8 times as narrow."""
    g = Graph("N", 3, size, size)
    x = g.node("Relu", g.conv("x", width, 7, 7, strides=2, pads=3, bias=True))
    x = g.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for stage, blocks in enumerate((3, 4, 6, 3)):
        narrow = width << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = g.node("Relu", g.conv(x, narrow, 1, 1, bias=True))
            y = g.node("Relu", g.conv(y, narrow, 3, 3, strides=stride, pads=1, bias=True))
            y = g.conv(y, 4 * narrow, 1, 1, bias=True)
            short = x if block else g.conv(x, 4 * narrow, 1, 1, strides=stride, bias=True)
            x = g.node("Relu", g.node("Add", y, short))
    g.node("Flatten", g.node("GlobalAveragePool", x))
    return g


def resnet_multiply_adds(width: int, size: int) -> Iterator[int]:
    """Yield the multiply-adds of every convolution of `resnet50`, products with padding counted."""
    yield (size // 2) ** 2 * width * 3 * 49
    given = width
    for stage, blocks in enumerate((3, 4, 6, 3)):
        narrow = width << stage
        edge = size // 4 >> stage
        for block in range(blocks):
            before = edge * 2 if stage and not block else edge
            yield before**2 * given * narrow
            yield edge**2 * narrow * narrow * 9
            yield edge**2 * narrow * narrow * 4
            if not block:
                yield edge**2 * given * narrow * 4
            given = 4 * narrow


def mobilenet_v2(size: int = 64) -> Graph:
    """Return MobileNet-V2 (Sandler et al., arXiv:1801.04381, table 2), 4 times as narrow."""
    g = Graph(1, 3, size, size)
    x = g.node("Clip", g.conv("x", 8, 3, 3, strides=2, pads=1, bias=True))
    rows = ((1, 4, 1, 1), (6, 6, 2, 2), (6, 8, 3, 2), (6, 16, 4, 2), (6, 24, 3, 1), (6, 40, 3, 2),
            (6, 80, 1, 1))  # fmt: skip
    for factor, channels, repeats, first in rows:
        for number in range(repeats):
            wide, stride = factor * g.channels[x], 1 if number else first
            y = x if factor == 1 else g.node("Clip", g.conv(x, wide, 1, 1, bias=True))
            y = g.conv(y, wide, 3, 3, group=wide, strides=stride, pads=1, bias=True)
            y = g.conv(g.node("Clip", y), channels, 1, 1, bias=True)
            same = stride == 1 and g.channels[x] == channels
            x = g.node("Add", x, y) if same else y
    g.node("ReduceMean", g.conv(x, 320, 1, 1, bias=True), g.axes(2, 3), keepdims=0)
    return g


def unet_3d(size: int = 16) -> Graph:
    """Return a 3-D U-Net (Çiçek et al., arXiv:1606.06650, fig. 2) of three levels, narrow."""
    g = Graph(1, 2, size, size, size)
    x, levels = "x", []
    for channels in (4, 8):
        x = g.node("Relu", g.conv(x, channels, 3, 3, 3, pads=1, bias=True))
        x = g.node("Relu", g.conv(x, 2 * channels, 3, 3, 3, pads=1, bias=True))
        levels.append(x)
        x = g.node("MaxPool", x, kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    x = g.node("Relu", g.conv(x, 16, 3, 3, 3, pads=1, bias=True))
    for skip in reversed(levels):
        x = g.up(x, g.channels[x], 2, 2, 2, strides=[2, 2, 2])
        whole = g.channels[x] + g.channels[skip]
        x = g.node("Concat", x, skip, axis=1)
        g.channels[x] = whole
        x = g.node("Relu", g.conv(x, g.channels[skip], 3, 3, 3, pads=1, bias=True))
    g.conv(x, 3, 1, 1, 1, bias=True)
    return g


def wavenet(size: int = 256) -> Graph:
    """Return a stack of causal convolutions (van den Oord et al., arXiv:1609.03499), dilated."""
    g = Graph(1, 1, size)
    x = g.conv("x", 8, 2, pads=[1, 0])
    for _ in range(2):
        for dilation in (1, 2, 4, 8):
            filtered = g.conv(x, 8, 2, dilations=[dilation], pads=[dilation, 0])
            gate = g.conv(x, 8, 2, dilations=[dilation], pads=[dilation, 0])
            both = g.node("Mul", g.node("Tanh", filtered), g.node("Sigmoid", gate))
            x = g.node("Add", x, g.conv(both, 8, 1))
    g.conv(g.node("Relu", x), 16, 1)
    return g


def values_of(path: str, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return every value that ONNX Runtime computes for the graph at `path`, by name."""
    onnxruntime = pytest.importorskip("onnxruntime")

    model = onnx.load(path)
    del model.graph.output[:]
    names = [name for node in model.graph.node for name in node.output]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return {"x": x, **dict(zip(names, session.run(names, {"x": x}), strict=True))}


def check_against_runtime(path: str, model: Model, x: np.ndarray, values: bool = True) -> None:
    """Assert that each layer computes from its input what ONNX Runtime computes from it.

    All nodes of a layer are compared in shape, and its first one in `values`.
    """
    import algos
    from algos.pooling import PoolPlan

    graph = onnx.load(path).graph
    nodes = {node.name: node for node in graph.node}
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = values_of(path, x)
    assert all(Case.of_words(case.as_words()) == case for case in model.cases)
    for layer in model.layers:
        problem = layer.problem
        for name in layer.nodes:
            node = nodes[name]
            assert found[node.input[0]].shape == problem.operands[0], name
            assert found[node.output[0]].shape in (problem.result_shape, problem.result_shape[:2])
        if not values:
            continue
        node = nodes[layer.nodes[0]]
        given = found[node.input[0]]
        if isinstance(problem, Problem):
            w = tensors[node.input[1]]
            if layer.weights != "random":
                np.testing.assert_array_equal(read_tensor(layer.weights), w)
            bias = tensors[node.input[2]] if problem.bias else None
            y = algos.plan(problem, w, bias, algorithm="naive", threads=1)(given)
        else:
            y = PoolPlan(problem, algorithm="naive", threads=1)(given)
        wanted = found[node.output[0]]
        scale = max(float(np.abs(wanted).max()), 1e-30)
        np.testing.assert_allclose(y.reshape(wanted.shape) / scale, wanted / scale, atol=1e-5)
