"""Command ``blocks``: convolve an array that does not fit in memory, from file to file."""

from __future__ import annotations

import argparse
import glob
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from algos import blocks
from algos.blocks.api import check_types
from algos.blocks.journal import beside
from algos.blocks.positions import Span
from algos.core.boundary import BOUNDARIES
from algos.core.errors import ConvbenchError
from algos.filtering.request import MODES
from suites.cases import filters, stores

from .arguments import bytes_count, whole_number
from .command import Command
from .command import Options as BaseOptions
from .consoles import notes, out

EXAMPLES = """examples:
  convbench blocks scan.npy gaussian:15 smooth.npy --memory 2GB
  convbench blocks scan.h5:/raw kernel.npy smooth.zarr --boundary reflect
  convbench blocks scan.tif sobel-x edges.tif
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench blocks``."""

    source: str
    kernel: str
    result: str
    memory: int
    mode: str
    boundary: str | None
    cval: float
    correlate: bool
    algorithm: str
    threads: int | None
    dtype: str | None
    overwrite: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench blocks`` to `parser`."""
    files = f"file ending in {', '.join(stores.LIBRARIES)}"
    parser.add_argument("source", metavar="INPUT", help=f"{files}; scan.h5:/raw names an array")
    parser.add_argument(
        "kernel", metavar="KERNEL", help="kernel, such as gaussian:15, sobel-x or k.npy"
    )
    parser.add_argument("result", metavar="OUTPUT", help=files)
    parser.add_argument(
        "--memory", type=bytes_count, default=2 * 10**9, metavar="BYTES",
        help="most memory for the blocks, such as 500MB (default: 2GB)",
    )  # fmt: skip
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="same",
        help="size of the result, as in SciPy (default: same)",
    )
    parser.add_argument(
        "--boundary", choices=BOUNDARIES,
        help="values beyond the border; even kernels are then centred as in scipy.ndimage "
        "(default: zeros, centred as in scipy.signal)",
    )  # fmt: skip
    parser.add_argument(
        "--cval", type=float, default=0.0,
        help="value beyond the border with --boundary constant (default: 0)",
    )  # fmt: skip
    parser.add_argument("--correlate", action="store_true", help="do not flip the kernel")
    parser.add_argument(
        "--algorithm", default="auto", metavar="A",
        help="algorithm that computes the blocks (default: the one expected to be fastest)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=whole_number(1), metavar="N", help="number of threads (default: all)"
    )
    parser.add_argument(
        "--dtype", choices=("float32", "float64"),
        help="type of the result (default: float32 for inputs of float32 or of 8 or 16 bits, "
        "otherwise float64)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")


def execute(options: Options) -> int:
    """Convolve, going on where an interrupted call ended."""
    source = stores.open_source(options.source)
    axes = len(source.shape)
    if not 1 <= axes <= 3:
        raise ConvbenchError(f"{options.source!r} has {axes} axes; 1, 2 or 3 are supported")
    if min(source.shape) < 1:
        raise ConvbenchError(f"{options.source!r} has shape {source.shape}: it holds no sample")
    dtype = np.dtype(options.dtype or _usual(source.dtype))
    kernel = filters.make(options.kernel, None, axes)
    check_types(np.dtype(source.dtype), kernel.dtype)
    kernel = kernel.astype(dtype)
    flip, boundary = not options.correlate, options.boundary
    spans = [
        Span.of(options.mode, n, k, flip, boundary)
        for n, k in zip(source.shape, kernel.shape, strict=True)
    ]
    result, again = _result(options, source, tuple(s.outputs for s in spans), dtype)
    function = blocks.correlate if options.correlate else blocks.convolve
    try:
        laid = function(
            _cast(source, dtype), kernel, result, memory=options.memory, mode=options.mode,
            boundary=options.boundary, cval=options.cval, algorithm=options.algorithm,
            threads=options.threads, progress=True if out.is_terminal else None,
        )  # fmt: skip
    except ConvbenchError:
        path = stores.path_of(options.result)
        if not again and not _journals(path):  # nothing was written yet
            _remove(path)
        raise
    blocks_made = "1 block" if laid.blocks == 1 else f"{laid.blocks} blocks"
    out.print(
        f"{options.result}: {_times(result.shape)} {dtype}, {blocks_made} of "
        f"{_times(laid.block)} by {laid.algorithm}, at most {laid.bytes / 1e6:.0f} MB",
        soft_wrap=True, markup=False,
    )  # fmt: skip
    return 0


def _usual(dtype: Any) -> np.dtype:
    found = np.result_type(dtype, np.float32)
    return np.dtype("float32") if found == np.float32 else np.dtype("float64")


class _Cast:
    """Store whose samples are read as another type."""

    def __init__(self, store: Any, dtype: np.dtype) -> None:
        self.wrapped, self.dtype = store, dtype
        self.shape = store.shape
        self.chunks = getattr(store, "chunks", None)

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self.wrapped[key]).astype(self.dtype)


def _cast(store: Any, dtype: np.dtype) -> Any:
    """Return a store whose product with a kernel of `dtype` is of `dtype`."""
    return store if np.result_type(store.dtype, dtype) == dtype else _Cast(store, dtype)


def _result(
    options: Options, source: Any, shape: tuple[int, ...], dtype: np.dtype
) -> tuple[Any, bool]:
    """Return the array to write, and True if an interrupted call has begun it."""
    path = stores.path_of(options.result)
    if path.exists() and path.resolve() == stores.path_of(options.source).resolve():
        raise ConvbenchError(f"{options.result!r} is the input; name another file")
    if path.exists() and options.overwrite:
        for journal in _journals(path):
            journal.unlink()
        _remove(path)
    if not path.exists():
        if min(shape) < 1:
            raise ConvbenchError("the kernel exceeds the input; use --mode same or full")
        return stores.open_result(options.result, shape, dtype, source, again=False), False
    if not _journals(path):
        raise ConvbenchError(f"{options.result!r} exists; --overwrite replaces it")
    notes.print(f"[yellow]note:[/] going on with {options.result}", soft_wrap=True)
    return stores.open_result(options.result, shape, dtype, source, again=True), True


def _journals(path: Path) -> list[Path]:
    """Return the journals of interrupted calls that wrote to `path`."""
    return [*path.parent.glob(f"{glob.escape(path.name)}*{beside('')}")]


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


COMMAND = Command("blocks", Options, add_arguments, execute, EXAMPLES)
