"""Sentences about threads name what was found, and what to change."""

import pytest

from suites.machine import thread_advice


def advice(monkeypatch, *, count=2, cores=2, quota=None, layer=None):
    monkeypatch.setattr(thread_advice, "available", lambda: count)
    monkeypatch.setattr(thread_advice, "usable_cores", lambda: cores)
    monkeypatch.setattr(thread_advice, "_quota", lambda: quota)
    monkeypatch.delenv("NUMBA_THREADING_LAYER", raising=False)
    if layer:
        monkeypatch.setenv("NUMBA_THREADING_LAYER", layer)
    first, *rest = thread_advice.thread_advice()
    assert "own pool" in first
    return rest


def test_nothing_to_change(monkeypatch):
    assert advice(monkeypatch) == ["nothing to change"]
    assert advice(monkeypatch, quota=2.0) == ["nothing to change"]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"layer": "bogus"}, "NUMBA_THREADING_LAYER=bogus has no effect"),
        ({"count": 1}, "asks for 1 threads on 2 cores"),
        ({"count": 8}, "set it to 2"),
        ({"quota": 1.5}, "set NUMBA_NUM_THREADS=1"),
    ],
)
def test_one_thing_to_change(monkeypatch, found, said):
    (sentence,) = advice(monkeypatch, **found)
    assert said in sentence


@pytest.mark.parametrize(
    ("text", "cores"), [("max 100000", None), ("150000 100000", 1.5), ("", None)]
)
def test_the_quota_of_a_container_is_read(monkeypatch, tmp_path, text, cores):
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(thread_advice, "_QUOTA", tmp_path / "cpu.max")
    assert thread_advice._quota() == cores
