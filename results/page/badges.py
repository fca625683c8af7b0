"""Badges of the page: the state of a run, its machine and its audit in a few words."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from results.tables.disturbance import DISTRUST, NOTE, QUIET
from results.tables.labels import listed, plural
from results.verdicts.audit import planted

#: Planted slow-down whose detection the badge tells.
_SHOWN_EFFECT = 0.05


class Badge(NamedTuple):
    """A badge: "good", "fair" or "poor", its text, and a sentence that explains it."""

    level: str
    text: str
    meaning: str


def badges(frame: pd.DataFrame, audit: dict[str, Any] | None) -> list[Badge]:
    """Return the badges of the run in `frame`; `audit` is the last one of its machine."""
    return [_audited(audit), _disturbed(frame), _ended(frame), _verified(frame)]


def _audited(audit: dict[str, Any] | None) -> Badge:
    if audit is None:
        return Badge(
            "fair", "not audited",
            "The error rate of verdicts on this machine is not known; convbench audit measures it.",
        )  # fmt: skip
    try:
        alarms, power = audit["alarms"]["convbench"], audit["power"]["convbench"]
        found = power[planted(_SHOWN_EFFECT)]
        text = (
            f"audited: {_percent(alarms)} false alarms, "
            f"{_percent(found)} of slow-downs by {100 * _SHOWN_EFFECT:g} % found"
        )
    except (LookupError, TypeError):
        text = "audited"
    if audit["shortcomings"]:
        return Badge("poor", text, f"The audit failed: {listed(audit['shortcomings'])}.")
    return Badge("good", text, "Verdicts on pairs of known truth, measured on this machine.")


def _percent(rate: dict[str, int]) -> str:
    return f"{100 * rate['hits'] / rate['trials']:.3g} %" if rate["trials"] else "no"


def _disturbed(frame: pd.DataFrame) -> Badge:
    found = frame.attrs.get("disturbance") or {}
    said = " ".join(found.get("sentences") or [])
    match found.get("level", QUIET):
        case level if level == DISTRUST:
            return Badge("poor", "machine disturbed", said)
        case level if level == NOTE:
            return Badge("fair", "machine not quiet", said)
    return Badge("good", "machine quiet", "No other work was noticed during the run.")


def _ended(frame: pd.DataFrame) -> Badge:
    status = str(frame.attrs.get("status", "complete"))
    if status == "complete":
        return Badge("good", "run complete", "The run reached its end.")
    return Badge("fair", f"run {status}", "The page shows what was measured until then.")


def _verified(frame: pd.DataFrame) -> Badge:
    wrong = int((frame["status"] == "failed").sum())
    if wrong:
        return Badge("poor", f"{plural(wrong, 'cell')} failed", "The reasons are below.")
    checked = int((frame["status"] == "ok").sum())
    return Badge(
        "good", f"{plural(checked, 'result')} verified",
        "Every timed result was held to an oracle in wider arithmetic first.",
    )  # fmt: skip
