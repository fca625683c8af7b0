"""Benchmarks are timed when they are asked for, and run once, untimed, when they are not."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    # --benchmark-disable in addopts would do this too, but refuses --benchmark-only beside it.
    asked = ("benchmark_only", "benchmark_enable", "benchmark_autosave", "benchmark_compare")
    if hasattr(config.option, "benchmark_disable"):
        config.option.benchmark_disable |= not any(getattr(config.option, o) for o in asked)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:  # the examples of pooling compile what tests/test_pooling.py compiles
        if "pooling" in item.path.parts:
            item.add_marker(pytest.mark.slow)
