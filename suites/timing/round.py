"""A round: the groups of a pass that are ready at the same time and take turns, block by block.

Disturbances come in spells: on a shared host a core was slower by half for milliseconds up to a
second. The consecutive blocks of a small problem take a tenth of a second, so one spell may cover
them all. Spread over seconds, they meet quiet moments too. So groups join a round until its
samples take long enough, and their blocks are interleaved. A large problem fills a round alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from .cell import Cell, Group

#: Least seconds over which the samples of a round are spread.
SPREAD = 3.0
#: Share of one group's memory allowance that must be free for it to join a round.
MEMORY_LEFT = 0.5


@dataclass
class Turn:
    """A group in a round: the cells that are measured, and their loads and times so far."""

    group: Group
    cells: list[Cell]
    loads: dict[str, float | None] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # by algorithm

    @property
    def sampling(self) -> float:
        """Approximate seconds of its samples."""
        return self.group.blocks * sum(cell.sampling for cell in self.cells if cell.alive)


class Round:
    """Turns whose blocks are interleaved; `memory` is the allowance of one group, in bytes."""

    def __init__(self, memory: int) -> None:
        self.turns: list[Turn] = []
        self._memory = memory

    def takes(self, group: Group, memory: int) -> bool:
        """Return True if `group` may join with `memory` bytes free; all use as many threads."""
        if not self.turns:
            return True
        if self.turns[0].group.threads != group.threads or memory < MEMORY_LEFT * self._memory:
            return False
        return sum(turn.sampling for turn in self.turns) < SPREAD

    def blocks(self, chance: random.Random) -> Iterator[Turn]:
        """Yield the turn of each block; the blocks of a turn are spread evenly, with jitter."""
        due = [
            ((block + chance.random()) / turn.group.blocks, at)
            for at, turn in enumerate(self.turns)
            for block in range(turn.group.blocks)
        ]
        for _, at in sorted(due):
            yield self.turns[at]
