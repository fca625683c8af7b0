"""Consoles that commands print to: `out` for results, `notes` for remarks."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape


class _Console(Console):
    """Console that raises `BrokenPipeError`; the command line ends quietly on it."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError


out = _Console(highlight=False)
notes = _Console(highlight=False, stderr=True)


def remark(sentences: Iterable[str]) -> None:
    """Print each sentence as a note."""
    for sentence in sentences:
        notes.print(f"[yellow]note:[/] {escape(sentence)}", soft_wrap=True)


def show_written(run: Path) -> None:
    """Print the folder of a new run, and the command that shows it."""
    out.print(f"run      {run}", soft_wrap=True, markup=False)
    command = shlex.join(["convbench", "report", str(run)])
    out.print(f"see it   {command}", soft_wrap=True, markup=False)
