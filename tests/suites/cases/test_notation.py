"""The page on notation with its examples run, and notes on a descriptor's defaults."""

import io
import re
import shlex
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from algos.notation import parse
from algos.pooling.core.options import KINDS
from suites.cases.notation import remarks
from suites.cli import main

PAGE = Path(__file__).parents[3] / "docs" / "notation.md"


def blocks() -> list[str]:
    """Return the console blocks of the page."""
    return re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def run(block: str) -> str:
    """Run the commands of `block`; return each one followed by its output."""
    lines = []
    for command in (line for line in block.splitlines() if line.startswith("$ ")):
        shown = io.StringIO()
        with redirect_stdout(shown):
            assert main(shlex.split(command[2:])[1:]) == 0, command
        lines += [command, shown.getvalue().rstrip("\n")]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("block", blocks())
def test_examples_print_what_the_page_shows(block):
    assert run(block) == block


def test_the_page_names_every_kind_of_pooling():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{kind}`" in text for kind in KINDS)


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("mb1_ic1ih8_oc1_kh3_ph1", []),
        ("mb1_ic1ih8oh8_oc1_kh3_ph1", []),
        ("ic1iw8_oc1_kw3", ["no mb is given, so the batch is 2 (benchdnn"]),
        ("mb0_ic1iw8_oc1_kw3", ["the batch is 2"]),
        ('ic1iw8_oc1_kw3_n"mb1"', ["the batch is 2"]),
        ("mb1_ic1ih9iw9_oc1_kh9kw9_ph4", ["ph4 pads the height alone, the width has no padding"]),
        ("mb1_ic1ih9iw9_oc1_kh3kw3_sh2_dh1", ["sh2 is the stride along the height", "write dw1"]),
        ("mb1_ic1id9iw9ih9_oc1_kd3kh3kw3_pd1ph1", ["ph1 pads the height alone, the width"]),
        ("mb1_ic1ih9iw9_oc1_kh3kw3_ph1pw1", []),
        ("mb1_ic1iw13ow12_oc1_kw3_pw0", ["ow12 decides the padding along the width: 0 before, 1"]),
        ("mb1_ic1iw7ow7_oc1_kw3", ["1 before, 1 behind"]),
        ("deconv:ic1ih5oh10_oc1_kh3_sh2", ["batch is 2", "oh10 decides the padding"]),
        ("pool:ic1ih5_kh3", ["the batch is 2"]),
        ("max_ic1ih6_kh2", ["the batch is 1 (the default of this", "no stride is given"]),
        ("max_mb1_ic1ih6_kh2_sh2", []),
        ("average_mb1_ic1ih6_output=2", []),
        ("inception_ic8ih8_ones=1_threes=1_fives=1", ["the batch is 1"]),
    ],
)
def test_what_is_left_open_is_said(text, notes):
    found = remarks(text, parse(text))
    assert len(found) == len(notes)
    for sentence, part in zip(found, notes, strict=True):
        assert sentence.startswith("note: ")
        assert part in sentence


def test_shape_prints_the_notes(capsys):
    assert main(["shape", "ic1ih12iw12_oc1_kh9kw9_ph4"]) == 0
    assert "note: ph4 pads the height alone" in capsys.readouterr().out
