"""Pooling held to the slow truth, to its laws, and to PyTorch where that is installed."""

import numpy as np
import pytest

import algos
from algos import ConvbenchError, PoolProblem, pool, pool_grad, unpool
from algos.pooling import PoolPlan, names, parse_pool_descriptor, why_not
from algos.pooling.kernels.registers import SLACK
from algos.registry import poolings
from suites.cases import thresholds
from suites.truth import pool_oracle

#: Nearly all of its time is compilation: every kind and algorithm, both data types.
pytestmark = pytest.mark.slow

KINDS = [
    "max", "average", "average_count_include_pad=False", "l2", "lp_p=3", "lp_p=0.7", "gaussian",
    "gaussian_sigma=1_count_include_pad=False", "stochastic_mode=train_seed=5", "stochastic",
    "mixed_mix=0.3", "gated",
]  # fmt: skip
PLACEMENTS = [
    "mb2_ic3ih7iw9_kh3kw2_sh2sw1_ph1pw1",
    "mb1_ic2ih8iw9_kh3_sh2_ph1_ceil",
    "mb1_ic1ih6iw30_kh5kw12_sh1sw1_ph2pw5rh1",
    "mb2_ic2iw30_kw4_sw1_pw2_rw1_dw1",
    "mb1_ic2id4ih5iw6_kd2kh3kw2_sd1sh2sw1_pd1ph0pw1_dd0dh1dw0",
    "mb1_ic2ih5iw10_output=3,4",
    "mb1_ic2ih6iw20_output=3,4",
    "mb1_ic2ih9iw10_ratio=1.4_seed=1",
    "mb1_ic1ih9iw20_ratio=1.7_overlapping=False_sequence=random_seed=2",
]  # fmt: skip
OWN = ["max_mb1_ic1ih20iw70_kh11kw33_sh1_ph5pw16", "average_mb1_ic1ih20iw70_kh11kw33_sh1_ph5pw16"]


def problems():
    texts = [f"{kind}_{placement}" for kind in KINDS for placement in PLACEMENTS] + OWN
    texts += ["maxout_mb2_ic6ih3iw4_pieces=3"]
    for number, text in enumerate(texts):
        if "gated" in text and ("output" in text or "ratio" in text):
            continue
        for operation in ("", "_backward"):
            yield text + ("_f64" if number % 2 else "") + operation


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("operation", ["", "_backward"])
def test_adaptive_windows_of_one_size_are_regular(kind, operation):
    adaptive, regular = (
        parse_pool_descriptor(f"{kind}_mb2_ic3ih6iw20_{windows}{operation}")
        for windows in ("output=3,4", "kh2kw5_sh2sw5")
    )
    assert adaptive.has_regular_windows
    assert not parse_pool_descriptor(f"{kind}_mb2_ic3ih6iw20_output=4,4").has_regular_windows
    rng = np.random.default_rng(0)
    x = rng.standard_normal(adaptive.input_shape, "float32")
    grad = rng.standard_normal(adaptive.output_shape, "float32")
    arrays = (grad, x) if operation else (x,)
    a, b = (PoolPlan(p, algorithm="parallel")(*arrays) for p in (adaptive, regular))
    assert (a == b).all()


