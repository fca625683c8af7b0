"""The command line, run in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


CONVBENCH = [sys.executable, "-m", "suites.cli"]


def environment(**more):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "100", "NO_COLOR": "1", **more}


def convbench(*arguments, cwd, **options):
    return subprocess.run(
        [*CONVBENCH, *map(str, arguments)],
        cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120, **options,
    )  # fmt: skip


def complaint(done, code=2):
    """Return the one sentence on standard error."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = done.stderr.strip().split("\n")
    assert ": error: " in line
    return line
