"""How convbench compiles: one decorator, one set of floating-point freedoms, one cache.

Numba's on-disk cache looks at the file of the compiled function alone, so a kernel that
inlines a building block from another file would survive a change of that block. The cache
here therefore lives in a folder named after the digest of every source file of `algos`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

#: LLVM fast-math flags in force. Contraction to FMA only tightens an error bound; nothing
#: here lets the compiler assume away NaN, infinity or the order of a sum.
FASTMATH = {"contract"}

_config: Any = numba.config


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
        return numba.njit(**settings)(function)
    finally:
        _config.CACHE_DIR = before


@cache
def cache_folder() -> Path:
    """The folder of compiled kernels for the present sources; older ones are removed."""
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
    for other in folder.parent.glob("kernels-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder
