"""Processes of a revision: a small package that stands for `algos`, and what can go wrong in it."""

import json
import os
import random
import subprocess
import sys
from contextlib import suppress

import numpy as np
import psutil
import pytest

from algos.core.errors import ConvbenchError
from suites.revisions import driver
from suites.revisions.cells import SIDES, TwoSided
from suites.revisions.child import Child, UnableError
from suites.revisions.trees import Revision
from suites.revisions.turns import StoppedError, Turns
from suites.timing.cell import Cell
from suites.workers.process import WorkerDiedError

#: A revision with the public face that the driver needs, and algorithms that misbehave.
ALGOS = """
import os, sys, time
from types import SimpleNamespace


class ConvbenchError(ValueError):
    pass


def plan(problem, w, bias=None, *, algorithm, threads):
    if algorithm == "unsupported":
        raise ConvbenchError("it is written for one group")
    if algorithm == "raises":
        raise RuntimeError("oh\\nno")
    if algorithm == "dies":
        os._exit(7)
    print("what an algorithm prints")
    calls = []

    def call(x, out):
        calls.append(algorithm)
        if calls == ["tires", "tires"]:
            os._exit(5)
        if algorithm == "hangs":
            time.sleep(60)
        out[...] = x * w
        return out

    return call
"""
NOTATION = """
from types import SimpleNamespace


def parse(text):
    return SimpleNamespace(operation="forward", result_shape=(3,), dtype="float64")
"""


@pytest.fixture
def revision(tmp_path):
    package = tmp_path / "tree" / "algos"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(ALGOS)
    (package / "notation.py").write_text(NOTATION)
    return Revision("HEAD", "0" * 40, "A subject", tmp_path / "tree", tmp_path / "kernels")


@pytest.fixture
def arrays(tmp_path):
    paths = [str(tmp_path / f"{name}.npy") for name in "xw"]
    np.save(paths[0], np.arange(3.0))
    np.save(paths[1], np.full(3, 2.0))
    return paths


@pytest.fixture
def child(revision):
    made = Child(revision, 1)
    yield made
    made.close()


def load(child, arrays, algorithm="fine", timeout=20.0, **more):
    return child.ask(
        timeout, "load", cell=1, problem="p", arrays=arrays, algorithm=algorithm, threads=1, **more
    )


def test_a_cell_is_loaded_sampled_and_dropped(child, arrays, tmp_path):
    result = tmp_path / "result.npy"
    assert load(child, arrays, result=str(result)) == {}
    assert np.load(result).tolist() == [0.0, 2.0, 4.0]
    assert child.ask(20.0, "shortest", cell=1)["seconds"] > 0
    assert child.ask(20.0, "sample", cell=1, loops=3, warm=1)["seconds"] > 0
    assert child.ask(20.0, "drop") == {}
    with pytest.raises(UnableError, match="KeyError"):
        child.ask(20.0, "sample", cell=1, loops=3, warm=1)


@pytest.mark.parametrize(
    ("algorithm", "status", "reason"),
    [
        ("unsupported", "unsupported", "it is written for one group"),
        ("raises", "failed", "it raised RuntimeError: oh no"),
    ],
)
def test_what_a_revision_cannot_do_is_a_sentence(child, arrays, algorithm, status, reason):
    with pytest.raises(UnableError) as caught:
        load(child, arrays, algorithm)
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert load(child, arrays) == {}


def test_a_death_is_explained(child, arrays):
    with pytest.raises(WorkerDiedError, match="exited with code 7"):
        load(child, arrays, "dies")
    with pytest.raises(WorkerDiedError, match="exited with code 7"):
        load(child, arrays)


def test_a_hanging_process_is_given_up(child, arrays):
    with pytest.raises(WorkerDiedError, match=r"no answer within 0.3 s"):
        load(child, arrays, "hangs", timeout=0.3)


def test_a_tree_without_algos_says_so(revision):
    (revision.tree / "algos" / "__init__.py").write_text("import nosuchmodule\n")
    child = Child(revision, 1)
    with pytest.raises(WorkerDiedError, match="No module named 'nosuchmodule'"):
        child.ask(20.0, "drop")
    child.close()


def test_the_environment_is_that_of_the_revision(revision):
    (revision.tree / "algos" / "__init__.py").write_text(
        "import json, os, sys\n"
        "names = ('NUMBA_CACHE_DIR', 'NUMBA_NUM_THREADS')\n"
        "sys.exit(json.dumps([os.getcwd(), *(os.environ[n] for n in names)]))\n"
    )
    child = Child(revision, 3)
    with pytest.raises(WorkerDiedError) as caught:
        child.ask(20.0, "drop")
    child.close()
    told = json.loads(str(caught.value).partition(": ")[2])
    assert told == [os.path.realpath(revision.tree), str(revision.kernels), "3"]


#: A process that pauses its child, and waits.
PARENT = """
import os, signal, subprocess, sys, time

child = subprocess.Popen(
    [sys.executable, "-P", *sys.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    bufsize=0, start_new_session=True,
)
child.stdin.write(b'{"do": "drop"}\\n')
child.stdout.readline()
os.kill(child.pid, signal.SIGSTOP)
os.waitpid(child.pid, os.WUNTRACED)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_paused_process_ends_with_its_parent(revision):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, driver.__file__, revision.tree],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs([child], timeout=10.0)
    with suppress(psutil.NoSuchProcess):
        child.kill()
    assert not alive


class _Case:
    problem = "p"


def two_sided(number, algorithm, arrays):
    sides = {side: Cell(_Case(), algorithm, 1, number) for side in SIDES}
    return TwoSided(number, sides, arrays)


@pytest.fixture
def turns(revision):
    made = Turns([revision, revision], 1, random.Random(0))
    yield made
    made.close()


def test_a_death_in_a_later_call_ends_the_cell(turns, arrays):
    cell = two_sided(0, "tires", arrays)
    assert turns.load(cell, SIDES[0], 20.0)
    turns.shortest(cell, SIDES[0], 20.0)
    outcome = cell.sides[SIDES[0]].outcome
    assert outcome.status == "failed"
    assert outcome.reason.startswith("its process exited with code 5")


def test_a_revision_that_cannot_be_imported_is_a_sentence(turns, revision):
    (revision.tree / "algos" / "__init__.py").write_text("import nosuchmodule\n")
    said = r"revision HEAD \(0{12}\) cannot be timed: .*No module named 'nosuchmodule'; install"
    with pytest.raises(ConvbenchError, match=said):
        turns.start()


@pytest.mark.slow
def test_a_death_costs_one_cell(revision, arrays):
    turns = Turns([revision, revision], 1, random.Random(0))
    fine, dying = two_sided(0, "fine", arrays), two_sided(1, "dies", arrays)
    try:
        turns.start()
        for side in SIDES:
            assert turns.load(fine, side, 20.0)
        assert not turns.load(dying, SIDES[1], 20.0)
        with turns.placed(1) as move:
            move()
            for side in SIDES:
                turns.sample(fine, side, 0)
        assert [len(side.samples[0]) for side in fine.sides.values()] == [1, 1]
        assert dying.sides[SIDES[1]].outcome.reason.startswith("its process exited with code 7")
        turns.stop()
        with pytest.raises(StoppedError):
            turns.drop()
    finally:
        turns.close()
