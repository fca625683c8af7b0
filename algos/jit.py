"""How convbench compiles: one decorator, one set of floating-point freedoms, one cache.

Numba's on-disk cache looks at the file of the compiled function alone, so a kernel that
inlines a building block from another file would survive a change of that block. The cache
here therefore lives in a folder named after the digest of every source file of `algos`.

Nor does it expect two processes to compile the same function at once for different types: both
may choose the same file for their code, and one of them would later be handed the other's. Saving
is therefore done by one process at a time. Worse, it tells functions of one name and signature
apart by a number that every process counts for itself: two variants made by one factory, compiled
by two processes, may be given the same symbol, and whoever links both from the cache calls one of
them twice (numba issue 10486). Here these numbers are drawn at random.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core import cgutils, types
from numba.core.bytecode import FunctionIdentity

try:
    import fcntl
except ImportError:  # no such locks there: keep to one process while kernels compile
    fcntl = None  # type: ignore[assignment]

#: Caches of other sources that are kept: those of a checkout or two beside this one.
KEPT = 3

#: LLVM fast-math flags in force. Contraction to FMA only tightens an error bound; nothing
#: here lets the compiler assume away NaN, infinity or the order of a sum.
FASTMATH = {"contract"}

_config: Any = numba.config


class _Lots:
    """Numbers that no two processes share, be they forks of one that was drawing already."""

    def __iter__(self) -> _Lots:
        return self

    def __next__(self) -> int:
        return secrets.randbits(63)


FunctionIdentity._unique_ids = _Lots()  # type: ignore[assignment]


def kernel(function: Callable | None = None, **options: Any) -> Any:
    """Compile `function` in nopython mode, cached on disk, without the interpreter lock.

    ``@kernel`` or ``@kernel(parallel=True)``; options are those of `numba.njit`.
    """
    if function is None:
        return lambda f: kernel(f, **options)
    settings = {
        "cache": True, "nogil": True, "error_model": "numpy", "fastmath": FASTMATH, **options,
    }  # fmt: skip
    before = _config.CACHE_DIR
    _config.CACHE_DIR = str(cache_folder())
    try:
        compiled = numba.njit(**settings)(function)
    finally:
        _config.CACHE_DIR = before
    if settings["cache"]:
        _save_in_turn(compiled._cache)
    return compiled


#: The kernels that are called where they lie, by module, in the order they are defined in.
_APART: dict[str, list[Any]] = {}


def apart(compiled: Any) -> Any:
    """What other kernels call to have the kernel `compiled` run without compiling it again.

    Numba compiles a kernel into each that calls it by name, these into theirs, and the body of a
    parallel loop four times over. What takes long to compile, and long enough to run, is called
    where it lies instead: the caller holds a symbol, which is told the address before the caller
    is linked, be it just compiled or loaded from the cache.
    """
    module = compiled.py_func.__module__
    siblings = _APART.setdefault(module, [])
    number = len(siblings)
    siblings.append(compiled)

    @numba.extending.intrinsic
    def call(typing, *arguments):
        kinds = tuple(types.unliteral(kind) for kind in arguments)
        tell = partial(_tell, module, number, kinds)
        symbol, result = tell()

        def emit(context, builder, signature, values):
            context.active_code_library._reload_init.add(tell)
            convention = context.call_conv
            kind = convention.get_function_type(result, kinds)
            function = cgutils.get_or_insert_function(builder.module, kind, symbol)
            each = cgutils.unpack_tuple(builder, values[0])
            status, value = convention.call_function(builder, function, result, kinds, each)
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return value

        return result(types.StarArgTuple.from_types(kinds)), emit

    return call


def _tell(module: str, number: int, kinds: tuple[Any, ...]) -> tuple[str, Any]:
    """Compile or load a kernel of `_APART`, and name its code; (the name, the type returned)."""
    import_module(module)
    compiled = _APART[module][number]
    compiled.compile(kinds)
    found = compiled.overloads[kinds]
    symbol = f"{module}.{number}({', '.join(map(str, kinds))})"
    llvm.add_symbol(symbol, found.library.get_pointer_to_function(found.fndesc.llvm_func_name))
    return symbol, found.signature.return_type


def _save_in_turn(saved: Any) -> None:
    """Let Numba's cache of one function be written by one process at a time."""
    save = saved.save_overload

    def save_overload(signature: Any, code: Any) -> None:
        with _turn(Path(saved.cache_path)):
            save(signature, code)

    saved.save_overload = save_overload


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)  # it may have been cleared away meanwhile
    with (folder / "lock").open("wb") as lock:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed
        yield


@cache
def cache_folder() -> Path:
    """The folder of compiled kernels for the present sources; all but a few others are removed."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(here.rglob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    chosen = _config.CACHE_DIR
    root = Path(chosen) if chosen else here / "__pycache__"
    folder = root / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        folder = Path(tempfile.gettempdir()) / f"convbench-{os.getuid()}" / folder.name
        folder.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # others clear away at the same time
        others = [other for other in folder.parent.glob("kernels-*") if other != folder]
        others.sort(key=lambda other: other.stat().st_mtime, reverse=True)
        for other in others[KEPT:]:
            shutil.rmtree(other, ignore_errors=True)
    return folder
