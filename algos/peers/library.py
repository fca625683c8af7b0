"""Is somebody else's library there, and the sentence for where it is not."""

from __future__ import annotations

import importlib.util
from functools import cache

#: Names under which pip installs modules, where they are not the module's own.
_DISTRIBUTIONS = {"cv2": "opencv-python-headless"}


@cache
def missing(module: str, title: str) -> str | None:
    """Return None if `module` can be imported, else what to install; import nothing."""
    if importlib.util.find_spec(module) is None:
        return f"{title} is not installed; pip install {_DISTRIBUTIONS.get(module, module)}"
    return None


def single_precision(title: str, dtype: str) -> str | None:
    """Return the reason why a library without float64 cannot do a problem of `dtype`, or None."""
    return None if dtype == "float32" else f"{title} convolves float32 on the CPU, not {dtype}"
