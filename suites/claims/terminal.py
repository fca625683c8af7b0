"""Claims in the terminal: one table a claim, its working where asked for."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .checking import VERDICTS, Checked, tally
from .text import text

#: Colours of `Row.holds`.
_STYLES = {True: "green", False: "bold red", None: "yellow"}


def show(found: Checked, console: Console, working: bool) -> None:
    """Print the rows of a claim under its title; with `working` also its sentences."""
    console.print(Text(found.claim.title, style="bold"), soft_wrap=True)
    console.print(Text(f"{found.claim.name} · {found.claim.source}", style="dim"))
    if found.unchecked:
        console.print(Text(f"not checked: {found.unchecked}\n", style="yellow"), soft_wrap=True)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    table.add_column("statement", overflow="fold", ratio=5)
    table.add_column("stated", overflow="fold", ratio=2)
    table.add_column("found here", overflow="fold", ratio=2)
    table.add_column("", no_wrap=True)
    for row in found.rows:
        verdict = Text(VERDICTS[row.holds], style=_STYLES[row.holds])
        table.add_row(Text(row.statement), Text(text(row.stated)), Text(text(row.found)), verdict)
    console.print(table)
    for sentence in found.working if working else ():
        console.print(Text(f"  {sentence}"), soft_wrap=True)
    console.print()


def show_exceptions(checked: Sequence[Checked], console: Console) -> None:
    """Print the count of verdicts, then every row that does not hold or is undecided."""
    console.print(Text(tally(checked), style="bold"), soft_wrap=True)
    for found in checked:
        for row in found.rows:
            if row.holds is not True:
                sentence = f"{row.statement}: stated {text(row.stated)}, found {text(row.found)}"
                verdict = "" if row.holds is False else f" ({VERDICTS[row.holds]})"
                console.print(Text(f" • {found.claim.name}: {sentence}{verdict}"))
