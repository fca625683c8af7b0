"""Layers of ONNX graphs: their problems, their counts, and the ones that are left out."""

import math
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx_graphs import (  # noqa: E402
    Graph,
    check_against_runtime,
    mobilenet_v2,
    resnet50,
    resnet_multiply_adds,
    unet_3d,
    wavenet,
)

from algos import ConvbenchError  # noqa: E402
from algos.core.problem import Problem  # noqa: E402
from suites.cases.suite import Case  # noqa: E402
from suites.models.onnx_model import read_onnx  # noqa: E402


def numbers(*shape, dtype="float32"):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def only(graph, path, **options):
    """Return the single layer of a graph."""
    model = read_onnx(graph.save(path), **options)
    assert not model.left_out
    (layer,) = model.layers
    return model, layer.problem


def test_resnet_50_has_all_its_layers(tmp_path):
    path = resnet50().save(tmp_path / "resnet50.onnx")
    model = read_onnx(path)
    convolutions = [one for one in model.layers if isinstance(one.problem, Problem)]
    assert sum(one.count for one in convolutions) == 53
    # By stage: first and other 1×1, 3×3 with and without stride, expansion, shortcut, counted by
    # hand; 64→64 and 64→256 of the first stage, whose shortcut equals the expansion.
    assert len(convolutions) == 1 + 4 + 3 * 6
    assert sorted(one.count for one in convolutions if one.problem.kernel == (3, 3)) == [
        1, 1, 1, 2, 3, 3, 5,
    ]  # fmt: skip
    products = (math.prod(one.problem.output_shape) * one.problem.taps for one in convolutions)
    counts = [one.count for one in convolutions]
    assert sum(map(math.prod, zip(products, counts, strict=True))) == sum(
        resnet_multiply_adds(8, 64)
    )
    assert [one.problem.kind for one in model.layers if one not in convolutions] == [
        "max", "average",
    ]  # fmt: skip
    assert not model.left_out
    assert model.others == {"Relu": 49, "Add": 16, "Flatten": 1}
    assert all(one.problem.bias for one in convolutions)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("network", "shape", "values"),
    [
        (resnet50, (1, 3, 64, 64), False),
        (mobilenet_v2, (1, 3, 64, 64), False),
        (unet_3d, (1, 2, 16, 16, 16), True),
        (wavenet, (1, 1, 256), True),
    ],
)
def test_every_layer_is_that_of_onnx_runtime(network, shape, values, tmp_path):
    path = network().save(tmp_path / "network.onnx")
    model = read_onnx(path)
    assert not model.left_out
    check_against_runtime(path, model, numbers(*shape), values)


def test_the_layers_of_mobilenet_u_net_and_wavenet(tmp_path):
    mobile = read_onnx(mobilenet_v2().save(tmp_path / "m.onnx"))
    depthwise = [one for one in mobile.layers if getattr(one.problem, "groups", 1) > 1]
    assert sum(one.count for one in depthwise) == 17
    assert all(one.problem.groups == one.problem.in_channels for one in depthwise)
    assert sum(one.count for one in mobile.layers) == 52 + 1  # convolutions, and the mean
    assert "ReduceMean" not in mobile.others
    net = read_onnx(unet_3d().save(tmp_path / "u.onnx"))
    turned = [one.problem for one in net.layers if one.problem.operation == "grad_input"]
    assert [one.result_shape for one in turned] == [(1, 16, 8, 8, 8), (1, 16, 16, 16, 16)]
    wave = read_onnx(wavenet().save(tmp_path / "w.onnx"))
    dilated = {one.problem.dilation: one.count for one in wave.layers if one.problem.taps == 16}
    assert dilated == {(1,): 4, (2,): 4, (4,): 4, (8,): 4}
    assert all(one.problem.padding == ((one.problem.dilation[0], 0),)
               for one in wave.layers if one.problem.taps == 16)  # fmt: skip


