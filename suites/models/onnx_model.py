"""Layers of an ONNX file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algos.core.errors import ConvbenchError
from suites.cases.onnx_tensors import source_of

from .model import LeftOut, Model, gathered, others_of
from .onnx_layers import CONVOLUTIONS, POOLINGS, Shape, is_layer, problem_of, spatial_mean

if TYPE_CHECKING:
    import onnx

#: Size that stands for a symbolic batch.
BATCH = 1


def read_onnx(path: str, batch: int | None = None, dtype: str | None = None) -> Model:
    """Return the layers of an ONNX file.

    Parameters
    ----------
    path : str
    batch : int, optional
        Number of images, in place of the first axis of every input. By default that of the file,
        or 1 where the file leaves it open.
    dtype : {"float32", "float64"}, optional
        Type to compute in. By default that of each layer.

    Raises
    ------
    ConvbenchError
        If the package onnx is missing, or the file cannot be read.
    """
    place = Path(path).expanduser().resolve()
    model = _load(path, place)
    _set_batch(model.graph, batch)
    return _Reader(_with_shapes(path, model), place, dtype).model()


def _load(path: str, place: Path) -> onnx.ModelProto:
    try:
        import onnx
    except ImportError:
        raise ConvbenchError(
            f'reading {path!r} needs the package onnx; install it with: pip install -e ".[models]"'
        ) from None
    try:
        model = onnx.load(place, load_external_data=False)
    except OSError as error:
        raise ConvbenchError(f"model {path!r} cannot be read: {error.strerror or error}") from None
    except Exception:  # protobuf's own errors, whose package may change
        raise ConvbenchError(
            f"model {path!r} is no ONNX file, or is damaged; expected the .onnx file of an export"
        ) from None
    if not model.graph.node:
        raise ConvbenchError(
            f"model {path!r} holds no graph, so it is no ONNX file, or an empty one; expected the "
            f".onnx file of an export"
        )
    return model


def _set_batch(graph: Any, batch: int | None) -> None:
    """Fix the batch: the first axis of every input, and each axis of the same symbolic name."""
    held = {tensor.name for tensor in graph.initializer}
    held |= {name for node in graph.node if is_layer(node.op_type) for name in node.input[1:]}
    firsts = [
        value.type.tensor_type.shape.dim[0]
        for value in graph.input
        if value.name not in held and len(value.type.tensor_type.shape.dim) > 1
    ]
    names = {dim.dim_param for dim in firsts if dim.dim_param}
    for dim in firsts:
        if batch is not None or not dim.HasField("dim_value") or dim.dim_value < 1:
            dim.dim_value = batch or BATCH
    for value in graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in names and dim.dim_param:
                dim.dim_value = batch or BATCH


def _with_shapes(path: str, model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` without functions and with the shapes of all values that can be inferred."""
    from onnx import inliner, shape_inference

    del model.graph.value_info[:]  # they may speak of another batch
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        if model.functions:
            model = inliner.inline_local_functions(model)
        return shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # onnx raises errors of several kinds for damaged graphs
        raise ConvbenchError(
            f"model {path!r}: the shapes of its layers cannot be inferred: "
            f"{str(error).strip().splitlines()[0]}"
        ) from None


