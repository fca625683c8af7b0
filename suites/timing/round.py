"""A round: the groups of a pass that are ready at the same time and take turns, block by block.

What disturbs a machine comes in spells: on a shared host a core was slower by half for
milliseconds to a second at a time. The blocks of a small problem in a row take a tenth of a second
and may fall into one spell altogether; spread over seconds they meet quiet moments too. So
groups are made ready until sampling them takes long enough, and their blocks are interleaved. A
large problem fills a round alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from .cell import Cell, Group

#: Seconds that the samples of a round are to be spread over.
SPREAD = 3.0
#: Of the memory that one group alone may take, the part that others of its round leave it.
MEMORY_LEFT = 0.5


@dataclass
class Turn:
    """A group in a round: the cells that are measured, and what has been seen of them so far."""

    group: Group
    cells: list[Cell]
    loads: dict[str, float | None] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # that each algorithm took

    @property
    def sampling(self) -> float:
        """Seconds that its samples will take, about."""
        return self.group.blocks * sum(cell.sampling for cell in self.cells if cell.alive)


class Round:
    """Turns that share the seconds; `memory` is what a group alone may take, in bytes."""

    def __init__(self, memory: int) -> None:
        self.turns: list[Turn] = []
        self._memory = memory

    def takes(self, group: Group, memory: int) -> bool:
        """Whether `group` may join, `memory` bytes being free now: pools have one size a round."""
        if not self.turns:
            return True
        if self.turns[0].group.threads != group.threads or memory < MEMORY_LEFT * self._memory:
            return False
        return sum(turn.sampling for turn in self.turns) < SPREAD

    def blocks(self, chance: random.Random) -> Iterator[Turn]:
        """The turns in the order of their blocks: those of each spread evenly, with jitter."""
        due = [
            ((block + chance.random()) / turn.group.blocks, at)
            for at, turn in enumerate(self.turns)
            for block in range(turn.group.blocks)
        ]
        for _, at in sorted(due):
            yield self.turns[at]
