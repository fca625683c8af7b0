"""Algorithm files for registered functions, which workers load like a user's own."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import zlib
from functools import cache
from pathlib import Path

from algos.functions import FunctionAlgorithm, file_text
from results.records.files import write_whole


def file_of(algorithm: FunctionAlgorithm) -> str:
    """Return the path of a file that registers the function of `algorithm`.

    A function that came from an algorithm file has that file. For others one is written, which
    lasts until Python ends.

    Raises
    ------
    ConvbenchError
        If the function can neither be imported nor copied.
    """
    if algorithm.file is not None:
        return algorithm.file
    text = file_text(algorithm)
    return str(
        write_whole(_folder() / f"{algorithm.name}-{zlib.crc32(text.encode()):08x}.py", text)
    )


@cache
def _folder() -> Path:
    """Return a folder that is removed when Python ends."""
    folder = tempfile.mkdtemp(prefix="convbench-functions-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
