"""Odd arguments: a sentence of ours for every kind of value."""

import random

import numpy as np
import pytest

import algos
from algos import ConvbenchError, PoolProblem, Problem
from algos.deblurring.plan import DeblurPlan
from algos.deblurring.problem import DeblurProblem
from algos.im2col import columns
from algos.inception.plan import InceptionPlan
from algos.inception.problem import InceptionProblem
from algos.pooling import PoolPlan, grad_gate, grad_mix

X, W, G, POOLED = (
    np.ones(shape, "f4") for shape in ((1, 2, 8, 8), (2, 2, 3, 3), (1, 2, 6, 6), (1, 2, 4, 4))
)
MODULE = InceptionProblem((3, 3), 1, 1, 1, 1, dtype="float64")
LAYER = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "tile": 1, "connections": None,
    "flip": False, "fit": "floor", "algorithm": "naive", "threads": 1, "out": None,
}  # fmt: skip
WINDOW = {
    "size": 2, "stride": 2, "padding": 0, "dilation": 1, "fit": "floor", "algorithm": "naive",
    "threads": 1, "out": None,
}  # fmt: skip

#: Per function: arguments that it takes, each to be replaced by something odd.
CALLS = {
    "conv": (algos.conv, {"x": X, "w": W, "bias": None, **LAYER}),
    "grad_input": (algos.grad_input, {"g": G, "w": W, "size": 8, **LAYER}),
    "grad_weight": (algos.grad_weight, {"x": X, "g": G, "kernel": 3, **LAYER}),
    "conv_transpose": (
        algos.conv_transpose,
        {"g": G, "w": W, "bias": None, "stride": 2, "padding": 0, "dilation": 1, "groups": 1,
         "tile": 1, "connections": None, "flip": False, "output_size": None, "output_padding": 0,
         "algorithm": "naive", "threads": 1},
    ),
    "grad_bias": (algos.grad_bias, {"g": G, "kind": "tile", "tile": 2}),
    "convolve": (
        algos.convolve,
        {"image": X[0, 0], "kernel": W[0, 0], "mode": "full", "method": "naive", "threads": 1},
    ),
    "correlate": (algos.correlate, {"image": [1, 2], "kernel": [1], "mode": "same",
                                    "method": "naive"}),
    "Problem": (
        Problem,
        {"size": (8, 8), "kernel": 3, "batch": 1, "in_channels": 2, "out_channels": 2,
         "dtype": "float32", "bias": False, "operation": "forward", "name": "",
         **{key: LAYER[key] for key in ("stride", "padding", "dilation", "groups", "tile",
                                        "connections", "flip", "fit")}},
    ),
    "plan": (
        algos.plan,
        {"problem": Problem((8, 8), 3, 1, 2, 2), "w": W, "bias": None,
         "algorithm": "naive", "threads": 1},
    ),
    "call of a plan": (
        lambda x, out: algos.plan(algos.problem_of(X, W), W, algorithm="naive")(x, out=out),
        {"x": X, "out": None},
    ),
    "problem_of": (algos.problem_of, {"x": X, "w": W, "bias": False, "groups": 1}),
    "names": (algos.names, {"problem": Problem(8, 3)}),
    "why_not": (algos.why_not, {"problem": Problem(8, 3), "w": None}),
    "parse_descriptor": (algos.parse_descriptor, {"text": "ic3ih8_oc4_kh3", "batch": 1}),
    "pool": (algos.pool, {"x": X, "kind": "average", "count_include_pad": True,
                          "return_switches": False, **WINDOW}),
    "pool, lp": (algos.pool, {"x": X, "kind": "lp", "size": 2, "p": 3.0, "algorithm": "naive"}),
    "pool, mixed": (algos.pool, {"x": X, "kind": "mixed", "size": 2, "mix": 0.5,
                                 "algorithm": "naive"}),
    "pool, gaussian": (algos.pool, {"x": X, "kind": "gaussian", "size": 2, "sigma": 1.0,
                                    "algorithm": "naive"}),
    "pool, gated": (algos.pool, {"x": X, "kind": "gated", "size": 2, "gate": np.ones((2, 2)),
                                 "algorithm": "naive"}),
    "pool, stochastic": (algos.pool, {"x": X, "kind": "stochastic", "size": 2, "mode": "train",
                                      "seed": 1, "algorithm": "naive"}),
    "pool, maxout": (algos.pool, {"x": X, "kind": "maxout", "size": 2, "algorithm": "naive"}),
    "pool, adaptive": (algos.pool, {"x": X, "output_size": 3, "algorithm": "naive"}),
    "pool, pyramid": (algos.pool, {"x": X, "levels": (2, 1), "algorithm": "naive"}),
    "pool, fractional": (
        algos.pool,
        {"x": X, "ratio": 1.5, "sequence": "random", "overlapping": True, "seed": 1,
         "algorithm": "naive"},
    ),
    "pool_grad": (algos.pool_grad, {"grad_out": POOLED, "x": X, "kind": "max", **WINDOW}),
    "grad_mix": (grad_mix, {"grad_out": POOLED, "x": X, "size": 2}),
    "grad_gate": (grad_gate, {"grad_out": POOLED, "x": X, "gate": np.ones((2, 2)), "size": 2}),
    "unpool": (
        algos.unpool,
        {"y": POOLED, "switches": np.zeros(POOLED.shape, int), "size": 2, "stride": 2,
         "padding": 0, "dilation": 1, "output_size": None},
    ),
    "PoolProblem": (
        PoolProblem,
        {"size": 8, "kind": "max", "batch": 1, "channels": 1, "window": 2, "dtype": "float32",
         "operation": "forward", "name": ""},
    ),
    "PoolPlan": (PoolPlan, {"problem": PoolProblem(8, window=2), "gate": None,
                            "algorithm": "naive", "threads": 1}),
    "InceptionProblem": (
        InceptionProblem,
        {"size": (3, 3), "in_channels": 1, "ones": 1, "threes": (1, 2), "fives": 1, "pooled": 0,
         "batch": 1, "dtype": "float32", "name": ""},
    ),
    "InceptionPlan": (
        InceptionPlan,
        {"problem": MODULE, "weights": [np.ones(p.kernel_shape) for p in MODULE.convolutions],
         "algorithm": "naive", "threads": 1},
    ),
    "DeblurProblem": (
        DeblurProblem,
        {"size": (3, 3), "kernel": (3, 3), "iterations": 1, "batch": 1, "boundary": "nearest",
         "cval": 0.0, "dtype": "float32", "name": ""},
    ),
    "DeblurPlan": (
        DeblurPlan,
        {"problem": DeblurProblem((3, 3), 3, 1), "w": np.ones((1, 1, 3, 3), np.float32),
         "algorithm": "naive", "threads": 1},
    ),
    "columns": (columns, {"problem": Problem((8, 8), 3, 1, 2), "x": X}),
}  # fmt: skip


