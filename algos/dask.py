"""Convolution of Dask arrays, lazily, with every boundary over the whole array.

Dask is imported when a function here is called. The boundary is added by us before Dask shares
halos among chunks: Dask's own "wrap" would have to know the whole array, and its halos may not be
deeper than a chunk. Chunks that are smaller than the halo are joined with their neighbours.
"""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from . import registry
from .blocks.layout import whole_of
from .blocks.positions import Span, checked_border, pieces
from .choice import AUTO, resolve
from .core.algorithm import Algorithm
from .core.arguments import choice
from .core.arrays import as_array, narrowed, read_only
from .core.boundary import sources, value_parts
from .core.errors import ConvbenchError, shown
from .core.problem import Problem
from .filtering.complex_parts import joined
from .filtering.request import MODES, check_axes, check_real
from .plan import Plan

__all__ = ["convolve", "correlate", "register_accessor"]

#: Most pieces that a border is put together from; one of more is taken sample by sample.
MOST_PIECES = 8


def convolve(
    array: Any,
    kernel: np.ndarray,
    mode: str = "same",
    boundary: str | None = None,
    *,
    cval: complex = 0.0,
    algorithm: str | Algorithm = AUTO,
    accuracy: str | float = "standard",
    threads: int = 1,
) -> Any:
    """Return the convolution of a Dask array, lazily: Dask computes it on request.

    Parameters
    ----------
    array : dask.array.Array
        Input with 1 to 3 axes of real or complex numbers. Any other array becomes a Dask array of
        one chunk.
    kernel : ndarray
        Kernel with as many axes. It may be larger than a chunk, and than the array.
    mode : {"same", "full", "valid"}
        Size of the result, as in `algos.convolve`. Default: "same".
    boundary, cval
        Values beyond the border of the whole array. See `algos.blocks.convolve`.
    algorithm, accuracy
        As in `algos.conv`. "auto" is resolved once, here, and holds for every chunk.
    threads : int
        Number of threads per chunk. Dask computes one chunk per core at a time, so more than one
        thread helps only if Dask itself runs one thread. Default: 1.

    Returns
    -------
    dask.array.Array
        Result. Its dtype is float32 if NumPy multiplies the types to float32, otherwise float64.
        complex64 and complex128 follow the same rule. So sums of integers are floats. Convert the
        result if you need integers.

    Raises
    ------
    ConvbenchError
        If Dask is not installed, or the arrays do not fit each other.
    """
    return _filtered(array, kernel, mode, boundary, cval, algorithm, accuracy, threads, True)


