"""Costs of compiling: a failure costs one row, and nobody waits for an answer after Ctrl-C."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from algos import parse_descriptor
from algos.backend.threads import available
from algos.core.family import CONVOLUTION
from suites.cases.suite import Case
from suites.timing import compiling
from suites.workers.process import Worker, WorkerDiedError

BROKEN = str(Path(__file__).parents[2] / "helpers" / "broken.py")
CASE = Case(parse_descriptor("mb1_ic1ih9_oc1_kh3"))
REFUSES = """
from algos import register


@register("refuses")
def refuse(x, w, problem):
    raise NotImplementedError("it does nothing")
"""


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """Return a function that compiles algorithms of files for one problem, called twice each."""
    (tmp_path / "refuses.py").write_text(REFUSES)
    files = [BROKEN, str(tmp_path / "refuses.py")]
    Worker(available()).close()  # a fork server ends with the thread that started it
    monkeypatch.setattr(compiling, "Worker", lambda threads: Worker(threads, files))
    monkeypatch.setattr(compiling, "calls", lambda *_: [(CASE, 1, False)] * 2)

    def run(*names):
        monkeypatch.setattr(compiling, "_lanes", lambda *_: [(CONVOLUTION, "float32", names)])
        out = Console(file=io.StringIO(), width=200)
        code = compiling.compile_and_show(
            ("float32",), names, False, out, Console(file=io.StringIO())
        )
        rows = [line.split(maxsplit=1) for line in out.file.getvalue().splitlines() if line.strip()]
        return code, dict(rows)

    return run


def test_a_failure_costs_one_row(compiled):
    code, rows = compiled("segfault", "raises", "refuses", "naive")
    assert code == 1
    assert rows["segfault"].rstrip().endswith("its process was ended by SIGSEGV")
    assert str(CASE.problem) in rows["segfault"]
    assert "it raised RuntimeError: first line second line" in rows["raises"]
    for name in ("refuses", "naive"):  # a refusal is not a failure
        assert rows[name].rstrip().endswith(" s")


def test_without_a_failure_there_is_no_word_of_one(compiled):
    code, rows = compiled("naive")
    assert code == 0
    assert "failed" not in rows["algorithm"]


def test_nobody_waits_for_an_answer_after_ctrl_c(compiled, monkeypatch):
    asked, deaths = threading.Event(), []

    class Watched(Worker):
        """Worker that notes its death."""

        def __init__(self, threads):
            super().__init__(threads, [BROKEN])

        def ask(self, timeout, request):
            asked.set()
            try:
                return super().ask(10.0, request)
            except WorkerDiedError as death:
                deaths.append(str(death))
                raise

    def interrupted(pool, measure, lanes):
        for lane in lanes:
            pool.submit(measure, lane)
        assert asked.wait(20.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(compiling, "Worker", Watched)
    monkeypatch.setattr(ThreadPoolExecutor, "map", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compiled("hangs")
    (death,) = deaths
    assert "its process was killed" in death  # it was not waited for
