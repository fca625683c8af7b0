"""Automatic choice of an algorithm: ``algorithm="auto"``.

A choice never times anything. It takes the first of these that knows the problem:

1. a file of pinned choices (`pins`),
2. the user's wisdom: times measured on this machine (`wisdom`),
3. wisdom shipped for this processor,
4. a model of times (`model`), fitted to several hundred timed problems.

`decide` puts the candidates in order; `explain` tells why.
"""

from .decide import AUTO, choose, forget_choices, resolve
from .explain import Candidate, Explanation, explain
from .wisdom import learn

__all__ = [
    "AUTO", "Candidate", "Explanation", "choose", "explain", "forget_choices", "learn", "resolve",
]  # fmt: skip
