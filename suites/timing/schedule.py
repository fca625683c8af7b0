"""The schedule of a run: passes over the suite in random blocks, until all is decided.

A pass repeats all undecided comparisons in fresh processes, one per algorithm. Inside a pass all
algorithms of a problem take turns. A block is one sample of each, in random order, so all have
the same chance of a quiet moment. Problems take turns as well, one round of them at a time
(`suites.timing.round`). The result of a pass are the shortest samples and their ratios
(`results.verdicts.statistics`). Only one process works at a time.

The first pass verifies every cell and chooses the number of calls in a sample. After each look
that `results.verdicts.decide` prescribes, algorithms without an open comparison leave the race.

If five passes of all cells do not fit the budget, those far behind after the first pass leave the
race at once. The contenders then get the remaining time.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from algos.core.errors import ConvbenchError
from results.records.record import Record
from results.verdicts.decide import MIN_PASSES, OUT_OF_THE_RUNNING, Referee, looks
from results.verdicts.statistics import pass_times, shared_levels
from suites.cases.choosing import automatic, is_admitted
from suites.cases.suite import Case
from suites.machine import clock

from .bench import Bench, Settings
from .cell import Cell, Group, memory_allowed, memory_needed, obstacle, work_of, workspace_of
from .events import Event, FilteredImage, LeftOut, Progress, Settled
from .round import Round, Turn

#: Share of the budget for the samples of a pass. It leaves time for a few passes more than the
#: fewest, and as much again for making cells ready.
PASS_SHARE = 1 / (2.4 * MIN_PASSES)
#: Most blocks of a problem in a pass; its share of the time may allow fewer.
MAX_BLOCKS = 40
#: Share of the remaining budget that the fewest passes are planned to take.
FILLED = 0.9
#: Shares of the budget that may be spent when the first pass begins, and in addition until it
#: ends. A run that is later than that does not weigh memory.
WEIGHING_BEGUN, WEIGHING_DONE = 0.2, 0.4
#: Most that a default budget is stretched on a slow machine, as a multiple. It is small, because
#: compiling and the report come on top of it.
STRETCH = 1.05
#: Multiply-adds that add as much to a problem's time as every problem gets anyway.
EQUAL_SHARE = 3e8


class Run:
    """A measurement of cases, pass by pass; iterate over it for records and progress."""

    def __init__(self, cases: tuple[Case, ...], settings: Settings, scratch: Path) -> None:
        self.settings = settings
        named = [(case, n) for n in settings.threads for case in cases]
        self.groups = [
            Group(at, case, n, [Cell(case, a, n, at) for a in case.entrants(settings.algorithms)])
            for at, (case, n) in enumerate(named)
        ]
        self.referee = Referee(settings.baseline, settings.min_effect)
        self.out_of_time = self.lean = False
        self.budget = settings.budget
        self._scratch = scratch
        self.bench = Bench(settings)
        self._paces: dict[tuple[str, int, str], float] = {}
        self._random = random.Random(settings.seed)
        self._begun = clock.now()
        self._pass = self._open = 0
        self._round = Round(0)
        self._settled: set[int] = set()
        self.first, self.spent = 0, 0.0  # first pass and spent seconds of a resumed run
        self._done: set[tuple[int, int]] = set()

    def __iter__(self) -> Generator[Event, None, None]:
        try:
            yield from self._pictures_again()
            first = self.first
            for self._pass in itertools.count(first):
                yield from self._economise()
                asked = self._asked()
                if not asked:
                    return
                self._open = sum(len(pairs) for pairs in self._open_pairs().values())
                for group, cells in asked:
                    if (self._pass, group.number) in self._done:
                        continue
                    if not self._round.takes(group, memory_allowed()):
                        yield from self._measure()
                    yield from self._prepare(group, cells)
                yield from self._measure()
                self.bench.close()
                if self.out_of_time:
                    return
                yield from self._look()
        finally:
            self.bench.close()

    def mark_done(self, group: Group, passes: list[int]) -> None:
        """Mark the passes over `group` that an earlier run has made."""
        self._done |= {(number, group.number) for number in passes}
        for cell in group.alive:
            self._learn_pace(cell)

    def unfinished(self) -> Iterator[Record]:
        """Yield records of the interrupted round, as far as it got."""
        for turn in self._round.turns:
            yield from self._records(turn)

    def remaining(self) -> float:
        """Return the seconds left of the budget; compiling does not count against it."""
        spent = self.spent + clock.now() - self._begun - self.bench.compiled
        return self.budget - spent

    def _stretch(self, seconds: float) -> None:
        """Extend a default budget so that `seconds` remain."""
        if self.settings.elastic:
            wanted = self.budget - self.remaining() + seconds
            most = STRETCH * self.settings.budget
            self.budget = max(self.budget, min(most, wanted))

    def _in_time(self) -> bool:
        """Return True while the first pass is on schedule, so that memory can be weighed too."""
        cells = [cell for group in self.groups for cell in group.cells]
        done = sum(bool(cell.work) or not cell.alive for cell in cells) / len(cells)
        spent = 1 - self.remaining() / self.budget
        return not self.settings.short and spent <= WEIGHING_BEGUN + WEIGHING_DONE * done

    def _economise(self) -> Iterator[LeftOut]:
        """Keep only the contenders if the fewest passes of all cells do not fit the budget."""
        passes = MIN_PASSES - self._pass
        if not self._pass or passes <= 0:
            return
        every = [cell for group in self.groups for cell in group.alive]
        left = passes * sum(cell.seconds for cell in every)
        if not self.lean and left > self.remaining():
            self.lean = True
            kept = [cell for group in self.groups for cell in self._contenders(group)]
            needed = self.budget - self.remaining() + left
            self._stretch(passes * sum(cell.seconds for cell in kept))
            if len(kept) < len(every):
                yield LeftOut(len(every) - len(kept), needed)
        if self.lean:
            self._fit_blocks(passes)

    def _fit_blocks(self, passes: int) -> None:
        """Choose blocks so that `passes` passes over the contenders fit the rest of the budget."""
        loading = sampling = 0.0
        blocks = []
        for group in self.groups:
            cells = self._contenders(group)
            blocks.append(self.blocks_of(group, cells))
            fixed = sum(cell.loading for cell in cells)
            loading += fixed
            taken = max(sum(cell.seconds for cell in cells) - fixed, 0.0)
            sampling += taken * blocks[-1] / group.blocks
        room = FILLED * self.remaining() / passes - loading
        scale = min(1.0, max(room, 0.0) / sampling) if sampling else 1.0
        for group, wanted in zip(self.groups, blocks, strict=True):
            group.blocks = max(1, int(wanted * scale))

    def _contenders(self, group: Group) -> list[Cell]:
        """Return the cells of a group that may be fastest: its best two, and all near the best.

        A pass may have a single sample, and a disturbed one would end a contender's race. So the
        call that was timed to calibrate the cell counts as well, where it is shorter.
        """
        times = {cell.algorithm: pass_times(cell.samples) for cell in group.alive}
        levels = shared_levels({name: found for name, found in times.items() if found})
        for cell in group.alive:
            # It finds warm caches, so it tells nothing where they are emptied.
            warm = cell.once and not self.settings.cold_cache
            if warm and cell.algorithm in levels:
                levels[cell.algorithm] = min(levels[cell.algorithm], math.log(cell.once))
        ranked = sorted(levels, key=lambda name: levels[name])
        near = levels[ranked[0]] + math.log(OUT_OF_THE_RUNNING) if ranked else 0.0
        names = {name for at, name in enumerate(ranked) if at < 2 or levels[name] < near}
        return [cell for cell in group.alive if cell.algorithm in names]

    def _asked(self) -> list[tuple[Group, list[Cell]]]:
        """Return the cells that the present pass measures: those of open comparisons."""
        if self._pass < MIN_PASSES:
            every = [
                (group, self._contenders(group) if self.lean else group.alive)
                for group in self.groups
            ]
            return [(group, cells) for group, cells in every if cells]
        pairs = self._open_pairs()
        if self.lean:  # other cells wait until the contenders are decided
            racing = {g.number: {c.algorithm for c in self._contenders(g)} for g in self.groups}
            among = {
                number: [pair for pair in found if racing[number].issuperset(pair)]
                for number, found in pairs.items()
            }
            pairs = among if any(among.values()) else pairs
        asked = []
        for group in self.groups:
            wanted = {name for pair in pairs[group.number] for name in pair}
            if cells := [cell for cell in group.alive if cell.algorithm in wanted]:
                asked.append((group, cells))
        return asked

    def _open_pairs(self) -> dict[int, list[tuple[str, str]]]:
        """Return the open comparisons by group."""
        return {
            group.number: self.referee.open_pairs(group.number, group.samples())
            for group in self.groups
        }

    def _prepare(self, group: Group, cells: list[Cell]) -> Iterator[Event]:
        """Make the cells of a group ready, as part of the present round."""
        joined = [cell for turn in self._round.turns for cell in turn.cells]
        expected = sum(cell.seconds for cell in [*joined, *cells])
        if self._pass and self.remaining() < expected:
            self.out_of_time = True
            return
        if not self._round.turns:
            self._round = Round(memory_allowed())
        turn = Turn(group, cells)
        self._round.turns.append(turn)
        memory = memory_allowed()
        if self._pass == 0:
            chosen = automatic(group.case, group.threads, self.settings.seed)
            for cell in group.cells:
                cell.auto = cell.algorithm == chosen
                cell.ruled_out = not is_admitted(group.case.problem, cell.algorithm)
        for cell in cells:
            yield self._progress(f"{group.label} {cell.algorithm}")
            if self._pass == 0:
                memory -= self._verify(cell, memory)
                turn.seconds[cell.algorithm] = cell.loading
            else:
                with self._timing(turn, cell):
                    turn.loads[cell.algorithm] = self.bench.again(cell)
        if self._pass == 0:
            self._calibrate(group)
        for cell in cells:
            if cell.alive:
                cell.samples[self._pass] = []

    def _measure(self) -> Iterator[Event]:
        """Sample the present round block by block, yield its records, and end it."""
        alone = any(turn.group.threads == 1 for turn in self._round.turns)
        with self.bench.one_core(self._random) if alone else nullcontext() as move:
            for turn in self._round.blocks(self._random):
                if move:
                    move()
                yield self._progress(turn.group.label)
                self._block(turn)
        for turn in self._round.turns:
            for cell in turn.cells:
                cell.seconds = turn.seconds.get(cell.algorithm, 0.0)
            yield from self._records(turn)
        done, self._round = self._round.turns, Round(0)
        if self._pass == 0:
            for turn in done:
                yield from self._picture(turn.group)
        self.bench.drop()

    @contextmanager
    def _timing(self, turn: Turn, cell: Cell) -> Iterator[None]:
        """Count the time that later passes need for `cell` as well; compiling is excluded."""
        begun, compiled = clock.now(), self.bench.compiled
        yield
        taken = clock.now() - begun - (self.bench.compiled - compiled)
        turn.seconds[cell.algorithm] = turn.seconds.get(cell.algorithm, 0.0) + taken

    def _records(self, turn: Turn) -> Iterator[Record]:
        """Yield the records of the present pass over a group, with cells whose status changed."""
        group = turn.group
        for cell in group.cells:
            if cell.reported != cell.outcome.status and (cell.samples or not cell.alive):
                cell.reported = cell.outcome.status
                yield cell.record(self.settings.suite)
        spent = self.budget - self.remaining()
        record = group.pass_record(self._pass, turn.loads, spent)
        if record.samples_s:
            yield record

    def _look(self) -> Iterator[Event]:
        """Take verdicts, if a look is due after this number of passes."""
        done = self._pass + 1
        if done not in looks(done):
            return
        self.referee.look({group.number: group.samples() for group in self.groups}, done)
        for group in self.groups:
            samples = group.samples()
            winner = self.referee.leader(group.number, samples)
            settled = not self.referee.open_pairs(group.number, samples)
            if settled and winner is not None and group.number not in self._settled:
                self._settled.add(group.number)
                yield Settled(group, winner)

    def _progress(self, text: str) -> Progress:
        return Progress(self._pass, text, self.remaining(), self.referee.decided, self._open)

    def _share(self, group: Group) -> float:
        """Return the seconds that a pass over `group` may take, by its share of all work."""
        weights = {g.number: 1 + g.case.problem.multiply_adds / EQUAL_SHARE for g in self.groups}
        part = weights[group.number] / sum(weights.values())
        return self.settings.budget * PASS_SHARE * part

    def _verify(self, cell: Cell, memory: int) -> int:
        """Verify `cell` and make it ready; return the bytes it now holds."""
        problem, settings = cell.case.problem, self.settings
        if self.remaining() <= 0:
            self._stretch(settings.budget)
        if self.remaining() <= 0:
            self.out_of_time = True
            reason = f"the time budget of {self.budget:g} s was spent; raise --budget"
            cell.end("skipped", reason)
            return 0
        if found := obstacle(problem, cell.entrant, cell.threads, memory):
            cell.end(*found)
            return 0
        cell.work = work_of(problem, cell.entrant)
        cell.note(workspace_bytes=workspace_of(problem, cell.entrant, cell.threads))
        pace = self._paces.get((cell.algorithm, cell.threads, problem.operation), 0.0)
        predicted = pace * cell.work
        if predicted > settings.call_limit:
            cell.end(
                "skipped",
                f"one call would take about {predicted:.3g} s at the best pace it showed, "
                f"longer than --call-limit {settings.call_limit:g} s",
            )
            return 0
        self.bench.verify(cell)
        if not cell.alive:
            return 0
        if self._in_time():
            self.bench.weigh(cell)
        return memory_needed(problem, cell.entrant, cell.threads)

    def _calibrate(self, group: Group) -> None:
        """Choose the calls in a sample and the blocks in a pass, once for the whole run.

        Only warm code is timed. A first call also reads compiled code from the disk. As the pace
        of a small problem, it would make every larger problem seem too slow.
        """
        for cell in group.alive:
            self.bench.calibrate(cell)
            if cell.alive:
                self._learn_pace(cell)
        group.blocks = self.blocks_of(group, group.alive)

    def blocks_of(self, group: Group, cells: list[Cell]) -> int:
        """Return the number of blocks of `cells` that fit the group's share of a pass."""
        block = sum(cell.sampling for cell in cells if cell.alive)
        return max(1, min(MAX_BLOCKS, round(self._share(group) / block))) if block else 1

    def _learn_pace(self, cell: Cell) -> None:
        if cell.work:  # a kernel that sees padding alone has nothing to do
            key = (cell.algorithm, cell.threads, cell.case.problem.operation)
            pace = cell.once / cell.work
            self._paces[key] = min(pace, self._paces.get(key, pace))  # small problems mislead

    def _block(self, turn: Turn) -> None:
        """Take one sample of each cell, in random order."""
        order = [cell for cell in turn.cells if cell.alive]
        self._random.shuffle(order)
        for cell in order:
            with self._timing(turn, cell):
                self.bench.sample(cell, self._pass)

    def _picture(self, group: Group) -> Iterator[FilteredImage]:
        """Save the output of the fastest algorithm, if the input is a picture."""
        winner = self.referee.leader(group.number, group.samples())
        if group.case.pixels == "random" or winner is None:
            return
        best = next(cell for cell in group.cells if cell.algorithm == winner)
        path = self._scratch / f"{len(list(self._scratch.iterdir()))}.npy"
        if complaint := self.bench.save(best, str(path)):
            raise ConvbenchError(f"{path} cannot be written: {complaint}; set TMPDIR elsewhere")
        if best.alive:
            yield FilteredImage(group.case, path)

    def _pictures_again(self) -> Iterator[Event]:
        """Yield the pictures of groups that an earlier run has filtered."""
        for group in self.groups:
            if (0, group.number) in self._done and group.case.pixels != "random":
                yield from self._picture(group)
                self.bench.drop()
        self.bench.close()
