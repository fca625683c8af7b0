"""Throughput of blocks against their size, beside that of the disk and of memory.

Usage::

    python -m suites.scale.throughput [--size 1GB] [--taps 15] [--figure FILE.png]

For each block size, two calls are timed in turn. One convolves from file to file. The other copies
the same blocks without computing. Files are .npy. The input is dropped from the page cache before
each call, and the result is flushed to the disk at its end (fsync). The convolution of an array in
memory has no block size. It is timed first.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import algos
from algos import blocks
from algos.blocks import loop
from algos.blocks.journal import Journal
from suites.cases import stores
from suites.commands.arguments import bytes_count
from suites.machine import clock

from .inputs import blur, make_input, square_of

#: Rows of a block, from small to large.
ROWS = (16, 32, 64, 128, 256, 512, 1024, 2048)
#: Rounds of each; the shortest counts.
ROUNDS = 3


@dataclass(frozen=True)
class Row:
    """Bytes of a block of input, and seconds of blocks, of a copy and of memory."""

    block_bytes: int
    blocks_s: float
    copy_s: float
    memory_s: float

    @property
    def share(self) -> float:
        """Throughput as a share of the slower of copying and computing."""
        return max(self.copy_s, self.memory_s) / self.blocks_s


class _Copy:
    """Stands for a plan: the block without its halo, copied."""

    def __init__(self, problem: Any) -> None:
        self.problem = problem

    def __call__(self, x: np.ndarray, out: np.ndarray) -> None:
        out[...] = x[tuple(slice(n) for n in out.shape)]


def measure(size: tuple[int, int], taps: int, rows: tuple[int, ...], folder: Path) -> list[Row]:
    """Time every block size; return a row for each that the image has."""
    make_input(folder / "input.npy", size)
    kernel = blur(taps)
    memory = min(_in_memory(folder, kernel) for _ in range(ROUNDS))
    found = []
    for count in rows:
        if count > size[0]:
            continue
        convolved, copied = [], []
        for _ in range(ROUNDS):
            convolved.append(_from_file(folder, kernel, (count, size[1]), copy=False))
            copied.append(_from_file(folder, kernel, (count, size[1]), copy=True))
        nbytes = (count + taps - 1) * size[1] * 4
        found.append(Row(nbytes, min(convolved), min(copied), memory))
    return found


def _in_memory(folder: Path, kernel: np.ndarray) -> float:
    whole = np.load(folder / "input.npy")
    return _timed(lambda: algos.convolve(whole, kernel, "same"))


def _from_file(folder: Path, kernel: np.ndarray, block: tuple[int, int], copy: bool) -> float:
    source, result = folder / "input.npy", folder / "output.npy"
    result.unlink(missing_ok=True)
    _drop(source)
    array = stores.open_source(str(source))
    out = stores.open_result(str(result), array.shape, np.dtype("f4"), array, again=False)
    laid = blocks.layout(array, kernel, out, block=block)

    def work() -> None:
        if copy:
            problem = algos.Problem(size=laid.read_shape, kernel=kernel.shape)
            plan: Any = _Copy(problem)
            loop.run(laid, plan, array, out, "zeros", 0.0, Journal(None, ""), None)
        else:
            blocks.convolve(array, kernel, out, block=block)
        out.flush()

    return _timed(work)


def _drop(path: Path) -> None:
    """Drop a file from the page cache."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def _timed(work: Any) -> float:
    begun = clock.now()
    work()
    return clock.now() - begun


def draw(rows: list[Row], nbytes: int, file: Path) -> None:
    """Draw throughput against the size of the blocks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    sizes = [row.block_bytes / 1e6 for row in rows]
    for name, marker, seconds in (
        ("convolution in blocks", "o", [row.blocks_s for row in rows]),
        ("copy of the same blocks", "s", [row.copy_s for row in rows]),
        ("convolution in memory", "", [row.memory_s for row in rows]),
    ):
        axes.plot(sizes, [nbytes / 1e6 / s for s in seconds], marker=marker, label=name)
    axes.set(
        xscale="log", xlabel="block of input, MB", ylabel="input, MB/s", ylim=(0, None),
        title="How large should blocks be?",
    )  # fmt: skip
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=150)


def main() -> int:
    """Print a table, and draw it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=bytes_count, default=10**9)
    parser.add_argument("--taps", type=int, default=15)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--folder", help="where the files are made; they are removed")
    given = parser.parse_args()
    size = square_of(given.size)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        rows = measure(size, given.taps, ROWS, Path(folder))
    nbytes = 4 * size[0] * size[1]
    print(f"{size[0]}×{size[1]} float32, {given.taps}×{given.taps} separable, MB/s of input")
    print("block MB   blocks     copy   memory   of the slower")
    for row in rows:
        rates = [nbytes / 1e6 / s for s in (row.blocks_s, row.copy_s, row.memory_s)]
        print(f"{row.block_bytes / 1e6:8.1f} " + " ".join(f"{r:8.0f}" for r in rates)
              + f"   {row.share:8.0%}")  # fmt: skip
    if given.figure:
        draw(rows, nbytes, given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
