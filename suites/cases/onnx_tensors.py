"""Tensors of an ONNX file, found without reading the rest of the file.

A model may have gigabytes, and a worker needs the kernel of one layer. The file is a message of
Protocol Buffers: a sequence of fields, each with a key and, for the ones of interest, a length.
The walk skips every field but the path to the tensor, so it touches a few pages of the file.

Field numbers: onnx.proto of ONNX; encoding: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from algos.core.errors import ConvbenchError

#: Opening of the source of weights that `source_of` writes.
PREFIX = "onnx:"

_GRAPH, _INITIALIZER = 7, 5
_DIMS, _DATA_TYPE, _FLOATS, _NAME, _RAW, _DOUBLES, _EXTERNAL = 1, 2, 4, 8, 9, 10, 13
#: NumPy's types by ONNX's numbers of them; others are not read.
_TYPES: dict[int, Any] = {1: np.dtype("<f4"), 11: np.dtype("<f8"), 10: np.dtype("<f2")}
#: Types of fields on the wire.
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5

Span = tuple[int, int]


def source_of(path: str | Path, tensor: str) -> str:
    """Return the source of weights that names a tensor of a file.

    >>> source_of("net.onnx", "conv1.weight")
    'onnx:net.onnx#conv1.weight'
    """
    return f"{PREFIX}{path}#{tensor}"


def is_source(source: str) -> bool:
    """Return True if `source` is one of `source_of`."""
    return source.startswith(PREFIX) and "#" in source


def read_tensor(source: str) -> np.ndarray:
    """Return the tensor that `source` names, as an array of its own shape and type.

    Raises
    ------
    ConvbenchError
        If file or tensor are missing, or its values are neither in the file nor beside it.
    """
    path, name = _parts(source)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for number, span in _fields(data, (0, len(data))):
                if number != _GRAPH:
                    continue
                for inner, tensor in _fields(data, span):
                    if inner == _INITIALIZER and _text(data, tensor, _NAME) == name:
                        return _array(data, tensor, path)
    except (OSError, ValueError, IndexError) as error:
        raise ConvbenchError(f"tensor {name!r} of {str(path)!r} cannot be read: {error}") from None
    raise ConvbenchError(f"{str(path)!r} holds no tensor {name!r}; was the file changed?")


def _parts(source: str) -> tuple[Path, str]:
    """Return file and tensor; a folder may have a # in its name, and so may a tensor."""
    text = source.removeprefix(PREFIX)
    places = [at for at, sign in enumerate(text) if sign == "#"]
    at = next((at for at in places if Path(text[:at]).is_file()), places[0])
    return Path(text[:at]), text[at + 1 :]


def _fields(data: mmap.mmap, span: Span) -> Iterator[tuple[int, Span]]:
    """Yield number and place of each field of a message; of a number, the place is its value."""
    at, end = span
    while at < end:
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, (value, value)
        elif kind == _LENGTH:
            length, at = _varint(data, at)
            if at + length > end:
                raise ValueError("the file is cut short or damaged")
            yield number, (at, at + length)
            at += length
        elif kind in (_EIGHT, _FOUR):
            at += 8 if kind == _EIGHT else 4
        else:
            raise ValueError("the file is damaged")


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and the place behind it."""
    value = shift = 0
    while shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("the file is damaged")


def _text(data: mmap.mmap, span: Span, wanted: int) -> str:
    """Return a text field of a message; empty without one."""
    for number, (start, end) in _fields(data, span):
        if number == wanted:
            return data[start:end].decode("utf-8", "replace")
    return ""


def _array(data: mmap.mmap, span: Span, path: Path) -> np.ndarray:
    shape: list[int] = []
    kind = 0
    values: bytes | None = None
    beside: dict[str, str] = {}
    for number, (start, end) in _fields(data, span):
        if number == _DIMS and start == end:
            shape.append(start)  # one number by itself
        elif number == _DIMS:  # all of them packed
            while start < end:
                size, start = _varint(data, start)
                shape.append(size)
        elif number == _DATA_TYPE:
            kind = start
        elif number in (_FLOATS, _DOUBLES, _RAW):
            values = data[start:end]
        elif number == _EXTERNAL:
            beside[_text(data, (start, end), 1)] = _text(data, (start, end), 2)
    if kind not in _TYPES:
        raise ValueError(f"its data type, number {kind} of ONNX, is no floating-point number")
    count = int(np.prod(shape))
    if values is None and "location" in beside:
        file = path.parent / beside["location"]
        found = np.fromfile(file, _TYPES[kind], count, offset=int(beside.get("offset", 0)))
    else:
        found = np.frombuffer(values or b"", _TYPES[kind])
    if found.size != count:
        raise ValueError(f"it has {found.size} values, its shape {tuple(shape)} needs {count}")
    return found.reshape(shape)
