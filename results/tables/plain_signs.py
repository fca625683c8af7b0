"""Signs in plain letters, for terminals and files that cannot show them."""

from __future__ import annotations

import codecs

#: Name of the error handler of streams.
HANDLER = "convbench-plain"
_PLAIN = {
    "×": "x", "²": "^2", "³": "^3", "·": "-", "µ": "u", "–": "-", "—": "-", "−": "-", "…": "...",
    "≈": "~", "•": "*", "→": "->", "│": "|", "─": "-", "━": "-", "╸": "-", "╺": "-", "’": "'",
    "★": "*", "≤": "<=", "≥": ">=", "½": "1/2", "é": "e", "ü": "u",
}  # fmt: skip


def register() -> None:
    """Register the error handler `HANDLER`: a plain sign where there is one, else ``?``."""
    codecs.register_error(HANDLER, _plain)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = plain(error.object[error.start : error.end])
    return text.encode("ascii", "replace").decode(), error.end


def plain(text: str) -> str:
    """Return `text` with plain letters for the signs of this project.

    >>> plain("64² · 3²")
    '64^2 - 3^2'
    """
    return "".join(_PLAIN.get(sign, sign) for sign in text)
