"""Matplotlib, imported whatever the environment says about it."""

import os
import sys


def import_matplotlib() -> None:
    """Import matplotlib even where MPLBACKEND names a backend that is not installed.

    The variable is inherited from notebooks, whose backend belongs to another environment. It is
    ignored only where it cannot be obeyed; figures here are written to files, by no backend.
    """
    try:
        import matplotlib
    except ValueError:
        asked = os.environ.pop("MPLBACKEND", None)
        if asked is None:
            raise
        for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]  # what the first attempt has left
        try:
            import matplotlib  # noqa: F401
        finally:
            os.environ["MPLBACKEND"] = asked