class _Reader:
    """Reader of one graph."""

    def __init__(self, model: onnx.ModelProto, place: Path, dtype: str | None) -> None:
        from onnx import TensorProto, helper, numpy_helper

        self.graph, self.place, self.dtype = model.graph, place, dtype
        self.types: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64"}
        self.type_name = TensorProto.DataType.Name
        self.to_array, self.attribute = numpy_helper.to_array, helper.get_attribute_value
        self.tensors = {tensor.name: tensor for tensor in self.graph.initializer}
        self.shapes: dict[str, Shape | None] = {}
        self.element_types: dict[str, int] = {}
        for value in (*self.graph.input, *self.graph.value_info, *self.graph.output):
            self.shapes[value.name] = _shape(value.type.tensor_type)
            self.element_types[value.name] = value.type.tensor_type.elem_type
        for tensor in self.graph.initializer:
            self.shapes[tensor.name] = tuple(tensor.dims)
            self.element_types[tensor.name] = tensor.data_type
        self.constants = {
            node.output[0]: node for node in self.graph.node if node.op_type == "Constant"
        }
        self.left_out: list[LeftOut] = []
        self.others: list[str] = []
        self.remarks: dict[str, list[str]] = {}

    def model(self) -> Model:
        layers = gathered(self._layers())
        remarks = [f"{text}: {', '.join(names)}." for text, names in self.remarks.items()]
        return Model(
            self.place.stem, layers, tuple(self.left_out), others_of(self.others), tuple(remarks)
        )

    def _layers(self) -> Iterator[tuple[Any, str]]:
        for number, node in enumerate(self.graph.node):
            self._look_inside(node)
            name = node.name or next(filter(None, node.output), f"{node.op_type}_{number}")
            name = " ".join(name.replace('"', "'").split())
            operator, attributes = node.op_type, self._attributes(node)
            if operator == "ReduceMean" and self._is_global_average(node, attributes):
                operator, attributes = "GlobalAveragePool", {}
            if operator not in (*CONVOLUTIONS, *POOLINGS):
                if is_layer(operator):
                    reason = f"no algorithm computes {operator}"
                    self.left_out.append(LeftOut(name, operator, reason))
                elif operator != "Constant":
                    self.others.append(operator)
                continue
            try:
                problem = self._problem(node, operator, attributes, name)
            except ConvbenchError as error:
                self.left_out.append(LeftOut(name, operator, str(error)))
                continue
            self._remark(node, name)
            yield problem, self._weights(node, name) if operator in CONVOLUTIONS else "random"

    def _attributes(self, node: Any) -> dict[str, Any]:
        return {one.name: self.attribute(one) for one in node.attribute}

    def _look_inside(self, node: Any) -> None:
        """Leave out the layers of graphs inside a node, such as the branches of an If."""
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                for inner in graph.node:
                    if is_layer(inner.op_type):
                        name = inner.name or next(iter(inner.output), inner.op_type)
                        reason = f"it is inside {node.op_type}, so how often it runs is not known"
                        self.left_out.append(LeftOut(name, inner.op_type, reason))
                    self._look_inside(inner)

    def _problem(self, node: Any, operator: str, attributes: Mapping[str, Any], name: str) -> Any:
        kind = self.element_types.get(node.input[0], 0) or 1  # unknown types are FLOAT
        if self.dtype is None and kind not in self.types:
            raise ConvbenchError(
                f"its data type {self.type_name(kind)} is not computed, only FLOAT and DOUBLE "
                f"are; --dtype float32 computes it in float32"
            )
        shapes = [self.shapes.get(one) if one else None for one in node.input]
        if operator in CONVOLUTIONS and len(node.input) > 2 and node.input[2]:
            shapes[2] = shapes[2] or (1,)  # there is a bias, even if its shape is unknown
        problem = problem_of(operator, attributes, shapes, self.dtype or self.types[kind], name)
        inferred = self.shapes.get(node.output[0])
        if inferred is not None and node.op_type != "ReduceMean":  # which may drop axes
            _check(inferred, tuple(problem.result_shape))
        return problem

    def _weights(self, node: Any, name: str) -> str:
        """Return the source of a layer's kernel; random where the file holds none."""
        tensor = self.tensors.get(node.input[1])
        if tensor is None:
            self._note("The kernel is no constant of the file, so it is random", name)
        elif tensor.data_type not in (1, 10, 11):
            self._note("The kernel is stored in whole numbers, so it is random", name)
        elif beside := {entry.key: entry.value for entry in tensor.external_data}:
            if (self.place.parent / beside.get("location", "")).is_file():
                return source_of(self.place, tensor.name)
            file = beside.get("location", "")
            self._note(f"The kernel is random, since its file {file!r} is missing here", name)
        elif len(tensor.raw_data) or len(tensor.float_data) or len(tensor.double_data):
            return source_of(self.place, tensor.name)
        else:
            self._note("The file holds no values of the kernel, so it is random", name)
        return "random"

    def _remark(self, node: Any, name: str) -> None:
        if node.op_type == "ConvTranspose" and len(node.input) > 2 and node.input[2]:
            self._note("The bias of a transposed convolution is not added", name)
        if node.op_type == "MaxPool" and len([one for one in node.output if one]) > 1:
            self._note("The places of the maxima are not returned", name)
        if node.op_type == "FusedConv":
            self._note("The activation of a fused convolution is not computed", name)

    def _note(self, text: str, name: str) -> None:
        self.remarks.setdefault(text, []).append(name)

    def _is_global_average(self, node: Any, attributes: Mapping[str, Any]) -> bool:
        """Return True if a mean runs over all spatial axes of a feature map."""
        axes = attributes.get("axes")
        if axes is None and len(node.input) > 1 and node.input[1]:
            axes = self._constant(node.input[1])
        shape = self.shapes.get(node.input[0])
        return axes is not None and shape is not None and spatial_mean(axes, len(shape))

    def _constant(self, name: str) -> list[int] | None:
        """Return the whole numbers of a constant, or None."""
        tensor = self.tensors.get(name)
        if tensor is None and name in self.constants:
            tensor = self._attributes(self.constants[name]).get("value")
        if tensor is None or tensor.external_data:
            return None
        return [int(value) for value in self.to_array(tensor).ravel()]


def _shape(kind: Any) -> Shape | None:
    """Return the shape of a value; None if an axis is unknown."""
    if not kind.HasField("shape"):
        return None
    sizes = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim)
    return None if -1 in sizes else sizes


def _check(inferred: Shape, computed: Shape) -> None:
    if inferred != computed:
        raise ConvbenchError(f"ONNX gives its output the shape {inferred}, here it is {computed}")
