"""Plain functions as algorithms, and the text of a file that registers one again elsewhere.

Workers are other processes. They get a function as an algorithm file. The file imports the function
from its module. For a function of a notebook or a script, it holds the source instead, because
running a script again would run all of it.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import symtable
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from .core.algorithm import Algorithm, as_correlation
from .core.errors import ConvbenchError, KernelRefusedError, shown
from .core.problem import Problem

#: ``f(x, w, problem) -> y``; see `algos.registry.register`.
Function = Callable[[np.ndarray, np.ndarray, Problem], Any]

#: Every function that was registered in this process, in order.
registered: list[FunctionAlgorithm] = []

_REMEDY = "put it into a file, import it from there, and register what you imported"


class FunctionAlgorithm(Algorithm):
    """A plain function, held to the error bound of a direct sum."""

    opt_in = True  # runs of the same process that do not name it have no file for their workers

    def __init__(self, name: str, function: Function) -> None:
        self.name, self.function = name, function
        #: Algorithm file that registered it; None if the running program did.
        self.file: str | None = None

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or f"The function {self.name}.").split("\n")[0]

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the function's result; nothing else is known."""
        return int(np.prod(problem.output_shape)) * problem.itemsize

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        return as_correlation(problem, w).reshape(w.shape)

    def forward(
        self,
        problem: Problem,
        x: np.ndarray,
        prepared: Any,
        bias: np.ndarray,
        out: np.ndarray,
        threads: int,
    ) -> None:
        try:
            y = np.asarray(self.function(x, prepared, _plain(problem)))
        except NotImplementedError as refusal:
            reason = str(refusal) or "its function raised NotImplementedError"
            raise KernelRefusedError(f"{self.name} cannot do this: {reason}") from None
        if y.shape != out.shape or not np.can_cast(y.dtype, out.dtype, "same_kind"):
            raise ConvbenchError(
                f"the function of {self.name} returned {y.dtype} of shape {y.shape}, "
                f"expected {out.dtype} of shape {out.shape}"
            )
        out[...] = y
        if problem.bias:
            out += bias.reshape(-1, *[1] * len(problem.size))


@lru_cache(maxsize=1024)
def _plain(problem: Problem) -> Problem:
    """Return the problem without flip and bias, which are applied outside of the function."""
    return replace(problem, flip=False, bias=False)


def check_name(name: Any) -> str:
    """Return `name` if it can name an algorithm."""
    if not isinstance(name, str):
        raise ConvbenchError(
            f"register was given {shown(name)} as a name; write register('my-name', function)"
        )
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise ConvbenchError(
            f"{shown(name)} cannot name an algorithm; use lower-case words, such as my-algorithm"
        )
    return name


def check_function(name: str, function: Any) -> Function:
    """Return `function` if it can be called as ``f(x, w, problem)``."""
    if not callable(function):
        raise ConvbenchError(
            f"algorithm {name}: {shown(function)} is no function; give f(x, w, problem)"
        )
    try:
        inspect.signature(function).bind(None, None, None)
    except TypeError:
        raise ConvbenchError(
            f"algorithm {name}: the function cannot be called with three arguments; "
            f"it must take f(x, w, problem)"
        ) from None
    except ValueError:  # a function of C, which does not tell
        pass
    return function


def file_text(algorithm: FunctionAlgorithm) -> str:
    """Return the text of an algorithm file that registers the same function.

    Raises
    ------
    ConvbenchError
        If the function can neither be imported nor copied, with what to do.
    """
    function: Any = algorithm.function
    home = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", "")
    if not home or not name or "<" in name:
        raise ConvbenchError(
            f"algorithm {algorithm.name}: {shown(function)} has no name that other processes could "
            f"find it by; define it with def, outside of other functions"
        )
    copied = home == "__main__"
    code = _copy(algorithm.name, function) if copied else _import(algorithm.name, home, function)
    paths = list(dict.fromkeys(os.path.abspath(path) for path in sys.path))  # noqa: PTH100
    return "\n".join([
        f'"""Algorithm {algorithm.name}: the function {name} of {home}."""', "",
        "from __future__ import annotations", "",
        "import sys", "",
        f"sys.path += [path for path in {paths!r} if path not in sys.path]", "",
        code, "",
        "from algos import register", "",
        f"register({algorithm.name!r}, {name})", "",
    ])  # fmt: skip


def _import(algorithm: str, home: str, function: Any) -> str:
    """Return the line that imports `function` from the module `home`."""
    found: Any = sys.modules.get(home)
    top, *inner = function.__qualname__.split(".")
    for part in (top, *inner):
        found = getattr(found, part, None)
    if found is not function:
        raise ConvbenchError(
            f"algorithm {algorithm}: {function.__qualname__} of {home} is another object now; "
            f"register the function again"
        )
    return f"from {home} import {top}"


def _copy(algorithm: str, function: Any) -> str:
    """Return the source of a function of ``__main__``, and the imports it needs."""
    where = f"algorithm {algorithm}: function {function.__qualname__}"
    if not isinstance(function, FunctionType):
        raise ConvbenchError(
            f"{where} is a {type(function).__name__}, which cannot be copied; {_REMEDY}"
        )
    try:
        source = textwrap.dedent(inspect.getsource(function))
        node = ast.parse(source).body[0]
    except (OSError, SyntaxError):
        raise ConvbenchError(f"{where} has no source that can be read; {_REMEDY}") from None
    others = [
        text for text in map(ast.unparse, getattr(node, "decorator_list", [])) if
        not re.match(r"([\w.]+\.)?register\(", text)
    ]  # fmt: skip
    if others or not isinstance(node, ast.FunctionDef) or node.name != function.__name__:
        what = f"@{others[0]}" if others else "its definition"
        raise ConvbenchError(f"{where} cannot be copied because of {what}; {_REMEDY}")
    definition = "\n".join(source.splitlines()[node.lineno - 1 :])
    needed = {
        name: function.__globals__[name]
        for name in sorted(_names(definition) - {node.name})
        if name in function.__globals__
    }
    lines = {name: _import_of(name, value) for name, value in needed.items()}
    if own := [name for name, line in lines.items() if line is None]:
        raise ConvbenchError(
            f"{where} uses {', '.join(own)}, defined beside it, and other processes get its "
            f"source alone; move that inside the function, or {_REMEDY}"
        )
    return "\n".join([*(line for line in lines.values() if line), "", "", definition, ""])


def _names(source: str) -> set[str]:
    """Return the global names that `source` refers to, inside its functions too."""
    tables = [symtable.symtable(source, "function", "exec")]
    found = set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        found |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    return found


def _import_of(name: str, value: Any) -> str | None:
    """Return the line that imports `value` as `name`; None if no module offers it."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__} as {name}"
    home, own = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(home, str) or not isinstance(own, str) or home == "__main__":
        return None
    if getattr(sys.modules.get(home), own, None) is not value:
        return None
    return f"from {home} import {own} as {name}"
