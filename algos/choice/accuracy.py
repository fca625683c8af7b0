"""Classes of accuracy that a caller may ask for."""

from __future__ import annotations

from typing import Any

from algos.core.arguments import choice, number

#: Typical error that each class admits, as a multiple of a direct sum's. "direct" admits only
#: algorithms whose errors are bounded element by element, as those of a direct sum are.
CLASSES: dict[str, float] = {"direct": 1.0, "standard": 4.0, "fast": float("inf")}


def check(accuracy: Any) -> str | float:
    """Return `accuracy`, the name of a class or a multiple of at least 1."""
    if isinstance(accuracy, str):
        choice("accuracy", accuracy, CLASSES)
        return accuracy
    expected = f"{', '.join(map(repr, CLASSES))}, or a number of at least 1"
    return number("accuracy", accuracy, 1.0, float("inf"), expected, closed=True)


def admits(accuracy: str | float, able: Any, problem: Any) -> bool:
    """Return True if the errors of `able` are small enough for `accuracy`."""
    if accuracy == "direct":
        return bool(able.has_direct_accuracy(problem))
    most = CLASSES[accuracy] if isinstance(accuracy, str) else accuracy
    return bool(able.typical_error(problem) <= most)


def class_of(able: Any, problem: Any) -> str:
    """Return the strictest class that admits `able`."""
    return next(name for name in CLASSES if admits(name, able, problem))
