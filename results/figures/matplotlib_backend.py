"""Import of matplotlib that ignores an unusable MPLBACKEND."""

import os
import sys


def import_matplotlib() -> None:
    """Import matplotlib even where MPLBACKEND names a backend that is not installed.

    The variable is inherited from notebooks, whose backend belongs to another environment. A
    usable value is kept. Figures are written to files and need no interactive backend.
    """
    try:
        import matplotlib
    except ValueError:
        asked = os.environ.pop("MPLBACKEND", None)
        if asked is None:
            raise
        for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]  # left by the first attempt
        try:
            import matplotlib  # noqa: F401
        finally:
            os.environ["MPLBACKEND"] = asked
