"""A worker process answers, or its end is explained in plain words."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from algos.registry import get
from suites.workers import process as module
from suites.workers.messages import Again, Calibrate, Done, Drop, Load, Reap, Sample, decode, encode
from suites.workers.process import Worker, WorkerDiedError

BROKEN = str(Path(__file__).parents[2] / "helpers" / "broken.py")
CASE = {"problem": "mb1_ic2ih9_oc3_kh3_bias", "weights": "random", "pixels": "random"}


@pytest.fixture(scope="module")
def living():
    """Yield one worker for all tests that leave it alive."""
    worker = Worker(2, [BROKEN])
    yield worker
    worker.close()


def load(worker, algorithm, timeout=60.0, **more):
    request = Load(cell=0, case=CASE, algorithm=algorithm, **{"threads": 1, **more})
    return worker.ask(timeout, request)


def test_a_cell_is_loaded_calibrated_and_sampled(living):
    answer = load(living, "naive")
    assert answer.status == "ok"
    assert answer.reason == ""
    assert 0 <= answer.error_over_bound <= 1
    assert answer.threads_seen["convbench"] == 1
    assert answer.first_call_s > 0
    calibrated = living.ask(60, Calibrate(0, seconds=0.001))
    assert calibrated.loops >= 1
    assert calibrated.once_s > 0
    assert living.ask(60, Sample(0, calibrated.loops)).seconds > 0
    assert living.ask(60, Drop()) == Done()


def test_what_is_not_supported_says_why(living):
    answer = load(living, "separable")
    assert answer.status == "unsupported"
    assert "rank" in answer.reason


def test_what_an_algorithm_prints_is_no_answer(living):
    assert load(living, "prints").status == "ok"
    assert living.ask(60, Sample(0, loops=2)).seconds > 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "it raised RuntimeError: first line second line"),
        ("confused", "it raised KeyError: 'size'"),
        ("meddles", "read-only"),
        ("off-by-one", "times the error bound"),
        ("unfinished", "nan"),
        ("nosuch", "there is no algorithm 'nosuch'"),
    ],
)
def test_a_failure_that_leaves_the_worker_alive(living, name, reason):
    answer = load(living, name)
    assert answer.status == "failed"
    assert reason in answer.reason
    assert load(living, "naive").status == "ok"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("segfault", "its process was ended by SIGSEGV"),
        ("exits", "its process exited with code 3"),
        ("sysexit", "its process exited with code 1: enough"),
    ],
)
def test_the_end_of_a_worker_is_told(name, reason):
    worker = Worker(1, [BROKEN])
    with pytest.raises(WorkerDiedError) as death:
        load(worker, name)
    assert str(death.value) == reason
    with pytest.raises(WorkerDiedError):  # a second request fails as well
        load(worker, "naive")
    worker.close()
    worker.close()


def test_one_that_hangs_is_ended():
    worker = Worker(1, [BROKEN])
    load(worker, "naive")
    with pytest.raises(WorkerDiedError, match="no answer within 1 s"):
        load(worker, "hangs", timeout=1.0)
    assert not psutil.pid_exists(worker.pid)


def test_one_that_cannot_start_says_why(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text("import nosuchmodule\n")
    worker = Worker(1, [str(file)])
    with pytest.raises(WorkerDiedError, match="No module named 'nosuchmodule'"):
        load(worker, "naive")
    worker.close()


def test_memory_beyond_what_was_predicted_is_refused(living):
    answer = load(living, "glutton", allowance=1 << 30)
    assert answer.status == "failed"
    assert "memory" in answer.reason
    assert load(living, "naive", allowance=1 << 30).status == "ok"


def test_a_compilation_makes_a_sample_worthless(living):
    assert load(living, "recompiles").status == "ok"
    assert living.ask(60, Sample(0, loops=2)).seconds is None
    assert load(living, "naive").status == "ok"
    assert living.ask(60, Sample(0, loops=2)).seconds > 0


def test_a_fresh_worker_finds_the_cache_warm(living):
    """A kernel is compiled by one process only; two processes at once do not disturb each other."""
    load(living, "naive")
    others = [Worker(2) for _ in range(2)]
    request = Again(cell=0, case=CASE, algorithm="naive", threads=1)
    for other in others:  # both at once, as no run does
        other._socket.sendall(encode(request))
    for other in others:
        answer = decode(other._line(60))
        assert answer.compile_s == 0
        assert answer.load_s > 0
        other.close()


def test_workers_are_forked_from_one_process_without_pools():
    first, second = Worker(2), Worker(2)
    parents = {psutil.Process(worker.pid).ppid() for worker in (first, second)}
    assert len(parents) == 1
    assert psutil.Process(parents.pop()).num_threads() == 1
    first.close()
    second.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_the_death_of_a_fork_server_costs_its_workers_alone():
    worker = Worker(1)
    assert load(worker, "naive").status == "ok"
    process = psutil.Process(worker.pid)
    process.parent().kill()
    with pytest.raises(WorkerDiedError, match="the process that workers are made from has died"):
        load(worker, "naive")
    psutil.wait_procs([process], timeout=5.0)
    worker.close()
    other = Worker(1)
    assert load(other, "naive").status == "ok"
    other.close()


class Interrupted:
    """Stream whose reader presses Ctrl-C."""

    def readline(self):
        raise KeyboardInterrupt


def test_a_request_that_was_interrupted_leaves_no_answer_behind(monkeypatch):
    worker = Worker(1)
    fork_server = worker._fork_server
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(fork_server, "_answers", Interrupted())
        fork_server.ask(Reap(worker.pid, 0.0))
    other = Worker(1)
    assert load(other, "naive").status == "ok"
    other.close()
    worker.close()


def test_threads_start_one_fork_server_together(monkeypatch):
    both, made, found = threading.Barrier(2), [], {}

    class Slow:
        """Fork server that starts slowly, so that two threads could meet in it."""

        alive = True

        def __init__(self, *key):
            made.append(key)
            with suppress(threading.BrokenBarrierError):
                both.wait(0.5)

    monkeypatch.setattr(module, "_fork_servers", lambda: found)
    monkeypatch.setattr(module, "_ForkServer", Slow)
    with ThreadPoolExecutor(2) as pool:
        assert len({*pool.map(lambda _: module._fork_server(1, ()), range(2))}) == 1
    assert made == [(1, ())]


def test_the_fork_server_imports_no_library_of_tables():
    """pandas imports PyArrow, whose allocator starts a thread; both take time in every run."""
    program = (
        "import sys; from suites.workers import fork_server; from algos import registry\n"
        "[registry.of(family) for family in registry.FAMILIES]\n"
        "print([m for m in ('pandas', 'pyarrow', 'matplotlib', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def holds(pid, library):
    """Return True if a process has a compiled library of this name."""
    return any(library in area.path for area in psutil.Process(pid).memory_maps())


@pytest.mark.skipif(not hasattr(psutil.Process, "memory_maps"), reason="not told here")
def test_a_fresh_worker_has_what_its_algorithm_would_import():
    plain, ready = Worker(2), Worker(2, libraries=("scipy.ndimage", "no.such.module"))
    assert not holds(plain.pid, "_nd_image")
    assert holds(ready.pid, "_nd_image")
    fork_server = psutil.Process(ready.pid).parent()
    assert fork_server != psutil.Process(plain.pid).parent()  # a server of its own
    assert fork_server.num_threads() == 1
    plain.close()
    ready.close()


@pytest.mark.peers
@pytest.mark.parametrize(
    ("name", "file"), [("torch", "libtorch_cpu"), ("opencv-filter2d", "cv2.abi3")]
)
def test_a_worker_of_a_peer_is_born_with_it_and_its_own_pool(name, file):
    (module,) = get(name).libraries
    pytest.importorskip(module)
    worker = Worker(2, libraries=(module,))
    fork_server = psutil.Process(worker.pid).parent()
    assert holds(worker.pid, file)
    case = {"problem": "mb1_ic8ih64_oc8_kh3", "weights": "random", "pixels": "random"}
    answer = worker.ask(60, Load(cell=0, case=case, algorithm=name, threads=2))
    assert answer.status == "ok", answer
    assert answer.threads_seen[module] == 2
    assert fork_server.num_threads() == 1  # only its children have pools
    worker.close()


def test_threads_are_set_and_read_back(living):
    answer = load(living, "im2col", threads=2)
    assert answer.status == "ok"
    assert set(answer.threads_seen.values()) == {2}
