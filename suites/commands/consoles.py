"""Consoles that commands print to: `out` for results, `notes` for remarks."""

from __future__ import annotations

from collections.abc import Iterable

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
