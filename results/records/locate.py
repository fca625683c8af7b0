"""Finding a run: the newest, or by id, beginning of an id, suite or path."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from algos.core.errors import ConvbenchError, closest

from .run import FILE


def runs_folder() -> Path:
    """Return CONVBENCH_RUNS if it is set, else ``results/runs`` in the current folder."""
    return Path(os.environ.get("CONVBENCH_RUNS") or "results/runs").expanduser().resolve()


def latest(folder: str | os.PathLike[str]) -> Path:
    """Return the folder of the run in `folder` that started last."""
    return _runs(folder)[-1][0]


def find(folder: str | os.PathLike[str], text: str) -> Path:
    """Return the folder of the run that `text` names.

    `text` is an id, the beginning of one id, or the name of a suite (its newest run). It may
    also be the path of a run's folder or of its ``records.jsonl``.
    """
    as_path = Path(text)
    if as_path.name == FILE and as_path.is_file():
        return as_path.parent
    if (as_path / FILE).is_file():
        return as_path
    runs = _runs(folder)
    for path, _ in runs:
        if path.name == text:
            return path
    of_suite = [path for path, header in runs if header.get("suite") == text]
    if of_suite:
        return of_suite[-1]
    beginning = [path for path, _ in runs if path.name.startswith(text)]
    if len(beginning) == 1:
        return beginning[0]
    if beginning:
        names = ", ".join(path.name for path in beginning[-5:])
        raise ConvbenchError(
            f"{len(beginning)} runs begin with {text!r}, among them {names}; give more of the id"
        )
    if as_path.exists():
        raise ConvbenchError(f"{text} holds no {FILE}; give the id or folder of a run")
    suites = [str(header.get("suite")) for _, header in reversed(runs)]
    ids = [path.name for path, _ in reversed(runs)]
    clause = closest(text, list(dict.fromkeys([*suites, *ids[:8]])))
    raise ConvbenchError(f"there is no run {text!r} in {Path(folder)}; {clause}")


def of_suite(folder: str | os.PathLike[str], suite: str) -> list[Path]:
    """Return the folders of all runs of `suite` in `folder`, oldest first."""
    runs = _runs(folder)
    found = [path for path, header in runs if header.get("suite") == suite]
    if found:
        return found
    suites = list(dict.fromkeys(str(header.get("suite")) for _, header in reversed(runs)))
    raise ConvbenchError(
        f"there is no run of the suite {suite!r} in {Path(folder)}; {closest(suite, suites)}"
    )


def _runs(folder: str | os.PathLike[str]) -> list[tuple[Path, dict[str, Any]]]:
    """Return folder and header of every readable run in `folder`, oldest first."""
    runs = []
    for file in Path(folder).glob(f"*/{FILE}"):
        if file.parent.name.startswith("."):
            continue
        try:
            with file.open("rb") as stream:
                header = json.loads(stream.readline())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(header, dict):
            runs.append((file.parent, header))
    if not runs:
        raise ConvbenchError(f"no runs yet in {Path(folder)}: start one with `convbench run`")
    return sorted(runs, key=lambda run: (str(run[1].get("started", "")), run[0].name))
