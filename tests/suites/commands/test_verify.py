"""Verification as a user starts it: exit codes and the line that repeats a failure."""

import os
import shlex
from pathlib import Path

import pytest
from command_line import complaint, convbench

BROKEN = str(Path(__file__).parents[2] / "helpers" / "broken.py")


@pytest.mark.slow
def test_nothing_judged_is_no_success(tmp_path):
    done = convbench(
        "verify", "--algorithms", "low-rank", "--problem", "mb1_ic1iw9_oc1_kw3", cwd=tmp_path
    )
    assert "nothing was judged" in complaint(done)


def test_verify_passes_what_is_right(tmp_path):
    done = convbench("verify", "--cases", 6, "--algorithms", "naive", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "naive" in done.stdout


@pytest.mark.slow
def test_verify_fails_what_is_wrong_and_says_how_to_see_it_again(tmp_path):
    done = convbench(
        "verify", "--cases", 4, "--algorithm-file", os.path.relpath(BROKEN, tmp_path),
        "--algorithms", "off-by-one", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    repro = [line.strip() for line in done.stdout.split("\n") if "convbench verify" in line]
    words = shlex.split(repro[0][repro[0].index("convbench verify") :])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    again = convbench(*words[1:], cwd=elsewhere)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "times the error bound" in again.stdout
