"""Peak memory of blocks under a limit set by the operating system.

Usage::

    python -m suites.scale.memory [--memory 200MB] [--times 10] [--store h5] [--taps 15]

A process convolves an array that is `times` as large as `memory`. From the call on, its address
space may grow by 1.2 times the predicted memory (RLIMIT_AS). For .npy, private memory is limited
instead (RLIMIT_DATA), because memory maps count in the address space. The peak printed is that of
the resident memory (VmHWM).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from algos import blocks
from suites.cases import stores
from suites.commands.arguments import bytes_count
from suites.machine.memory import peak_extra

from .inputs import blur, make_input, square_of

#: Most that a process may take, as a multiple of the prediction.
EXCESS = 1.2


@dataclass(frozen=True)
class Outcome:
    """Bytes of the input, allowed, predicted, the limit set, and the peak beyond those before."""

    input_bytes: int
    memory: int
    predicted: int
    limit: int
    peak: int
    blocks: int
    algorithm: str


def measure(source: str, result: str, memory: int, taps: int) -> Outcome:
    """Convolve under a limit; call it in a process that has done nothing else."""
    kernel = blur(taps)
    small = np.zeros((256, 256), np.float32)
    array = stores.open_source(source)
    out = stores.open_result(result, array.shape, np.dtype("f4"), array, again=False)
    laid = blocks.layout(array, kernel, out, memory=memory)
    # Libraries, compiled code, and one block of each store: they are no memory of the blocks.
    blocks.convolve(small, kernel, small.copy(), block=(128, 256), algorithm=laid.algorithm)
    out[:1, :1] = array[:1, :1]
    limited = resource.RLIMIT_DATA if source.endswith(".npy") else resource.RLIMIT_AS
    before = _kilobytes("VmData" if source.endswith(".npy") else "VmSize") << 10
    limit = int(EXCESS * laid.bytes)
    resource.setrlimit(limited, (before + limit, resource.RLIM_INFINITY))
    peak = peak_extra(
        lambda: blocks.convolve(
            array, kernel, out, memory=memory, algorithm=laid.algorithm, block=laid.block
        )
    )
    return Outcome(
        int(np.prod(array.shape)) * 4, memory, laid.bytes, limit, peak or 0, laid.blocks,
        laid.algorithm,
    )  # fmt: skip


def _kilobytes(field: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{field}:\s*(\d+) kB", text, re.MULTILINE)
    assert found
    return int(found[1])


def run(memory: int, times: float, ending: str, taps: int, folder: Path) -> Outcome:
    """Make an input, and measure in a process of its own; raise `MemoryError` if it died."""
    source, result = folder / f"input.{ending}", folder / f"output.{ending}"
    make_input(source, square_of(int(times * memory)))
    words = [str(source), str(result), str(memory), str(taps)]
    done = subprocess.run(
        [sys.executable, "-m", "suites.scale.memory", "--child", *words],
        capture_output=True, text=True, cwd=Path(__file__).parents[2],
        # The C library would reserve address space for every thread that allocates.
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
    )  # fmt: skip
    if done.returncode:
        raise MemoryError(done.stderr[-2000:])
    return Outcome(**json.loads(done.stdout))


def main() -> int:
    """Print a line of the outcome."""
    if sys.argv[1:2] == ["--child"]:
        source, result, memory, taps = sys.argv[2:]
        print(json.dumps(asdict(measure(source, result, int(memory), int(taps)))))
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", type=bytes_count, default=200 * 10**6)
    parser.add_argument("--times", type=float, default=10.0)
    parser.add_argument("--store", default="h5", choices=("h5", "zarr", "npy", "tif"))
    parser.add_argument("--taps", type=int, default=15)
    parser.add_argument("--folder", help="where the files are made; they are removed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        found = run(given.memory, given.times, given.store, given.taps, Path(folder))
    print(
        f"{given.store}: {found.input_bytes / 1e6:.0f} MB in {found.blocks} blocks by "
        f"{found.algorithm}; allowed {found.memory / 1e6:.0f} MB, predicted "
        f"{found.predicted / 1e6:.1f} MB, limit set {found.limit / 1e6:.1f} MB, peak "
        f"{found.peak / 1e6:.1f} MB = {found.peak / found.predicted:.2f} of the prediction"
    )
    return 0 if found.peak <= EXCESS * found.predicted else 1


if __name__ == "__main__":
    sys.exit(main())
