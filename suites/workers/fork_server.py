"""The fork server: a process with everything imported, which forks the workers.

`suites.workers.process` starts `main` once, with arguments ``FD [MODULE …]``. FD is the file
descriptor of the socket it serves. The modules are other people's libraries that workers need;
PyTorch alone takes 2 s to import.

Importing NumPy, SciPy and Numba, and waking Numba's compiler, takes most of a second. Forking
a process that has done so takes a few milliseconds. The threads of a pool do not survive a fork,
so the fork server starts no pool. Each child loads its kernels and starts its pools itself.

Its requests are `Fork` and `Reap` of `suites.workers.messages`, answered in order.

The fork server ends with its parent, and its children end with it.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import scipy.fft  # noqa: F401 - `algos` imports it only at the first call

from algos import registry
from algos.backend.compiler import kernel
from suites.machine import clock

from . import worker
from .messages import Fork, Forked, Reap, Reaped, decode, encode


@kernel
def _wake(number: int) -> int:
    return number + 1


class ForkServer:
    """A server for the requests of one parent."""

    def __init__(self, parent: socket.socket) -> None:
        self.parent = parent

    def serve(self) -> None:
        """Answer requests until the parent closes its end."""
        while True:
            message, handles, _, _ = socket.recv_fds(self.parent, 1 << 16, 2)
            if not message:
                return
            request = decode(message)
            if isinstance(request, Fork):
                reply: Any = self.fork(request, *handles)
            else:
                reply = self.reap(request)
            self.parent.sendall(encode(reply))

    def fork(self, request: Fork, requests: int, complaints: int) -> Forked:
        """Fork a worker with a socket for its requests and a file for its complaints."""
        child = os.fork()
        if child == 0:
            self.parent.close()
            _become_worker(requests, complaints, request.files)
        os.close(requests)
        os.close(complaints)
        return Forked(child)

    def reap(self, request: Reap) -> Reaped:
        """Return the exit code of a child, negative for a signal; None if it still runs."""
        deadline = clock.now() + request.seconds
        while True:
            ended, status = os.waitpid(request.pid, os.WNOHANG)
            if ended:
                return Reaped(os.waitstatus_to_exitcode(status))
            if clock.now() > deadline:
                return Reaped(None)
            clock.settle(0.002)


def _become_worker(requests: int, complaints: int, files: Sequence[str]) -> None:
    """Serve in this forked process, then end it without Python's exit handlers."""
    code = 1
    try:
        os.setsid()
        worker.end_with_parent()
        os.dup2(complaints, 1)
        os.dup2(complaints, 2)
        with socket.socket(fileno=requests) as connection:
            worker.serve(connection.makefile("rb"), connection.makefile("wb"), files)
        code = 0
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else 1
        if isinstance(request.code, str):
            print(request.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _import(libraries: Sequence[str]) -> None:
    """Import `libraries` for the children; a child reports a missing one itself."""
    for library in libraries:
        with suppress(Exception):
            importlib.import_module(library)


def main() -> None:
    """Serve on the socket given as an argument."""
    worker.end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for family in registry.FAMILIES:
        registry.of(family)
    _import(sys.argv[2:])
    _wake(1)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as parent:
        ForkServer(parent).serve()
