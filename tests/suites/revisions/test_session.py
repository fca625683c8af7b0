"""Decisions of a session on simulated samples, with a clock that counts passes."""

import random
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from algos import ConvbenchError, Problem
from suites.cases.suite import Case
from suites.revisions import session as module
from suites.revisions.cells import AFTER, SIDES, TwoSided, records, two_sided
from suites.revisions.session import MAX_BLOCKS, SAMPLING, Session, Settings
from suites.revisions.turns import Turns
from suites.timing.cell import Cell

CASES = [Case(Problem(size=(size, size), kernel=3)) for size in range(8, 14)]
#: Seconds that a simulated pass takes.
PASS = 2.0


class Time:
    """Clock that only passes move."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return self.seconds


class Simulated:
    """The two sides of a session, with invented samples.

    Every pass has a level for each side and cell, and disturbed samples on top. `effects` are
    slow-downs of the later side, by cell. A machine with `states` is slower by 40 % now and then,
    for a dozen samples.
    """

    def __init__(self, time, seed, effects, states=False):
        self.time, self.effects, self.states = time, effects, states
        self.state = 1.0
        self.rng = np.random.default_rng(seed)
        self.levels = {}
        self.blocks = []

    def start(self):
        self.time.seconds += PASS
        self.levels = {}

    def load(self, cell, side, timeout, result=""):
        return True

    def sample(self, cell, side, number):
        key = cell.number, side
        if key not in self.levels:
            self.levels[key] = 1e-5 * np.exp(self.rng.normal(0, 0.007))
        effect = self.effects.get(cell.number, 0.0) if side == AFTER else 0.0
        if self.states and self.rng.random() < 1 / 12:
            self.state = self.rng.choice((1.0, 1.4), p=(0.1, 0.9))
        seconds = self.state * self.levels[key] * (1 + effect) * (1 + self.rng.exponential(0.05))
        cell.sides[side].samples.setdefault(number, []).append(seconds)
        self.blocks.append((cell.number, side))

    def drop(self):
        pass

    def close(self):
        pass

    @contextmanager
    def placed(self, threads):
        yield lambda: None


def cells(count=6):
    made = [
        TwoSided(at, {side: Cell(CASES[at], "naive", 1, at) for side in SIDES}, [])
        for at in range(count)
    ]
    for cell in made:
        for side in cell.sides.values():
            side.once = 1e-5
        cell.calibrate()
    return made


@pytest.fixture
def simulate(monkeypatch):
    """Return a function that runs a session on simulated samples."""

    def run(seed=0, effects=None, budget=80.0, some=None, states=False):
        time = Time()
        monkeypatch.setattr(module, "clock", time)
        some = some or cells()
        monkeypatch.setattr(
            module, "Turns", lambda *_: Simulated(time, seed, effects or {}, states)
        )
        session = Session([None, None], some, Settings(budget=budget, seed=seed))
        found = session.run()
        return session, [found[cell.key][0] for cell in some], time.seconds

    return run


@pytest.mark.parametrize("calls", [(4e-4, 6e-4), (0.0199, 0.0201), (1.0, 1.1)])
def test_both_sides_of_a_sample_are_treated_alike(calls):
    """Calls of the same code, timed while the other side compiles, may differ by a half."""
    cell = cells(1)[0]
    for side, seconds in zip(cell.sides.values(), calls, strict=True):
        side.once = seconds
    cell.calibrate()
    before, after = cell.sides.values()
    assert (before.loops, before.warming) == (after.loops, after.warming)


def test_a_side_that_cannot_be_built_stops_the_other_at_once(monkeypatch):
    stopped, seen = threading.Event(), []

    def build(session, side):
        if side == AFTER:
            raise ConvbenchError("it cannot be imported")
        seen.append(stopped.wait(5.0))

    turns = SimpleNamespace(stop=stopped.set, close=lambda: None)
    monkeypatch.setattr(module, "Turns", lambda *_: turns)
    monkeypatch.setattr(Session, "_build", build)
    with pytest.raises(ConvbenchError, match="it cannot be imported"):
        Session([None, None], cells(1), Settings()).build()
    assert seen == [True]


def test_equals_are_not_red_and_five_percent_are_found(simulate):
    """Forty sessions of a revision with itself, and twenty with +5 % in one of six cells."""
    assert sum("slower" in simulate(seed)[1] for seed in range(40)) <= 1
    found = [simulate(seed, {2: 0.05})[1] for seed in range(20)]
    assert sum(verdicts[2] == "slower" for verdicts in found) >= 19
    assert not any("slower" in verdicts[:2] + verdicts[3:] for verdicts in found)


def test_a_machine_with_two_speeds_hides_no_slow_down(simulate):
    """Neighbouring samples meet the same speed; the shortest of a pass may meet any."""
    found = [simulate(seed, {2: 0.05}, states=True)[1] for seed in range(20)]
    assert sum(verdicts[2] == "slower" for verdicts in found) >= 18
    assert not any("slower" in verdicts[:2] + verdicts[3:] for verdicts in found)


def test_a_speed_up_is_found_without_a_second_measurement(simulate):
    session, verdicts, _ = simulate(effects={1: -0.1})
    assert verdicts[1] == "faster"
    assert session.again == 0


def test_the_second_measurement_alone_decides(simulate, monkeypatch):
    """A slow-down that is gone when it is measured again is none."""
    some = cells()
    forget = TwoSided.forget
    effects = {4: 0.3}
    monkeypatch.setattr(TwoSided, "forget", lambda cell: (effects.clear(), forget(cell)))
    session, verdicts, _ = simulate(effects=effects, some=some)
    assert session.again == 1
    assert verdicts == ["equivalent"] * 6


def test_the_budget_is_kept(simulate):
    """An effect on the border is never decided."""
    _, verdicts, spent = simulate(effects=dict.fromkeys(range(6), 0.02), budget=40.0)
    assert set(verdicts) == {"undecided"}
    assert spent <= 40.0


def test_a_budget_of_one_pass_decides_nothing(simulate):
    session, verdicts, _ = simulate(effects={0: 1.0}, budget=1.0)
    assert set(verdicts) == {"undecided"}
    assert session.again == 0


def test_the_fewest_passes_may_take_the_time_of_suspects(simulate):
    session, verdicts, spent = simulate(effects={0: 1.0}, budget=11.0)
    assert verdicts[0] == "undecided"
    assert session.again == 1  # so it looked slower at first
    assert spent <= 6 * PASS


def test_sides_take_turns_in_mirrored_blocks(simulate):
    session, _, _ = simulate()
    blocks = session._turns.blocks
    for at in range(0, len(blocks), 4):
        numbers, sides = zip(*blocks[at : at + 4], strict=True)
        assert len(set(numbers)) == 1
        assert sides[0] == sides[3] != sides[1] == sides[2]
    assert {side for _, side in blocks[::4]} == set(SIDES)


def test_a_pass_that_starts_slowly_samples_for_long(simulate):
    (cell,) = some = cells(1)
    for side in cell.sides.values():
        side.once, side.loops = 6e-3, 1
    simulate(some=some, budget=30.0)
    assert cell.blocks * cell.block_seconds == pytest.approx(SAMPLING * PASS, rel=0.05)


def test_blocks_are_limited_by_time(simulate):
    some = cells()
    simulate(some=some, budget=1e4)
    assert {cell.blocks for cell in some} == {MAX_BLOCKS}
    for cell in some:
        for side in cell.sides.values():
            side.once, side.loops, side.samples = 1.0, 1, {}
    simulate(some=some, budget=80.0)
    assert {cell.blocks for cell in some} == {1}


def test_records_of_a_side_hold_its_samples(simulate):
    from results.records.run import RunHeader
    from results.tables.table import tabulate_run

    some = cells()
    simulate(some=some)
    frame = tabulate_run(records(some, AFTER, RunHeader(suite="s", baseline="naive")))
    assert frame["passes"].tolist() == [len(cell.sides[AFTER].samples) for cell in some]
    assert (frame["status"] == "ok").all()


def test_cells_are_those_that_can_be_computed(tmp_path):
    case = Case(Problem(size=(16, 16), kernel=3))
    made = two_sided([case], ("naive", "separable", "winograd2"), (1, 2), 0, tmp_path)
    assert {cell.one.algorithm for cell in made} >= {"naive", "winograd2"}
    assert [np.load(path).shape for path in made[0].arrays] == [(1, 1, 16, 16), (1, 1, 3, 3)]
    assert len({cell.one.number for cell in made}) == 2  # a group for each number of threads


def test_both_revisions_get_the_problem_in_the_layout_of_an_entrant(tmp_path, monkeypatch):
    case = Case(Problem(size=(8, 8), kernel=3, in_channels=2, out_channels=8))
    names = ("parallel", "parallel@channels_last")
    plain, last = two_sided([case], names, [1], 0, tmp_path)
    assert (plain.arrays, plain.key[:-1]) == (last.arrays, last.key[:-1])
    asked = []
    turns = Turns(SIDES, 1, random.Random(0))
    monkeypatch.setattr(turns, "_ask_about", lambda *about, **more: asked.append(more))
    for cell in (plain, last):
        turns.load(cell, AFTER, 1.0)
    text = str(case.problem)
    assert [one["problem"] for one in asked] == [text, f"{text}_axb"]
    assert {one["algorithm"] for one in asked} == {"parallel"}
