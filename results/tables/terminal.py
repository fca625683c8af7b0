"""Summary of a run in the terminal: table, verdicts, and reasons for empty cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .labels import in_order, lead_text, three_digits
from .network import Whole, headings, rows, sentences, title, whole_network
from .plain_signs import plain
from .ratios import HEADINGS, Ratio, direct_ratios, ratio_cells, ratio_sentences, ratios
from .summary import Entry, Row, reasons, summary, verdicts


def show(frame: pd.DataFrame, console: Console | None = None) -> None:
    """Print the summary of `frame`: table, verdicts, and reasons for missing times."""
    console = console or Console()
    if len(frame):
        console.print(summary_table(frame, console), "")
    for sentence in verdicts(frame):
        grave = "bold red" if "FAILED" in sentence else ""
        level = "yellow" if sentence.startswith(("Warning:", "Note:")) else ""
        _print_item(console, sentence, grave or level)
    for heading, found in (
        ("Our fastest against the fastest peer", ratios(frame)),
        ("The same among algorithms with a direct sum's accuracy", direct_ratios(frame)),
    ):
        if found:
            console.print("", ratio_table(heading, found, console), "")
            for sentence in ratio_sentences(found):
                _print_item(console, sentence, "")
    for whole in whole_network(frame):
        console.print("", network_table(whole), "")
        for sentence in sentences(whole):
            _print_item(console, sentence, "")
    why = reasons(frame)
    if why:
        console.print(Text("\nWithout a time:", style="bold"))
        for sentence in why:
            _print_item(console, sentence, "dim")


def summary_table(frame: pd.DataFrame, console: Console) -> Table:
    """Return one row per problem × thread count, in the widest layout that fits `console`.

    The widest layout shows every algorithm's time and speed-up, the next only times. The
    narrowest shows the winner, the second and their distance. The winner has a column of its
    own or the mark ``*``; the mark is ``?`` while undecided. Algorithms from the user's own
    files have a column in every layout.
    """
    own = [str(name) for name in frame.attrs.get("own") or []]
    rows = summary(frame)
    if console.options.ascii_only:  # signs of several letters would move the columns
        rows = [replace(row, label=plain(row.label)) for row in rows]
    names = in_order(frame["algorithm"])
    baseline = str(frame.attrs.get("baseline", "naive"))
    layouts: list[Callable[[], Table]] = [
        lambda: _all_times(rows, names, baseline, speedups=True, column=True),
        lambda: _all_times(rows, names, baseline, speedups=True, column=False),
        lambda: _all_times(rows, names, baseline, speedups=False, column=True),
        lambda: _all_times(rows, names, baseline, speedups=False, column=False),
        lambda: _winners_only(rows, baseline, own, full=True),
    ]
    for layout in layouts:
        table = layout()
        wanted = Measurement.get(console, console.options.update(max_width=10_000), table)
        if wanted.maximum <= console.width:
            return table
    return _winners_only(rows, baseline, own, full=False)


def _new_table(rows: list[Row]) -> tuple[Table, bool]:
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True,
        show_edge=False, header_style="bold",
    )  # fmt: skip
    table.add_column("input · kernel", overflow="fold")
    several = len({row.threads for row in rows}) > 1
    if several:
        table.add_column("threads", justify="right")
    return table, several


def _all_times(
    rows: list[Row], names: list[str], baseline: str, speedups: bool, column: bool
) -> Table:
    table, several = _new_table(rows)
    for name in names:
        table.add_column(Text(name), justify="right", no_wrap=True)
    if not speedups:
        table.add_column(f"× {baseline}", justify="right", no_wrap=True)
    if column:
        table.add_column("fastest", no_wrap=True)
    table.add_column("GFLOP/s", justify="right", no_wrap=True)
    for row in rows:
        cells: list[Text | str] = [Text(row.label)]
        cells += [str(row.threads)] if several else []
        for name in names:
            entry = row.entries.get(name)
            cells.append(_entry(entry, row, name, speedups and name != baseline, not column))
        if not speedups:
            cells.append(row.entries[row.winner].ratio if row.winner else "–")
        cells += [_winner(row)] if column else []
        table.add_row(*cells, three_digits(row.gflops))
    return table


def _entry(entry: Entry | None, row: Row, name: str, speedup: bool, marked: bool) -> Text:
    if entry is None:
        return Text("")
    if entry.status != "ok":
        return Text(entry.text, style="bold red" if entry.status == "failed" else "dim")
    text = entry.text
    if speedup:
        text += f" {entry.ratio:>5}"
    if name != row.winner:
        return Text(text)
    if marked:
        text = f"{'?' if row.rivals else '*'} {text}"
    return Text(text, style="yellow" if row.rivals else "bold green")


def _winner(row: Row) -> Text:
    """Return the winner, with a question mark if undecided."""
    if not row.winner:
        return Text("–", style="dim")
    if row.rivals:
        return Text(f"{row.winner} ?", style="yellow")
    return Text(row.winner, style="bold green")


def _winners_only(rows: list[Row], baseline: str, own: list[str], full: bool) -> Table:
    table, several = _new_table(rows)
    table.add_column("fastest", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column(f"× {baseline}", justify="right", no_wrap=True)
    for name in own:
        table.add_column(Text(name), justify="right", no_wrap=True)
    if full:
        table.add_column("95 %", justify="right", no_wrap=True)
        table.add_column("next", no_wrap=True)
        table.add_column("takes", justify="right", no_wrap=True)
    table.add_column("GFLOP/s", justify="right", no_wrap=True)
    for row in rows:
        cells: list[Text | str] = [Text(row.label)]
        cells += [str(row.threads)] if several else []
        cells.append(_winner(row))
        owns = [_entry(row.entries.get(name), row, name, False, False) for name in own]
        times = sorted(
            (entry.time_s, name) for name, entry in row.entries.items() if entry.status == "ok"
        )
        if not row.winner:
            marks = sorted({entry.text for entry in row.entries.values()})
            table.add_row(*cells, ", ".join(marks), "", *owns)
            continue
        best = row.entries[row.winner]
        cells += [best.text, best.ratio, *owns]
        if full:
            cells.append(best.between)
            after = next(((time, name) for time, name in times if name != row.winner), None)
            cells += [Text(after[1]), lead_text(after[0] / best.time_s)] if after else ["–", "–"]
        table.add_row(*cells, three_digits(row.gflops))
    return table


def ratio_table(title: str, found: list[Ratio], console: Console) -> Table:
    """Return the comparison with the best peer; a wide console also shows times and errors."""
    table = Table(
        title=title, box=box.SIMPLE_HEAD, pad_edge=False,
        padding=(0, 1), collapse_padding=True, show_edge=False, header_style="bold",
    )  # fmt: skip
    detail = ("time", "error", "GFLOP/s", "% of limit", "95 % interval")
    shown = [n for n, name in enumerate(HEADINGS) if console.width >= 140 or name not in detail]
    for n in shown:
        table.add_column(
            HEADINGS[n], justify="right" if n else "left", overflow="fold", no_wrap=n > 0
        )
    styles = {"behind": "bold red", "tie": "yellow", "ahead": ""}
    for ratio in found:
        cells = ratio_cells(ratio)
        table.add_row(*(Text(cells[n]) for n in shown), style=styles[ratio.verdict])
    return table


def network_table(whole: Whole) -> Table:
    """Return the sums over the layers of a network, one row for each way to compute it."""
    table = Table(
        title=title(whole), box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1),
        collapse_padding=True, show_edge=False, header_style="bold",
    )  # fmt: skip
    for number, heading in enumerate(headings(whole)):
        table.add_column(heading, justify="right" if number else "left", overflow="fold")
    for row in rows(whole):
        table.add_row(*map(Text, row))
    return table


def _print_item(console: Console, sentence: str, style: str) -> None:
    """Print a sentence with a bullet, later lines indented."""
    item = Table.grid(padding=(0, 1))
    item.add_row(Text("•", style=style), Text(sentence, style=style))
    console.print(Padding(item, (0, 0, 0, 1)))
