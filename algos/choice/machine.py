"""Rates of this machine, if somebody measured them, and the folder for what is remembered."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import numba
from platformdirs import user_data_path

from algos.backend.emitter import target_cpu
from algos.core.errors import ConvbenchError

#: Variable of the environment that names the folder for wisdom.
VARIABLE = "CONVBENCH_WISDOM"
#: Version of the files kept there; files of another version are not read.
FORMAT = 1


def folder() -> Path:
    """Return the folder for wisdom: that of the variable, or one in the user's data folder."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else _usual_folder()


@cache
def _usual_folder() -> Path:
    return user_data_path("convbench", appauthor=False) / "wisdom"


def versions() -> dict[str, str | int]:
    """Return the facts that must be unchanged for remembered times to hold."""
    return {"format": FORMAT, "cpu": target_cpu(), "numba": numba.__version__}


def write(file: Path, content: object) -> None:
    """Write `content` as JSON in one step: a reader sees the old file or the new one.

    Raises
    ------
    ConvbenchError
        If the folder cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(content, stream, indent=1)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConvbenchError(
            f"{file} cannot be written: {error.strerror or error}; name another file, or for "
            f"wisdom another folder by the variable {VARIABLE}"
        ) from None


def remember_rates(peak: float, bandwidth: float) -> None:
    """Keep the machine's multiply-adds and bytes per second of one thread, for the model."""
    write(folder() / "machine.json", {**versions(), "peak": peak, "bandwidth": bandwidth})
    rates.cache_clear()


@cache
def rates() -> tuple[float, float] | None:
    """Return multiply-adds and bytes per second of one thread, if remembered."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads((folder() / "machine.json").read_text(encoding="utf-8"))
        if all(kept[key] == value for key, value in versions().items()):
            peak, bandwidth = float(kept["peak"]), float(kept["bandwidth"])
            if 0 < peak < 1e18 and 0 < bandwidth < 1e18:
                return peak, bandwidth
    return None
