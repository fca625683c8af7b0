"""Tensors are found in ONNX files without reading the rest, and damage is a sentence."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx_graphs import Graph  # noqa: E402

from algos import ConvbenchError  # noqa: E402
from suites.cases import data, filters  # noqa: E402
from suites.cases.onnx_tensors import read_tensor, source_of  # noqa: E402
from suites.models.onnx_model import read_onnx  # noqa: E402


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_tensor_is_the_one_that_onnx_reads(raw, dtype, tmp_path):
    graph = Graph(1, 2, 5, 5, dtype=dtype)
    for shape in ((3, 2, 1, 1), (200, 2, 3, 3), (1,), (4, 4)):
        graph.tensor(*shape, raw=raw)
    graph.node("Relu", "x")
    path = graph.save(tmp_path / "a # b.onnx")
    for tensor in onnx.load(path).graph.initializer:
        found = read_tensor(source_of(path, tensor.name))
        wanted = onnx.numpy_helper.to_array(tensor)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_a_case_is_computed_with_the_kernel_of_the_file(tmp_path):
    graph = Graph(1, 2, 5, 5)
    graph.conv("x", 4, 3, 3, group=2)
    path = graph.save(tmp_path / "a.onnx")
    (case,) = read_onnx(path).cases
    _, w, _ = data.arrays(case)
    np.testing.assert_array_equal(w, onnx.numpy_helper.to_array(graph.tensors[0]))
    assert filters.is_path(case.weights)


def test_missing_and_damaged_files_are_one_sentence(tmp_path):
    graph = Graph(1, 2, 5, 5)
    graph.conv("x", 4, 3, 3)
    path = tmp_path / graph.save(tmp_path / "a.onnx")
    source = source_of(path, "w0")
    with pytest.raises(ConvbenchError, match="holds no tensor 'w1'; was the file changed"):
        read_tensor(source_of(path, "w1"))
    with pytest.raises(ConvbenchError, match="cannot be read"):
        read_tensor(source_of(tmp_path / "missing.onnx", "w0"))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for number in range(200):
        damaged = bytearray(whole[: rng.integers(0, len(whole))] if number % 2 else whole)
        if damaged:
            damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            read_tensor(source)
        except ConvbenchError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 90
