"""Sentences of the README about speed, written from the records of runs.

They stand between two marks, `BEGIN` and `END`. ``python report.py --claims RUN …`` writes them
anew; a test compares them with the records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from algos.core.errors import ConvbenchError
from results.records.files import write_whole

from .labels import listed, plural, time_text
from .ratios import TIE, Ratio, direct_ratios, mean_ratio, ratios

BEGIN, END = "<!-- claims: written by report.py --claims -->", "<!-- end of claims -->"


def claims(frames: Sequence[pd.DataFrame]) -> str:
    """Return the claims that each run bears out, as paragraphs of Markdown, a section for each."""
    return "\n\n".join(map(_of_one, frames))


def _of_one(frame: pd.DataFrame) -> str:
    """Return the claims that the run in `frame` bears out, under the name of its machine."""
    about = frame.attrs
    when = str(about.get("started") or "")[:10]
    machine = about.get("environment") or {}
    name = f"{machine.get('cpu')} ({machine.get('target')})"
    parts = [f"### {name}, {plural(machine.get('cores') or 1, 'core')}"]
    if frame["convert_s"].isna().all():
        parts.append(
            f"No speed is claimed: the run of {when} timed conversions together with the calls of "
            f"other libraries."
        )
        return "\n\n".join(parts)
    found = ratios(frame)
    parts.append(_standing("Over all", found))
    if equal := direct_ratios(frame):
        parts.append(_standing("Among algorithms with a direct sum's accuracy", equal))
    parts.append(_lost(found))
    versions = [f"{name} {text}" for name, text in (machine.get("libraries") or {}).items()]
    parts.append(
        f"Measured on {when}, numba {machine.get('numba')}, commit {machine.get('git_commit')}; "
        f"{listed(versions)}. Command: `{about.get('command')}`."
    )
    return "\n\n".join(part for part in parts if part)


def _standing(where: str, found: Sequence[Ratio]) -> str:
    """Return the rows won and the mean ratio, per thread count."""
    lines = [f"{where}, against the fastest peer of each row:", ""]
    for count in sorted({ratio.threads for ratio in found}):
        here = [ratio for ratio in found if ratio.threads == count]
        held = sum(ratio.verdict != "behind" for ratio in here)
        mean = mean_ratio(here)
        lines.append(
            f"- With {plural(count, 'thread')}: at least as fast ({TIE} and above) in {held} of "
            f"{plural(len(here), 'row')}, {mean.middle:.2f}× in the geometric mean."
        )
    return "\n".join(lines)


def _lost(found: Sequence[Ratio]) -> str:
    """Return a table of the rows in which a peer is faster, the worst first."""
    lost = sorted((r for r in found if r.verdict == "behind"), key=lambda r: r.ratio.middle)
    if not lost:
        return ""
    lines = [
        f"| {r.label} | {r.threads} | {r.ours} {time_text(r.ours_s)} | "
        f"{r.peer} {time_text(r.peer_s)} | {r.ratio.middle:.2f}× | {_share(r.roofline)} |"
        for r in lost
    ]
    heading = (
        "| Problem | Threads | Ours | Fastest peer | Peer's time over ours | Ours, of the limit |"
    )
    return "\n".join(
        [f"{plural(len(lost), 'row')} lost:", "", heading, "|---|--:|---|---|--:|--:|", *lines]
    )


def _share(percent: float) -> str:
    """Return a share of the machine's limit as text."""
    return "unknown" if math.isnan(percent) else f"{percent:.0f} %"


def write_claims(page: Path, text: str) -> Path:
    """Put `text` between the marks of `page`, and return the page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ConvbenchError(
            f"{page} has no marks for claims; put the lines {BEGIN!r} and {END!r} where they belong"
        )
    return write_whole(page, f"{before}{BEGIN}\n{text}\n{END}{after}")


def claims_of(page: Path) -> str:
    """Return the text between the marks of `page`."""
    return page.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
