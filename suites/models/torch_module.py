"""Layers of a PyTorch module, found by calling it.

The call is intercepted at PyTorch's functions, so layers that a module makes without submodules
(``torch.nn.functional.conv2d``) are found too. Hooks on the submodules give the names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from algos.core.sizes import extent
from algos.pooling import PoolProblem

from .model import LeftOut, Model, fitted, gathered

#: Other functions of PyTorch that convolve or pool, which no problem can say.
_UNREAD = (
    "max_unpool", "fractional_max_pool", "unfold", "fold", "deform_conv", "conv_tbc",
    "adaptive_max_pool", "quantized",
)  # fmt: skip


def layers_of(module: Any, *inputs: Any, name: str = "") -> Model:
    """Return the convolution and pooling layers of a ``torch.nn.Module``.

    The module is called once with `inputs`, without gradients. Layers that this call skips are
    not found. Kernels are timed with random values.

    Parameters
    ----------
    module : torch.nn.Module
    inputs : tensors
        Arguments of the call. Their sizes and their batch are those of the problems.
    name : str
        By default the name of the module's class.

    Returns
    -------
    Model
        Its ``layers`` are problems with their counts, ``left_out`` has the layers without one.
        ``write("net.toml")`` makes a suite of them for ``convbench run net.toml``.

    Raises
    ------
    ConvbenchError
        If `module` is none.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.MaxPool2d(2))  # doctest: +SKIP
    >>> layers_of(net, torch.zeros(1, 3, 32, 32)).write("net.toml")  # doctest: +SKIP
    """
    try:
        import torch
    except ImportError:
        raise ConvbenchError(
            'reading a module needs PyTorch; install it with: pip install -e ".[peers]"'
        ) from None
    if not isinstance(module, torch.nn.Module):
        raise ConvbenchError(f"{type(module).__name__} is no torch.nn.Module")
    calls = _calls(torch, module, inputs)
    layers: list[tuple[Any, str]] = []
    left_out: list[LeftOut] = []
    for where, function, arguments, result in calls:
        if function not in READERS:
            left_out.append(LeftOut(where, function, f"no algorithm computes {function}"))
            continue
        try:
            problem = READERS[function](arguments, where)
            shape = tuple(result[0].shape if isinstance(result, tuple) else result.shape)
            _check(problem, shape)
            layers.append((problem, "random"))
        except ConvbenchError as error:
            left_out.append(LeftOut(where, function, str(error)))
    title = name or type(module).__name__
    return Model(title, gathered(layers), tuple(left_out))


def _calls(torch: Any, module: Any, inputs: tuple[Any, ...]) -> list[tuple[str, str, Any, Any]]:
    """Return the calls of one run: submodule, function, bound arguments and result."""
    from torch.overrides import TorchFunctionMode

    inside: list[str] = []
    found: list[tuple[str, str, Any, Any]] = []

    class Listening(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = func(*args, **(kwargs or {}))
            function = getattr(func, "__name__", "").removesuffix("_with_indices")
            if function in READERS or any(word in function for word in _UNREAD):
                where = next(filter(None, reversed(inside)), function)
                found.append((where, function, (args, kwargs or {}), result))
            return result

    def leave(*_: Any) -> None:  # a hook that returns a value replaces the output
        inside.pop()

    handles = []
    for path, child in module.named_modules():
        handles.append(child.register_forward_pre_hook(lambda *_, path=path: inside.append(path)))
        handles.append(child.register_forward_hook(leave, always_call=True))
    training = module.training
    module.eval()
    try:
        with torch.no_grad(), Listening():
            module(*inputs)
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    return found


def _check(problem: Any, shape: tuple[int, ...]) -> None:
    computed = tuple(problem.result_shape)
    if shape not in (computed, computed[1:]):  # PyTorch also takes a single image without N
        raise ConvbenchError(f"PyTorch gives its output the shape {shape}, here it is {computed}")


class _Arguments:
    """Arguments of a call by position or by name, with defaults."""

    def __init__(self, given: Any, names: str, defaults: dict[str, Any]) -> None:
        positional, named = given
        self.values = {**defaults, **dict(zip(names.split(), positional, strict=False)), **named}

    def axes(self, name: str, axes: int) -> tuple[int, ...]:
        """Return a value per axis; PyTorch stretches a single one."""
        value = self.values[name]
        several = tuple(value) if isinstance(value, list | tuple) else (value,)
        return tuple(map(int, several * axes if len(several) == 1 else several))


def _shape(x: Any, axes: int) -> tuple[int, ...]:
    return tuple(x.shape) if x.dim() == axes + 2 else (1, *x.shape)


def _dtype(x: Any) -> str:
    kind = str(x.dtype).removeprefix("torch.")
    if kind not in ("float32", "float64"):
        raise ConvbenchError(f"its data type {kind} is not computed, only float32 and float64 are")
    return kind


def _convolution(axes: int) -> Callable[[Any, str], Problem]:
    def read(given: Any, name: str) -> Problem:
        a = _Arguments(
            given, "input weight bias stride padding dilation groups",
            {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1},
        )  # fmt: skip
        x, w = _shape(a.values["input"], axes), tuple(a.values["weight"].shape)
        padding = a.values["padding"]
        return Problem(
            size=x[2:], kernel=w[2:], batch=x[0], in_channels=x[1], out_channels=w[0],
            stride=a.axes("stride", axes), dilation=a.axes("dilation", axes),
            padding=padding if isinstance(padding, str) else a.axes("padding", axes),
            groups=a.values["groups"], bias=a.values["bias"] is not None,
            dtype=_dtype(a.values["input"]), name=name,
        )  # fmt: skip

    return read


def _transposed(axes: int) -> Callable[[Any, str], Problem]:
    def read(given: Any, name: str) -> Problem:
        a = _Arguments(
            given, "input weight bias stride padding output_padding groups dilation",
            {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1},
        )  # fmt: skip
        x, w = _shape(a.values["input"], axes), tuple(a.values["weight"].shape)
        stride, padding, dilation, more = (
            a.axes(key, axes) for key in ("stride", "padding", "dilation", "output_padding")
        )
        spans = map(extent, w[2:], dilation)
        size = tuple(
            s * (n - 1) + m + e - 2 * p
            for s, n, m, e, p in zip(stride, x[2:], more, spans, padding, strict=True)
        )
        groups = int(a.values["groups"])
        return Problem(
            size=size, kernel=w[2:], batch=x[0], in_channels=w[1] * groups, out_channels=x[1],
            stride=stride, padding=padding, dilation=dilation, groups=groups,
            operation="grad_input", dtype=_dtype(a.values["input"]), name=name,
        )  # fmt: skip

    return read


def _pooling(axes: int, kind: str) -> Callable[[Any, str], PoolProblem]:
    names = {
        "max": "input kernel_size stride padding dilation ceil_mode",
        "average": "input kernel_size stride padding ceil_mode count_include_pad divisor_override",
        "lp": "input norm_type kernel_size stride ceil_mode",
    }[kind]

    def read(given: Any, name: str) -> PoolProblem:
        a = _Arguments(
            given, names,
            {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False,
             "count_include_pad": True, "divisor_override": None},
        )  # fmt: skip
        if a.values["divisor_override"] is not None:
            raise ConvbenchError("divisor_override is not computed")
        x, window = _shape(a.values["input"], axes), a.axes("kernel_size", axes)
        fields: dict[str, Any] = {}
        padding = a.axes("padding", axes)
        if kind == "lp":
            fields["p"] = p = float(a.values["norm_type"])
            if p % 2 or a.values["ceil_mode"]:
                raise ConvbenchError(
                    f"PyTorch sums x^p with its sign and scales cut windows; norm_type {p:g} with "
                    f"ceil_mode {a.values['ceil_mode']} is then no norm, expected an even one "
                    f"without ceil_mode"
                )
        if kind == "average" and any(padding):
            fields["count_include_pad"] = bool(a.values["count_include_pad"])
        problem = PoolProblem(
            size=x[2:], kind=kind, batch=x[0], channels=x[1], window=window,
            stride=a.axes("stride", axes) if a.values["stride"] else window, padding=padding,
            dilation=a.axes("dilation", axes), dtype=_dtype(a.values["input"]), name=name,
            fit="ceil" if a.values["ceil_mode"] else "floor", **fields,
        )  # fmt: skip
        return fitted(problem)

    return read


def _adaptive(axes: int, kind: str) -> Callable[[Any, str], PoolProblem]:
    def read(given: Any, name: str) -> PoolProblem:
        a = _Arguments(given, "input output_size", {})
        x, wanted = _shape(a.values["input"], axes), a.values["output_size"]
        several = tuple(wanted) if isinstance(wanted, list | tuple) else (wanted,) * axes
        output = tuple(n if o is None else int(o) for o, n in zip(several, x[2:], strict=True))
        windows = {"window": "global"} if set(output) == {1} else {"output": output}
        return PoolProblem(
            size=x[2:], kind=kind, batch=x[0], channels=x[1], dtype=_dtype(a.values["input"]),
            name=name, **windows,
        )  # fmt: skip

    return read


#: Readers of a call by the name of PyTorch's function: (arguments, name) -> problem.
READERS: dict[str, Callable[[Any, str], Any]] = {
    f"{function}{axes}d": reader
    for axes in (1, 2, 3)
    for function, reader in (
        ("conv", _convolution(axes)),
        ("conv_transpose", _transposed(axes)),
        ("max_pool", _pooling(axes, "max")),
        ("avg_pool", _pooling(axes, "average")),
        ("lp_pool", _pooling(axes, "lp")),
        ("adaptive_avg_pool", _adaptive(axes, "average")),
        ("adaptive_max_pool", _adaptive(axes, "max")),
    )
}
