"""The exception that convbench raises for a caller's mistake."""


class ConvbenchError(ValueError):
    """What was asked for cannot be done; the text says what, why, and what to do."""


#: Characters of a value that an error repeats.
LONGEST = 60


def shown(value: object) -> str:
    """`value` as an error repeats it: on one line, and cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a whole number of 5000 digits has no text
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
class KernelRefusedError(ConvbenchError):
    """An algorithm does not take this kernel, which only the call could tell."""


def closest(word: str, known: list[str]) -> str:
    """A "did you mean" clause for a misspelt `word`, or the list of what is known."""
    from difflib import get_close_matches

    near = get_close_matches(word[:LONGEST], known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
