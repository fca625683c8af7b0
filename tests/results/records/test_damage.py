"""Damaged result files: each gives a result or one sentence, without extra work."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damage import damaged
from rich.console import Console
from synthetic import LIMITS, cell, measured, write_run

import results
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from report import page_text
from results.figures.draw import sheets
from results.figures.style import rc_context
from results.records.run import FILE
from results.tables.export import markdown_table
from results.tables.terminal import show

PEERS = ("torch",)
CALLS_AT_LEAST = 20_000  # early refusals vary by a few calls


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small run with layers, pooling, threads, peers, limits and failures."""
    image = Problem(size=(16, 16), kernel=3, padding="same")
    layer = Problem(size=(14, 14), kernel=3, in_channels=8, out_channels=8, name="net:conv")
    pool: dict[str, Any] = {"kind": "max", "flops": 9e4}
    names = ("naive", "separable", "torch")
    cells = [
        *measured(image, blocks=5, algorithms=names),
        *measured(image, blocks=5, algorithms=names, threads=2),
        *measured(layer, blocks=5, algorithms=names[::2]),
        cell("naive", image, pixels="mri", **pool),
        cell("fft", image, pixels="mri", status="failed", reason="no\nway", **pool),
    ]
    cells[0]["counters"] = {"cycles": 2e6}
    cells[1]["error_over_bound"] = float("inf")
    return write_run(tmp_path_factory.mktemp("whole"), cells, limits=LIMITS, peers=PEERS)


def text_of(path: Path) -> str:
    """Return the table and the report of a run as text."""
    frame = results.read(path)
    page = page_text(frame, [], path) + frame.to_csv()
    page.encode()
    return page


def shown(path: Path) -> None:
    """Make figures, samples and the terminal table of a run."""
    frame = results.read(path)
    results.samples(path)
    markdown_table(frame)
    show(frame, Console(file=io.StringIO(), width=100))
    with rc_context():
        for sheet in sheets(frame):
            sheet.figure.draw_without_rendering()


def calls_of(work: Callable[[], object]) -> int:
    """Return the number of function calls of `work`, even if it raises."""
    count = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def run_damaged(whole: Path, folder: Path, seeds: range, drawn_every: int) -> dict[str, int]:
    content = (whole / FILE).read_bytes()
    text_of(whole)  # fills the caches
    most = max(2 * calls_of(lambda: text_of(whole)), CALLS_AT_LEAST)
    ends = {"result": 0, "refused": 0, "drawn": 0}
    for seed in seeds:
        (folder / FILE).write_bytes(damaged(content, seed))

        def attempt(seed: int = seed) -> None:
            try:
                text_of(folder)
                ends["result"] += 1
            except ConvbenchError as error:
                assert str(folder) in str(error), seed
                assert len(str(error)) < 600, seed
                ends["refused"] += 1

        before = ends["result"]
        try:
            calls = calls_of(attempt)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        assert calls <= most, (seed, calls, most)
        if ends["result"] > before and ends["result"] % drawn_every == 0:
            try:
                shown(folder)
            except Exception as error:
                raise AssertionError(f"seed {seed}") from error
            ends["drawn"] += 1
    return ends


def test_some_damaged_files(whole: Path, tmp_path: Path) -> None:
    ends = run_damaged(whole, tmp_path, range(8), drawn_every=4)
    assert min(ends.values()) > 0, ends


#: Files that the slow test damages; 20 000 take an hour.
MANY = int(os.environ.get("CONVBENCH_DAMAGED", "200"))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 1000 + MANY, 200))
def test_many_damaged_files(whole: Path, tmp_path: Path, start: int) -> None:
    ends = run_damaged(whole, tmp_path, range(start, start + 200), drawn_every=40)
    assert min(ends["result"], ends["refused"]) > 30, ends


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        ("pass", {"pass": 2**70}, f"pass {2**70} is out of range, expected 0 to 1000000"),
        ("pass", {"pass": 900_000}, "pass 900000 is out of range, expected 0 to 17"),
        ("pass", {"pass": True}, "pass True is not of the expected type, a whole number"),
        ("pass", {"samples_s": {"naive": [[1e-3]]}}, r"'naive': entry 0: sample \[0.001\] is not"),
        ("cell", {"size": [64, "64"]}, "size entry 1: '64' is not of the expected type"),
        ("cell", {"kernel": []}, "expected 1 to 3 entries"),
        ("cell", {"operation": "ahead"}, "operation 'ahead' is not known"),
        ("cell", {"threads": 0}, "threads 0 is out of range, expected 1 to 65536"),
        ("cell", {"name": "\ud800"}, "holds signs that no file can"),
        ("cell", {"compile_s": "fast"}, "compile_s 'fast' is not of the expected type, a number"),
        ("cell", {"multiply_adds": 10**400}, "out of range, expected 0 to 1e.30"),
        ("cell", {"counters": {"cycles": []}}, "counters 'cycles':"),
        ("run", {"limits": {}}, "limits caches:"),
        ("run", {"environment": {"a": [[[[[[[[[1]]]]]]]]]}}, "nested deeper than 8 levels"),
        ("run", {"seed": "0"}, "seed '0' is not of the expected type"),
        ("run", {"algorithms": "fft"}, "algorithms 'fft' is not of the expected type, a list"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(
    whole: Path, tmp_path: Path, kind: str, change: dict[str, Any], complaint: str
) -> None:
    lines = (whole / FILE).read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if json.loads(line)["record"] == kind)
    lines[at] = json.dumps({**json.loads(lines[at]), **change})
    (tmp_path / FILE).write_text("\n".join(["", *lines, ""]))
    with pytest.raises(ConvbenchError, match=f"line {at + 2}: .*{complaint}"):
        results.read_records(tmp_path)


@pytest.mark.parametrize("line", ["NaN", '{"record": NaN}', "[" * 100_000, "9" * 5000])
def test_a_line_that_python_alone_would_read_is_refused(
    whole: Path, tmp_path: Path, line: str
) -> None:
    (tmp_path / FILE).write_text((whole / FILE).read_text() + line + "\n")
    with pytest.raises(ConvbenchError, match=r"line \d+: "):
        results.read_records(tmp_path)


def test_cells_that_ask_for_different_things_share_no_group(whole: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (whole / FILE).read_text().splitlines()]
    cells = [line for line in lines if line["record"] == "cell"]
    for change, complaint in (
        ({"threads": 7}, "threads 7 is not that of group 0, which is 1"),
        ({"group": 99}, "group 99 asks for the same as group 0"),
    ):
        changed = [{**line, **change} if line is cells[1] else line for line in lines]
        (tmp_path / FILE).write_text("".join(json.dumps(line) + "\n" for line in changed))
        with pytest.raises(ConvbenchError, match=complaint):
            results.read(tmp_path)
