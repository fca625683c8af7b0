"""Journal of finished blocks, kept beside the result so that a killed call can resume.

This is the only file that blocks need besides their stores. Each line names one block and holds a
checksum of what was written. A block counts as finished if its line is complete and the checksum
matches `out`. So blocks are computed again if `out` was replaced since.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from algos.core.errors import ConvbenchError

#: End of the name of a journal; the beginning is the name of the result.
ENDING = ".convbench-blocks"


def beside(place: str) -> str:
    """Return the path of the journal of a result that lies at `place`."""
    return place + ENDING


def digest(facts: Mapping[str, Any], kernel: np.ndarray) -> str:
    """Return a text that identifies a call: its kernel, shapes and settings."""
    text = json.dumps(facts, sort_keys=True, default=str).encode()
    content = np.ascontiguousarray(kernel)
    return hashlib.blake2b(text + str(content.dtype).encode() + content.tobytes()).hexdigest()[:32]


def checksum(values: np.ndarray) -> int:
    """Return the CRC-32 of an array's values, row by row: it need not be contiguous."""
    found = 0
    for row in values if values.ndim > 1 else (values,):
        found = zlib.crc32(np.ascontiguousarray(row).tobytes(), found)
    return found


class Journal:
    """Blocks that were written, and what they held.

    Attributes
    ----------
    chosen : dict
        What the first call chose: ``algorithm`` and ``block``. Empty for a new journal.
    done : dict
        Checksum of each block by number.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self.path, self.key = path, key
        self.chosen: dict[str, Any] = {}
        self.done: dict[int, int] = {}
        self._file: IO[str] | None = None
        if path is not None:
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            return
        lines = text.split("\n")[:-1]  # a line that was cut off has no end
        with suppress(ValueError, KeyError, TypeError):
            head = json.loads(lines[0])
            if head["call"] != self.key:
                return
            self.chosen = {"algorithm": head["algorithm"], "block": tuple(head["block"])}
            for line in lines[1:]:
                number, found = json.loads(line)
                self.done[int(number)] = int(found)

    def begin(self, algorithm: str, block: tuple[int, ...], kept: Mapping[int, int]) -> None:
        """Write the head, and the blocks that are `kept`; then take more."""
        self.done = dict(kept)
        if self.path is None:
            return
        head = {"call": self.key, "algorithm": algorithm, "block": block}
        lines = [json.dumps(head), *(json.dumps(one) for one in kept.items())]
        try:
            fresh = self.path.with_name(self.path.name + ".new")
            fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
            fresh.replace(self.path)
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConvbenchError(
                f"the journal {os.fspath(self.path)!r} cannot be written: "
                f"{error.strerror or error}; give another place, or resume=False to keep none"
            ) from None

    def add(self, number: int, found: int) -> None:
        """Note that a block was written."""
        self.done[number] = found
        if self._file is not None:
            self._file.write(json.dumps((number, found)) + "\n")
            self._file.flush()

    def close(self, finished: bool) -> None:
        """Close the file, and remove it once all is done."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if finished and self.path is not None:
            self.path.unlink(missing_ok=True)
