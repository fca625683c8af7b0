"""Idle thread pools have settled before another process works: PyTorch's beside a Numba kernel."""

from importlib.util import find_spec

import psutil
import pytest

from suites.cases.suite import Case
from suites.machine import clock
from suites.timing import cell
from suites.workers.messages import Load, Sample
from suites.workers.process import Worker

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed"),
]

CASE = Case.of_words(
    {"problem": "mb1_ic16ih56_oc16_kh3_ph1", "weights": "random", "pixels": "random"}
).as_words()
#: Processor time is counted in hundredths of a second, separately for user and system. A spinning
#: thread would take dozens of them.
TICKS = 0.025


def spent(worker):
    """Return the processor time of a worker and all its threads."""
    return sum(psutil.Process(worker.pid).cpu_times()[:2])


@pytest.mark.slow
def test_a_pool_of_openmp_is_still_while_a_numba_kernel_runs():
    threads = min(2, psutil.cpu_count())
    spinning, timed = Worker(threads), Worker(threads)
    try:
        for worker, algorithm in ((spinning, "torch"), (timed, "parallel")):
            request = Load(cell=0, case=CASE, algorithm=algorithm, threads=threads)
            assert worker.ask(120, request).status == "ok"
        for _ in range(3):
            worked = spent(spinning)
            spinning.ask(60, Sample(0, loops=200))
            assert spent(spinning) > worked
            clock.settle(cell.SETTLE)
            still = spent(spinning)
            timed.ask(60, Sample(0, loops=2000))
            assert spent(spinning) - still <= TICKS
    finally:
        spinning.close()
        timed.close()
