"""Benchmarks are timed when they are asked for, and run once, untimed, when they are not."""

import os
import shutil
import tempfile

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    # --benchmark-disable in addopts would do this too, but refuses --benchmark-only beside it.
    asked = ("benchmark_only", "benchmark_enable", "benchmark_autosave", "benchmark_compare")
    # What is remembered of a machine is the user's; tests have a folder of their own.
    os.environ["CONVBENCH_CACHE"] = tempfile.mkdtemp(prefix="convbench-tests-")
    if hasattr(config.option, "benchmark_disable"):
        config.option.benchmark_disable |= not any(getattr(config.option, o) for o in asked)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:  # the examples of pooling compile what tests/test_pooling.py compiles
        if "pooling" in item.path.parts:
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl
def pytest_unconfigure(config):
    shutil.rmtree(os.environ["CONVBENCH_CACHE"], ignore_errors=True)
