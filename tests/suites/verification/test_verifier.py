"""Output of `convbench verify`: cases, counts, and the repro line of a failure."""

import io
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from algos import parse_descriptor, plugins, registry
from algos.core.family import CONVOLUTION, POOLING
from algos.registry import convolutions
from suites.cases.suite import Case
from suites.verification.progress import UNJUDGED, Campaign, table, verify_and_show
from suites.verification.verifier import Score, Verifier

ROOT = Path(__file__).parents[3]
BROKEN = str(Path(__file__).parents[2] / "helpers" / "broken.py")
SMALL = parse_descriptor("mb1_ic1ih5_oc1_kh3")
SHIPPED = [*convolutions()]
INTEGERS, RANDOM = Case(SMALL, "integers", "integers"), Case(SMALL, "random", "random")


@pytest.fixture(scope="module", autouse=True)
def broken_algorithms():
    """Load broken algorithms into this process while these tests run."""
    plugins._loaded.clear()
    before = set(convolutions())
    registry.load_file(BROKEN)
    yield
    plugins._loaded.clear()
    for name in set(convolutions()) - before:
        del convolutions()[name]


def shown(names, cases, timeout=60.0, canaries=False):
    """Return the exit code and the output of a verification."""
    said = io.StringIO()
    out = Console(file=said, width=100)
    verifier = Verifier(1, timeout=timeout, files=[BROKEN], listed=["--cases", "9"])
    code = verify_and_show(verifier, [Campaign(CONVOLUTION, names, cases)], canaries, out, out)
    return code, said.getvalue()


def test_what_is_right_is_counted():
    code, text = shown(["naive"], [INTEGERS, RANDOM])
    assert code == 0
    assert "0 of 2 cases rejected." in text
    assert "asked for in 1 cases, and met in 1." in text


def test_a_case_that_ran_out_of_time_is_not_wrong():
    code, text = shown(["hangs"], [RANDOM], timeout=1.0)
    assert code == UNJUDGED
    assert "hangs was not judged: it gave no answer within 1 s" in text
    assert "Not judged: 1 of 1 cases." in text
    assert "rejected" not in text


@pytest.mark.parametrize("descriptor", ["mb999999999999_ic3ih8_oc4_kh3", "mb1_ic1ih900000_oc1_kh3"])
def test_a_case_that_does_not_fit_in_memory_is_not_wrong(descriptor):
    code, text = shown(["naive", "parallel"], [Case(parse_descriptor(descriptor))])
    assert code == UNJUDGED
    assert "parallel was not judged: out of memory: it needs about" in text
    assert "Not judged: 2 of 2 cases." in text


def test_an_algorithm_that_runs_out_of_memory_is_not_judged(monkeypatch):
    monkeypatch.setattr("suites.verification.verifier.memory_allowed", lambda: 1 << 30)
    code, text = shown(["glutton", "naive"], [RANDOM])
    assert code == UNJUDGED
    assert "glutton was not judged: out of memory" in text
    assert "0 of 1 cases rejected." in text


def test_a_wrong_case_outweighs_one_that_was_not_judged():
    code, text = shown(["hangs", "off-by-one"], [RANDOM], timeout=1.0)
    assert code == 1
    assert "1 of 1 cases rejected." in text


def test_equality_that_was_never_met_is_not_shown():
    code, text = shown(["raises"], [INTEGERS, INTEGERS, RANDOM])
    assert code == 1
    assert "3 of 3 cases rejected." in text
    assert "equality on integers is not shown, it was met in none of 2 cases" in text
    assert (
        "equality on integers is not shown, it could be asked for in no case"
        in (shown(["naive"], [RANDOM])[1])
    )


def test_an_exception_is_told_by_its_cause_and_in_full_once():
    code, text = shown(["uncompiled"], [RANDOM, RANDOM])
    assert code == 1
    sentence = next(line for line in text.split("\n") if line.startswith("uncompiled: it raised"))
    assert "it raised TypingError: Unknown attribute 'nosuch' of type" in sentence
    line = (
        Path(BROKEN)
        .read_text()
        .split("\n")
        .index("        numba.njit(lambda array: array.nosuch)(x)")
    )
    assert sentence.endswith(f"({BROKEN}:{line + 1})")
    assert text.count("Failed in nopython mode pipeline") == 1


def test_a_failure_after_other_cases_is_told_from_one_alone():
    score = Verifier(1, files=[BROKEN]).score("remembers", [RANDOM] * 12)
    first = score.failures[0]
    assert first.number > 1
    assert not first.alone
    assert first.smallest == first.case
    alone = Verifier(1, files=[BROKEN]).score("off-by-one", [RANDOM] * 2)
    assert [failure.alone for failure in alone.failures] == [True, True]
    assert alone.failures[0].smallest != RANDOM


@pytest.mark.slow
def test_the_command_for_a_failure_after_other_cases_shows_it_again(tmp_path):
    def verify(*words):
        return subprocess.run(
            [sys.executable, "-m", "suites.cli", "verify", *words],
            capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip

    first = verify(
        "--cases", "16", "--algorithm-file", BROKEN, "--algorithms", "remembers",
        "--operation", "forward", "--dtype", "float32",
    )  # fmt: skip
    assert first.returncode == 1, first.stdout + first.stderr
    told = [line for line in first.stdout.split("\n") if "only after other cases" in line]
    command = shlex.split(told[0][told[0].index("convbench verify") :])
    again = verify(*command[2:])
    assert again.returncode == 1
    assert told[0] in again.stdout


def test_canaries_that_passed_share_a_line(monkeypatch):
    passed = ["canary-dropped-tap", "canary-shifted-by-one"]
    monkeypatch.setattr(Verifier, "killed", lambda self, name, cases: name not in passed)
    code, text = shown(["naive"], [INTEGERS], canaries=True)
    assert code == 1
    (line,) = [line for line in text.split("\n") if "More cases are needed" in line]
    assert line.endswith("2 passed, canary-dropped-tap, canary-shifted-by-one.")
    assert text.count("canary-") == 2


def test_no_name_is_broken_at_80_columns():
    scores = [
        Score(name, family.name, 500, 250, asked=999, exact=999, properties=500, worst=0.000339,
              seconds=123.4, unjudged=[(INTEGERS, "out of memory")])
        for family in (CONVOLUTION, POOLING)
        for name in SHIPPED
    ]  # fmt: skip
    said = io.StringIO()
    Console(file=said, width=80).print(table(scores))
    lines = said.getvalue().splitlines()
    assert len(lines) == 3 + 2 + len(scores)
    assert all(len(line) <= 80 for line in lines)
    assert "…" not in said.getvalue()
    assert {line.split()[0] for line in lines[3:]} == {"convolution", "pooling", *SHIPPED}
