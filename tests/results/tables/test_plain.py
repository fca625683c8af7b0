"""Plain output: JSON for programs, and letters for terminals without Unicode."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

from rich.console import Console
from synthetic import cell, measured, troubled, write_run

import results
from algos.core.problem import Problem
from results.tables.plain import run_as_json
from results.tables.plain_signs import HANDLER, register
from results.tables.terminal import show


def test_json_holds_every_row(tmp_path: Path) -> None:
    frame = results.read(write_run(tmp_path, measured(Problem(size=(9, 9), kernel=3)) + troubled()))
    found = json.loads(run_as_json(frame))
    assert found["suite"] == "quick"
    assert [cell["algorithm"] for cell in found["cells"]] == list(frame["algorithm"])
    assert [cell["time_s"] is None for cell in found["cells"]] == list(frame["time_s"].isna())
    assert found["verdicts"]


def test_json_keeps_small_and_infinite_values(tmp_path: Path) -> None:
    exact = cell("fft", relative_error=1.7e-15, error_over_bound=math.inf)
    (found,) = json.loads(run_as_json(results.read(write_run(tmp_path, [exact]))))["cells"]
    assert (found["relative_error"], found["error_over_bound"]) == (1.7e-15, "inf")


def test_a_terminal_without_unicode_gets_plain_letters_in_columns(tmp_path: Path) -> None:
    register()
    problems = [Problem(size=(64, 64), kernel=3), Problem(size=(9,), kernel=3, name="fir")]
    frame = results.read(write_run(tmp_path, [c for p in problems for c in measured(p)]))
    content = io.BytesIO()
    stream = io.TextIOWrapper(content, encoding="ascii", errors=HANDLER)
    show(frame, Console(file=stream, width=80, color_system=None))
    stream.flush()
    lines = content.getvalue().decode("ascii").splitlines()
    assert lines[2].startswith("64^2 - 3^2")
    assert all("?" not in line.replace(" ?", "") for line in lines)
    assert len({len(line.rstrip()) for line in lines[:4]}) == 1
    assert max(map(len, lines)) <= 80