def correlate(
    array: Any,
    kernel: np.ndarray,
    mode: str = "same",
    boundary: str | None = None,
    *,
    cval: complex = 0.0,
    algorithm: str | Algorithm = AUTO,
    accuracy: str | float = "standard",
    threads: int = 1,
) -> Any:
    """Cross-correlate a Dask array; parameters are those of `convolve`."""
    return _filtered(array, kernel, mode, boundary, cval, algorithm, accuracy, threads, False)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Function of one chunk with its halo; it travels to other processes with its kernel."""

    kernel: np.ndarray
    algorithm: str | Algorithm
    threads: int
    whole: Problem
    digest: str = field(default="")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if 0 in x.shape:  # Dask looks at an empty chunk for the type of the result
            return np.empty((0,) * x.ndim, self.whole.dtype)
        x = np.ascontiguousarray(x, self.whole.dtype)
        return _plan(self, x.shape)(x[None, None])[0, 0]

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chunk) and self.digest == other.digest

    def __dask_tokenize__(self) -> tuple[str, ...]:
        return type(self).__name__, self.digest


@lru_cache(maxsize=64)
def _plan(chunk: Chunk, size: tuple[int, ...]) -> Plan:
    """Return the plan for chunks of `size`: one in a process, shared by its threads."""
    problem = replace(chunk.whole, size=size, padding=0)
    w = chunk.kernel.reshape(problem.kernel_shape)
    algorithm = registry.get_for(problem, chunk.algorithm).part_of(chunk.whole)
    return Plan(problem, w, algorithm=algorithm, threads=chunk.threads)


def _filtered(
    array: Any, kernel: Any, mode: str, boundary: str | None, cval: complex,
    algorithm: str | Algorithm, accuracy: str | float, threads: int, flip: bool,
) -> Any:  # fmt: skip
    """Return the convolution or correlation, of two arrays that may be complex."""
    da = _dask_array()
    array, kernel = da.asanyarray(array), as_array("kernel", kernel)
    how = mode, boundary, algorithm, accuracy, threads, flip
    (a, b), (c, d) = (
        (each.real, each.imag) if each.dtype.kind == "c" else (each, None)
        for each in (array, kernel)
    )
    first: complex = cval
    second: complex = 0.0
    if b is not None:
        first, second = value_parts(cval)
    real = _real(da, a, c, first, *how)
    if b is None and d is None:
        return real
    if d is None:
        imaginary = _real(da, b, c, second, *how)
    else:
        d = d if flip else -d  # SciPy correlates with the conjugate
        imaginary = _real(da, a, d, first, *how)
        if b is not None:
            real -= _real(da, b, d, second, *how)
            imaginary += _real(da, b, c, second, *how)
    dtype = np.result_type(real, np.complex64)
    return da.map_blocks(joined, real, imaginary, dtype=dtype, meta=np.empty((0,) * a.ndim, dtype))


def _real(
    da: ModuleType, array: Any, kernel: np.ndarray, cval: complex, mode: str, boundary: str | None,
    algorithm: str | Algorithm, accuracy: str | float, threads: int, flip: bool,
) -> Any:  # fmt: skip
    """Return the convolution or correlation of two real arrays."""
    choice("mode", mode, MODES)
    border, fill = checked_border(boundary, cval)
    _check(array, kernel)
    single = np.result_type(array.dtype, kernel.dtype) == np.float32
    dtype = "float32" if single else "float64"
    w = read_only(np.array(narrowed("kernel", kernel, np.dtype(dtype)), order="C"))
    spans = [
        Span.of(mode, n, k, flip, boundary) for n, k in zip(array.shape, kernel.shape, strict=True)
    ]
    if min(s.outputs for s in spans) < 1:
        raise ConvbenchError(
            f'kernel {kernel.shape} exceeds the array {array.shape}; mode "valid" needs it within'
        )
    array = array.astype(dtype)
    chunks, depth = [], {}
    for axis, span in enumerate(spans):
        front = span.kernel // 2
        outputs = _output_chunks(array.chunks[axis], span, front)
        array = _extended(da, array, axis, span, border, fill)
        read = [*outputs]
        read[0] += front
        read[-1] += span.kernel - 1 - front
        array = array.rechunk({axis: tuple(read)})
        chunks.append(outputs)
        depth[axis] = (front, span.kernel - 1 - front) if len(outputs) > 1 else (0, 0)
    whole = whole_of(tuple(spans), dtype, flip)
    function = _function(w, whole, algorithm, accuracy, threads, chunks)
    return da.map_overlap(
        function, array, depth=depth, boundary="none", trim=False, allow_rechunk=False,
        dtype=dtype, chunks=tuple(chunks), meta=np.empty((0,) * array.ndim, dtype),
    )  # fmt: skip


def _check(array: Any, kernel: np.ndarray) -> None:
    check_real(array=array.dtype, kernel=kernel.dtype)
    if any(np.isnan(n) for n in array.shape):
        raise ConvbenchError(
            f"array has shape {shown(array.shape)}; call its compute_chunk_sizes() first"
        )
    check_axes(array.shape, kernel.shape, "array")


def _function(
    w: np.ndarray, whole: Problem, algorithm: str | Algorithm, accuracy: str | float, threads: int,
    chunks: list[tuple[int, ...]],
) -> Chunk:  # fmt: skip
    """Return the function of a chunk, the algorithm chosen for the largest."""
    size = tuple(max(sizes) + k - 1 for sizes, k in zip(chunks, w.shape, strict=True))
    problem = replace(whole, size=size, padding=0)
    chosen = resolve(
        algorithm, problem, read_only(w.reshape(problem.kernel_shape)), accuracy=accuracy,
        threads=threads,
    )  # fmt: skip
    named = algorithm if isinstance(algorithm, Algorithm) else chosen.name
    facts = f"{whole} {chosen.name} {threads}".encode()
    digest = hashlib.blake2b(facts + w.tobytes()).hexdigest()
    return Chunk(w, named, threads, whole, digest)


def _output_chunks(chunks: tuple[int, ...], span: Span, front: int) -> tuple[int, ...]:
    """Return chunks of the output whose borders lie where those of the input do.

    Each is at least as long as the halo, which Dask takes from one neighbour.
    """
    least = max(front, span.kernel - 1 - front, 1)
    ends = np.cumsum(chunks)[:-1] - front + span.before
    borders = [0]
    for end in map(int, ends):
        if end - borders[-1] >= least and span.outputs - end >= least:
            borders.append(end)
    return tuple(int(n) for n in np.diff([*borders, span.outputs]))


def _extended(da: ModuleType, array: Any, axis: int, span: Span, boundary: str, cval: float) -> Any:
    """Return `array` with the samples that stand before and behind it along an axis."""
    start, stop = span.read_by(0, span.outputs)
    front = _border(da, array, axis, boundary, cval, min(start, 0), 0)
    back = _border(da, array, axis, boundary, cval, span.size, max(stop, span.size))
    parts = [*front, array, *back]
    return da.concatenate(parts, axis) if len(parts) > 1 else array


def _border(
    da: ModuleType, array: Any, axis: int, boundary: str, cval: float, start: int, stop: int
) -> list[Any]:
    """Return arrays of what stands at positions from `start` to `stop`, all beyond the border."""
    if start == stop:
        return []
    size = array.shape[axis]
    parts = pieces(boundary, size, start, stop)
    if len(parts) > MOST_PIECES:
        return [da.take(array, sources(boundary, size, start, stop), axis=axis)]
    made = []
    for part in parts:
        if part.is_outside:
            shape = list(array.shape)
            shape[axis] = part.stop - part.start
            along = [part.stop - part.start if at == axis else c
                     for at, c in enumerate(array.chunks)]  # fmt: skip
            made.append(da.full(shape, cval, dtype=array.dtype, chunks=tuple(along)))
        else:
            picked = array[_along(array.ndim, axis, slice(part.first, part.last))]
            made.append(picked if part.order is None else da.take(picked, part.order, axis=axis))
    return made


def _along(axes: int, axis: int, slices: slice) -> tuple[slice, ...]:
    return tuple(slices if at == axis else slice(None) for at in range(axes))


def _dask_array() -> ModuleType:
    try:
        return importlib.import_module("dask.array")
    except ImportError:
        raise ConvbenchError(
            'Dask is not installed; pip install "convbench[scale]" brings it'
        ) from None


def register_accessor() -> None:
    """Give every xarray.DataArray ``.convbench.convolve`` and ``.convbench.correlate``.

    Both take the parameters of `convolve`. Coordinates are kept in mode "same" alone.
    """
    try:
        xarray = importlib.import_module("xarray")
    except ImportError:
        raise ConvbenchError(
            'xarray is not installed; pip install "convbench[scale]" brings it'
        ) from None
    if not hasattr(xarray.DataArray, "convbench"):
        xarray.register_dataarray_accessor("convbench")(Accessor)


class Accessor:
    """Convolutions of an xarray.DataArray; a chunked one stays lazy."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def convolve(self, kernel: np.ndarray, mode: str = "same", **settings: Any) -> Any:
        """Convolve; parameters are those of `algos.dask.convolve`."""
        return self._applied(convolve, kernel, mode, settings)

    def correlate(self, kernel: np.ndarray, mode: str = "same", **settings: Any) -> Any:
        """Cross-correlate; parameters are those of `algos.dask.convolve`."""
        return self._applied(correlate, kernel, mode, settings)

    def _applied(self, function: Any, kernel: Any, mode: str, settings: dict[str, Any]) -> Any:
        data = self._data
        result = function(data.data, kernel, mode, **settings)
        if data.chunks is None:
            result = result.compute()
        if mode == "same":
            return data.copy(data=result)
        return type(data)(result, dims=data.dims, name=data.name, attrs=data.attrs)
