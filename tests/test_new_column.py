"""A new column takes two edits: its definition, and its value where it is measured."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Edits by file: a passage of the source, and the lines put ahead of it.
EDITS = {
    "results/records/columns.py": (
        "    workspace_bytes: int | None = column(",
        "    wait_s: float | None = column(\n"
        '        "float64", "s", "time to wait", _SECONDS, default=None\n'
        "    )\n",
    ),
    "suites/workers/worker.py": ("            threads_seen=", "            wait_s=0.25,\n"),
}  # fmt: skip

PROGRAM = """
import json
import sys
from pathlib import Path

import results
from algos import Problem
from results.records.columns import CellRecord
from results.records.run import RunHeader
from results.tables.export import write_tables
from suites import cli
from suites.cases.suite import Case
from suites.timing.schedule import Run, Settings

here = Path.cwd()
run = iter(Run((Case(Problem(size=(9, 9), kernel=3)),), Settings("test", ("naive",)), here))
measured = next(event for event in run if isinstance(event, CellRecord))
run.close()
with results.RunWriter(here / "runs", RunHeader(suite="test")) as writer:
    writer.append(measured)
frame = results.read(writer.path)
csv, _ = write_tables(frame, here)
heading, row = csv.read_text().splitlines()[:2]
cli.main(["list", "columns"])
told = {
    "frame": [str(frame["wait_s"].dtype), float(frame["wait_s"].iloc[0])],
    "ahead of": frame.columns[frame.columns.get_loc("wait_s") + 1],
    "csv": dict(zip(heading.split(","), row.split(",")))["wait_s"],
    "docstring": "- ``wait_s`` (s): time to wait" in results.tables.table.read.__doc__,
}
print(json.dumps(told))
"""


@pytest.mark.slow
def test_a_column_is_one_definition_and_one_value(tmp_path):
    for package in ("suites", "results"):
        ignored = shutil.ignore_patterns("__pycache__", "runs")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    for module in ("algos", "convbench.py", "report.py"):
        (tmp_path / module).symlink_to(ROOT / module)
    for name, (passage, lines) in EDITS.items():
        source = (tmp_path / name).read_text(encoding="utf-8")
        assert source.count(passage) == 1
        (tmp_path / name).write_text(source.replace(passage, lines + passage), encoding="utf-8")
    (tmp_path / "program.py").write_text(PROGRAM)
    ended = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    *listed, told = ended.stdout.splitlines()
    assert json.loads(told) == {
        "frame": ["float64", 0.25], "ahead of": "workspace_bytes", "csv": "0.25", "docstring": True,
    }  # fmt: skip
    assert ["wait_s", "float64", "s", "time", "to", "wait"] in map(str.split, listed)
