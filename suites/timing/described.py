"""Descriptions of algorithms for the records: a sentence, the source file, and the paper."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import algos

_ROOT = Path(algos.__file__).parent
_IMPORT = re.compile(r"^from \.(\w+) import", re.M)
_PAPER = re.compile(r"\b(?:doi:(10\.\d{4,}/[\w./()-]+)|arXiv:(\d{4}\.\d{4,5}))")


def described(algorithm: Any) -> dict[str, str]:
    """Return what `algorithm` ``does``, its ``source`` file and its first ``paper``, if known.

    The paper is the first one that its file names, or else one of the files beside it that it
    imports.
    """
    found = {"does": str(algorithm.summary)}
    file = Path(getattr(sys.modules.get(type(algorithm).__module__), "__file__", None) or "")
    if _ROOT not in file.parents:
        return found
    found["source"] = f"algos/{file.relative_to(_ROOT).as_posix()}"
    beside = _IMPORT.findall(file.read_text(encoding="utf-8"))
    for one in [file, *(file.with_name(f"{name}.py") for name in beside)]:
        if one.is_file() and (paper := _PAPER.search(one.read_text(encoding="utf-8"))):
            doi, arxiv = paper[1], paper[2]
            found["paper"] = (
                f"https://doi.org/{doi.rstrip('.)')}" if doi else f"https://arxiv.org/abs/{arxiv}"
            )
            break
    return found
