"""Connection to a scheduler of Dask: workers that can measure, tasks given to them, results.

Dask is imported here alone, when a cluster is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from algos.core.causes import said
from algos.core.errors import ConvbenchError

from .hosts import RESOURCE, Host
from .task import Task, perform

#: Seconds to wait for an answer of the scheduler.
ANSWER = 10.0
#: Seconds between two looks at the workers.
LOOK = 1.0

#: Source of the question to a worker. It travels as source, since a worker may lack this module.
_ASK = """
def ask(dask_worker):
    found = {"resources": dict(getattr(dask_worker.state, "total_resources", {}))}
    try:
        from suites.cluster.hosts import facts
        found.update(facts())
    except Exception as error:
        from importlib import metadata
        try:
            found["convbench"] = metadata.version("convbench")
        except metadata.PackageNotFoundError:
            found["convbench"] = ""
        found["trouble"] = f"{type(error).__name__}: {error}"
    return found
"""


class GoneError(Exception):
    """The scheduler does not answer any more."""


class Connection:
    """A client of a scheduler.

    Raises
    ------
    ConvbenchError
        If Dask is not installed, or no scheduler answers at the address.
    """

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError:
            raise ConvbenchError(
                '--cluster needs Dask, which is not installed; pip install "convbench[scale]"'
            ) from None
        self.address, self._dask = address, distributed
        try:
            self._client = distributed.Client(address, timeout=ANSWER, set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConvbenchError(
                f"no scheduler answers at {address!r} ({reason[:200]}); start one with `dask "
                f"scheduler`, and see docs/cluster.md"
            ) from None

    def workers(self) -> list[str]:
        """Return the addresses of all workers."""
        if self._client.status != "running":
            raise GoneError
        with _or_gone():
            return [*self._client.ncores()]

    def ask(self, address: str) -> Host:
        """Return the facts of a worker."""
        space: dict[str, Any] = {"__name__": "__main__"}  # pickled by its source
        exec(_ASK, space)
        try:
            found = self._client.run(space["ask"], workers=[address], nanny=False)[address]
        except Exception as error:
            return Host(address, trouble=said(error))
        return Host(address, **found)

    def give(self, task: Task, host: Host) -> Any:
        """Let a host measure a task; return the future of its result."""
        with _or_gone():
            return self._client.submit(
                perform, task.as_json(), workers=[host.address], allow_other_workers=False,
                resources={RESOURCE: 1}, pure=False, retries=0,
            )  # fmt: skip

    def result(self, future: Any) -> Any:
        """Return the result of a future that is done; None if it was lost with its worker."""
        try:
            return future.result(timeout=ANSWER)
        except Exception:  # the worker died after it was done, or the connection broke
            return None

    def wait(self, futures: list[Any]) -> None:
        """Wait until one of `futures` is done, or for `LOOK` seconds."""
        with _or_gone(), suppress(TimeoutError), self._client.as_current():
            self._dask.wait(futures, timeout=LOOK, return_when="FIRST_COMPLETED")

    def close(self) -> None:
        """Leave the scheduler; tasks that are not done are given up."""
        with suppress(Exception):
            self._client.close(timeout=2)


@contextmanager
def _or_gone() -> Iterator[None]:
    """Raise `GoneError` in place of the many errors of a connection that breaks."""
    from dask.distributed import CancelledError

    try:
        yield
    except (Exception, CancelledError):
        raise GoneError from None


@contextmanager
def silence() -> Iterator[None]:
    """Keep what Dask logs about broken connections off the terminal inside this block."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
