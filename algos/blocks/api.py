"""The functions users call: `convolve` and `correlate` from store to store, and their `layout`."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from algos import registry
from algos.adapters import performer
from algos.backend import threads as pools
from algos.choice import AUTO, resolve
from algos.core.algorithm import Algorithm
from algos.core.amounts import bytes_of
from algos.core.arguments import choice, per_axis
from algos.core.arrays import as_array, narrowed, read_only
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from algos.filtering.real import EXACT
from algos.filtering.request import MODES, check_axes, check_real
from algos.plan import Plan

from . import copying, journal, loop
from .layout import Layout, choose, memory_of, problem_of, smallest, whole_of
from .positions import Span, checked_border

Progress = Callable[[int, int], object]


def convolve(
    source: Any,
    kernel: np.ndarray,
    out: Any,
    *,
    memory: int | str = "2GB",
    mode: str = "same",
    boundary: str | None = None,
    cval: float = 0.0,
    algorithm: str | Algorithm = AUTO,
    accuracy: str | float = "standard",
    threads: int | None = None,
    block: tuple[int, ...] | None = None,
    resume: bool | str | Path = True,
    progress: bool | Progress | None = None,
) -> Layout:
    """Convolve an array of any size, block by block, and write the result into `out`.

    One block is computed while the next is read and the previous one is written. To resume a call
    that was killed, repeat it with the same arguments: it skips the blocks that `out` holds.

    Parameters
    ----------
    source : array, memory map, or array of zarr, h5py or the like
        Input with 1 to 3 axes of real numbers. It needs `shape`, `dtype` and slicing.
    kernel : ndarray
        Kernel of any size. It has as many axes as `source`.
    out : like `source`
        Existing array for the result, of the shape that `mode` gives. Its dtype is int64 if source
        and kernel are integers. It is float32 if NumPy multiplies their types to float32. Otherwise
        it is float64.
    memory : int or str
        Most bytes that the call takes. A number, or text such as ``"2GB"``.
    mode : {"same", "full", "valid"}
        Size of the result, as in `algos.convolve`. Default: "same".
    boundary : {"zeros", "constant", "nearest", "reflect", "mirror", "wrap"}, optional
        Values beyond the border, as in `algos.convolve`. It decides the centre of even kernels in
        the same way. Default: zeros.
    cval : float
        Value of the boundary "constant".
    algorithm, accuracy, threads
        As in `algos.conv`. One plan computes all blocks.
    block : tuple of int, optional
        Outputs of a block per axis. Default: chosen to suit `memory` and the caches.
    resume : bool or path
        File for the journal of finished blocks. True puts it beside `out`, if `out` lies in a file.
        False keeps no journal, so the call cannot be resumed. Default: True.
    progress : bool or callable, optional
        True shows a progress bar. A callable gets the number of finished blocks and of all blocks;
        the writing thread calls it.

    Returns
    -------
    Layout
        Shape, number and predicted memory of the blocks, and the algorithm.

    Raises
    ------
    ConvbenchError
        If the arrays do not fit each other, or cannot be read or written. Also if `memory` is too
        small for the smallest block.

    Notes
    -----
    "naive", "parallel" and "separable" give the same bits as for the whole array in memory, unless
    the array is smaller than the smallest block. The others sum in an order that depends on the
    shape of the block. Their results keep within their error bounds.

    The automatic choice is made before the array is read. So it may take an algorithm that spreads
    a NaN or infinity to nearby outputs. ``accuracy="direct"`` rules that out.
    """
    call = _call(source, kernel, out, mode, boundary, cval, algorithm, accuracy, threads, True)
    return _run(call, source, out, memory, block, resume, progress)


def correlate(
    source: Any,
    kernel: np.ndarray,
    out: Any,
    *,
    memory: int | str = "2GB",
    mode: str = "same",
    boundary: str | None = None,
    cval: float = 0.0,
    algorithm: str | Algorithm = AUTO,
    accuracy: str | float = "standard",
    threads: int | None = None,
    block: tuple[int, ...] | None = None,
    resume: bool | str | Path = True,
    progress: bool | Progress | None = None,
) -> Layout:
    """Cross-correlate an array of any size, block by block; parameters are those of `convolve`."""
    call = _call(source, kernel, out, mode, boundary, cval, algorithm, accuracy, threads, False)
    return _run(call, source, out, memory, block, resume, progress)


def layout(
    source: Any,
    kernel: np.ndarray,
    out: Any,
    *,
    memory: int | str = "2GB",
    mode: str = "same",
    algorithm: str | Algorithm = AUTO,
    accuracy: str | float = "standard",
    threads: int | None = None,
    block: tuple[int, ...] | None = None,
    boundary: str | None = None,
    flip: bool = True,
) -> Layout:
    """Return the blocks that `convolve` would use, with their memory; nothing is computed."""
    call = _call(source, kernel, out, mode, boundary, 0.0, algorithm, accuracy, threads, flip)
    return _laid_out(call, source, out, bytes_of("memory", memory), block)


@dataclass(frozen=True, eq=False)
class _Call:
    """Arguments that were checked."""

    spans: tuple[Span, ...]
    kernel: np.ndarray
    dtype: str
    rounded: bool
    flip: bool
    boundary: str
    cval: float
    algorithm: str | Algorithm
    accuracy: str | float
    threads: int | None

    def part(self, algorithm: Algorithm) -> Algorithm:
        """Return `algorithm` as it computes parts of the whole array."""
        return algorithm.part_of(whole_of(self.spans, self.dtype, self.flip))

    def settings(self, source: Any, out: Any, memory: int, block: Any) -> dict[str, Any]:
        """Return what must be the same for a call to go on with an earlier one."""
        named = self.algorithm if isinstance(self.algorithm, str) else self.algorithm.name
        return {
            "shapes": [list(source.shape), list(self.kernel.shape), list(out.shape)],
            "types": [str(source.dtype), self.dtype, str(out.dtype)],
            "before": [span.before for span in self.spans],
            "boundary": self.boundary, "cval": self.cval, "flip": self.flip,
            "algorithm": named, "accuracy": self.accuracy, "threads": self.threads,
            "memory": memory, "block": block, "source": _stamp(source),
        }  # fmt: skip


def _stamp(source: Any) -> list[Any] | None:
    """Return what tells a source from others of its shape and type.

    An array in memory is told by its samples, one in a file by its place in it and the file's size
    and time of change.
    """
    source = getattr(source, "wrapped", source)  # read as another type
    place = copying.place(source)
    if place is None or not Path(place).exists():
        if not isinstance(source, np.ndarray):
            return None
        return [zlib.crc32(np.ascontiguousarray(source).view(np.uint8).data)]
    found = Path(place).stat()
    within = [getattr(source, "name", None), getattr(source, "path", None)]
    if isinstance(source, np.ndarray):
        start = source.ctypes.data - np.frombuffer(copying.mapping(source), np.uint8).ctypes.data
        within = [start, source.strides]
    return [str(Path(place).resolve()), found.st_size, found.st_mtime_ns, *within]


def _call(
    source: Any, kernel: Any, out: Any, mode: str, boundary: str | None, cval: float,
    algorithm: str | Algorithm, accuracy: str | float, threads: int | None, flip: bool,
) -> _Call:  # fmt: skip
    """Check all that does not depend on the blocks."""
    copying.facts("source", source)
    copying.facts("out", out)
    choice("mode", mode, MODES)
    kernel = as_array("kernel", kernel)
    types = np.dtype(source.dtype), kernel.dtype
    check_types(source=types[0], kernel=types[1])
    border, cval = checked_border(boundary, cval)
    size = tuple(map(int, source.shape))
    check_axes(size, kernel.shape, "source")
    spans = tuple(
        Span.of(mode, n, k, flip, boundary) for n, k in zip(size, kernel.shape, strict=True)
    )
    if min(s.outputs for s in spans) < 1:
        raise ConvbenchError(
            f'kernel {kernel.shape} exceeds the source {size}, which mode "valid" does not allow; '
            f'use "same" or "full"'
        )
    rounded = all(dtype.kind != "f" for dtype in types)
    single = not rounded and np.result_type(*types) == np.float32
    dtype = "float32" if single else "float64"
    _check_out(out, tuple(s.outputs for s in spans), np.dtype("int64" if rounded else dtype))
    if copying.same_store(source, out):
        raise ConvbenchError(
            "source and out share memory or file; give an out with a place of its own"
        )
    if rounded:
        _check_exact(types[0], kernel, cval)
    kernel = read_only(np.array(narrowed("kernel", kernel, np.dtype(dtype)), order="C"))
    return _Call(spans, kernel, dtype, rounded, flip, border, cval, algorithm, accuracy, threads)


def check_types(source: np.dtype, kernel: np.dtype) -> None:
    """Raise unless blocks can be computed from samples and taps of these types."""
    for what, dtype in (("source", source), ("kernel", kernel)):
        if dtype.kind == "c":
            raise ConvbenchError(
                f"{what} is {dtype}, and blocks hold real numbers; convolve the real and the "
                f"imaginary part in calls of their own, or use algos.dask.convolve"
            )
    check_real(source=source, kernel=kernel)


def _check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if tuple(out.shape) != shape or np.dtype(out.dtype) != dtype:
        raise ConvbenchError(
            f"out is {out.dtype}{tuple(out.shape)}, the result is {dtype}{shape}; "
            f"make out of that shape and type"
        )
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ConvbenchError("out is read-only; open it for writing")


def _check_exact(dtype: np.dtype, kernel: np.ndarray, cval: float) -> None:
    """Raise unless every sum of these integers is exact in float64."""
    reach = 1 if dtype.kind == "b" else max(-int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    most = max(reach, abs(cval)) * float(np.abs(kernel.astype(np.float64)).sum())
    if most >= EXACT or cval != int(cval):
        raise ConvbenchError(
            f"sums of {dtype} with this kernel may reach {most:.3g}, but they are exact only up to "
            f"2^53; give the kernel as float64, and an out of float64"
        )


def _laid_out(
    call: _Call, source: Any, out: Any, memory: int, block: tuple[int, ...] | None
) -> Layout:
    """Choose the algorithm and the shape of the blocks."""
    stores = copying.facts("source", source), copying.facts("out", out)
    spans, itemsize = call.spans, 8 if call.dtype == "float64" else 4

    def needed_by(chosen: Algorithm) -> Callable[[tuple[int, ...]], int]:
        def needed(shape: tuple[int, ...]) -> int:
            problem = problem_of(shape, spans, call.dtype, call.flip)
            small = pools.is_small(problem.multiply_adds, problem.compulsory_bytes)
            count = 1 if small else pools.check(call.threads)
            workspace = performer(chosen, problem).workspace_bytes(problem, count)
            return memory_of(shape, spans, itemsize, workspace, *stores, call.rounded)

        return needed

    if block is not None:
        shape = _checked(block, spans)
        chosen = _resolved(call, shape)
        return Layout(spans, shape, chosen.name, needed_by(chosen)(shape))
    alone, least = _plain_need(call, stores, itemsize), smallest(spans)
    fits = alone(least) <= memory
    chosen = _resolved(call, choose(spans, memory, alone, *stores) if fits else least)
    needed = needed_by(chosen)
    if call.algorithm == AUTO and needed(least) > memory:
        chosen = call.part(registry.convolutions()["parallel"])
        needed = needed_by(chosen)
    shape = choose(spans, memory, needed, *stores)
    return Layout(spans, shape, chosen.name, needed(shape))


def _plain_need(
    call: _Call, stores: tuple[Any, Any], itemsize: int
) -> Callable[[tuple[int, ...]], int]:
    """Return the need for memory without any workspace."""
    return lambda shape: memory_of(shape, call.spans, itemsize, 0, *stores, call.rounded)


def _checked(block: Any, spans: tuple[Span, ...]) -> tuple[int, ...]:
    wanted = per_axis("block", block, len(spans))
    return tuple(min(b, s.outputs) for b, s in zip(wanted, spans, strict=True))


def _resolved(call: _Call, shape: tuple[int, ...]) -> Algorithm:
    """Return the algorithm for blocks of this shape; sums of integers are direct ones."""
    problem = problem_of(shape, call.spans, call.dtype, call.flip)
    w = read_only(call.kernel.reshape(problem.kernel_shape))
    accuracy = "direct" if call.rounded and call.algorithm == AUTO else call.accuracy
    chosen: Algorithm = resolve(call.algorithm, problem, w, accuracy=accuracy, threads=call.threads)
    if call.rounded and not chosen.exact_on_integers:
        raise ConvbenchError(
            f"{chosen.name} rounds sums of integers; choose a direct algorithm, or give the "
            f"kernel as float64"
        )
    return call.part(chosen)


def _run(
    call: _Call, source: Any, out: Any, memory: int | str, block: Any, resume: bool | str | Path,
    progress: bool | Progress | None,
) -> Layout:  # fmt: skip
    allowed = bytes_of("memory", memory)
    path = _journal_path(out, resume)
    # Without a journal nothing is told apart, so the source need not be read for it.
    key = journal.digest(call.settings(source, out, allowed, block), call.kernel) if path else ""
    notes = journal.Journal(path, key)
    if notes.chosen:
        again = _with_algorithm(call, notes.chosen["algorithm"])
        laid = _laid_out(again, source, out, allowed, notes.chosen["block"])
    else:
        laid = _laid_out(call, source, out, allowed, block)
    problem = problem_of(laid.block, laid.spans, call.dtype, call.flip)
    # Checked before anything is opened or read: an algorithm may refuse the kernel.
    plan = _plan(call, problem, laid.algorithm)
    finished = False
    try:
        notes.begin(laid.algorithm, laid.block, loop.kept(laid, out, notes.done))
        loop.run(laid, plan, source, out, call.boundary, call.cval, notes, progress)
        finished = True
    finally:
        notes.close(finished)
    return laid


def _with_algorithm(call: _Call, name: str) -> _Call:
    return (
        call
        if isinstance(call.algorithm, Algorithm)
        else replace(call, algorithm=name, accuracy="standard")
    )


def _plan(call: _Call, problem: Problem, algorithm: str) -> Plan:
    named = call.algorithm if isinstance(call.algorithm, Algorithm) else algorithm
    chosen = call.part(registry.get_for(problem, named))
    w = call.kernel.reshape(problem.kernel_shape)
    return Plan(problem, w, algorithm=chosen, threads=call.threads, copy=False)


def _journal_path(out: Any, resume: bool | str | Path) -> Path | None:
    if resume is False:
        return None
    if resume is not True:
        return Path(resume)
    where, name = copying.place(out), getattr(out, "name", None)
    if where is None:
        return None
    inside = name.strip("/").replace("/", "-") if isinstance(name, str) else ""
    return Path(journal.beside(f"{where}-{inside}" if inside else where))
