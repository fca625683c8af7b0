"""Command ``blocks``: convolve an array that does not fit in memory, from file to file."""

from __future__ import annotations

import argparse
import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from algos import blocks
from algos.blocks.api import check_types
from algos.blocks.journal import beside
from algos.blocks.positions import Span, checked_border
from algos.core.boundary import BOUNDARIES
from algos.core.errors import ConvbenchError
from algos.filtering.request import MODES
from results.tables.labels import bytes_text
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
    shape = tuple(s.outputs for s in spans)
    settings: dict[str, Any] = {
        "memory": options.memory, "mode": options.mode, "boundary": boundary,
        "algorithm": options.algorithm, "threads": options.threads,
    }  # fmt: skip
    again = _goes_on(options)
    if not again:
        # Refused before anything is made or replaced.
        if min(shape) < 1:
            raise ConvbenchError("the kernel exceeds the input; use --mode same or full")
        checked_border(boundary, options.cval)
        blocks.layout(_cast(source, dtype), kernel, _Shape(shape, dtype), flip=flip, **settings)
        _make_room(options.result)
    result = stores.open_result(options.result, shape, dtype, source, again=again)
    function = blocks.correlate if options.correlate else blocks.convolve
    try:
        laid = function(
            _cast(source, dtype), kernel, result, cval=options.cval,
            progress=True if out.is_terminal else None, **settings,
        )  # fmt: skip
    except ConvbenchError:
        if not again and not _journals(options.result):  # nothing was written yet
            stores.remove(options.result)
        raise
    blocks_made = "1 block" if laid.blocks == 1 else f"{laid.blocks} blocks"
    out.print(
        f"{options.result}: {_times(result.shape)} {dtype}, {blocks_made} of "
        f"{_times(laid.block)} by {laid.algorithm}, at most {bytes_text(laid.bytes)}",
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


@dataclass(frozen=True)
class _Shape:
    """Stands for a result that does not exist yet."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        raise NotImplementedError


def _goes_on(options: Options) -> bool:
    """Return True if an interrupted call has begun the result."""
    spec = options.result
    if _is_input(options):
        raise ConvbenchError(f"{spec!r} is the input, or holds it; name another file")
    if not stores.exists(spec) or options.overwrite:
        return False
    if not _journals(spec):
        raise ConvbenchError(f"{spec!r} exists; --overwrite replaces it")
    notes.print(f"[yellow]note:[/] going on with {spec}", soft_wrap=True)
    return True


def _is_input(options: Options) -> bool:
    """Return True if writing the result would write to the file of the input.

    Two arrays in a .zarr folder are files of their own.
    """
    source, result = map(stores.path_of, (options.source, options.result))
    if source.resolve() != result.resolve():
        return False
    names = {stores.name_of(options.source), stores.name_of(options.result)}
    return not (source.is_dir() and len(names) == 2 and "" not in names)


def _make_room(spec: str) -> None:
    """Remove the result of an earlier call, and its journals."""
    for journal in _journals(spec):
        journal.unlink()
    if stores.exists(spec):
        stores.remove(spec)


def _journals(spec: str) -> list[Path]:
    """Return the journals of interrupted calls that wrote to `spec`."""
    path, name = stores.path_of(spec), stores.name_of(spec)
    if name:
        found = [path.with_name(beside(f"{path.name}-{name.replace('/', '-')}"))]
        return [journal for journal in found if journal.exists()]
    return [*path.parent.glob(f"{glob.escape(path.name)}*{beside('')}")]


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


COMMAND = Command("blocks", Options, add_arguments, execute, EXAMPLES)
