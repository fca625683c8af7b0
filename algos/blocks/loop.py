"""The loop over blocks: one is computed while the next is read and the one before is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from algos.plan import Plan

from . import copying
from .journal import Journal, checksum
from .layout import HELD, Layout


def kept(layout: Layout, out: Any, done: Mapping[int, int]) -> dict[int, int]:
    """Return those blocks of `done` that `out` still holds."""
    found = {}
    if done:
        for number, block in enumerate(layout):
            if number in done:
                held = np.asarray(out[block.slices])
                if checksum(held) == done[number]:
                    found[number] = done[number]
                copying.release(out)
    return found


def run(
    layout: Layout, plan: Plan, source: Any, out: Any, boundary: str, fill: float,
    journal: Journal, progress: Any,
) -> None:  # fmt: skip
    """Compute all blocks that `journal` does not have, and note each there.

    Two arrays of input and two of output take turns. Reading and writing have a thread each, so
    stores see one reader and one writer.
    """
    left = [(n, block) for n, block in enumerate(layout) if n not in journal.done]
    dtype = np.dtype(plan.problem.dtype)
    held = min(HELD, len(left))
    inputs = [np.empty(layout.read_shape, dtype) for _ in range(held)]
    outputs = [np.empty(layout.block, dtype) for _ in range(held)]

    with _shown(progress, layout.blocks) as tell:

        def write(at: int) -> None:
            number, block = left[at]
            new = copying.write(out, block, outputs[at % HELD])
            if journal.path is not None:
                journal.add(number, checksum(new))
            else:
                journal.done[number] = 0
            tell(len(journal.done), layout.blocks)

        def read(at: int) -> np.ndarray:
            into = inputs[at % HELD]
            return copying.read(source, left[at][1], layout.spans, boundary, fill, into)

        tell(len(journal.done), layout.blocks)
        written: list[Future[None]] = []
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            try:
                ahead = reader.submit(read, 0) if left else None
                for at in range(len(left)):
                    assert ahead is not None
                    x = ahead.result()
                    ahead = reader.submit(read, at + 1) if at + 1 < len(left) else None
                    if at >= HELD:
                        written[at - HELD].result()
                    y = outputs[at % HELD]
                    plan(x[None, None], out=y[None, None])
                    written.append(writer.submit(write, at))
                for one in written[-HELD:]:
                    one.result()
            except BaseException:
                for one in written:
                    one.cancel()
                raise


@contextmanager
def _shown(progress: Any, total: int) -> Iterator[Callable[[int, int], object]]:
    """Yield a function to be told of blocks that are done, as `progress` asks."""
    if progress is not True:
        yield progress or (lambda done, total: None)
        return
    from rich.progress import Progress

    with Progress(transient=True) as bar:
        task = bar.add_task("blocks", total=total)
        yield lambda done, total: bar.update(task, completed=done)
