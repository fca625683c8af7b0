"""Every algorithm of every family: ours, found in the modules of `algos`, and plug-ins.

An algorithm is registered by being defined: discovery imports every module of the package and
collects the classes that carry a name.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterable
from functools import cache, partial
from typing import Any

from . import functions, plugins
from .adapters.gradients import takes_any_kernel
from .core.errors import ConvbenchError, closest, shown
from .core.family import (
    CONVOLUTION,
    DEBLURRING,
    MODULES,
    POOLING,
    AlgorithmBase,
    Family,
    algorithms_in,
)
from .deblurring.algorithm import RichardsonLucy
from .functions import Function, FunctionAlgorithm
from .inception.algorithm import Branches

FAMILIES = (CONVOLUTION, POOLING, MODULES, DEBLURRING)


def of(family: Family) -> dict[str, Any]:
    """Return every algorithm of `family` by name, in alphabetical order."""
    return _registries()[family]


def convolutions() -> dict[str, Any]:
    """Return every algorithm of convolution by name, in alphabetical order."""
    return of(CONVOLUTION)


def poolings() -> dict[str, Any]:
    """Return every pooling algorithm by name, in alphabetical order."""
    return of(POOLING)


def get(name: str, among: Iterable[Family] = FAMILIES) -> Any:
    """Return the first algorithm called `name` in the families `among` which to look.

    Raises
    ------
    ConvbenchError
        With what the algorithm does instead, or with the nearest known name.
    """
    asked = tuple(among)
    for family in asked:
        if name in of(family):
            return of(family)[name]
    for other in FAMILIES:
        if name in of(other):
            verbs = " or ".join(family.does for family in asked)
            raise ConvbenchError(f"{name} can {other.does}, it cannot {verbs}")
    known = list(dict.fromkeys(name for family in asked for name in of(family)))
    noun = "algorithm" if CONVOLUTION in asked else f"{asked[0].name} algorithm"
    raise ConvbenchError(f"there is no {noun} {shown(name)}; {closest(name, known)}")


def get_for(problem: Any, algorithm: Any) -> Any:
    """Return the algorithm that `algorithm` names or is, of the family of `problem`."""
    return resolve(algorithm, problem.family)


def resolve(algorithm: Any, family: Family = CONVOLUTION) -> Any:
    """Return the algorithm of `family` that `algorithm` names or is.

    Raises
    ------
    ConvbenchError
        With the nearest known name, what the algorithm does instead, or the type if it is not str.
    """
    if isinstance(algorithm, str):
        return of(family).get(algorithm) or get(algorithm, (family,))
    if isinstance(algorithm, AlgorithmBase):
        if algorithm.family is family:
            return algorithm
        raise ConvbenchError(
            f"{algorithm.name} can {algorithm.family.does}, it cannot {family.does}"
        )
    raise ConvbenchError(
        f"algorithm {shown(algorithm)} must be a name, such as {next(iter(of(family)))!r}, or "
        f"an algorithm"
    )


@cache
def _registries() -> dict[Family, dict[str, Any]]:
    """Discover all algorithms, once a process."""
    package = importlib.import_module(__package__)
    modules = pkgutil.walk_packages(package.__path__, f"{__package__}.")
    ours = [a for info in modules for a in algorithms_in(importlib.import_module(info.name))]
    found: dict[Family, dict[str, Any]] = {family: {} for family in FAMILIES}
    for algorithm in sorted([*ours, *plugins.from_entry_points()], key=lambda a: a.name):
        known = found[algorithm.family]
        if algorithm.name in known:
            raise ConvbenchError(f"two algorithms are called {algorithm.name!r}; rename one")
        known[algorithm.name] = algorithm
    for name, algorithm in found[CONVOLUTION].items():
        if takes_any_kernel(algorithm, (3, 3), "float32"):
            pooling = found[POOLING].get(name, found[POOLING]["parallel"])
            found[MODULES][name] = Branches(algorithm, pooling)
        if not algorithm.is_peer:  # a peer's own users would keep the images in its own tensors
            found[DEBLURRING][name] = RichardsonLucy(algorithm)
    return found


def register(name: str, function: Function | None = None) -> Any:
    """Register a plain function as an algorithm of convolution; it needs no class.

    Parameters
    ----------
    name : str
        Lower-case words, such as "my-algorithm". A function registered before under the same name
        is replaced.
    function : callable
        ``f(x, w, problem)`` returns the cross-correlation of `x` with `w`, as an array of
        ``problem.output_shape``. The shapes are ``(N, C, *size)`` and ``(O, C/groups, *kernel)``.
        Flipping and bias are applied outside of it. It must not write to its arguments. For a
        problem that it cannot do, it raises ``NotImplementedError`` with a sentence. Its errors
        are held to the bound of a direct sum; other arithmetic needs a subclass of `Algorithm`.

    Returns
    -------
    callable
        The function itself; without `function`, a decorator.

    Raises
    ------
    ConvbenchError
        If the name is taken by another algorithm or cannot be one, or if the function does not
        take three arguments.

    Examples
    --------
    This algorithm knows kernels of one tap, and refuses others:

    >>> import numpy as np, algos
    >>> def first_tap(x, w, problem):
    ...     if problem.kernel != (1,):
    ...         raise NotImplementedError("it takes kernels of one tap")
    ...     return np.einsum("ocf,ncw->now", w, x)

    Registered, it has a name like every other algorithm:

    >>> _ = algos.register("first-tap", first_tap)
    >>> algos.conv(np.ones((1, 2, 3)), np.ones((1, 2, 1)), algorithm="first-tap")
    array([[[2., 2., 2.]]])
    """
    functions.check_name(name)
    if function is None:
        return partial(register, name)
    algorithm = FunctionAlgorithm(name, functions.check_function(name, function))
    known = next((of(family)[name] for family in FAMILIES if name in of(family)), None)
    if known is not None and not isinstance(known, FunctionAlgorithm):
        raise ConvbenchError(f"the name {name!r} is taken by an algorithm; choose another")
    functions.registered.append(algorithm)
    of(CONVOLUTION)[name] = algorithm
    return function


def registered_functions() -> dict[str, FunctionAlgorithm]:
    """Return the algorithms made of functions by name."""
    return {n: a for n, a in of(CONVOLUTION).items() if isinstance(a, FunctionAlgorithm)}


def load_file(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Register the algorithms that a Python file defines; return their names.

    A file that is loaded already is not run again.

    Raises
    ------
    ConvbenchError
        If the file cannot be read or run, defines no algorithm, or calls one by a name that
        is taken. Nothing is registered then.
    """
    before = dict(of(CONVOLUTION))
    try:
        algorithms, new = plugins.from_file(path)
        if new:
            _enter(path, algorithms)
    except ConvbenchError:
        of(CONVOLUTION).clear()  # functions enter it while the file runs
        of(CONVOLUTION).update(before)
        raise
    return tuple(algorithm.name for algorithm in algorithms)


def _enter(path: str | os.PathLike[str], algorithms: list[Any]) -> None:
    """Enter the classes of a file into the registry; its functions are there already."""
    names = [algorithm.name for algorithm in algorithms]
    classes = [a for a in algorithms if not isinstance(a, FunctionAlgorithm)]
    for algorithm in classes:
        taken = of(algorithm.family).get(algorithm.name)
        if taken or names.count(algorithm.name) > 1:
            plugins.forget(path)
            holder = type(taken or algorithm)
            raise ConvbenchError(
                f"algorithm file {os.fspath(path)!r} calls an algorithm {algorithm.name!r}, a name "
                f"that is taken by {holder.__qualname__} of {holder.__module__}; choose another, "
                f"or leave the file out if that is the same algorithm"
            )
    for algorithm in classes:
        of(algorithm.family)[algorithm.name] = algorithm
