"""Names of the entrants of a run: an algorithm, and perhaps the layout that it is called in.

``parallel`` takes arrays as the problem has them. ``parallel@channels_last`` is the same algorithm
on the same problem, but its input and output lie in memory with their channels last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # worker processes read names, and import no library of tables
    import pandas as pd

#: Sign between the algorithm and the layout; no algorithm has it in its name.
SIGN = "@"


class Entrant(NamedTuple):
    """An algorithm, and the layout of the arrays it is called on: None for the problem's own."""

    algorithm: str
    layout: str | None = None

    @classmethod
    def of(cls, name: str) -> Entrant:
        """Return the entrant of this name.

        >>> Entrant.of("parallel@channels_last")
        Entrant(algorithm='parallel', layout='channels_last')
        >>> Entrant.of("parallel").layout is None
        True
        """
        algorithm, sign, layout = name.partition(SIGN)
        return cls(algorithm, layout if sign else None)


def as_given(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose arrays lie as the problem says, without those of another layout.

    The automatic choice takes arrays as they are, so it is compared with these rows alone.
    """
    given = [Entrant.of(str(name)).layout is None for name in frame["algorithm"]]
    return frame if all(given) else frame[given]
