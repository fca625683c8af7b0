"""Networks and layers that the package onnx ships: published counts, and outputs on record."""

import math
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx_graphs import resnet_multiply_adds  # noqa: E402

import algos  # noqa: E402
from algos.core.problem import Problem  # noqa: E402
from algos.pooling import PoolPlan  # noqa: E402
from suites.cases.suite import Case  # noqa: E402
from suites.models.onnx_model import read_onnx  # noqa: E402

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
LAYERS = sorted(
    path.parent
    for path in DATA.glob("pytorch-*/*/model.onnx")
    if any(word in path.parent.name.lower() for word in ("conv", "pool"))
)

#: Convolutions and poolings of each network.
#: AlexNet: Krizhevsky et al. (2012). DenseNet-121: arXiv:1608.06993, table 1, with 120 convolutions
#: and the classifier as a 1×1 layer. Inception v1: arXiv:1409.4842, table 1. ResNet-50:
#: arXiv:1512.03385, table 1. SqueezeNet 1.0: arXiv:1602.07360, table 1. VGG-19: arXiv:1409.1556,
#: table 1.
NETWORKS = {
    "bvlc_alexnet": (5, 3), "densenet121": (121, 5), "inception_v1": (57, 14),
    "resnet50": (53, 2), "squeezenet": (26, 4), "vgg19": (16, 5),
}  # fmt: skip

pytestmark = pytest.mark.skipif(not LAYERS, reason="this onnx ships no data of its tests")


@pytest.mark.parametrize("name", NETWORKS)
def test_published_networks_have_all_their_layers(name):
    model = read_onnx(str(DATA / "light" / f"light_{name}.onnx"))
    assert model.left_out == ()
    counts = [0, 0]
    for layer in model.layers:
        counts[not isinstance(layer.problem, Problem)] += layer.count
    assert tuple(counts) == NETWORKS[name]
    assert all(Case.of_words(case.as_words()) == case for case in model.cases)


def test_resnet_50_costs_what_its_table_says():
    """Count products with padding, as publications do.

    This network has its strides in the 3×3 layers. The paper has them in the 1×1 layers before,
    and a cost of 3.8e9.
    """
    model = read_onnx(str(DATA / "light" / "light_resnet50.onnx"))
    convolutions = [one for one in model.layers if isinstance(one.problem, Problem)]
    cost = sum(
        one.count * math.prod(one.problem.output_shape) * one.problem.taps for one in convolutions
    )
    assert cost == sum(resnet_multiply_adds(64, 224)) == 4_087_136_256


def recorded(folder, kind):
    """Return the recorded arrays of a test of the package."""
    files = sorted((folder / "test_data_set_0").glob(f"{kind}_*.pb"))
    return [
        onnx.numpy_helper.to_array(onnx.TensorProto.FromString(file.read_bytes()))
        for file in files
    ]  # fmt: skip


@pytest.mark.parametrize("folder", LAYERS, ids=lambda folder: folder.name)
def test_layers_give_the_outputs_on_record(folder):
    model = read_onnx(str(folder / "model.onnx"))
    assert not model.left_out
    (layer,) = model.layers
    problem, graph = layer.problem, onnx.load(folder / "model.onnx").graph
    given, (wanted,) = recorded(folder, "input"), recorded(folder, "output")
    x = given[0].reshape(problem.operands[0])  # a network of 1-D pooling adds an axis
    if isinstance(problem, Problem):
        values = dict(zip([value.name for value in graph.input], given, strict=False))
        values |= {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
        _, w, *more = (values[name] for name in graph.node[0].input)
        bias = more[0] if problem.bias else None
        y = algos.plan(problem, w, bias, algorithm="naive", threads=1)(x)
        if more and bias is None:  # the bias of a transposed convolution, which a note is about
            y = y + more[0].reshape(-1, *[1] * problem.axes)
    else:
        y = PoolPlan(problem, algorithm="naive", threads=1)(x)
    np.testing.assert_allclose(y.reshape(wanted.shape), wanted, atol=1e-4)
