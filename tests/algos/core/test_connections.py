"""Connection tables: LeNet-5's, random ones, and what is absent: neither read nor multiplied."""

from dataclasses import replace

import numpy as np
import pytest

import algos
from algos import ConvbenchError, Problem, parse_descriptor
from algos.core.connections import from_text, resolve_connections, to_text
from suites.truth.comparison import truth
from suites.truth.oracle import every_position

RNG = np.random.default_rng(4)

#: LeCun et al., "Gradient-based learning applied to document recognition", 1998, table I.
C3 = parse_descriptor("mb2_ic6ih14_oc16_kh5_bias_conn7.e.1c.38.31.23.f.1e.3c.39.33.27.1b.36.2d.3f")


def integers(shape, dtype="float32"):
    return RNG.integers(-4, 5, shape).astype(dtype)


def test_lenet_has_the_numbers_of_its_paper():
    assert (C3.parameters, C3.channel_pairs) == (1516, 60)
    assert C3.multiply_adds == 2 * 60 * 25 * 100
    assert C3.terms == 6 * 25
    assert C3.table.sum(axis=1).tolist() == [3] * 6 + [4] * 9 + [6]
    assert parse_descriptor(str(C3)) == C3
    assert Problem(
        size=(14, 14), kernel=5, in_channels=6, out_channels=16, batch=2, bias=True,
        connections=C3.table.astype(int).tolist(),
    ) == C3  # fmt: skip


@pytest.mark.parametrize("name", ["naive", "im2col", "parallel"])
@pytest.mark.parametrize("text", [str(C3), "mb1_ic3ih6_oc4_kh3_ph2_tile2_flip_conn7.1.3.6"])
def test_all_operations_equal_the_oracle_on_integers(text, name):
    layer = parse_descriptor(text)
    x, w, g = (integers(s, layer.dtype) for s in
               (layer.input_shape, layer.kernel_shape, layer.output_shape))  # fmt: skip
    fields = {
        "padding": layer.padding, "flip": layer.flip, "tile": layer.tile,
        "connections": layer.connections, "algorithm": name,
    }  # fmt: skip
    got = {
        "forward": algos.conv(x, w, **fields),
        "grad_input": algos.grad_input(g, w, size=layer.size, **fields),
        "grad_weight": algos.grad_weight(x, g, kernel=layer.kernel, **fields),
    }
    arrays = {"forward": (x, w), "grad_input": (g, w), "grad_weight": (x, g)}
    for operation, result in got.items():
        problem = replace(layer, operation=operation, bias=False)
        at = every_position(problem.result_shape)
        expected, _ = truth(problem, at, *arrays[operation], None)
        assert (result.reshape(-1) == expected).all(), operation
    absent = got["grad_weight"][..., ~layer.table, :, :]
    assert absent.size and not absent.any()


@pytest.mark.parametrize("name", ["naive", "im2col", "parallel"])
def test_absent_weights_are_not_read(name):
    x, w = integers((1, 6, 9, 9), "float32"), integers((16, 6, 3, 3), "float32")
    y = algos.conv(x, w, connections=C3.connections, algorithm=name)
    w[~C3.table] = np.nan
    assert (algos.conv(x, w, connections=C3.connections, algorithm=name) == y).all()
    x[:, 5] = np.inf
    again = algos.conv(x, w, connections=C3.connections, algorithm=name)
    assert (again[:, ~C3.table[:, 5]] == y[:, ~C3.table[:, 5]]).all()


@pytest.mark.parametrize(
    "text", ["mb1_ic4ih7_oc3_kh3_ph1_conn3.6.c", "mb1_ic4ih7_oc3_kh3_sh2_conn3.6.c"]
)
def test_a_kernel_that_is_not_finite_meets_no_padding(text):
    layer = parse_descriptor(text)
    w = integers(layer.kernel_shape, "float32")
    w[1, 2, 0, 0] = np.inf
    for operation in ("forward", "grad_input"):
        problem = replace(layer, operation=operation)
        first = 1 + abs(integers(problem.operands[0], "float32"))
        got, expected = (
            algos.plan(problem, w, algorithm=name)(first) for name in ("parallel", "naive")
        )
        assert np.array_equal(got, expected, equal_nan=True)
        assert np.isfinite(got).any() and not np.isfinite(got).all()


def test_a_table_of_groups_is_groups():
    x, w = integers((2, 4, 8)), integers((6, 4, 3))
    table = np.kron(np.eye(2), np.ones((3, 2)))
    compact = np.stack([w[o, table[o] == 1] for o in range(6)])
    y = algos.conv(x, w, connections=table)
    assert (y == algos.conv(x, compact, groups=2)).all()
    full = Problem(size=(8,), kernel=3, in_channels=4, out_channels=6, connections=np.ones((6, 4)))
    assert full.connections is None


def test_text_and_numbers():
    assert from_text(to_text((7, 14, 63))) == (7, 14, 63)
    assert resolve_connections([[1, 0], [True, True]], 2, 2) == (1, 3)


@pytest.mark.parametrize(
    "fields, sentence",
    [
        ({"connections": [1, 2]}, "must be a table of 3 rows"),
        ({"connections": [1, 2, 4]}, "output channel 2 are 0b100"),
        ({"connections": [1, 0, 1]}, "at least one"),
        ({"connections": np.ones((2, 3))}, "one row per output channel"),
        ({"connections": "all"}, "must be a table"),
    ],
)
def test_tables_that_do_not_fit_are_one_clear_error(fields, sentence):
    with pytest.raises(ConvbenchError) as error:
        Problem(size=(5,), kernel=3, in_channels=2, out_channels=3, **fields)
    assert sentence in str(error.value)
    with pytest.raises(ConvbenchError, match="groups are connections"):
        Problem(size=(5,), kernel=3, in_channels=2, out_channels=2, groups=2, connections=[1, 2])
