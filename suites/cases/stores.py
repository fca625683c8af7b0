"""Files of arrays that are read and written in parts: .npy, .zarr, .h5 and .tif, by their names.

The libraries of all but .npy come with the extra [scale], and are imported when one is opened. An
array inside a file has its name behind a colon: ``scan.h5:/raw``.
"""

from __future__ import annotations

import importlib
import math
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from algos.core.causes import said
from algos.core.errors import ConvbenchError

#: Library of each ending.
LIBRARIES = {
    ".npy": "numpy", ".zarr": "zarr", ".h5": "h5py", ".hdf5": "h5py", ".tif": "tifffile",
    ".tiff": "tifffile",
}  # fmt: skip
#: Bytes from which a TIFF needs offsets of 64 bits.
BIG_TIFF = 2**31
#: Bytes that a chunk of a new zarr array aims at.
CHUNK_BYTES = 4 << 20
#: Name of the array in a new HDF5 file.
USUAL_NAME = "data"


def open_source(spec: str) -> Any:
    """Return the array in a file, to be read in parts.

    Raises
    ------
    ConvbenchError
        If the file or array does not exist, or its library is missing.
    """
    path, name, ending = _parts(spec)
    if not path.exists():
        raise ConvbenchError(f"{spec!r} does not exist")
    try:
        return _opened(path, name, ending, "r")
    except ConvbenchError:
        raise
    except Exception as error:
        raise ConvbenchError(f"{spec!r} cannot be read: {said(error)}") from None


def open_result(spec: str, shape: tuple[int, ...], dtype: np.dtype, like: Any, again: bool) -> Any:
    """Return an array in a file, to be written in parts.

    Parameters
    ----------
    like : array
        Source of the convolution. A new zarr array takes its chunks, if it has any.
    again : bool
        True opens an existing file. False makes a new one.
    """
    path, name, ending = _parts(spec)
    try:
        if again:
            return _opened(path, name, ending, "r+")
        return _made(path, name, ending, shape, dtype, like)
    except ConvbenchError:
        raise
    except Exception as error:
        raise ConvbenchError(f"{spec!r} cannot be written: {said(error)}") from None


def path_of(spec: str) -> Path:
    """Return the path of the file that `spec` names."""
    return _parts(spec)[0]


def name_of(spec: str) -> str:
    """Return the name of the array inside the file; empty if `spec` names none."""
    return _parts(spec)[1]


def exists(spec: str) -> bool:
    """Return True if the file exists and holds the array that `spec` names in it, if any."""
    path, name, ending = _parts(spec)
    if not path.exists() or not name:
        return path.exists()
    library = _library(ending)
    try:
        if LIBRARIES[ending] == "h5py":
            with library.File(path, "r") as file:
                return name in file
        return name in library.open_group(path, mode="r")
    except Exception as error:
        raise ConvbenchError(f"{spec!r} cannot be read: {said(error)}") from None


def remove(spec: str) -> None:
    """Remove the array that `spec` names in a file, or the whole file if it names none."""
    path, name, ending = _parts(spec)
    if not name:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif LIBRARIES[ending] == "h5py":
        with _library(ending).File(path, "r+") as file:
            del file[name]
    else:
        del _library(ending).open_group(path, mode="r+")[name]


def _parts(spec: str) -> tuple[Path, str, str]:
    """Return path, name inside and ending of ``scan.h5:/raw``."""
    path, _, name = spec.partition(":")
    ending, name = Path(path).suffix.lower(), name.strip("/")
    if ending not in LIBRARIES:
        raise ConvbenchError(
            f"{spec!r}: files of arrays end in {', '.join(LIBRARIES)}; "
            f"an array inside one is named as in scan.h5:/raw"
        )
    if name and LIBRARIES[ending] not in ("h5py", "zarr"):
        raise ConvbenchError(f"{spec!r}: {ending} files hold one array; leave out :{name}")
    return Path(path).expanduser(), name, ending


def _library(ending: str) -> ModuleType:
    name = LIBRARIES[ending]
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConvbenchError(
            f'{name} is not installed, which {ending} files need; pip install "convbench[scale]"'
        ) from None


def _opened(path: Path, name: str, ending: str, mode: Any) -> Any:
    library = _library(ending)
    if ending == ".npy":
        return np.load(path, mmap_mode=mode)
    if LIBRARIES[ending] == "tifffile":
        try:
            return library.memmap(path, mode=mode)
        except ValueError:  # compressed, or in several pieces
            if mode != "r":
                raise
            return _library(".zarr").open_array(library.imread(path, aszarr=True), mode="r")
    found = (
        library.File(path, mode) if LIBRARIES[ending] == "h5py" else library.open(path, mode=mode)
    )
    if name:
        return found[name]
    if hasattr(found, "dtype"):
        return found
    arrays = [key for key in found if hasattr(found[key], "dtype")]
    if len(arrays) != 1:
        raise ConvbenchError(
            f"{path} holds {len(arrays)} arrays ({', '.join(arrays) or 'none'} at the top); "
            f"name one, as in {path}:/{arrays[0] if arrays else 'raw'}"
        )
    return found[arrays[0]]


def _made(
    path: Path, name: str, ending: str, shape: tuple[int, ...], dtype: np.dtype, like: Any
) -> Any:
    library = _library(ending)
    if ending == ".npy":
        return np.lib.format.open_memmap(path, "w+", dtype, shape)
    if LIBRARIES[ending] == "tifffile":
        large = math.prod(shape) * dtype.itemsize >= BIG_TIFF
        return library.memmap(path, shape=shape, dtype=dtype, bigtiff=large)
    if LIBRARIES[ending] == "h5py":
        file = library.File(path, "a" if name else "w")  # a named array leaves others alone
        made = file.create_dataset(name or USUAL_NAME, shape, dtype)
        made.file.flush()
        return made
    chunks = getattr(like, "chunks", None) or _chunks(shape, dtype.itemsize)
    chunks = tuple(map(min, chunks, shape))
    return library.create_array(
        str(path), name=name or None, shape=shape, chunks=chunks, dtype=dtype, overwrite=True
    )


def _chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return chunks of equal sides that hold about `CHUNK_BYTES`."""
    side = max(1, round((CHUNK_BYTES / itemsize) ** (1 / len(shape))))
    return tuple(min(side, n) for n in shape)
