"""Program of a child process: the algorithms of one revision, called and timed on request.

Call it as ``python -P driver.py TREE``. It is run by its path and imports nothing of ours but the
`algos` in TREE. So two revisions can be
compared as long as both have this public face: `algos.notation.parse`, `algos.plan`,
`algos.pooling.PoolPlan`, and plans that are called as ``plan(*arrays, out=out)``.

Requests and answers are lines of JSON on standard input and output. A request is ``{"do": NAME}``
with the arguments of the function of that name. An answer is what it returns, or ``{"unable":
sentence, "status": status}``. Both revisions have the same process: this file is the present one.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

#: Seconds of repeated calls before a time is believed.
WAKING = 0.02
#: Seconds of sleep ahead of a sample, in which the process that asked falls asleep.
OTHERS_WAIT = 0.0001

_ready: dict[int, Callable[[], Any]] = {}


def load(
    cell: int, problem: str, arrays: list[str], algorithm: str, threads: int, result: str = ""
) -> dict[str, Any]:
    """Make a cell ready, and call it once.

    Parameters
    ----------
    cell : int
        Number of the cell. Requests for samples name it.
    problem : str
        Descriptor of the problem. Both revisions must be able to read it.
    arrays : list of str
        Files of its operands, ``.npy``. A convolution has x and w, or the operands of a gradient,
        and its bias. A pooling has its operands, and the gate.
    algorithm : str
    threads : int
    result : str
        File to write the result to. None is written for "".
    """
    import numpy as np

    from algos.notation import parse

    asked = parse(problem)
    given = [np.load(path) for path in arrays]
    plan, operands = _plan(asked, given, algorithm, threads)
    # An older revision knows no layout.
    last = getattr(asked, "result_layout", "channels_first") == "channels_last"
    out = np.full(asked.result_shape, np.nan, asked.dtype)
    out = _channels_last(out) if last else out
    call = partial(plan, *operands, out=out)
    call()
    if result:
        np.save(result, out)
    _ready[cell] = call
    return {}


def _channels_last(array: Any) -> Any:
    """Return a copy of an array (N, C, *size) whose channels are last in memory."""
    import numpy as np

    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def _plan(problem: Any, given: list[Any], algorithm: str, threads: int) -> tuple[Any, list[Any]]:
    """Return a plan, and the arrays to call it with."""
    settings: dict[str, Any] = {"algorithm": algorithm, "threads": threads}
    if getattr(problem, "layout", None) == "channels_last":
        alike = problem.operation == "grad_weight" or hasattr(problem, "window")
        count = len(problem.operands) if alike else 1  # the other is a kernel
        given = [*map(_channels_last, given[:count]), *given[count:]]
    if hasattr(problem, "window"):
        from algos.pooling import PoolPlan

        count = len(problem.operands)
        return PoolPlan(problem, *given[count:], **settings), given[:count]
    import algos

    if problem.operation == "grad_weight":
        return algos.plan(problem, **settings), given[:2]
    first, *kernel_and_bias = given
    return algos.plan(problem, *kernel_and_bias, **settings), [first]


def shortest(cell: int) -> dict[str, Any]:
    """Return the seconds of the shortest call in some milliseconds of calls."""
    call, end = _ready[cell], time.perf_counter() + WAKING
    once = _seconds(call, 1)
    while time.perf_counter() < end:
        once = min(once, _seconds(call, 1))
    return {"seconds": once}


def sample(cell: int, loops: int, warm: int) -> dict[str, Any]:
    """Return seconds per call over `loops` calls, after `warm` uncounted ones."""
    call = _ready[cell]
    time.sleep(OTHERS_WAIT)
    for _ in range(warm):
        call()
    return {"seconds": _seconds(call, loops)}


def drop() -> dict[str, Any]:
    """Free the memory of all cells."""
    _ready.clear()
    gc.collect()
    return {}


def _seconds(call: Callable[[], Any], loops: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(loops):
        call()
    return (time.perf_counter_ns() - start) * 1e-9 / loops


def _import(tree: str) -> None:
    """Import `algos` from `tree`, or fail if another one comes first."""
    sys.path.insert(0, tree)
    import algos

    place = str(algos.__file__)
    if not Path(place).resolve().is_relative_to(Path(tree).resolve()):
        raise ImportError(f"algos came from {place}, expected from {tree}")


def _end_with_parent() -> None:
    """End this process with its parent, even while it is paused; only Linux can do this."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # 1 is PR_SET_PDEATHSIG


def main() -> None:
    """Answer requests until there are no more."""
    _end_with_parent()
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # output of an algorithm is not an answer
    _import(sys.argv[1])
    actions: dict[str, Callable[..., dict[str, Any]]] = {
        "load": load, "shortest": shortest, "sample": sample, "drop": drop,
    }  # fmt: skip
    gc.disable()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            answer = actions[request.pop("do")](**request)
        except Exception as error:
            refused = type(error).__name__ in ("ConvbenchError", "KernelRefusedError")
            said = " ".join(str(error).split()) or type(error).__name__
            answer = {
                "unable": said if refused else f"it raised {type(error).__name__}: {said}",
                "status": "unsupported" if refused else "failed",
            }
        answers.write(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