CONVOLUTIONS = [
    {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
    {"auto_pad": "SAME_LOWER", "strides": [3, 2]},
    {"auto_pad": "VALID"},
    {"pads": [0, 1, 2, 3], "strides": [2, 1]},
    {"pads": [2, 0, 1, 0], "dilations": [2, 3]},
    {"group": 2, "bias": True},
    {"kernel_shape": [4, 3], "group": 4},
]


@pytest.mark.peers
@pytest.mark.parametrize("attributes", CONVOLUTIONS)
def test_convolutions_agree_in_value(attributes, tmp_path):
    graph = Graph(2, 4, 11, 14)
    graph.conv("x", 8, 4, 3, **attributes)
    model, problem = only(graph, tmp_path / "a.onnx")
    check_against_runtime(str(tmp_path / "a.onnx"), model, numbers(2, 4, 11, 14))
    assert problem.groups == attributes.get("group", 1)


TRANSPOSED = [
    {},
    {"strides": [2, 3], "output_padding": [1, 2]},
    {"strides": [2, 2], "pads": [0, 1, 2, 1]},
    {"strides": [3, 2], "output_shape": [18, 14]},
    {"strides": [3, 2], "output_shape": [18, 14], "auto_pad": "SAME_UPPER"},
    {"dilations": [2, 1], "group": 2},
]


@pytest.mark.peers
@pytest.mark.parametrize("attributes", TRANSPOSED)
def test_transposed_convolutions_agree_in_value(attributes, tmp_path):
    graph = Graph(2, 4, 6, 7)
    graph.up("x", 6, 4, 3, **attributes)
    model, problem = only(graph, tmp_path / "a.onnx")
    assert problem.operation == "grad_input"
    check_against_runtime(str(tmp_path / "a.onnx"), model, numbers(2, 4, 6, 7))


POOLINGS = [
    ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 2]}),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("MaxPool", {"kernel_shape": [3, 3], "pads": [1, 0, 0, 1], "dilations": [2, 1]}),
    ("MaxPool", {"kernel_shape": [4, 3], "auto_pad": "SAME_LOWER", "strides": [3, 3]}),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 0, 1, 1], "count_include_pad": 1}),
    ("AveragePool", {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", {"kernel_shape": [4, 4], "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ("LpPool", {"kernel_shape": [3, 2], "p": 3}),
    ("GlobalAveragePool", {}),
    ("GlobalMaxPool", {}),
    ("GlobalLpPool", {"p": 2}),
]


@pytest.mark.peers
@pytest.mark.parametrize(("operator", "attributes"), POOLINGS)
def test_poolings_agree_in_value(operator, attributes, tmp_path):
    graph = Graph(2, 3, 10, 13)
    graph.node(operator, "x", **attributes)
    model, _ = only(graph, tmp_path / "a.onnx")
    check_against_runtime(str(tmp_path / "a.onnx"), model, numbers(2, 3, 10, 13))


def test_the_batch_is_the_file_s_or_one_or_that_asked_for(tmp_path):
    for first, asked, batch in (("N", None, 1), (5, None, 5), ("N", 3, 3), (5, 3, 3)):
        graph = Graph(first, 3, 9, 9)
        graph.conv(graph.node("Relu", "x"), 4, 3, 3)
        _, problem = only(graph, tmp_path / "a.onnx", batch=asked)
        assert problem.batch == batch


def test_dilated_kernels_are_padded_by_what_they_span(tmp_path):
    for upper, sides in (("SAME_UPPER", (4, 5)), ("SAME_LOWER", (5, 4))):
        graph = Graph(1, 1, 20)
        graph.conv("x", 1, 4, dilations=[3], auto_pad=upper)
        _, problem = only(graph, tmp_path / "a.onnx")
        assert problem.padding == (sides,)
        assert problem.output_size == (20,)


def test_equal_problems_are_one_layer_and_the_name_has_the_count(tmp_path):
    graph = Graph(1, 4, 8, 8)
    y = graph.conv(graph.conv("x", 4, 3, 3, pads=1), 4, 3, 3, pads=1)
    graph.conv(y, 4, 3, 3, pads=1, bias=True)
    model = read_onnx(graph.save(tmp_path / "a.onnx"))
    assert [one.nodes for one in model.layers] == [("Conv_0", "Conv_1"), ("Conv_2",)]
    assert [case.problem.name for case in model.cases] == ["Conv_0 ×2", "Conv_2 ×1"]
    assert all(Case.of_words(case.as_words()) == case for case in model.cases)


def test_layers_without_a_problem_are_listed_with_their_reason(tmp_path):
    graph = Graph(1, 4, 8, 8)
    y = graph.conv("x", 4, 3, 3)
    graph.node("DeformConv", y, graph.tensor(4, 4, 3, 3), y)
    graph.node("MaxPool", graph.node("Unknown", y), kernel_shape=[2, 2])
    graph.node("MaxPool", y, kernel_shape=[9, 9])
    model = read_onnx(graph.save(tmp_path / "a.onnx"))
    reasons = {one.node: one.reason for one in model.left_out}
    assert reasons["DeformConv_1"] == "no algorithm computes DeformConv"
    assert reasons["MaxPool_3"].startswith("the shape of its input is not known; export")
    assert "the window spans 9 samples along h" in reasons["MaxPool_4"]
    assert sum("Left out: " in note for note in model.notes()) == 3
    assert len(model.layers) == 1
    assert "Unknown 1" in model.notes()[-1]


def test_layers_inside_a_branch_are_listed(tmp_path):
    graph, branch = Graph(1, 4, 8, 8), Graph(1, 4, 8, 8)
    branch.conv("x", 4, 1, 1)
    inside = onnx.helper.make_graph(
        branch.nodes, "then", [],
        [onnx.helper.make_tensor_value_info("Conv_0.y", 1, None)], branch.tensors,
    )  # fmt: skip
    condition = onnx.numpy_helper.from_array(np.array(True), "condition")
    graph.conv("x", 4, 3, 3)
    graph.tensors.append(condition)
    graph.node("If", "condition", then_branch=inside, else_branch=inside)
    model = read_onnx(graph.save(tmp_path / "a.onnx"))
    assert [one.reason for one in model.left_out] == [
        "it is inside If, so how often it runs is not known"
    ] * 2


def test_half_precision_is_refused_or_computed_otherwise(tmp_path):
    graph = Graph(1, 4, 8, 8, dtype="float16")
    graph.conv("x", 4, 3, 3)
    model = graph.model("Conv_0.y")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, tmp_path / "a.onnx")
    (one,) = read_onnx(str(tmp_path / "a.onnx")).left_out
    assert "FLOAT16 is not computed" in one.reason
    (layer,) = read_onnx(str(tmp_path / "a.onnx"), dtype="float32").layers
    assert layer.problem.dtype == "float32"
    graph = Graph(1, 4, 8, 8, dtype="float64")
    graph.conv("x", 4, 3, 3)
    assert only(graph, tmp_path / "b.onnx")[1].dtype == "float64"


