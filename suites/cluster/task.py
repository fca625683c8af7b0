"""A task: one problem with all its algorithms and passes, measured by the harness on one host.

A worker of Dask starts a process for it, since the settings of a worker are not ours: Dask sets the
threads of libraries and the C library's allocator by variables of the environment. The process ends
with its worker, and when the task is no longer wanted.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from algos.core.errors import ConvbenchError
from results.records.records import read_records
from results.records.run import FILE
from suites.cases.suite import Case, Suite
from suites.machine import clock
from suites.timing.schedule import Settings
from suites.workers.worker import end_with_parent

#: Variables that Dask sets for its workers; measurements set their own.
FOREIGN = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS",
    "MALLOC_TRIM_THRESHOLD_",
)  # fmt: skip
#: Exit code for a user's mistake, whose sentence stands on standard error.
MISTAKE = 2
#: Seconds between two looks whether the task is still wanted.
PATIENCE = 1.0


@dataclass(frozen=True)
class Task:
    """One problem to measure.

    Attributes
    ----------
    number : int
        Of the problem in its suite.
    case : Case
    settings : Settings
        Of the run, with the budget of this problem.
    suite : Suite
        Without its problems.
    """

    number: int
    case: Case
    settings: Settings
    suite: Suite

    def as_json(self) -> dict[str, Any]:
        """Return the task for another process."""
        settings = {**vars(self.settings)}
        suite = {**vars(self.suite), "cases": ()}
        entrants = list(self.case.algorithms)
        return {"case": self.case.as_words(), "entrants": entrants, "settings": settings,
                "suite": suite, "number": self.number}  # fmt: skip

    @classmethod
    def of_json(cls, line: dict[str, Any]) -> Task:
        """Return the task that `as_json` described."""
        case = replace(Case.of_words(line["case"]), algorithms=tuple(line["entrants"]))
        settings = Settings(**{k: _frozen(v) for k, v in line["settings"].items()})
        suite = Suite(**{k: _frozen(v) for k, v in line["suite"].items()})
        return cls(line["number"], case, settings, replace(suite, cases=(case,)))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class UnwantedError(Exception):
    """The task was given up while it was measured."""


def perform(task: dict[str, Any]) -> dict[str, str]:
    """Measure a task in a process of its own; runs on a worker of Dask.

    Returns
    -------
    dict
        ``records``, the content of the run's file, and ``seconds``; or ``mistake``, a sentence; or
        ``failure``, the end of what the process said before it died.
    """
    wanted = _wanted()
    with tempfile.TemporaryDirectory(prefix="convbench-task-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(Path(__file__).parents[2]), folder],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={k: v for k, v in os.environ.items() if k not in FOREIGN},
        )  # fmt: skip
        begun = clock.now()
        try:
            said = _said(process, json.dumps(task), wanted)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode == MISTAKE:
            return {"mistake": said.strip()}
        files = [*Path(folder).glob(f"*/{FILE}")]
        if process.returncode or len(files) != 1:
            return {"failure": f"exit code {process.returncode}: {said.strip()[-2000:]}"}
        taken = f"{clock.now() - begun:.6f}"
        return {"records": files[0].read_text(encoding="utf-8"), "seconds": taken}


def _said(process: subprocess.Popen[str], text: str | None, wanted: Any) -> str:
    """Give a process its task; return what it says on standard error."""
    while True:
        try:
            return process.communicate(text, timeout=PATIENCE)[1]
        except subprocess.TimeoutExpired:
            text = None  # it has been written
            if not wanted():
                raise UnwantedError from None


def _wanted() -> Any:
    """Return a function that says if the present task of this worker is still wanted."""
    with suppress(ImportError, ValueError):
        from distributed import get_worker

        worker = get_worker()
        key = worker.get_current_task()

        def wanted() -> bool:
            state = worker.state.tasks.get(key)
            return state is not None and state.state == "executing"

        return wanted
    return lambda: True


_START = (
    "import sys; sys.path.insert(0, sys.argv[1])\n"
    "from suites.cluster.task import main; sys.exit(main(sys.argv[2]))"
)


def main(folder: str) -> int:
    """Measure the task on standard input, and leave a run in `folder`; return the exit code."""
    end_with_parent()
    from rich.console import Console

    from suites.timing.progress import measure

    task = Task.of_json(json.loads(sys.stdin.read()))
    try:
        done = measure(task.suite, task.settings, folder, Console(file=io.StringIO()))
        read_records(done.path)
    except ConvbenchError as error:
        print(error, file=sys.stderr)
        return MISTAKE
    return 0
