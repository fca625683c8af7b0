"""The parent's end of a worker: start it, ask it, and say in plain words how it died."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import clock


class WorkerDiedError(Exception):
    """A worker crashed, or did not answer in time and was ended; the text is the reason."""


class Worker:
    """A process that runs one algorithm; it answers one request at a time.

    `files` are Python files whose algorithms it knows besides our own.
    """

    def __init__(self, max_threads: int, files: Sequence[str] = ()) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "suites.worker", *files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "NUMBA_NUM_THREADS": str(max_threads)},
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        self._buffer = b""

    def ask(self, timeout: float, **request: Any) -> dict[str, Any]:
        """Send `request` and wait for the answer.

        Raises
        ------
        WorkerDiedError
            If the process ends, or gives no answer within `timeout` seconds.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise WorkerDiedError(self._epitaph()) from None
        return json.loads(self._line(timeout))

    def _line(self, timeout: float) -> bytes:
        assert self._process.stdout is not None
        deadline = clock.now() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - clock.now())):
                    self.close()
                    raise WorkerDiedError(f"it gave no answer within {timeout:.0f} s and was ended")
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise WorkerDiedError(self._epitaph())
                self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _epitaph(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its end of the pipe, and lives on
            self._process.kill()
            self._process.wait()
            return "its process stopped answering and was ended"
        self._complaints.seek(0)
        last = self._complaints.read().decode(errors="replace").strip().split("\n")[-1]
        if code == -signal.SIGKILL:
            return "its process was killed, as systems do when memory runs out"
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process exited with code {code}" + (f": {last}" if last else "")

    def close(self) -> None:
        """End the process, at once."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            if stream is not None:
                stream.close()
