"""The parent's end of a process that runs the algorithms of one revision."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from suites.machine import clock
from suites.workers.pausing import Pausing
from suites.workers.process import WorkerDiedError

from .trees import Revision

_DRIVER = Path(__file__).with_name("driver.py")
#: Settings of the C library that keep freed memory for the next call, as in a long loop.
_KEEP_FREED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "4000000000"}


class UnableError(Exception):
    """A request that a revision cannot meet: status of the cell, and a sentence."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Child(Pausing):
    """A process that answers one request at a time; see `suites.revisions.driver`.

    `threads` are the most that a call may use.

    Attributes
    ----------
    loaded : set of int
        Cells that it can sample.
    """

    def __init__(self, revision: Revision, threads: int) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        settings = {
            "NUMBA_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads),
            "NUMBA_CACHE_DIR": str(revision.kernels), **_KEEP_FREED,
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_DRIVER), str(revision.tree)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints,
            cwd=revision.tree, env={**os.environ, **settings}, bufsize=0,
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )  # fmt: skip
        self.pid = self._process.pid
        self._buffer = b""
        self.loaded: set[int] = set()

    def ask(self, timeout: float, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises
        ------
        UnableError
            If the revision cannot do it.
        WorkerDiedError
            If the process ends, or gives no answer within `timeout` seconds.
        """
        assert self._process.stdin
        self.resume()
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        except OSError:
            raise WorkerDiedError(self._epitaph()) from None
        answer: dict[str, Any] = json.loads(self._line(timeout))
        if "unable" in answer:
            raise UnableError(answer["status"], answer["unable"])
        return answer

    def _line(self, timeout: float) -> bytes:
        assert self._process.stdout
        deadline = clock.now() + timeout
        while b"\n" not in self._buffer:
            waiting = max(0.0, deadline - clock.now())
            if not select.select([self._process.stdout], [], [], waiting)[0]:
                raise WorkerDiedError(f"it gave no answer within {timeout:.3g} s and was ended")
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise WorkerDiedError(self._epitaph())
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _epitaph(self) -> str:
        """Return how the process ended, in a clause."""
        try:
            code = self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            return "its process stopped answering and was ended"
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        self._complaints.seek(0)
        last = self._complaints.read().decode(errors="replace").strip().split("\n")[-1]
        return f"its process exited with code {code}" + (f": {last}" if last else "")

    def kill(self) -> None:
        """End the process; a request that waits for an answer then fails."""
        self._process.kill()

    def close(self) -> None:
        """End the process and free what belongs to it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            if stream:
                stream.close()
