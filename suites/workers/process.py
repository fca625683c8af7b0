"""The parent's end of a worker: start it, send it requests, and explain its death."""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from suites.machine import clock

from .messages import Fork, R, Reap, Request, Unable, decode, encode
from .pausing import Pausing
from .standard_streams import open_standard_streams

_ROOT = str(Path(__file__).resolve().parents[2])

#: Program of the fork server. The folder is on Python's path only while `suites` is looked for. So
#: a `suites` of the user's does not hide ours, and no package installed beside ours hides a module
#: of the standard library. Logging is off because the parent has already warned about the cache.
_START = (
    "import sys, logging; logging.disable(logging.WARNING); sys.path.insert(0, sys.argv.pop(1))\n"
    "import importlib.util; place = importlib.util.find_spec('suites'); del sys.path[0]\n"
    "sys.modules['suites'] = suites = importlib.util.module_from_spec(place)\n"
    "place.loader.exec_module(suites); logging.disable(logging.NOTSET)\n"
    "from suites.workers.fork_server import main; main()"
)


class WorkerDiedError(Exception):
    """The death of a worker, by a crash or a time-out; the text is the reason."""


class ExhaustedError(WorkerDiedError):
    """The death of a worker by a time-out, or by the system for lack of memory."""


class _ForkServer:
    """The parent's end of a fork server, for pools of up to `max_threads`.

    It imports `libraries` once for all of its workers.
    """

    def __init__(self, max_threads: int, libraries: Sequence[str] = ()) -> None:
        open_standard_streams()
        ours, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, _ROOT, str(theirs.fileno()), *libraries],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=_ROOT,
            # A BLAS starts its threads when it is loaded. The server must have none; workers set
            # their own number.
            env={**os.environ, "NUMBA_NUM_THREADS": str(max_threads), "OPENBLAS_NUM_THREADS": "1"},
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        theirs.close()
        self._socket = ours
        self._turn = threading.Lock()
        self._answers = ours.makefile("rb")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Request[R], handles: Sequence[int] = ()) -> R:
        with self._turn:  # of one thread at a time
            try:
                socket.send_fds(self._socket, [encode(request)], list(handles))
                reply: R = decode(self._answers.readline())
                return reply
            except BaseException as error:  # a late answer would be that of the next request
                self._process.kill()
                self._process.wait()
                if isinstance(error, OSError | ValueError):
                    raise WorkerDiedError(
                        "the process that workers are made from has died"
                    ) from None
                raise

    def close(self) -> None:
        self._answers.close()
        self._socket.close()
        self._process.kill()
        self._process.wait()


@cache
def _fork_servers() -> dict[tuple[int, tuple[str, ...]], _ForkServer]:
    """Return the open fork servers by threads and libraries; they close when Python ends."""
    found: dict[tuple[int, tuple[str, ...]], _ForkServer] = {}
    atexit.register(_close_fork_servers)
    return found


def _close_fork_servers() -> None:
    for fork_server in _fork_servers().values():
        fork_server.close()


#: Held while a fork server is looked for, so that two threads do not start one each.
_looking = threading.Lock()


def _fork_server(max_threads: int, libraries: Sequence[str]) -> _ForkServer:
    """Return the fork server for these threads and libraries; one that died is replaced."""
    key = max_threads, tuple(sorted(libraries))
    with _looking:
        found = _fork_servers()
        if key in found and not found[key].alive:
            found.pop(key).close()
        if key not in found:
            found[key] = _ForkServer(*key)
        return found[key]


class Worker(Pausing):
    """A process that runs one algorithm and answers one request at a time.

    `files` are Python files with algorithms besides our own. `libraries` are modules that the
    process finds already imported.
    """

    def __init__(
        self, max_threads: int, files: Sequence[str] = (), libraries: Sequence[str] = ()
    ) -> None:
        self._fork_server = _fork_server(max_threads, libraries)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._socket, theirs = socket.socketpair()
        with theirs:
            self.pid = self._fork_server.ask(
                Fork(list(files)), [theirs.fileno(), self._complaints.fileno()]
            ).pid
        self._code: int | None = None
        self._buffer = b""

    def ask(self, timeout: float, request: Request[R]) -> R | Unable:
        """Send `request` and wait for the reply.

        Raises
        ------
        WorkerDiedError
            If the process ends, or gives no answer within `timeout` seconds.
        """
        self.resume()
        try:
            self._socket.sendall(encode(request))
        except OSError:
            raise self._death() from None
        reply: R | Unable = decode(self._line(timeout))
        return reply

    def _line(self, timeout: float) -> bytes:
        deadline = clock.now() + timeout
        while b"\n" not in self._buffer:
            waiting = max(0.0, deadline - clock.now())
            if not select.select([self._socket], [], [], waiting)[0]:
                self.close()
                raise ExhaustedError(f"it gave no answer within {timeout:.3g} s and was ended")
            try:
                chunk = self._socket.recv(1 << 16)
            except OSError:
                chunk = b""
            if not chunk:
                raise self._death()
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _death(self) -> WorkerDiedError:
        reason = self._epitaph()
        killed = self._code == -signal.SIGKILL
        return ExhaustedError(reason) if killed else WorkerDiedError(reason)

    def _epitaph(self) -> str:
        code = self._ended(5.0)
        if code is None:  # it closed its end of the socket but still runs
            self._end()
            return "its process stopped answering and was ended"
        self._complaints.seek(0)
        last = self._complaints.read().decode(errors="replace").strip().split("\n")[-1]
        if code == -signal.SIGKILL:
            return "its process was killed, as systems do when memory runs out"
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process exited with code {code}" + (f": {last}" if last else "")

    def _ended(self, seconds: float) -> int | None:
        """Return the exit code after at most `seconds`; kept, since it can be asked only once."""
        if self._code is None:
            self._code = self._fork_server.ask(Reap(self.pid, seconds)).code
        return self._code

    def kill(self) -> None:
        """End the process; a request that waits for an answer in another thread then fails."""
        if self._code is not None:  # another process may have its number by now
            return
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:  # it is too young to have a group of its own, or gone
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _end(self) -> None:
        """End the process, and wait for its end."""
        self.kill()
        with suppress(WorkerDiedError):
            self._ended(5.0)

    def close(self) -> None:
        """End the process at once."""
        if self._socket.fileno() < 0:
            return
        self._end()
        self._socket.close()
        self._complaints.close()
