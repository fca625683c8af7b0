"""Algorithm files for registered functions, which workers load like a user's own."""

from __future__ import annotations

import zlib

from algos.core.errors import ConvbenchError
from algos.functions import FunctionAlgorithm, file_text
from results.records.files import write_whole
from suites.machine.environment import cache_folder


def file_of(algorithm: FunctionAlgorithm) -> str:
    """Return the path of a file that registers the function of `algorithm`.

    A function that came from an algorithm file has that file. For others one is written into the
    cache folder, under a name that depends on its text. It is kept, because the command line of a
    run names it, and the run may be resumed later.

    Raises
    ------
    ConvbenchError
        If the function can neither be imported nor copied, or the file cannot be written.
    """
    if algorithm.file is not None:
        return algorithm.file
    text = file_text(algorithm)
    name = f"{algorithm.name}-{zlib.crc32(text.encode()):08x}.py"
    try:
        return str(write_whole((cache_folder() / "functions" / name).resolve(), text))
    except ConvbenchError as error:
        raise ConvbenchError(f"{error}; CONVBENCH_CACHE=DIR names another folder") from None
