"""Cells in another layout: what their processes get, and their records beside the others'."""

from dataclasses import replace

import pytest

from algos import Problem, plugins, registry
from algos.notation import parse
from algos.registry import convolutions
from results.records.columns import CellRecord
from results.records.run import PassRecord, RunHeader, RunRecords
from suites.cases.suite import Case
from suites.timing import resume, schedule
from suites.timing.bench import Bench, Settings
from suites.timing.cell import Cell, memory_needed, obstacle, work_of, workspace_of
from suites.timing.schedule import Run

LAYER = Case(Problem(size=(20, 20), kernel=3, in_channels=8, out_channels=8))
LAST = "parallel@channels_last"

#: Algorithm that can only compute arrays with their channels last, and checks their strides.
PARTICULAR = """
import numpy as np

from algos.naive import Naive


class Particular(Naive):
    name = "particular"

    def reads_layout(self, problem):
        return True

    def forward(self, problem, x, prepared, bias, out, threads):
        for array in (x, out):
            lies_last = np.moveaxis(array, 1, -1).flags.c_contiguous
            if not lies_last or array.flags.c_contiguous or problem.layout != "channels_last":
                raise RuntimeError("its channels do not lie last")
        y = np.empty(out.shape, out.dtype)
        super().forward(problem, np.ascontiguousarray(x), prepared, bias, y, threads)
        out[...] = y
"""


@pytest.fixture
def particular(tmp_path):
    """Return the path of a file with the algorithm above, which is loaded in this process, too."""
    path = tmp_path / "particular.py"
    path.write_text(PARTICULAR, encoding="utf-8")
    plugins._loaded.clear()
    names = registry.load_file(str(path))
    yield str(path)
    plugins._loaded.clear()
    for name in names:
        del convolutions()[name]


def settings(algorithms, **more):
    """Return settings of a run that one look decides."""
    return Settings(
        suite="test", algorithms=algorithms, baseline=algorithms[0], min_effect=1e3, **more
    )


def records_of(case, algorithms, tmp_path, monkeypatch, **more):
    """Return the cells by entrant, and the passes, of a run."""
    monkeypatch.setattr(schedule, "MAX_BLOCKS", 2)
    events = list(Run((case,), settings(algorithms, **more), tmp_path))
    cells = {event.algorithm: event for event in events if isinstance(event, CellRecord)}
    return cells, [event for event in events if isinstance(event, PassRecord)]


def test_both_layouts_are_timed_in_one_group(tmp_path, monkeypatch):
    cells, passes = records_of(LAYER, ("parallel", LAST), tmp_path, monkeypatch)
    assert {name: cell.status for name, cell in cells.items()} == {"parallel": "ok", LAST: "ok"}
    first, last = cells["parallel"], cells[LAST]
    assert (first.group, first.problem) == (last.group, last.problem) == (0, str(LAYER.problem))
    assert not last.auto
    assert last.accuracy == "direct"
    for cell in cells.values():
        assert 0 < cell.error_over_bound <= 1
        assert cell.peak_extra_bytes is not None
    assert all(set(record.samples_s) == {"parallel", LAST} for record in passes)
    again = Run((LAYER,), settings(("parallel", LAST)), tmp_path)
    interrupted = RunRecords(tmp_path, RunHeader(), [first, last], passes, None)
    resume.take_up(again, interrupted)
    _, taken = again.groups[0].cells
    assert taken.alive
    assert len(taken.samples) == len(passes)
    assert taken.work > 0


def test_the_process_gets_arrays_with_their_channels_last(tmp_path, monkeypatch, particular):
    names = ("parallel", "particular", "particular@channels_last")
    cells, _ = records_of(LAYER, names, tmp_path, monkeypatch, files=(particular,))
    assert "its channels do not lie last" in cells["particular"].reason
    assert cells["particular@channels_last"].status == "ok", cells["particular@channels_last"]


def test_a_task_holds_the_problem_in_the_layout_and_the_record_as_it_is_written():
    cell, plain = Cell(LAYER, LAST, 1), Cell(LAYER, "parallel", 1)
    bench = Bench(settings(("parallel", LAST)))
    text = str(LAYER.problem)
    task = bench._task(cell)
    assert (task["algorithm"], task["case"]["problem"]) == ("parallel", f"{text}_axb")
    assert bench._task(plain)["case"]["problem"] == text
    assert cell.record("test").problem == text


def test_needs_are_those_of_the_layout(monkeypatch):
    problem = parse("mb1_ic8ih20_oc16_kh5")
    laid = replace(problem, layout="channels_last")
    able = registry.get("parallel")
    assert workspace_of(problem, LAST, 2) == able.workspace_bytes(laid, 2)
    assert workspace_of(problem, LAST, 2) != able.workspace_bytes(problem, 2)
    assert memory_needed(problem, LAST, 2) == memory_needed(laid, "parallel", 2)
    asked = []
    monkeypatch.setattr(type(able), "work", lambda self, p: asked.append(p.layout) or 1.0)
    work_of(problem, LAST)
    assert obstacle(problem, LAST, 1, 1 << 30) is None
    assert asked == ["channels_last"] * 2


def test_an_entrant_without_its_layout_has_a_row_with_the_reason(tmp_path, monkeypatch):
    names = ("parallel", LAST, "winograd4@channels_last")
    case = Case(Problem(size=(20, 20), kernel=3))
    cells, _ = records_of(case, names, tmp_path, monkeypatch)
    assert cells["parallel"].status == "ok"
    assert {cells[name].status for name in names[1:]} == {"unsupported"}
    assert "the same in every layout" in cells[LAST].reason
