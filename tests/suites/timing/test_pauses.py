"""A process of several threads is paused while another one is timed."""

from importlib.util import find_spec

import psutil
import pytest

from algos.backend import threads as counts
from suites.cases.suite import Case
from suites.machine import clock
from suites.timing.bench import Bench, Settings
from suites.timing.cell import Cell
from suites.workers.messages import Drop

CASE = Case.of_words(
    {"problem": "mb1_ic16ih56_oc16_kh3_ph1", "weights": "random", "pixels": "random"}
)
SEVERAL = min(2, counts.available())
#: Processor time is counted in hundredths of a second, separately for user and system. A spinning
#: thread would take dozens of them.
TICKS = 0.025


@pytest.fixture
def bench():
    found = Bench(Settings("test", ("parallel",), threads=(1, 2)))
    yield found
    found.close()


def ready(bench, algorithm, threads):
    """Return a cell that can be sampled."""
    cell = Cell(CASE, algorithm, threads)
    bench.verify(cell)
    assert cell.alive, cell.outcome.reason
    bench.calibrate(cell)
    cell.samples[0] = []
    return cell


def process_of(bench, cell):
    return psutil.Process(bench._workers[cell.algorithm].pid)


def stops(process):
    """Return True if a process is stopped, or is so soon."""
    for _ in range(200):
        if process.status() == psutil.STATUS_STOPPED:
            return True
        clock.settle(0.005)
    return False


def spent(process):
    """Return the processor time of all threads of a process."""
    return sum(process.cpu_times()[:2])


@pytest.mark.skipif(SEVERAL < 2, reason="there is one core")
def test_several_threads_are_paused_from_sample_to_sample(bench):
    cell = ready(bench, "parallel", 2)
    for _ in range(2):
        bench.sample(cell, 0)
        assert stops(process_of(bench, cell))
    bench._tell_all(Drop())
    assert stops(process_of(bench, cell))
    assert len(cell.samples[0]) == 2
    bench.close()  # ends a paused process, too


def test_one_thread_is_never_paused(bench):
    cell = ready(bench, "parallel", 1)
    bench.sample(cell, 0)
    assert process_of(bench, cell).status() != psutil.STATUS_STOPPED


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize(
    ("algorithm", "library"), [("torch", "torch"), ("onnxruntime", "onnxruntime")]
)
def test_the_pool_of_a_library_takes_no_time_of_a_kernel_of_ours(bench, algorithm, library):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    spinning, timed = ready(bench, algorithm, SEVERAL), ready(bench, "parallel", SEVERAL)
    timed.loops = 2000
    process = process_of(bench, spinning)
    for _ in range(3):
        worked = spent(process)
        spinning.loops = 200
        bench.sample(spinning, 0)
        still = spent(process)
        assert still > worked
        bench.sample(timed, 0)
        assert spent(process) - still <= TICKS
