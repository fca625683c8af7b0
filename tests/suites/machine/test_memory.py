"""The peak memory of a piece of work, read from the system."""

import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from suites.machine import memory


@pytest.fixture(autouse=True)
def _nothing_freed_is_kept():
    memory.return_what_is_freed()


WEIGH = """
import numpy as np
from suites.machine import memory

memory.return_what_is_freed()
kept = np.ones(1 << 20)

def work():
    first = np.ones(2 << 20)  # 16 MiB
    del first
    return kept + np.ones(1 << 20)  # 16 MiB at a time

print(memory.peak_extra(work))
"""


def test_the_peak_is_counted_and_what_was_there_is_not():
    """Measure in a process without free memory of earlier work."""
    said = subprocess.run(
        [sys.executable, "-c", WEIGH], cwd=Path(__file__).parents[3], capture_output=True,
        text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert said == "None" or abs(int(said) - (16 << 20)) < 0.1 * (16 << 20) + (1 << 20)


def test_room_that_is_never_touched_is_not_held():
    # Not of NumPy, whose memory these tests fill with garbage.
    found = memory.peak_extra(lambda: mmap.mmap(-1, 64 << 20))
    assert found is None or found < 1 << 20


@pytest.mark.slow
def test_only_the_first_of_a_kind_is_tried_before_it_is_weighed():
    scale, calls = memory.Scale(), []

    def work():
        calls.append(np.ones(2 << 20))  # 16 MiB
        calls[:-1] = [None] * (len(calls) - 1)

    def weigh(kind, predicted):
        before = len(calls)
        scale.weigh(work, kind, predicted)
        return len(calls) - before

    if memory.peak_extra(work) is None:
        pytest.skip("this system does not tell the peak")
    calls.clear()
    held = 16 << 20
    assert weigh("one", held) == 2
    assert weigh("one", held) == 1
    assert weigh("other", held) == 2
    assert weigh("one", 2 * held) == 2  # not what was predicted: weighed again


def test_where_the_system_does_not_tell_nothing_is_known(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "no" / "such")
    assert memory.peak_extra(lambda: done.append(1)) is None
