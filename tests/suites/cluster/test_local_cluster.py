"""A real scheduler and real workers, on this machine."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from command_line import CONVBENCH, ROOT, complaint, convbench, environment

import results

pytestmark = [pytest.mark.scale, pytest.mark.slow]

SUITE = """
title = "Mini"
algorithms = ["naive", "parallel"]
problems = ["mb1_ic1ih16_oc1_kh3", "mb1_ic1ih24_oc1_kh3", "mb1_ic1ih32_oc1_kh3"]
"""
LOCAL = Path(ROOT) / "tests" / "helpers" / "local_cluster.py"


@pytest.fixture
def cluster(request):
    """Start a cluster; yield its process and address."""
    pytest.importorskip("distributed")
    process = subprocess.Popen(
        [sys.executable, str(LOCAL), *getattr(request, "param", ["2"])], env=environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process, process.stdout.readline().strip()
    process.stdin.close()
    if process.poll() is None:
        process.wait(60)
    process.stdout.close()


@pytest.fixture
def words(tmp_path):
    (tmp_path / "mini.toml").write_text(SUITE)
    return ["run", "mini.toml", "--budget", "6", "--runs", "runs", "--wait", "20", "--cluster"]


def started(words, address, cwd):
    return subprocess.Popen(
        [*CONVBENCH, *words, address], cwd=cwd, env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def until(process, text):
    """Read what a process prints until `text` occurs."""
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} was never printed: {process.stderr.read()}")


def check_whole(tmp_path):
    (path,) = (tmp_path / "runs").iterdir()
    records = results.read_records(path)
    cells = [(one.group, one.algorithm) for one in records.cells]
    assert sorted(cells) == [(n, a) for n in range(3) for a in ("naive", "parallel")]
    assert {one.status for one in records.cells} <= {"ok", "skipped"}  # a busy machine is slow
    assert any(one.status == "ok" for one in records.cells)
    assert records.status == "complete"


def test_a_worker_dies_and_nothing_is_lost_or_doubled(tmp_path, cluster, words):
    process, address = cluster
    run = started(words, address, tmp_path)
    until(run, "1 of 3")
    process.stdin.write("kill\n")
    process.stdin.flush()
    _, said = run.communicate(timeout=200)
    assert run.returncode == 0, said
    check_whole(tmp_path)


def test_a_scheduler_dies_and_another_goes_on(tmp_path, cluster, words):
    process, address = cluster
    run = started(words, address, tmp_path)
    until(run, "1 of 3")
    process.send_signal(signal.SIGKILL)
    _, said = run.communicate(timeout=200)
    assert run.returncode == 2 and "Traceback" not in said
    assert "does not answer any more; what was measured is kept" in said
    with pytest.raises(AssertionError):
        check_whole(tmp_path)
    other = subprocess.Popen(
        [sys.executable, str(LOCAL), "1"], env=environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    (path,) = (tmp_path / "runs").iterdir()
    again = ["run", "--resume", path, "--runs", "runs", "--cluster"]
    done = convbench(*again, other.stdout.readline().strip(), cwd=tmp_path)
    other.communicate("", timeout=60)
    assert done.returncode == 0, done.stderr
    check_whole(tmp_path)


@pytest.mark.parametrize("cluster", [["2", "same"]], indirect=True)
def test_a_second_worker_of_a_host_gets_nothing(tmp_path, cluster, words):
    done = convbench(*words, cluster[1], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "is refused: it is on the same host as" in " ".join(done.stdout.split())
    check_whole(tmp_path)


def test_no_scheduler_is_a_sentence(tmp_path, words):
    pytest.importorskip("distributed")
    done = convbench(*words, "tcp://127.0.0.1:9", cwd=tmp_path)
    assert "no scheduler answers at 'tcp://127.0.0.1:9'" in complaint(done)


def test_ctrl_c_ends_the_measurements_of_the_hosts(tmp_path, cluster, words):
    run = started(words, cluster[1], tmp_path)
    until(run, "1 of 3")
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert "interrupted; what was measured is kept" in said
    for _ in range(100):
        tasks = [
            one for one in psutil.Process(cluster[0].pid).children(recursive=True)
            if "suites.cluster.task" in " ".join(one.cmdline())
        ]  # fmt: skip
        if not tasks:
            break
        psutil.wait_procs(tasks, timeout=0.2)
    assert not tasks
    assert [*(tmp_path / "runs").iterdir()]
