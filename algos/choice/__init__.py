"""Automatic choice of an algorithm: ``algorithm="auto"``.

A choice never times anything. It takes the first of these sources that knows the problem:

1. `pins`: a file of pinned choices.
2. `wisdom`: times that the user measured on this machine.
3. `wisdom`: times shipped for this processor.
4. `model`: a model of times, fitted to several hundred timed problems.

`decide` ranks the candidates, and `explain` gives the reasons.
"""

from .decide import AUTO, choose, forget_choices, resolve
from .explain import Candidate, Explanation, explain
from .wisdom import learn

__all__ = [
    "AUTO", "Candidate", "Explanation", "choose", "explain", "forget_choices", "learn", "resolve",
]  # fmt: skip
