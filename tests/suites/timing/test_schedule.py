"""The schedule: the order of timing, the effect of a budget, and the cost of a failure."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from algos import Problem, plugins, registry
from algos.registry import convolutions
from results.records.columns import CellRecord
from results.records.record import Record
from results.records.run import PassRecord
from results.verdicts.decide import MIN_PASSES
from suites.cases.suite import Case
from suites.machine import environment as machine
from suites.timing import bench, cell, schedule
from suites.timing.schedule import FilteredImage, LeftOut, Progress, Run, Settings, Settled

BROKEN = str(Path(__file__).parents[2] / "helpers" / "broken.py")
SMALL = Case(Problem(size=(12, 12), kernel=3, in_channels=2, out_channels=2))
RANK1 = Case(Problem(size=(40, 40), kernel=5), weights="rank1")


@pytest.fixture(scope="module", autouse=True)
def broken_algorithms():
    """Load broken algorithms into this process while these tests run."""
    plugins._loaded.clear()
    names = registry.load_file(BROKEN)
    yield
    plugins._loaded.clear()
    for name in names:
        del convolutions()[name]


@pytest.fixture(autouse=True)
def few_short_samples(monkeypatch):
    """Shorten samples, since these tests check the order of timing and not durations."""
    monkeypatch.setattr(schedule, "MAX_BLOCKS", 2)


def settings(*algorithms, **more):
    """Return settings in which only differences of 90 % matter, so the first look decides."""
    defaults = {
        "suite": "test", "baseline": "naive", "min_effect": 0.9, "budget": 60.0, "timeout": 30.0,
        "files": (BROKEN,),
    }  # fmt: skip
    return Settings(algorithms=algorithms, **{**defaults, **more})


def events_of(cases, chosen, tmp_path):
    return list(Run(tuple(cases), chosen, tmp_path))


def cells_of(cases, chosen, tmp_path):
    """Return the last record of every cell."""
    events = events_of(cases, chosen, tmp_path)
    cells = [e for e in events if isinstance(e, CellRecord)]
    return list({(cell.group, cell.algorithm): cell for cell in cells}.values())


def test_every_cell_becomes_a_record_in_order_then_passes_go_on(tmp_path):
    # With so large a minimum effect all are equal, and nothing is left to decide.
    chosen = settings("naive", "separable", "fft", threads=(1, 2), min_effect=1e3)
    events = events_of([SMALL, RANK1], chosen, tmp_path)
    records = [event for event in events if isinstance(event, Record)]
    cells = [record for record in records if isinstance(record, CellRecord)]
    assert [(r.problem, r.threads, r.algorithm) for r in cells] == [
        (str(case.problem), threads, name)
        for threads in (1, 2)
        for case in (SMALL, RANK1)
        for name in ("naive", "separable", "fft")
    ]
    told = {(r.problem, r.algorithm): r.status for r in cells}
    assert told.pop((str(SMALL.problem), "separable")) == "unsupported"
    assert set(told.values()) == {"ok"}
    passes = [record for record in records if isinstance(record, PassRecord)]
    first = [(number, group) for number in range(MIN_PASSES) for group in range(4)]
    assert [(r.number, r.group) for r in passes][: len(first)] == first
    for record in passes[: len(first)]:
        group = [cell for cell in cells if cell.group == record.group]
        timed = {cell.algorithm for cell in group if cell.status == "ok"}
        assert set(record.samples_s) == timed
        assert set(record.load_s) == (timed if record.number else set())
        for samples in record.samples_s.values():
            assert all(sample > 0 for sample in samples)
    progress = [event for event in events if isinstance(event, Progress)]
    numbers = [event.number for event in progress]
    assert numbers == sorted(numbers)
    assert all(event.left <= chosen.budget for event in progress)


@pytest.mark.slow
def test_every_pass_has_processes_of_its_own(tmp_path, monkeypatch):
    made = []
    worker = bench.Worker
    monkeypatch.setattr(bench, "Worker", lambda *given: made.append(worker(*given)) or made[-1])
    events = events_of([SMALL, RANK1], settings("naive", "slow"), tmp_path)
    passes = {e.number for e in events if isinstance(e, PassRecord)}
    assert len(passes) >= MIN_PASSES
    weighing = 2  # each algorithm's memory is weighed in a process that times nothing
    assert len({made.pid for made in made}) == len(made) == 2 * len(passes) + weighing


@pytest.mark.slow
def test_what_is_decided_costs_no_more(tmp_path):
    """A settled group has no later pass; a run ends when all groups are settled."""
    run = Run((SMALL,), settings("naive", "slow"), tmp_path)
    events = list(run)
    (settled,) = [event for event in events if isinstance(event, Settled)]
    assert (settled.group.number, settled.winner) == (0, "naive")
    passes = [e for e in events if isinstance(e, PassRecord)]
    assert len(passes) == MIN_PASSES
    assert run.remaining() > 0
    assert not run.out_of_time


def orders(seed, names, tmp_path):
    """Return the algorithms in the order of their samples, block by block."""
    run = Run((SMALL,), settings(*names, seed=seed), tmp_path)
    sample, asked = run.bench.sample, []

    def listen(cell, number):
        asked.append(cell.algorithm)
        sample(cell, number)

    run.bench.sample = listen
    list(run)
    blocks = [tuple(asked[i : i + len(names)]) for i in range(0, len(asked), len(names))]
    assert all(sorted(block) == sorted(names) for block in blocks)
    return blocks


@pytest.mark.slow
def test_blocks_are_shuffled_by_the_seed(tmp_path):
    names = ("naive", "prints")
    first, again, other = (orders(seed, names, tmp_path) for seed in (3, 3, 4))
    shared = min(len(first), len(again), len(other))
    assert shared >= MIN_PASSES
    assert first[:shared] == again[:shared]
    assert first[:shared] != other[:shared]
    assert len(set(first)) > 1


@pytest.mark.slow
def test_failures_cost_their_own_rows_alone(tmp_path):
    reasons = {
        "segfault": "SIGSEGV",
        "exits": "exited with code 3",
        "later": "exited with code 4",
        "raises": "RuntimeError: first line",
        "confused": "asked about the problem, it raised KeyError",
        "off-by-one": "times the error bound",
    }
    records = cells_of([SMALL], settings("naive", *reasons, "prints"), tmp_path)
    first, *broken, last = records
    for (name, reason), record in zip(reasons.items(), broken, strict=True):
        assert (record.algorithm, record.status) == (name, "failed")
        assert reason in record.reason
        assert "\n" not in record.reason
    assert first.status == last.status == "ok"


def test_every_algorithm_is_sampled_once_a_block(tmp_path):
    events = events_of([SMALL], settings("naive", "prints"), tmp_path)
    passes = [e for e in events if isinstance(e, PassRecord)]
    for record in passes:  # entry i of each comes from block i
        naive, prints = record.samples_s["naive"], record.samples_s["prints"]
        assert len(naive) == len(prints) > 0


def run_and_kill(cases, at, tmp_path):
    """Return the records of a run in which the process of `fft` dies once, at progress `at`."""
    run = Run(cases, settings("naive", "fft"), tmp_path)
    records, killed = [], False
    for event in run:
        if isinstance(event, Record):
            records.append(event)
        elif isinstance(event, Progress) and (event.number, event.text) == at and not killed:
            os.kill(run.bench._workers["fft"].pid, signal.SIGSEGV)
            killed = True
    assert killed
    return records


@pytest.mark.slow
def test_one_that_crashes_in_a_later_pass_is_told_so_after_all(tmp_path):
    records = run_and_kill((SMALL,), (2, str(SMALL.problem)), tmp_path)
    told = [(r.algorithm, r.status) for r in records if isinstance(r, CellRecord)]
    assert told == [("naive", "ok"), ("fft", "ok"), ("fft", "failed")]
    assert "fft" not in records[-1].samples_s


@pytest.mark.slow
def test_a_crash_costs_nothing_of_what_else_its_process_held(tmp_path):
    """Two problems are ready at once; the sampled one fails, the other goes on."""
    records = run_and_kill((SMALL, RANK1), (1, str(RANK1.problem)), tmp_path)
    failed = {r.problem for r in records if isinstance(r, CellRecord) and r.status == "failed"}
    assert failed == {str(RANK1.problem)}
    passes = [r for r in records if isinstance(r, PassRecord) and r.number == 1]
    small, rank1 = (set(r.samples_s) for r in sorted(passes, key=lambda r: r.group))
    assert (small, rank1) == ({"naive", "fft"}, {"naive"})


def test_problems_take_turns(tmp_path):
    """Blocks of small problems alternate, so that each problem is spread over the whole time."""
    run = Run((SMALL, RANK1), settings("naive"), tmp_path)
    sample, asked = run.bench.sample, []

    def listen(cell, number):
        asked.append((number, cell.number))
        sample(cell, number)

    run.bench.sample = listen
    list(run)
    first = [group for number, group in asked if number == 0]
    assert first in ([0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0])


@pytest.mark.slow
def test_one_that_hangs_is_given_up(tmp_path):
    chosen = settings("hangs", "naive", timeout=4.0)
    hanging, naive = cells_of([SMALL], chosen, tmp_path)
    assert hanging.status == "failed"
    assert hanging.reason == "it gave no answer within 4 s and was ended"
    assert naive.status == "ok"


def test_the_next_problem_gets_a_new_worker(tmp_path):
    records = cells_of([SMALL, RANK1], settings("exits", "naive"), tmp_path)
    assert [r.status for r in records] == ["failed", "ok"] * 2


def test_budget_spent_means_skipped(tmp_path):
    run = Run((SMALL, RANK1), settings("naive", budget=1e-9), tmp_path)
    records = [event for event in run if isinstance(event, Record)]
    assert {type(r) for r in records} == {CellRecord}
    assert [r.status for r in records] == ["skipped"] * 2
    assert "raise --budget" in records[0].reason
    assert run.out_of_time


@pytest.mark.slow
def test_what_fits_the_budget_is_not_called_out_of_it(tmp_path):
    run = Run((SMALL,), settings("naive"), tmp_path)
    list(run)
    assert not run.out_of_time


def test_too_long_a_call_is_predicted_and_skipped(tmp_path):
    large = Case(Problem(size=(2000, 2000), kernel=61))
    small, predicted = cells_of([SMALL, large], settings("naive", call_limit=0.5), tmp_path)
    assert small.status == "ok"
    assert predicted.status == "skipped"
    assert "--call-limit 0.5 s" in predicted.reason


def test_too_much_memory_is_refused_with_the_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "available_memory", lambda: 2**30)
    large = Case(Problem(size=(20_000, 20_000), kernel=3))
    (record,) = cells_of([large], settings("naive"), tmp_path)
    assert record.status == "refused"
    assert record.reason == "it needs about 4.47 GiB, 0.80 GiB may be used"


def test_cells_of_one_problem_share_the_memory(tmp_path, monkeypatch):
    needed = cell.memory_needed(SMALL.problem, "naive", 1)
    monkeypatch.setattr(schedule, "memory_allowed", lambda: 2 * needed)
    records = cells_of([SMALL], settings("naive", "prints", "slow"), tmp_path)
    assert [r.status for r in records] == ["ok", "ok", "refused"]


@pytest.mark.slow
def test_a_kernel_that_sees_padding_alone_is_timed(tmp_path):
    empty = Case(Problem(size=(1,), kernel=1, padding=2, stride=3))
    assert empty.problem.multiply_adds == 0
    records = cells_of([empty], settings("naive", "im2col"), tmp_path)
    assert {r.status for r in records} == {"ok"}


def test_an_interruption_leaves_what_is_known(tmp_path):
    run = Run((SMALL,), settings("naive", "separable", "fft"), tmp_path)
    events, seen = iter(run), 0
    for event in events:
        seen += isinstance(event, Progress) and event.text == str(SMALL.problem)
        if seen == 2:  # between the first block and the second
            break
    worker = run.bench._workers["naive"]
    events.close()
    *cells, first = run.unfinished()
    assert [(r.algorithm, r.status) for r in cells] == [
        ("naive", "ok"), ("separable", "unsupported"), ("fft", "ok"),
    ]  # fmt: skip
    assert {name: len(taken) for name, taken in first.samples_s.items()} == {
        "naive": 1, "fft": 1,
    }  # fmt: skip
    assert not psutil.pid_exists(worker.pid)


@pytest.mark.slow
def test_pictures_come_back_filtered_by_the_fastest(tmp_path):
    problem = Problem(size=(256, 256), kernel=3, padding="same", flip=True)
    case = Case(problem, weights="gaussian", pixels="mri")
    events = events_of([case], settings("naive", "parallel"), tmp_path)
    (picture,) = [event for event in events if isinstance(event, FilteredImage)]
    assert picture.case is case
    assert picture.path.is_file()


@pytest.mark.slow
def test_a_slow_first_call_misleads_nobody(tmp_path):
    """A first call that reads from the disk does not predict the pace of the next."""
    records = cells_of([SMALL, RANK1], settings("naive", "drowsy", call_limit=0.3), tmp_path)
    assert [r.status for r in records] == ["ok"] * 4
    assert records[1].loops > 1
    assert records[1].first_call_s > 0.5


@pytest.mark.slow
def test_where_time_is_short_contenders_race_on_and_the_rest_is_left_out(tmp_path):
    """After the first pass ``slow`` is far behind; the budget no longer has room for it."""
    run = Run((SMALL,), settings("naive", "slow", "prints"), tmp_path)
    events = []
    for event in run:
        events.append(event)
        if isinstance(event, PassRecord) and event.number == 0:
            slow = next(cell for cell in run.groups[0].cells if cell.algorithm == "slow")
            slow.seconds = 1000.0  # as if five passes of it would never fit
    (left,) = [event for event in events if isinstance(event, LeftOut)]
    assert left.count == 1
    assert left.needed > 1000
    passes = [e for e in events if isinstance(e, PassRecord)]
    assert set(passes[0].samples_s) == {"naive", "slow", "prints"}
    assert [set(e.samples_s) for e in passes[1:5]] == [{"naive", "prints"}] * 4


def test_the_best_two_are_contenders_however_far_apart(tmp_path):
    run = Run((SMALL,), settings("naive", "slow", "prints"), tmp_path)
    (group,) = run.groups
    for cell_, time in zip(group.cells, (1.0, 9.0, 7.0), strict=True):
        cell_.samples = {0: [time]}
    assert [c.algorithm for c in run._contenders(group)] == ["naive", "prints"]
    group.cells[1].samples = {0: [2.9]}
    assert [c.algorithm for c in run._contenders(group)] == ["naive", "slow"]


def test_one_disturbed_sample_ends_no_race(tmp_path):
    run = Run((SMALL,), settings("naive", "slow", "prints"), tmp_path)
    (group,) = run.groups
    for cell_, time in zip(group.cells, (1.0, 1.1, 18.0), strict=True):
        cell_.samples = {0: [time]}
    group.cells[2].once = 0.9
    assert [c.algorithm for c in run._contenders(group)] == ["naive", "slow", "prints"]


def test_warm_calls_say_nothing_of_cold_ones(tmp_path):
    """The first is fastest with cold caches, and last with warm ones."""
    run = Run((SMALL,), settings("naive", "slow", "prints", cold_cache=True), tmp_path)
    (group,) = run.groups
    for cell_, cold, warm in zip(group.cells, (1.0, 1.2, 1.2), (0.9, 0.2, 0.2), strict=True):
        cell_.samples, cell_.once = {0: [cold]}, warm
    assert "naive" in [c.algorithm for c in run._contenders(group)]


@pytest.mark.slow
def test_every_cell_is_measured_once_before_any_is_twice(tmp_path):
    events = events_of([SMALL, RANK1], settings("naive", "prints"), tmp_path)
    passes = [e for e in events if isinstance(e, PassRecord)]
    assert [(e.number, e.group) for e in passes[:4]] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_nothing_is_weighed_where_time_is_short(tmp_path):
    (record,) = cells_of([SMALL], settings("naive", needed=1000.0), tmp_path)
    assert record.peak_extra_bytes is None


def test_a_beaten_baseline_takes_part_no_more(tmp_path):
    """Both others beat ``slow``, and go on against each other."""
    chosen = settings("slow", "naive", "prints", baseline="slow", min_effect=0.02)
    run = Run((SMALL,), chosen, tmp_path)
    noise = (1.0, 1.01, 0.99, 1.03, 0.98)
    for cell_, time in zip(run.groups[0].cells, (9.0, 1.0, 1.01), strict=True):
        own = noise if cell_.algorithm == "naive" else noise[::-1]
        cell_.samples = {at: [time * own[at]] for at in range(MIN_PASSES)}
    run._pass = MIN_PASSES - 1
    assert [c.algorithm for c in run._asked()[0][1]] == ["slow", "naive", "prints"]
    list(run._look())
    run._pass = MIN_PASSES
    assert [c.algorithm for c in run._asked()[0][1]] == ["naive", "prints"]


def test_a_default_budget_is_stretched_where_the_machine_is_slow(tmp_path):
    run = Run((SMALL, RANK1), settings("naive", "prints", budget=0.5, elastic=True), tmp_path)
    run.spent = 0.6  # more than it was given, before the first cell
    list(run)
    assert run.budget == pytest.approx(0.5 * schedule.STRETCH)
    asked = Run((SMALL,), settings("naive", budget=0.5), tmp_path)
    asked.spent = 0.6
    list(asked)
    assert asked.budget == 0.5
    assert asked.out_of_time


def test_no_budget_is_stretched_beyond_its_limit(tmp_path):
    run = Run((), settings("naive", budget=10.0, elastic=True), tmp_path)
    run._stretch(4.0)
    assert run.budget == 10.0
    run._stretch(10.1)
    assert 10.1 <= run.budget <= 10 * schedule.STRETCH
    run._stretch(1e6)
    assert run.budget == pytest.approx(10 * schedule.STRETCH)
