"""The one exception that convbench raises for a caller's mistake."""


class ConvbenchError(ValueError):
    """What was asked for cannot be done; the text says what, why, and what to do."""


def closest(word: str, known: list[str]) -> str:
    """A "did you mean" clause for a misspelt `word`, or the list of what is known."""
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
