"""One session of two revisions: both built, verified, and timed in turns.

A pass is a fresh process for each revision, started together. In it both compute the same cells on
the same operands. A block is two samples of each side in the order A B B A or B A A B. So a drift
that is linear in time cancels. Samples are short, and the blocks of several cells are interleaved.
Passes, looks and verdicts are those of a run (`results.verdicts.decide`). They are of one ratio per
pass, the median over its blocks (`paired_ratios`).

A cell that looks slower is a suspect. Suspects are measured again in passes of their own, and this
second measurement alone decides. So a false alarm needs chance to strike twice.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from results.tables.matched import Key
from results.verdicts.decide import MIN_EFFECT, MIN_PASSES, UNDECIDED, Referee, looks
from results.verdicts.statistics import paired_ratios
from suites.cases.entrants import algorithm_of
from suites.machine import clock
from suites.timing.cell import memory_allowed, memory_needed
from suites.truth.families import instance_of

from .cells import AFTER, BEFORE, CALL_LIMIT, SIDES, TwoSided
from .trees import Revision
from .turns import WAITING, Turns

#: Seconds that an answer may take while a revision is built: it may compile.
BUILDING = 900.0
#: Share of the budget for the first measurement; suspects have the rest.
FIRST = 0.5
#: Passes of the first measurement that its share is planned for.
PLANNED = 2 * MIN_PASSES
#: Most blocks of a cell in a pass, and seconds that its blocks may take in any case. On a shared
#: machine (Zen 3), ratios of neighbouring samples vary by 4 to 12 %, and the medians of passes by
#: about 1 % apart from that. A pass takes 2 to 3 s to start. So more blocks pay up to about 60.
MAX_BLOCKS, LEAST = 60, 0.1
#: Least seconds of sampling in a pass, over those that its start takes. With less, passes of few
#: blocks vary so much that they are not worth their start.
SAMPLING = 0.5
#: Doubt about a cell that the budget gave too few passes.
TOO_FEW = f"fewer than {MIN_PASSES} passes"
#: Most cells whose blocks are interleaved.
TOGETHER = 6
#: Most products of the oracle, and fewest and most positions, to verify one result.
_ORACLE = (4_000_000, 64, 2048)


@dataclass(frozen=True)
class Settings:
    """Settings of a session."""

    threads: tuple[int, ...] = (1,)
    min_effect: float = MIN_EFFECT
    budget: float = 120.0
    seed: int = 0


class Session:
    """The measurement of `cells` under two revisions; `tell` is called with lines on its progress.

    Attributes
    ----------
    again : int
        Number of suspects that were measured again.
    """

    def __init__(
        self, revisions: Sequence[Revision], cells: Sequence[TwoSided], settings: Settings,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        self.cells, self.settings, self._tell = cells, settings, tell
        self.again = 0
        self._random = random.Random(settings.seed)
        self._turns = Turns(revisions, max(settings.threads), self._random)
        self._starting = self._sampling = 0.0  # seconds of the last pass: to get ready, and by cell

    def build(self) -> None:
        """Compile what both revisions need, at the same time, and verify every result.

        Raises
        ------
        ConvbenchError
            If a revision cannot be imported. The other one is then stopped at once.
        """
        self._tell("building and verifying both revisions")
        try:
            with ThreadPoolExecutor(len(SIDES)) as pool:
                try:
                    for built in as_completed([pool.submit(self._build, one) for one in SIDES]):
                        built.result()
                except BaseException:
                    self._turns.stop()  # the other side must not go on
                    raise
        finally:
            self._turns.close()
        for cell in self.cells:
            if cell.alive:
                cell.calibrate()

    def _build(self, side: str) -> None:
        for case, cells in itertools.groupby(self.cells, key=lambda cell: cell.one.case):
            instance = instance_of(case, self.settings.seed)
            positions = instance.positions(*_ORACLE, self.settings.seed)
            for cell in cells:
                self._turns.drop((side,), BUILDING)
                mine = cell.sides[side]
                result = Path(cell.arrays[0]).with_name(f"{side}-{cell.number}.npy")
                if not self._turns.load(cell, side, BUILDING, str(result)):
                    continue
                chosen = algorithm_of(mine.entrant, (case.problem.family,))
                verdict = instance.check(chosen, np.load(result), positions)
                result.unlink()
                if not verdict.passed:
                    mine.end("failed", verdict.reason)
                    continue
                self._turns.shortest(cell, side, BUILDING)
                if mine.once > CALL_LIMIT:
                    mine.end("skipped", f"one call takes {mine.once:.3g} s, above {CALL_LIMIT:g} s")

    def run(self) -> dict[Key, tuple[str, str]]:
        """Measure within the budget; return verdict and doubt of every cell, by its key."""
        begun, budget = clock.now(), self.settings.budget
        alive = [cell for cell in self.cells if cell.alive]
        end = begun + budget
        first = self._measure(alive, begun + FIRST * budget, end, "pass")
        found = {cell.key: _verdict(first, cell) for cell in alive}
        suspects = [c for c in alive if c.alive and found[c.key][0] == "slower"]
        self.again = len(suspects)
        for cell in suspects:
            cell.forget()
        if suspects:
            second = self._measure(suspects, end, end, "suspects again, pass")
            for cell in suspects:
                verdict, doubt = _verdict(second, cell)
                if doubt == TOO_FEW:
                    doubt = f"slower at first, then {TOO_FEW}"
                elif verdict != "slower":
                    doubt = f"slower at first, not when measured again{doubt and f': {doubt}'}"
                found[cell.key] = verdict, doubt
        return found

    def _measure(self, cells: Sequence[TwoSided], until: float, end: float, what: str) -> Referee:
        """Make passes over `cells` until all are decided or the time is up; return the verdicts.

        The fewest passes may go on to the `end`, all others `until` an earlier moment.
        """
        referee = Referee(BEFORE, self.settings.min_effect, paired_ratios)
        self._plan(cells, (until - clock.now()) / PLANNED)
        done = looked = 0
        while left := self._open(cells, referee, done):
            needed = self._starting + self._sampling * len(left)
            if done and clock.now() + needed > (end if done < MIN_PASSES else until):
                break
            self._tell(
                f"{what} {done + 1} · {len(cells) - len(left)} of {len(cells)} cells decided · "
                f"at most {max(until - clock.now(), 0):.0f} s left"
            )
            self._pass(left, done)
            done += 1
            if done == 1:
                self._plan_again(cells, until)
            if done in looks(done):
                looked = done
                referee.look({cell.number: cell.samples() for cell in cells}, done)
        if looked < done:
            referee.look({cell.number: cell.samples() for cell in cells}, done)
        return referee

    def _open(self, cells: Sequence[TwoSided], referee: Referee, done: int) -> list[TwoSided]:
        """Return the cells that the next pass measures."""
        return [
            cell
            for cell in cells
            if cell.alive and (done < MIN_PASSES or referee.open_pairs(cell.number, cell.samples()))
        ]

    def _plan(self, cells: Sequence[TwoSided], seconds: float) -> None:
        """Choose the blocks of every cell, so that their samples take `seconds` in all."""
        for cell in cells:
            share = max(seconds / len(cells), LEAST)
            cell.blocks = max(1, min(MAX_BLOCKS, round(share / cell.block_seconds)))

    def _plan_again(self, cells: Sequence[TwoSided], until: float) -> None:
        """Choose the blocks anew after the first pass has shown what starting takes.

        More passes are worth more than more blocks, as long as sampling takes `SAMPLING` of what
        starting takes. Fewer than the least blocks are taken only if the fewest passes would not
        fit otherwise.
        """
        left = until - clock.now()
        self._plan(cells, max(left / PLANNED - self._starting, self._starting * SAMPLING))
        needed = sum(cell.blocks * cell.block_seconds for cell in cells)
        room = left / (MIN_PASSES - 1) - self._starting
        scale = min(1.0, max(room / needed, 0.0))
        for cell in cells:
            cell.blocks = max(1, int(cell.blocks * scale))

    def _pass(self, cells: Sequence[TwoSided], number: int) -> None:
        """Sample `cells` in fresh processes, as pass `number`."""
        begun, sampled = clock.now(), 0.0
        try:
            self._turns.start()
            for chunk in self._chunks(cells):
                for cell in chunk:
                    for side in self._random.sample(SIDES, 2):
                        self._turns.load(cell, side, WAITING)
                sampling = clock.now()
                with self._turns.placed(chunk[0].one.threads) as move:
                    self._blocks(chunk, number, move)
                sampled += clock.now() - sampling
                self._turns.drop()
        finally:
            self._turns.close()
        self._starting = clock.now() - begun - sampled
        self._sampling = sampled / len(cells)

    def _chunks(self, cells: Sequence[TwoSided]) -> Iterator[list[TwoSided]]:
        """Yield cells in random order, a few at a time, of the same threads and within memory."""
        order = self._random.sample(list(cells), len(cells))
        order.sort(key=lambda cell: cell.one.threads)
        chunk: list[TwoSided] = []
        room = 0
        for cell in order:
            one = cell.one
            needed = len(SIDES) * memory_needed(one.case.problem, one.algorithm, one.threads)
            full = len(chunk) == TOGETHER or needed > room
            if chunk and (full or chunk[0].one.threads != one.threads):
                yield chunk
                chunk = []
            if not chunk:
                room = memory_allowed()
            chunk.append(cell)
            room -= needed
        if chunk:
            yield chunk

    def _blocks(self, chunk: list[TwoSided], number: int, move: Callable[[], None]) -> None:
        """Take the blocks of all cells of a chunk in random order."""
        blocks = [cell for cell in chunk for _ in range(cell.blocks)]
        self._random.shuffle(blocks)
        for cell in blocks:
            if cell.alive:
                move()
                first, second = self._random.sample(SIDES, 2)
                for side in (first, second, second, first):
                    self._turns.sample(cell, side, number)


def _verdict(referee: Referee, cell: TwoSided) -> tuple[str, str]:
    """Return the verdict on a cell, and the reason for none."""
    verdict = referee.verdict(cell.number, AFTER, BEFORE)
    if verdict != UNDECIDED:
        return verdict, ""
    passes = min(len(side.samples) for side in cell.sides.values())
    if passes < MIN_PASSES:
        return verdict, TOO_FEW
    drifts = referee.drifting(cell.number, AFTER, BEFORE)
    return verdict, "drifts between early and late passes" if drifts else "within the noise"
