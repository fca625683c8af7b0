"""Layers of PyTorch modules, found by calling them."""

import numpy as np
import pytest

from algos import ConvbenchError, plan
from algos.core.problem import Problem
from algos.pooling import PoolPlan
from suites.cases import suite
from suites.models.torch_module import layers_of

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch")
nn = torch.nn


class Network(nn.Module):
    """A network with submodules, plain functions, a shared layer and a skipped one."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding="same")
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
        )  # fmt: skip
        self.up = nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1)
        self.unused = nn.Conv2d(4, 4, 5)
        self.places = nn.MaxPool2d(2, return_indices=True)

    def forward(self, x):
        x = self.up(nn.functional.max_pool2d(self.body(self.first(x)), 3, 2, 1))
        x = nn.functional.conv2d(x, torch.ones(4, 1, 3, 3), groups=4)
        y, places = self.places(x)
        return nn.functional.max_unpool2d(y, places, 2)


def test_layers_of_submodules_and_of_functions_are_found():
    net = Network().train()
    model = layers_of(net, torch.zeros(2, 3, 33, 33))
    assert {layer.nodes: str(layer.problem) for layer in model.layers} == {
        ("first",): 'mb2_ic3ih33_oc8_kh3_ph1_bias_n"first"',
        ("body.0", "body.3"): 'mb2_ic8ih33_oc8_kh3_ph1_bias_n"body.0"',
        ("max_pool2d",): 'max_mb2_ic8ih33_kh3_sh2_ph1_n"max_pool2d"',
        ("up",): 'mb2_ic4ih34_oc8_kh3_sh2_ph1_bwdd_n"up"',
        ("conv2d",): 'g4_mb2_ic4ih34_oc4_kh3_n"conv2d"',
        ("places",): 'max_mb2_ic4ih32_kh2_sh2_n"places"',
    }
    assert [(one.operator, one.reason) for one in model.left_out] == [
        ("max_unpool2d", "no algorithm computes max_unpool2d")
    ]
    assert net.training
    assert net(torch.zeros(2, 3, 33, 33)).shape == (2, 4, 32, 32)  # the hooks are gone


LAYERS = [
    (nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2), (2, 4, 17)),
    (nn.Conv3d(2, 3, (1, 2, 3), padding=(0, 1, 1)), (1, 2, 4, 5, 6)),
    (nn.ConvTranspose1d(4, 6, 4, stride=3, padding=1, groups=2, bias=False), (2, 4, 9)),
    (nn.ConvTranspose3d(2, 3, 2, stride=2, bias=False), (1, 2, 3, 4, 3)),
    (nn.MaxPool2d(3, 2, ceil_mode=True), (1, 2, 10, 11)),
    (nn.MaxPool1d(3, 1, padding=1, dilation=2), (1, 2, 12)),
    (nn.AvgPool2d(3, 2, padding=1), (1, 2, 10, 11)),
    (nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False), (1, 2, 10, 12)),
    (nn.LPPool2d(2, (2, 3)), (1, 2, 8, 9)),
    (nn.AdaptiveAvgPool2d(1), (1, 2, 8, 9)),
    (nn.AdaptiveAvgPool2d((None, 4)), (1, 2, 8, 9)),
    (nn.AdaptiveMaxPool3d(2), (1, 2, 5, 4, 3)),
]


@pytest.mark.parametrize(("module", "shape"), LAYERS, ids=lambda one: type(one).__name__)
def test_single_layers_agree_in_value(module, shape):
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    model = layers_of(module, torch.from_numpy(x))
    assert not model.left_out
    problem = model.layers[0].problem
    wanted = module(torch.from_numpy(x)).detach().numpy()
    if isinstance(problem, Problem):
        w = module.weight.detach().numpy()
        bias = module.bias.detach().numpy() if problem.bias else None
        y = plan(problem, w, bias, algorithm="naive", threads=1)(x)
    else:
        y = PoolPlan(problem, algorithm="naive", threads=1)(x)
    np.testing.assert_allclose(y, wanted, atol=1e-5)


def test_the_written_suite_has_the_layers_and_their_counts(tmp_path):
    model = layers_of(Network(), torch.zeros(1, 3, 16, 16), name="mine")
    read = suite.load(model.write(tmp_path / "mine.toml"))
    assert read.title == "The layers of mine"
    assert read.cases == model.cases
    assert [case.problem.name for case in read.cases][:2] == ["first ×1", "body.0 ×2"]
    with pytest.raises(ConvbenchError, match="cannot be written"):
        model.write(tmp_path / "missing" / "mine.toml")


def test_what_is_no_module_or_has_no_layers_is_refused():
    with pytest.raises(ConvbenchError, match="list is no torch\\.nn\\.Module"):
        layers_of([])
    with pytest.raises(ConvbenchError, match="holds no convolution or pooling layer"):
        layers_of(nn.ReLU(), torch.zeros(3)).suite()
    (one,) = layers_of(nn.Conv1d(1, 1, 3).half(), torch.zeros(1, 1, 9).half()).left_out
    assert "float16 is not computed" in one.reason
    (one,) = layers_of(nn.LPPool1d(3, 2), torch.zeros(1, 1, 9)).left_out
    assert "expected an even one" in one.reason
