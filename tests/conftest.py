"""Time benchmarks only if pytest is asked for them; else run each once."""

import os
import shutil
import tempfile

import pytest

from algos.backend import thread_limit, threads
from algos.backend.poison import poison_memory


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    # --benchmark-disable in addopts would do this too, but refuses --benchmark-only beside it.
    asked = ("benchmark_only", "benchmark_enable", "benchmark_autosave", "benchmark_compare")
    # What is remembered of a machine is the user's; tests have a folder of their own.
    os.environ["CONVBENCH_CACHE"] = tempfile.mkdtemp(prefix="convbench-tests-")
    os.environ["CONVBENCH_WISDOM"] = f"{os.environ['CONVBENCH_CACHE']}/wisdom"
    timed = False
    if hasattr(config.option, "benchmark_disable"):
        timed = any(getattr(config.option, o) for o in asked)
        config.option.benchmark_disable |= not timed
        if timed:  # one process, with the machine to itself
            config.option.dist, config.option.tx = "no", []
    if not timed:  # what reads memory that nothing was written to fails, every time
        poison_memory()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Skip tests that compile for half a minute or more; the gate runs them."""
    for item in items:
        fields = getattr(item, "callspec", None)
        name = fields.params.get("name") if fields else None
        if ("pooling" in item.path.parts and "tests" not in item.path.parts) or name == "fft-fused":
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl
def pytest_unconfigure(config):
    shutil.rmtree(os.environ["CONVBENCH_CACHE"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _every_thread_for_the_next_test():
    """Give back the threads that a test took from every pool of the process, see `threads.use`."""
    yield
    if thread_limit.limit() < threads.available():
        threads.use(threads.available())
