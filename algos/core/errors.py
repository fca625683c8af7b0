"""The exception that convbench raises for a caller's mistake."""

from __future__ import annotations

import re

#: Characters of a quoted value beyond which an error shows its two ends alone, and their lengths.
LONGEST, HEAD, TAIL = 200, 70, 20

_VALUE = re.compile(
    r"""(?<!\w)(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")(?!\w)"""  # a repr of text
    r"""|\[[^][\n]*\]|\((?=['"\d-])[^()\n]*\)|[(\[][-+.,\s\d()\[\]]*[)\]]"""  # a list or tuple
    rf"""|\S{{{LONGEST},}}"""  # a number, or text that is not quoted
)


class ConvbenchError(ValueError):
    """Error for a request that cannot be met; the text says what, why, and what to do.

    Long values quoted in the text are cut here to a readable length.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(shortened(message))


def shortened(message: str) -> str:
    """Return `message` with the middle of every overlong value left out.

    Examples
    --------
    >>> shortened(f"size {'9' * 300} is too large")[:40], len(shortened("'" + "x" * 9000 + "'"))
    ('size 99999999999999999999999999999999999', 91)
    """
    if len(message) <= LONGEST:
        return message
    return _VALUE.sub(lambda match: _cut(match[0]), message)


def _cut(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[:HEAD]}…{value[-TAIL:]}"


#: Characters of a value that an error repeats.
MOST_SHOWN = 60


def shown(value: object) -> str:
    """Return `value` as an error repeats it: on one line, and cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a whole number of 5000 digits has no text
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


class KernelRefusedError(ConvbenchError):
    """An algorithm does not take this kernel, which only the call could tell."""


def closest(word: str, known: list[str]) -> str:
    """Return a "did you mean" clause for a misspelt `word`, or the list of what is known."""
    from difflib import get_close_matches

    near = get_close_matches(word[:MOST_SHOWN], known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