def numbers(problem, seed):
    """Reals, integers and reals of very different size, in turn."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(problem.input_shape)
    if seed % 3 == 1:
        x = np.rint(4 * x)
    elif seed % 3 == 2:
        x *= 10.0 ** rng.uniform(-3, 3, x.shape)
    grad = rng.standard_normal(problem.output_shape).astype(problem.dtype)
    gate = rng.standard_normal(problem.window) if problem.kind == "gated" else None
    return x.astype(problem.dtype), grad, gate


@pytest.mark.parametrize("text", list(problems()))
def test_every_algorithm_stays_within_its_bound(text):
    problem = parse_pool_descriptor(text)
    x, grad, gate = numbers(problem, len(text))
    backward = problem.operation == "grad_input"
    if backward:
        exact, magnitude = pool_oracle.grad_input(problem, grad, x, gate)
    else:
        exact, magnitude, switches = pool_oracle.forward(problem, x, gate)
    able = names(problem)
    assert {"naive", "parallel", "im2col"} <= set(able)
    for name in able:
        plan = PoolPlan(problem, gate, algorithm=name)
        y = plan.grad_input(grad, x) if backward else plan(x)
        given = grad if backward and name == "integral" else x
        bound = plan.algorithm.error_bound(problem, given, magnitude.astype(np.float64))
        error = np.abs(y - exact).astype(np.float64)
        assert (error <= bound).all(), f"{name}: {np.max(error - bound)}"
        chooses = problem.kind == "max" or problem.mode == "train"
        if not backward and chooses and plan.algorithm.gives_switches:
            again, found = plan.with_switches(x)
            np.testing.assert_array_equal(again, y)
            np.testing.assert_array_equal(found, switches)


def compare_with_definition(text, algorithms, rng):
    """Hold `algorithms` to `naive`; what they allocate holds NaN until it is written."""
    problem = parse_pool_descriptor(text)
    shapes = problem.operands
    arrays = [rng.standard_normal(shape).astype(problem.dtype) for shape in shapes]
    want = PoolPlan(problem, algorithm="naive")(*arrays)
    for algorithm in algorithms:
        got = PoolPlan(problem, algorithm=algorithm)(*arrays)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6, err_msg=algorithm)


@pytest.mark.parametrize("dtype", ["_f32", "_f64"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("beyond", [-1, 0, 1, 2, 4, 8, 16, 17, 65])
def test_gradient_of_an_average_over_more_than_the_slack(beyond, stride, dtype):
    rng, window = np.random.default_rng(beyond + stride), stride * (SLACK + beyond)
    for text in (
        f"average_mb1_ic2iw{window + 5}_kw{window}_sw{stride}",
        f"average_mb1_ic1iw{window}_kw{window}_sw{stride}",
        f"average_mb1_ic1ih{window // 3}iw{window + 2}_kh{window // 3}kw{window}_sh{stride}",
    ):
        compare_with_definition(f"{text}{dtype}_backward", ["parallel"], rng)


@pytest.mark.parametrize("operation", ["", "_backward"])
@pytest.mark.parametrize("kind", ["average", "gaussian"])
@pytest.mark.parametrize("text", thresholds.edges(thresholds.POOLING_BEHIND))
def test_padding_behind_a_window_of_one_sample(text, kind, operation):
    rng = np.random.default_rng(len(text))
    compare_with_definition(
        f"{kind}_{text}{operation}", ["separable", "parallel", "windows", "im2col"], rng
    )


@pytest.mark.parametrize("name", sorted(poolings()))
def test_nan_and_infinity(name):
    x = np.arange(20.0).reshape(1, 1, 20)
    x[0, 0, 3], x[0, 0, 12], x[0, 0, 18] = np.nan, -np.inf, np.inf
    for kind in ("max", "average"):
        problem = PoolProblem(size=20, kind=kind, window=2, dtype="float64")
        plan = poolings()[name]
        if plan.why_not(problem) or not plan.confines_nonfinite:
            continue
        y = PoolPlan(problem, algorithm=name)(x)[0, 0]
        assert np.isnan(y[1])
        assert y[9] == np.inf
        assert np.isfinite(y[[0, 2, 3, 4, 5, 7, 8]]).all()
        assert y[6] == (13 if kind == "max" else -np.inf)


def test_maxima_of_minus_infinity_lie_inside():
    x = np.full((1, 1, 4), -np.inf)
    for name in names(PoolProblem(size=4, window=3, padding=1)):
        assert (pool(x, size=3, padding=1, algorithm=name) == -np.inf).all()
        if poolings()[name].gives_switches:
            _, found = pool(x, size=3, padding=1, algorithm=name, return_switches=True)
            np.testing.assert_array_equal(found.ravel(), [0, 2])


def test_fit_keeps_the_smaller_region_on_the_right():
    x = np.array([[[0.1, 1, 0.2, 0.1, 0, 0.1]]])
    y = pool(x, size=3, stride=2, fit="ceil")  # Goodfellow et al., fig. 9.10
    np.testing.assert_array_equal(y.ravel(), [1, 0.2, 0.1])
    assert PoolProblem(size=4, window=2, stride=3, padding=1, fit="ceil").output_size == (2,)
    assert PoolProblem(size=3, window=1, stride=3, padding=0, fit="ceil").output_size == (1,)


def test_average_is_convolution_with_a_box():
    x = np.random.default_rng(0).standard_normal((2, 3, 12, 13))
    box = np.full((3, 1, 3, 4), 1 / 12)
    y = pool(x, "average", size=(3, 4), stride=(2, 1), padding=1)
    np.testing.assert_allclose(
        y, algos.conv(x, box, stride=(2, 1), padding=1, groups=3), atol=1e-14
    )


@pytest.mark.parametrize("name", ["naive", "integral", "separable", "windows", "parallel"])
def test_gradient_of_an_average_is_its_transpose(name):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 2, 9, 8))
    options = {"size": 3, "stride": 2, "padding": 1, "algorithm": name}
    y = pool(x, "average", **options)
    g = rng.standard_normal(y.shape)
    back = pool_grad(g, x, "average", **options)
    assert abs((y * g).sum() - (x * back).sum()) < 1e-12


@pytest.mark.parametrize("kind", ["l2", "lp", "stochastic", "gated", "mixed", "gaussian"])
def test_gradients_agree_with_finite_differences(kind):
    rng = np.random.default_rng(2)
    x = rng.uniform(0.5, 2, (1, 2, 6, 5))
    options = {"size": 2, "stride": 1, "algorithm": "naive"}
    options |= {"p": 3} if kind == "lp" else {}
    options |= {"gate": rng.standard_normal((2, 2, 2))} if kind == "gated" else {}
    g = rng.standard_normal(pool(x, kind, **options).shape)
    gradient = pool_grad(g, x, kind, **options)
    step = rng.standard_normal(x.shape) * 1e-6
    change = (g * (pool(x + step, kind, **options) - pool(x - step, kind, **options))).sum() / 2
    assert abs(change - (gradient * step).sum()) < 1e-5 * abs(step * gradient).sum()


@pytest.mark.parametrize("windows", [{"size": 2, "stride": 1}, {"size": 3, "padding": 1}])
def test_what_pooling_learns_has_gradients_that_agree_with_finite_differences(windows):
    rng = np.random.default_rng(12)
    x = rng.standard_normal((2, 3, 6, 5))
    g = rng.standard_normal(pool(x, "mixed", **windows).shape)
    shares = [(g * pool(x, "mixed", mix=0.4 + e, **windows)).sum() for e in (-1e-3, 1e-3)]
    slope = algos.pooling.grad_mix(g, x, mix=0.4, **windows)
    assert slope == pytest.approx((shares[1] - shares[0]) / 2e-3)  # linear in the share
    for shape in ((windows["size"],) * 2, (3, *(windows["size"],) * 2)):
        gate, step = rng.standard_normal(shape), 1e-5 * rng.standard_normal(shape)
        ends = [(g * pool(x, "gated", gate=gate + s, **windows)).sum() for s in (-step, step)]
        slope = algos.pooling.grad_gate(g, x, gate, **windows)
        assert slope.shape == shape
        assert (slope * step).sum() == pytest.approx((ends[1] - ends[0]) / 2, rel=1e-6)


def test_shares_learn_over_a_pyramid_too():
    x = np.random.default_rng(13).standard_normal((1, 2, 6))
    g = np.random.default_rng(14).standard_normal((1, 2, 3))
    ends = [(g * pool(x, "mixed", mix=m, levels=(2, 1))).sum() for m in (0, 1)]
    assert algos.pooling.grad_mix(g, x, levels=(2, 1)) == pytest.approx(ends[1] - ends[0])


def test_unpooling_puts_maxima_back():
    x = np.random.default_rng(3).standard_normal((2, 3, 7, 8))
    y, switches = pool(x, size=2, return_switches=True)
    back = unpool(y, switches, size=2, output_size=(7, 8))
    np.testing.assert_array_equal(back[back != 0], x[back != 0])
    np.testing.assert_array_equal(pool(np.where(back == 0, -9, back), size=2), y)
    assert unpool(y, switches, output_size=(7, 8)).shape == x.shape


def test_placements_meet():
    x = np.random.default_rng(4).standard_normal((2, 3, 8, 6))
    for kind in ("max", "average", "l2"):
        whole = pool(x, kind, size="global")
        np.testing.assert_allclose(whole, pool(x, kind, output_size=1), rtol=1e-14)
        parts = [
            pool(x, kind, output_size=n, algorithm="parallel").reshape(2, 3, -1) for n in (4, 2, 1)
        ]
        np.testing.assert_array_equal(
            pool(x, kind, levels=(4, 2, 1), algorithm="parallel"), np.concatenate(parts, axis=-1)
        )
    grads = [pool_grad(np.ones((2, 3, n, n)), x, output_size=n) for n in (2, 1)]
    np.testing.assert_allclose(pool_grad(np.ones((2, 3, 5)), x, levels=(2, 1)), sum(grads))


def test_channels_and_shifts():
    x = np.random.default_rng(5).standard_normal((1, 4, 20))
    for name in names(PoolProblem(size=20, window=3)):
        y = pool(x, size=3, stride=1, algorithm=name)
        order = [2, 0, 3, 1]
        np.testing.assert_array_equal(
            pool(x[:, order], size=3, stride=1, algorithm=name), y[:, order]
        )
        np.testing.assert_array_equal(
            pool(x[..., 1:], size=3, stride=1, algorithm=name), y[..., 1:]
        )


def test_maxout_takes_the_largest_of_each_group():
    x = np.random.default_rng(6).standard_normal((2, 6, 3, 2))
    for name in names(PoolProblem(size=(3, 2), kind="maxout", channels=6, pieces=3)):
        y = pool(x, "maxout", size=3, algorithm=name)
        np.testing.assert_array_equal(y, x.reshape(2, 2, 3, 3, 2).max(axis=2))
    _, channels = pool(x, "maxout", size=3, return_switches=True)
    np.testing.assert_array_equal(np.take_along_axis(x, channels, axis=1), y)


def test_stochastic_samples_by_probability():
    x = np.tile([1.0, 0, 3, -5], 4000).reshape(1, 1, -1)
    y = pool(x, "stochastic", size=4, mode="train", seed=1)
    assert set(np.unique(y)) == {1, 3}
    assert abs((y == 3).mean() - 0.75) < 0.03
    np.testing.assert_array_equal(y, pool(x, "stochastic", size=4, mode="train", seed=1, threads=1))
    assert (y != pool(x, "stochastic", size=4, mode="train", seed=2)).any()
    np.testing.assert_array_equal(pool(x, "stochastic", size=4), np.full((1, 1, 4000), 2.5))


@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize("sequence", ["random", "pseudorandom"])
def test_fractional_windows_step_by_one_or_two_to_the_end(sequence, overlapping):
    for size in (2, 3, 7, 25, 36):
        for seed in range(4):
            problem = PoolProblem(
                size=size, ratio=1.41, sequence=sequence, overlapping=overlapping, seed=seed
            )
            line = problem.lines[2]
            assert set(np.diff(line.begin)) <= {1, 2}
            assert set(line.taps - overlapping) <= {1, 2}
            assert line.begin[0] == 0
            assert line.begin[-1] + line.taps[-1] == size


def test_threads_and_layouts_change_no_bit():
    x = np.random.default_rng(7).standard_normal((2, 3, 40, 70)).astype(np.float32)
    for name in poolings():
        for kind in ("max", "average"):
            options = {"size": 12, "stride": 1, "algorithm": name}
            if name in names(PoolProblem(size=(40, 70), kind=kind, window=12, stride=1)):
                y = pool(x, kind, threads=1, **options)
                np.testing.assert_array_equal(y, pool(np.asfortranarray(x), kind, **options))


@pytest.mark.parametrize("text", list(problems()))
def test_descriptors_round_trip(text):
    problem = parse_pool_descriptor(text)
    assert parse_pool_descriptor(str(problem)) == problem
    assert hash(parse_pool_descriptor(str(problem))) == hash(problem)


def test_cost():
    problem = PoolProblem(size=(5, 5), window=3, stride=2, padding=1, batch=2, channels=3)
    assert problem.output_shape == (2, 3, 3, 3)
    assert problem.multiply_adds == 6 * (2 + 3 + 2) ** 2
    assert problem.compulsory_bytes == 4 * 6 * (25 + 9)
    assert (
        "it finds maxima but not where"
        in why_not(parse_pool_descriptor(f"{problem}_backward"))["van_herk"]
    )


X = np.ones((1, 4, 5, 5))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 6}, "the window spans 6 samples along h, the padded input only 5"),
        ({"size": 2, "padding": 2}, "holds padding alone, so it has no max; pad by at most half"),
        ({"kind": "lp", "size": 2, "p": 0}, "p 0 must be above 0 and finite"),
        ({"kind": "lp", "size": 2, "p": -1}, "p -1 must be"),
        ({"ratio": 2.5}, r"ratio 2.5 is outside \(1, 2\)"),
        ({"ratio": 1}, r"outside \(1, 2\)"),
        ({"kind": "maximum", "size": 2}, "did you mean"),
        ({"size": 2, "algorithm": "van-herk"}, "no pooling algorithm 'van-herk'; did you mean"),
        ({"size": 2, "fit": "exact"}, "stride 2 does not fit along h"),
        ({}, "needs to know its windows"),
        ({"size": 2, "p": 3}, "p=3 says nothing about max pooling"),
        ({"size": 2, "levels": (2, 1)}, "levels=.* says nothing"),
        ({"kind": "maxout", "size": 3}, "4 channels cannot be split"),
        ({"kind": "mixed", "size": 2, "mix": 1.5}, "mix 1.5 must be a share"),
        ({"kind": "gated", "size": 2}, "needs gate"),
        ({"kind": "gated", "output_size": 2}, "give a window size"),
        ({"kind": "average", "size": 2, "return_switches": True}, "has no switches"),
        ({"size": 2, "algorithm": "van_herk", "return_switches": True}, "finds values, not where"),
        ({"kind": "l2", "size": 2, "algorithm": "integral"}, "cannot do this: a table of sums"),
        ({"output_size": 0}, "a whole number of at least 1"),
    ],
)  # fmt: skip
def test_mistakes_get_a_sentence(options, said):
    options = dict(options)
    with pytest.raises(ConvbenchError, match=said):
        pool(X, options.pop("kind", "max"), **options)


def test_unpooling_mistakes_get_a_sentence():
    y, switches = pool(X, size=2, return_switches=True)
    with pytest.raises(ConvbenchError, match="no pooling maps size 9 to 2"):
        unpool(y, switches, size=2, output_size=9)
    with pytest.raises(ConvbenchError, match="lies outside"):
        unpool(y, switches + 30, size=2, output_size=5)
    with pytest.raises(ConvbenchError, match="needs size"):
        unpool(y, switches)


@pytest.mark.peers
@pytest.mark.parametrize("name", sorted(poolings()))
def test_as_pytorch_has_it(name):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x = np.random.default_rng(8).standard_normal((2, 3, 11, 14))
    given = torch.tensor(x, requires_grad=True)
    for size, stride, padding, ceil in [(2, 2, 0, False), (3, 2, 1, True), (3, 2, 0, True),
                                        (5, 3, 2, True), (3, 1, 1, False)]:  # fmt: skip
        shape = {"size": size, "stride": stride, "padding": padding}
        shape |= {"fit": "ceil" if ceil else "floor"}
        theirs = {"kernel_size": size, "stride": stride, "padding": padding, "ceil_mode": ceil}
        checks = [("max", {}, functional.max_pool2d(given, **theirs))]
        checks += [
            ("average", {"count_include_pad": counted},
             functional.avg_pool2d(given, count_include_pad=counted, **theirs))
            for counted in (True, False)
        ]  # fmt: skip
        for kind, options, expected in checks:
            problem = algos.pooling.pool_problem_of(x, kind, **shape, **options)
            if name not in names(problem):
                continue
            y = pool(x, kind, algorithm=name, **shape, **options)
            np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-14)
            if name in ("naive", "im2col", "parallel"):
                g = np.random.default_rng(9).standard_normal(y.shape)
                (back,) = torch.autograd.grad(expected, given, torch.tensor(g))
                mine = pool_grad(g, x, kind, algorithm=name, **shape, **options)
                np.testing.assert_allclose(mine, back.numpy(), atol=1e-13)
    adaptive = functional.adaptive_avg_pool2d(given, (3, 5)).detach().numpy()
    if name in ("naive", "integral", "separable", "parallel", "im2col"):
        y = pool(x, "average", output_size=(3, 5), algorithm=name)
        np.testing.assert_allclose(y, adaptive, atol=1e-14)
