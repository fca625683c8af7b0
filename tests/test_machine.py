"""What is recorded about the machine."""

import json

from suites import machine


def test_environment_says_what_figures_depend_on():
    environment = machine.environment()
    assert {
        "cpu", "cores", "caches", "memory_bytes", "governor", "os", "python", "numba", "numpy",
        "scipy", "blas", "threading_layer", "fastmath", "git_commit", "convbench", "host",
    } <= set(environment)  # fmt: skip
    assert environment["cpu"]
    assert environment["usable_cores"] >= 1
    assert environment["threading_layer"] in ("tbb", "omp", "workqueue")
    assert json.loads(json.dumps(environment)) == environment


def test_available_memory_is_part_of_the_whole():
    assert 0 < machine.available_memory() <= machine.environment()["memory_bytes"]


def test_a_memory_limit_of_the_container_counts(tmp_path, monkeypatch):
    told = {"memory.max": str(10**9), "memory.current": str(4 * 10**8)}
    monkeypatch.setattr(machine, "_read", lambda path: told.get(path.name))
    assert machine.available_memory() == 6 * 10**8
    told["memory.max"] = "max"
    assert machine.available_memory() > 0


def test_without_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert machine._git_commit() is None


def test_what_cannot_be_read_is_none(tmp_path):
    assert machine._read(tmp_path / "missing") is None
