"""Pinned choices: a file that names the algorithm for each problem.

The variable of the environment ``CONVBENCH_CHOICES`` names the file, JSON such as
``{"mb1_ic3ih227_oc96_kh11_sh4": "parallel"}``. Pins come before wisdom and model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from algos.core.errors import ConvbenchError

from .machine import write
from .wisdom import descriptor

#: Variable of the environment that names the file.
VARIABLE = "CONVBENCH_CHOICES"


def pinned(problem: Any) -> str | None:
    """Return the name of the algorithm that the user's file gives `problem`, if any."""
    file = os.environ.get(VARIABLE)
    return _read(file).get(descriptor(problem)) if file else None


@lru_cache(maxsize=8)
def _read(file: str) -> Mapping[str, str]:
    try:
        kept = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConvbenchError(
            f"{VARIABLE} names {file}, which cannot be read: {error.strerror or error}"
        ) from None
    except ValueError:
        kept = None
    if not isinstance(kept, dict) or not all(isinstance(name, str) for name in kept.values()):
        raise ConvbenchError(
            f'{VARIABLE} names {file}, which is not JSON of the form {{"DESCRIPTOR": "ALGORITHM"}}'
        )
    return kept


def save(path: str | Path, choices: Mapping[Any, str]) -> None:
    """Write `choices`, algorithms by problem, as a file of pins."""
    write(Path(path), {descriptor(problem): name for problem, name in choices.items()})
