"""Kills of a convolution in blocks, each resumed; the result is compared bit by bit.

Usage::

    python -m suites.scale.kills [--kills 20] [--store npy] [--algorithm auto]

A process is killed (SIGKILL) as soon as its journal holds a block. The next process repeats the
call.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from algos import blocks
from algos.blocks.journal import ENDING
from suites.cases import stores
from suites.machine import clock

from .inputs import blur, make_input

#: Sides of the input and rows of a block.
SIZE, ROWS = (3072, 2048), 64


@dataclass(frozen=True)
class Outcome:
    """Kills and starts of the process, blocks in all, and True if not a bit differs."""

    kills: int
    starts: int
    blocks: int
    identical: bool


def run(kills: int, ending: str, algorithm: str, folder: Path) -> Outcome:
    """Kill and resume until enough was killed; then let it end."""
    source = folder / f"input.{ending}"
    array = make_input(source, SIZE)
    expected = np.empty(SIZE, np.float32)
    laid = blocks.convolve(array, blur(15), expected, block=(ROWS, SIZE[1]), algorithm=algorithm)
    _close(array)
    result, done, starts = folder / f"output.{ending}", 0, 0
    while True:
        starts += 1
        process = _start(source, result, algorithm)
        if done == kills:
            break
        before = _noted(folder)
        while process.poll() is None and _noted(folder) <= before:
            clock.settle(0.001)
        if process.poll() is not None:
            break  # it was done before it could be killed
        process.kill()
        process.wait()
        done += 1
    if process.wait():
        raise RuntimeError(f"the process ended with code {process.returncode}")
    found = stores.open_source(str(result))[...]
    return Outcome(done, starts, laid.blocks, bool(np.array_equal(found, expected)))


def _start(source: Path, result: Path, algorithm: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "suites.scale.kills", "--child", str(source), str(result)]
    return subprocess.Popen([*words, algorithm], cwd=Path(__file__).parents[2])


def _noted(folder: Path) -> int:
    """Return how many blocks the journal has."""
    return sum(max(path.read_bytes().count(b"\n") - 1, 0) for path in folder.glob(f"*{ENDING}"))


def _close(array: object) -> None:
    getattr(getattr(array, "file", None), "close", lambda: None)()


def _child(source: str, result: str, algorithm: str) -> None:
    array = stores.open_source(source)
    again = Path(result).exists()
    out = stores.open_result(result, SIZE, np.dtype("f4"), array, again=again)
    blocks.convolve(
        array, blur(15), out, block=(ROWS, SIZE[1]), algorithm=algorithm,
        progress=lambda done, total: clock.settle(0.02),  # time to be killed in
    )  # fmt: skip


def main() -> int:
    """Print a line of the outcome."""
    if sys.argv[1:2] == ["--child"]:
        _child(*sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--store", default="npy", choices=("h5", "zarr", "npy", "tif"))
    parser.add_argument("--algorithm", default="auto")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(given.kills, given.store, given.algorithm, Path(folder))
    print(
        f"{given.store}: {found.kills} kills in {found.starts} starts, {found.blocks} blocks; the "
        f"result is {'identical' if found.identical else 'NOT identical'}"
    )
    return 0 if found.identical and found.kills == given.kills else 1


if __name__ == "__main__":
    sys.exit(main())
