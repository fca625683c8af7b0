"""Pauses of a process between two requests."""

from __future__ import annotations

import os
import signal
from contextlib import suppress


class Pausing:
    """A process that can be paused with all its threads.

    After a call, the threads of a pool look out for more work. They keep a core busy all the
    while: 35 ms for ONNX Runtime's, 8 ms for those of OpenMP (Zen 4). So the next process to be
    timed would find one core less.

    Attributes
    ----------
    pid : int
        Number of the process.
    paused : bool
        True from a pause until the next request.
    """

    pid: int
    paused = False

    def pause(self) -> None:
        """Stop all threads of the process."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """Let a paused process go on."""
        if self.paused:
            self.paused = False
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
