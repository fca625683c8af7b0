"""Compilation of kernels: one decorator, one set of floating-point freedoms, one cache.

Numba's on-disk cache checks only the file of the compiled function. A kernel that inlines a
building block from another file would survive a change of that block. The cache here therefore
lives in a folder named after the digest of every source file of `algos`.

Nor does it expect two processes to compile one function for different types at the same time. Both
may choose the same file for their code, and one would later load the other's. One process at a time
therefore saves. Worse, it tells functions of one name and signature apart by a counter that every
process starts anew. Two variants made by one factory, compiled by two processes, may get the same
symbol. A process that links both from the cache then calls one of them twice (numba issue 10486).
Kernels here get a number drawn at random, see `linking`.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numba.np.unsafe.ndarray
from numba.core import event as event
from platformdirs import user_cache_path

from .linking import Kernel
from .linking import apart as apart
from .linking import by_ranges as by_ranges
from .linking import threaded as threaded
from .private_folder import make_private

try:
    import fcntl
except ImportError:  # no such locks there: keep to one process while kernels compile
    fcntl = None  # type: ignore[assignment]

#: Caches of other sources that are kept: those of a checkout or two beside this one.
KEPT = 3

#: LLVM fast-math flags in force. Contraction to FMA only tightens an error bound; nothing
#: here lets the compiler assume away NaN, infinity or the order of a sum.
FASTMATH = {"contract"}

#: Inside a kernel: the first n elements of an array as a tuple, n a constant.
fixed_tuple: Any = numba.np.unsafe.ndarray.to_fixed_tuple

_config: Any = numba.config


def kernel(function: Callable | None = None, *, cache: bool = True, **options: Any) -> Any:
    """Compile `function` in nopython mode, cached on disk, without the interpreter lock.

    ``@kernel`` or ``@kernel(allocates=True)``, for one that makes arrays or returns part of one:
    all others are spared the counting of references. Further options are those of `numba.njit`.
    """
    if function is None:
        return lambda f: kernel(f, cache=cache, **options)
    settings = {
        "nopython": True, "nogil": True, "error_model": "numpy", "fastmath": FASTMATH,
        "no_cfunc_wrapper": True, "_nrt": options.pop("allocates", False), **options,
    }  # fmt: skip
    compiled: Any = Kernel(function, targetoptions=settings)
    if cache:
        _enable_cache(compiled)
    return compiled


def _enable_cache(compiled: Any) -> None:
    folder = cache_folder()
    if folder is None:
        return
    module = compiled.py_func.__module__
    if module.partition(".")[0] != __name__.partition(".")[0]:
        folder /= module
    before = _config.CACHE_DIR
    _config.CACHE_DIR = str(folder)
    try:
        compiled.enable_caching()
    finally:
        _config.CACHE_DIR = before
    _save_in_turn(compiled._cache)


def _save_in_turn(saved: Any) -> None:
    """Let Numba's cache of one function be written by one process at a time."""
    save = saved.save_overload

    def save_overload(signature: Any, code: Any) -> None:
        with _turn(Path(saved.cache_path)):
            save(signature, code)

    saved.save_overload = save_overload


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    make_private(folder.parent, parents=False)  # another process may have removed it
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("wb") as lock:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed
        yield


@cache
def cache_folder() -> Path | None:
    """Return the folder of compiled kernels for the present sources, or None where none is safe.

    It lies in NUMBA_CACHE_DIR, or else beside the sources, or else in the user's cache folder.
    Folders of other sources are removed, all but a few.
    """
    here = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for source in sorted(here.rglob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    chosen = _config.CACHE_DIR
    first = Path(chosen).absolute() if chosen else here / "__pycache__"
    folder, reason = first / name, make_private(first / name, parents=bool(chosen))
    if reason:
        folder = user_cache_path("convbench") / name
        if second := make_private(folder):
            logging.getLogger("convbench").warning(
                "convbench compiles its kernels anew in every process, for it has no folder of its "
                "own to keep them in (%s; %s); set NUMBA_CACHE_DIR to one that you alone may write",
                reason, second,
            )  # fmt: skip
            return None
    with suppress(OSError):  # others clear away at the same time
        others = [other for other in folder.parent.glob("kernels-*") if other != folder]
        others.sort(key=lambda other: other.stat().st_mtime, reverse=True)
        for other in others[KEPT:]:
            shutil.rmtree(other, ignore_errors=True)
    return folder