class Hostile:
    """Refuses to be read as anything."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array")

    def __index__(self):
        raise RuntimeError("no number")

    def __repr__(self):
        raise RuntimeError("no text")


ODD = [
    None, True, False, 0, -1, 2**63, 10**5000, 1.5, np.nan, np.inf, 1j, "", "3", "false", b"2",
    "naive" * 50, (), (1,), (2, 3), (1, 2, 3, 4), [4, 5], [[1, 2], [3]], [["a", "b"]], [[1, 1]],
    {}, {"a": 1}, {2, 3}, object(), int, Hostile(), np.int64(1), np.bool_(True), np.array(1),
    np.array([0, 0]), np.array([2, 2]), np.array([1.5]), np.zeros((0, 2)), np.ones((1, 2, 3)),
    np.ones((0, 2, 8, 8)), np.ones((1, 0, 8, 8)), np.ones((2, 2, 3, 3), complex),
    np.ones((1, 2, 8, 8), "f4"), np.array("2020", "M8[s]"), np.array([None]), Problem(8, 3),
    PoolProblem(8, window=2), algos.registry.get("naive"), slice(None), len,
]  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_odd_arguments_end_in_a_sentence_of_ours(name):
    function, arguments = CALLS[name]
    function(**arguments)
    rng = random.Random(name)
    trials = [{argument: value} for argument in arguments for value in ODD]
    trials += [
        {argument: rng.choice(ODD) for argument in rng.sample(list(arguments), 2)}
        for _ in range(100 if len(arguments) > 1 else 0)
    ]
    for changed in trials:
        try:
            function(**{**arguments, **changed})
        except ConvbenchError as error:
            assert 10 < len(str(error)) < 900, changed.keys()
        except Exception as error:
            values = {key: type(value) for key, value in changed.items()}
            pytest.fail(f"{values} ({list(map(safe, changed.values()))}): {error!r}")


def safe(value):
    return value if isinstance(value, int | str) and not isinstance(value, Hostile) else type(value)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Problem((8, 8), 3, batch=[4, 5]), r"batch \[4, 5\] must be one"),
        (lambda: Problem((8, 8), 3, in_channels=(3, 64)), r"in_channels \(3, 64\) must be one"),
        (lambda: Problem((8, 8), 3, out_channels=[3]), r"out_channels \[3\] must be one"),
        (lambda: algos.conv(X, W, groups=(2, 3)), r"groups \(2, 3\) must be one"),
        (lambda: algos.grad_input(G, W, size=8, groups=0), "groups 0 must be a whole"),
        (lambda: Problem(8, 3, batch=True), "batch True must be one"),
        (lambda: Problem(8, 3, stride=True), "stride True must be whole numbers"),
        (lambda: Problem(8, 3, stride="2"), "stride '2' must be whole numbers"),
        (lambda: Problem(8, 3, stride=2**63), "stride 9223372036854775808 must be a whole number"),
        (lambda: Problem(8, 3, flip="false"), "flip 'false' must be True or False"),
        (lambda: Problem(8, 3, flip=1), "flip 1 must be True or False"),
        (lambda: Problem(8, 3, bias=2), "bias 2 must be True or False"),
        (lambda: Problem(8, 3, connections=[["no"]]), "connections hold 'no'"),
        (lambda: Problem(8, 3, fit=None), "fit None is not known"),
        (lambda: Problem(8, 3, dtype="int8"), "dtype 'int8' is not supported"),
        (lambda: PoolProblem(8, window=2, batch=(1, 2)), r"batch \(1, 2\) must be one"),
        (lambda: algos.pool(X, "average", size=2, count_include_pad="false"), "True or False"),
        (lambda: algos.pool(X, ratio=1.5, overlapping=0), "overlapping 0 must be True or False"),
        (lambda: algos.pool(X, size=2, return_switches="no"), "return_switches 'no' must be"),
        (lambda: algos.pool(X, "lp", size=2, p="3"), "p '3' is no number"),
        (lambda: algos.pool(X, "mixed", size=2, mix=True), "mix True is no number"),
        (lambda: algos.pool(X, "stochastic", size=2, seed=(1, 2)), r"seed \(1, 2\) must be one"),
        (lambda: InceptionProblem((3, 3), (1, 2), 1, 1, 1), r"in_channels \(1, 2\) must be one"),
        (lambda: algos.conv(X, W, threads=True), "threads True must be one"),
        (lambda: algos.conv(X, W, threads=1.0), "threads 1.0 must be one"),
        (lambda: algos.conv(X, W, algorithm=None), "algorithm None must be a name"),
        (lambda: algos.plan("ic1ih8_oc1_kh3"), "must be of type Problem; parse_descriptor"),
        (lambda: algos.plan(PoolProblem(8, window=2)), "must be of type Problem"),
        (lambda: algos.conv(X, W, algorithm=PoolPlan(PoolProblem(8, window=2)).algorithm),
         "can pool, it cannot convolve"),
        (lambda: algos.conv(X, W, out=X.copy()), "out is"),
        (lambda: algos.conv(X, W, padding=2**40), "GiB, more than there is"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_by_name(call, says):
    with pytest.raises(ConvbenchError, match=says):
        call()


def test_numpys_scalars_and_types_are_what_they_say():
    assert Problem(np.int64(8), np.array(3), batch=np.int8(2)) == Problem(8, 3, batch=2)
    assert Problem(8, 3, dtype=np.float64) == Problem(8, 3, dtype=np.dtype("f8"))
    assert Problem(8, 3, flip=np.bool_(True)) == Problem(8, 3, flip=True)
    assert algos.conv(X, W, algorithm="naive", threads=np.int64(1)).shape == (1, 2, 6, 6)
    assert PoolProblem(8, kind="lp", window=2, p=np.float32(3)).p == 3


@pytest.mark.parametrize(
    "value", [10**5000, "x" * 10**6, np.zeros((500, 500))], ids=["number", "text", "array"]
)
def test_an_error_repeats_little_of_a_long_value(value):
    with pytest.raises(ConvbenchError) as error:
        Problem(8, 3, stride=value)
    assert len(str(error.value)) < 200


def test_out_may_not_lie_on_the_kernel():
    memory = np.ones(9)
    x, w = np.ones((1, 1, 5, 5)), memory.reshape(1, 1, 3, 3)
    with pytest.raises(ConvbenchError, match="kernel share memory"):
        algos.conv(x, w, out=memory.reshape(1, 1, 3, 3), algorithm="naive")
    with pytest.raises(ConvbenchError, match="kernel share memory"):
        algos.grad_input(
            np.ones((1, 1, 1, 1)), w, size=3, out=memory.reshape(1, 1, 3, 3), algorithm="naive"
        )


SEVERAL = np.array([1, 2])


@pytest.mark.parametrize(
    "options",
    [
        {"products": "junk"}, {"products": SEVERAL}, {"deterministic": "no"},
        {"deterministic": SEVERAL}, {"boundary": SEVERAL}, {"nan": SEVERAL},
        {"fill_value": SEVERAL},
    ],
    ids=str,
)  # fmt: skip
def test_options_are_checked_even_where_nothing_asks_for_them(options):
    with pytest.raises(ConvbenchError, match=next(iter(options))):
        algos.convolve(np.ones(3), np.ones(2), **options)


def test_an_unknown_option_of_a_pooling_is_named():
    with pytest.raises(TypeError, match="'strode' is no option of a pooling; did you mean 'stri"):
        algos.pool_grad(np.ones((1, 1, 2)), np.ones((1, 1, 4)), size=2, strode=1)
