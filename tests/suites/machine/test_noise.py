"""Disturbances of the machine are noticed, and reported in plain words."""

import subprocess
import sys
from types import SimpleNamespace
from typing import NamedTuple

import psutil
import pytest

from suites.machine import noise

SPIN = "while True: pass"


def test_another_process_is_noticed():
    """Start a process that is not our child: its parent has ended."""
    start = (
        "import subprocess, sys\n"
        "quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}\n"
        f"print(subprocess.Popen([sys.executable, '-c', {SPIN!r}], **quiet).pid)"
    )
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, check=True)
    stranger = psutil.Process(int(done.stdout))
    try:
        watch = noise.Watch()
        spent = sum(stranger.cpu_times()[:2])
        while sum(stranger.cpu_times()[:2]) < spent + 0.5:
            psutil.cpu_percent(0.1)
        found = watch.found()
    finally:
        stranger.kill()
    assert found["other_cores"] > 0
    assert 0 <= found["steal"] <= 1


class Times(NamedTuple):
    """Seconds of all cores, as `psutil.cpu_times` counts them on Linux."""

    user: float
    idle: float
    iowait: float
    steal: float
    guest: float


@pytest.mark.parametrize(
    ("own", "others"),
    [(30.0, 0.0), (10.0, 2 * 20 / 100), (0.0, 2 * 30 / 100)],  # of 30 s, on two cores
)
def test_only_work_of_others_is_noise(monkeypatch, own, others):
    counts = iter([Times(5, 5, 0, 0, 2), Times(35, 65, 5, 5, 12)])
    spent = iter([1.0, 1.0 + own])
    monkeypatch.setattr(noise.psutil, "cpu_times", lambda: next(counts))
    monkeypatch.setattr(noise.psutil, "cpu_count", lambda: 2)
    monkeypatch.setattr(noise, "_own_seconds", lambda: next(spent))
    found = noise.Watch().found()
    assert found["other_cores"] == others
    assert found["steal"] == 0.05


def test_own_seconds_grow_with_our_work_and_that_of_children():
    before = noise._own_seconds()
    sum(i * i for i in range(2_000_000))
    own = noise._own_seconds()
    assert own > before
    subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)
    assert noise._own_seconds() > own


def test_interruptions_are_counted(monkeypatch, tmp_path):
    scheduler = tmp_path / "sched"
    monkeypatch.setattr(noise, "_SCHEDULER", scheduler)
    monkeypatch.setattr(noise.resource, "getrusage", lambda who: SimpleNamespace(ru_nivcsw=7))
    assert noise.interruptions() == {"switches": 7}
    scheduler.write_text("nr_switches : 90\nse.nr_migrations      :      12\n")
    assert noise.interruptions() == {"switches": 7, "migrations": 12}


def test_warnings_are_sentences_and_only_where_due():
    assert noise.warnings({"other_cores": 0.02, "steal": 0.0, "mhz": None}) == []
    assert noise.warnings({"other_cores": None, "steal": None, "mhz": None}) == []
    assert noise.warnings({"switches": 9, "migrations": 9, "sampled_s": 1.0}) == []
    (taken,) = noise.warnings({"switches": 300, "sampled_s": 2.0})
    assert "150 times a second" in taken
    busy, stolen = noise.warnings({"other_cores": 1.04, "steal": 0.031, "mhz": 2600.0})
    assert busy.startswith("other processes kept 1.0 of")
    assert "3 %" in stolen
