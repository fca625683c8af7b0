"""The machine's limits: measured, remembered, and measured again if they may not hold."""

import json

import numpy as np
import pytest

from algos.simd.registers import lanes_of
from suites.machine import environment as machine
from suites.machine import limits, roofs


@pytest.fixture(scope="module")
def measured():
    return limits.measure()


@pytest.mark.slow
def test_every_limit_is_measured_with_one_thread_and_with_all(measured):
    counts = {"1", str(machine.usable_cores())}
    assert set(measured["flops"]) == {"float32", "float64"}
    assert list(measured["bandwidth"])[-1] == "DRAM"
    assert len(measured["bandwidth"]) == len(measured["caches"]) + 1
    for by_threads in measured["flops"].values():
        assert set(by_threads) == counts
    for motions in measured["bandwidth"].values():
        assert set(motions) == {"read", "copy", "triad"}
        for by_threads in motions.values():
            assert set(by_threads) == counts
            assert min(by_threads.values()) > 0
    assert json.loads(json.dumps(measured)) == measured


def test_limits_read_as_words(measured):
    words = dict(limits.lines(measured))
    assert words["peak float32"].endswith("threads" if machine.usable_cores() > 1 else "thread")
    assert "GB/s" in words["DRAM triad"]


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """Return the file of remembered limits, and the calls of a substitute for `measure`."""
    monkeypatch.setenv("CONVBENCH_CACHE", str(tmp_path / "deep" / "er"))
    calls = []

    def measure():
        calls.append(1)
        return {"measured": limits.clock.utc().isoformat(), "number": len(calls)}

    monkeypatch.setattr(limits, "measure", measure)
    monkeypatch.setattr(limits.noise, "warnings", lambda _: [])
    return calls


def test_limits_are_measured_once(counted):
    assert limits.known() == limits.known()
    assert len(counted) == 1
    assert limits.known(fresh=True)["number"] == 2
    assert limits.known()["number"] == 2


def test_what_was_measured_on_a_busy_machine_is_used_once(counted, monkeypatch):
    with monkeypatch.context() as busy:
        busy.setattr(limits.noise, "warnings", lambda _: ["others were at work"])
        found = limits.known()
        assert found["number"] == 1
        assert found["doubts"] == ["others were at work"]
    assert limits.known()["number"] == 2
    assert limits.known() == limits.known()


def test_limits_expire(counted, monkeypatch):
    limits.known()
    monkeypatch.setattr(limits, "EXPIRES_DAYS", 0.0)
    assert limits.known()["number"] == 2


def test_another_machine_is_measured_anew(counted, monkeypatch):
    limits.known()
    monkeypatch.setattr(limits, "VERSION", limits.VERSION + 1)
    assert limits.known()["number"] == 2


def test_a_damaged_file_is_measured_over(counted):
    limits.known()
    limits.cache_file().write_text('{"limits": 3')
    assert limits.known()["number"] == 2
    assert limits.known()["number"] == 2


def test_nowhere_to_remember_is_no_failure(counted, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONVBENCH_CACHE", str(tmp_path / "file" / "below"))
    assert limits.known()["number"] == 1
    assert limits.known()["number"] == 2


@pytest.mark.parametrize("dtype", limits.DTYPES)
def test_the_arithmetic_is_done(dtype):
    lane = lanes_of(np.dtype(dtype).itemsize)
    out = np.zeros(roofs.ROWS * roofs.COLUMNS * lane, dtype)
    scalars, vectors = np.full(roofs.ROWS, 0.5, dtype), np.full(roofs.COLUMNS * lane, 2.0, dtype)
    roofs.multiply_add(scalars, vectors, 7, out)
    np.testing.assert_array_equal(out, 7.5)


def test_the_traffic_moves():
    turn = roofs.UNROLLED * lanes_of(4)
    source, other = np.arange(3 * turn, dtype=np.float32), np.ones(3 * turn, np.float32)
    scalars, target = np.full(1, 2.0, np.float32), np.zeros(3 * turn, np.float32)
    roofs.copy(scalars, source, other, 1, target)
    np.testing.assert_array_equal(target, source)
    roofs.triad(scalars, source, other, 1, target)
    np.testing.assert_array_equal(target, source + 2)
    sums = np.zeros(turn, np.float32)
    roofs.read(scalars, source, source, 2, sums)
    assert sums.sum() == 2 * turn + 4 * source.sum()
