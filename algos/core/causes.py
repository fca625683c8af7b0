"""An exception of somebody's algorithm in words: its innermost cause, and the line it is in.

Numba wraps the cause in a report of some hundred lines, and a traceback ends in the library that
complained, not in the line that called it.
"""

from __future__ import annotations

import re
import sysconfig
import traceback
from pathlib import Path
from typing import Any

#: Characters of a cause that are shown in a sentence.
LONGEST = 500

#: Packages whose files are never where a user's mistake is.
LIBRARIES = ("numba", "llvmlite", "numpy", "scipy", "torch", "cv2")

_HOUSE = Path(__file__).resolve().parents[2]
_OURS = tuple(_HOUSE / name for name in ("algos", "suites", "results"))
_STANDARD = Path(sysconfig.get_path("stdlib")).resolve()
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_HEADING = re.compile(r"^Traceback \(most recent call last\):\n", re.MULTILINE)
_STEP = re.compile(r"(?:Failed in \w+ mode pipeline \(step: [^)]*\)\s*)+")
_INNER = re.compile(r"(?:raised a specific error|Rejected as [^\n]*):\s*\n")
_TYPED = re.compile(r"\w+(?:Error|Exception): ")
_PLACE = re.compile(r" at (\S.*\.py) \((\d+)\)")
_REST = re.compile(
    r"\n\s*\n\s*File |\nDuring: |\n\s*raised from |\n\s*There (?:is|are) \d+ candidate"
    r"|\.? Raised from "
)


def said(error: BaseException) -> str:
    """Return `error` as a phrase on one line: type, innermost cause, file and line.

    Examples
    --------
    >>> said(ValueError("no such\\nthing"))
    'ValueError: no such thing'
    """
    text = " ".join(_cause(error).split())
    if len(text) > LONGEST:
        text = text[:LONGEST].rsplit(" ", 1)[0] + " …"
    place, kind = _place(error), type(error).__name__
    if _is_numbas(error) and _TYPED.match(text):  # a cause that brings a type of its own
        named = text
    else:
        named = f"{kind}: {text}" if text else kind
    return f"{named} ({place})" if place and place not in named else named


def whole(error: BaseException) -> str:
    """Return everything that Python and Numba say of `error`, from the user's first line on.

    The headings of tracebacks are left out: their lines are the user's, not a crash of ours.
    """
    first = error.__traceback__
    while first is not None and _is_ours(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    lines = traceback.format_exception(type(error), error, first or error.__traceback__)
    return _HEADING.sub("", _COLOUR.sub("", "".join(lines))).rstrip()


def _is_numbas(error: BaseException) -> bool:
    return type(error).__module__.startswith("numba.")


def _cause(error: BaseException) -> str:
    """Return the message; of a report of Numba's, the innermost one."""
    text = _COLOUR.sub("", str(error)).strip()
    if not _is_numbas(error):
        return text
    text = _INNER.split(text)[-1]
    text = _STEP.split(text)[-1]
    return _REST.split(text, maxsplit=1)[0].strip(" .")


def _place(error: BaseException) -> str:
    """Return ``file:line`` of the last line outside libraries before the cause; "" if unknown.

    A line of convbench is named only as a last resort.
    """
    places: list[tuple[str, int]] = []
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno or 1))
    if _is_numbas(error):
        found = _PLACE.findall(_COLOUR.sub("", str(error)))
        places += [(path, int(line)) for path, line in found]
        location: Any = getattr(error, "loc", None)
        if location is not None:
            places.append((location.filename, location.line))
    frames = traceback.extract_tb(error.__traceback__)
    places += [(frame.filename, frame.lineno or 1) for frame in reversed(frames)]
    named = [(path, line) for path, line in places if not _is_librarys(path)]
    theirs = [place for place in named if not _is_ours(place[0])]
    for path, line in theirs or named:
        return f"{path}:{line}"
    return ""


def _is_ours(path: str) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in _OURS)


def _is_librarys(path: str) -> bool:
    """Return True for files of Python, of the `LIBRARIES`, and for code that has no file."""
    if path.startswith("<"):
        return True
    parts = Path(path).parts
    for packages in ("site-packages", "dist-packages"):
        if packages in parts:
            return parts[parts.index(packages) + 1] in LIBRARIES
    return Path(path).is_relative_to(_STANDARD)
