"""The facts that are recorded about the machine."""

import json
import subprocess

from suites.machine import environment as machine


def test_environment_says_what_figures_depend_on():
    environment = machine.environment()
    assert {
        "cpu", "cores", "caches", "memory_bytes", "governor", "os", "python", "numba", "numpy",
        "scipy", "blas", "threading_layer", "fastmath", "git_commit", "convbench", "host",
    } <= set(environment)  # fmt: skip
    assert environment["cpu"]
    assert environment["usable_cores"] >= 1
    assert environment["threading_layer"] == "convbench"
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


def test_a_commit_is_known_though_git_was_killed_once(tmp_path, monkeypatch):
    script = "#!/bin/sh\n[ -e asked ] && echo 0123456789ab+ && exit\n: > asked; kill -9 $$\n"
    (tmp_path / "git").write_text(script)
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert machine._git_commit() == "0123456789ab+"
    assert (tmp_path / "asked").exists()


def test_an_edited_checkout_is_marked(tmp_path, monkeypatch):
    def git(*words):
        by = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *by, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "code").write_text("one")
    git("add", "code")
    git("commit", "-m", "one")
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "machine.py"))
    clean = machine._git_commit()
    assert len(clean) == 12 and set(clean) <= set("0123456789abcdef")
    (tmp_path / "new").write_text("not of the checkout")
    git("tag", "v1")
    assert machine._git_commit() == clean
    (tmp_path / "code").write_text("two")
    assert machine._git_commit() == clean + "+"


def test_what_cannot_be_read_is_none(tmp_path):
    assert machine._read(tmp_path / "missing") is None
