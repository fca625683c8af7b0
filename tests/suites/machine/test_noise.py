"""Disturbances of the machine are noticed, and reported in plain words."""

import subprocess
import sys

import psutil

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


def test_our_own_work_is_no_noise():
    watch = noise.Watch()
    before = watch._own
    sum(i * i for i in range(2_000_000))
    assert noise._own_seconds() > before
    assert watch.found()["other_cores"] >= 0


def test_interruptions_are_counted():
    counts = noise.interruptions()
    assert counts["switches"] >= 0
    assert set(counts) <= {"switches", "migrations"}
    assert all(after >= counts[name] for name, after in noise.interruptions().items())


def test_warnings_are_sentences_and_only_where_due():
    assert noise.warnings({"other_cores": 0.02, "steal": 0.0, "mhz": None}) == []
    assert noise.warnings({"other_cores": None, "steal": None, "mhz": None}) == []
    assert noise.warnings({"switches": 9, "migrations": 9, "sampled_s": 1.0}) == []
    (taken,) = noise.warnings({"switches": 300, "sampled_s": 2.0})
    assert "150 times a second" in taken
    busy, stolen = noise.warnings({"other_cores": 1.04, "steal": 0.031, "mhz": 2600.0})
    assert busy.startswith("other processes kept 1.0 of")
    assert "3 %" in stolen