def test_external_weights_are_found_and_missed(tmp_path):
    graph = Graph(1, 4, 8, 8)
    graph.conv("x", 4, 3, 3)
    model = graph.model("Conv_0.y")
    wanted = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    onnx.save(model, tmp_path / "a.onnx", save_as_external_data=True, location="a.data",
              size_threshold=0)  # fmt: skip
    read = read_onnx(str(tmp_path / "a.onnx"))
    assert read.layers[0].weights == f"onnx:{tmp_path}/a.onnx#w0"
    from suites.cases import filters

    np.testing.assert_array_equal(filters.make(read.layers[0].weights, (3, 3), 2), wanted)
    (tmp_path / "a.data").unlink()
    read = read_onnx(str(tmp_path / "a.onnx"))
    assert read.layers[0].weights == "random"
    assert "The kernel is random, since its file 'a.data' is missing here: Conv_0." in read.notes()


def test_files_that_are_no_model_are_one_sentence(tmp_path):
    (tmp_path / "text.onnx").write_text("no model\n")
    (tmp_path / "empty.onnx").write_bytes(b"")
    graph = Graph(1, 4, 8, 8)
    graph.conv("x", 4, 3, 3)
    whole = Path(graph.save(tmp_path / "whole.onnx")).read_bytes()
    (tmp_path / "torn.onnx").write_bytes(whole[: len(whole) // 2])
    for name, part in (
        ("text", "is no ONNX file"), ("empty", "no ONNX file, or an empty one"),
        ("torn", "is no ONNX file, or is damaged"), ("missing", "No such file"),
    ):  # fmt: skip
        with pytest.raises(ConvbenchError, match=part) as caught:
            read_onnx(str(tmp_path / f"{name}.onnx"))
        assert "\n" not in str(caught.value)
    with pytest.raises(ConvbenchError, match="Is a directory"):
        read_onnx(str(tmp_path))


def test_a_model_without_layers_is_one_sentence(tmp_path):
    graph = Graph(1, 4)
    graph.node("Relu", "x")
    with pytest.raises(ConvbenchError, match="holds no convolution or pooling layer"):
        read_onnx(graph.save(tmp_path / "a.onnx")).suite()
