"""The Python snippets of README.md run, and its commands have options that exist."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from suites import cli

PAGE = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
BLOCKS = "\n".join(text for language, text in FENCED if not language)
SNIPPETS = [text for language, text in FENCED if language == "python"]
SPANS = "\n".join(re.findall(r"(?<!`)`([^`\n]+)`(?!`)", PAGE))
#: First line of a snippet that is only compiled, because it would time something.
SKIPPED = "# doctest: +SKIP\n"


def commands():
    """Return the words of every ``convbench …`` line that names a command."""
    found = re.findall(r"(?:^|&& )convbench [^#\n]+", f"{BLOCKS}\n{SPANS}", re.MULTILINE)
    lines = {line.removeprefix("&& ").strip() for line in found}
    return sorted(lines)


def test_snippets_run():
    """All snippets share their names, as for a reader who follows the page."""
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for snippet in SNIPPETS:
            code = compile(snippet, "README.md", "exec")
            if not snippet.startswith(SKIPPED):
                exec(code, names)
    assert names["y"].shape == names["g"].shape == (1, 16, 32, 32)
    assert names["dx"].shape == names["x"].shape
    assert names["dw"].shape == names["w"].shape
    assert sum(snippet.startswith(SKIPPED) for snippet in SNIPPETS) == 1


def test_commands_are_found():
    assert len(commands()) > 20


@pytest.mark.parametrize("line", commands())
def test_options_of_commands_exist(line):
    words = shlex.split(line)[1:]
    arguments = cli._parser(words).parse_args(words)
    assert arguments.command


def test_an_option_that_does_not_exist_is_found():
    with pytest.raises(ValueError, match="--no-such-option"):
        cli._parser(["run"]).parse_args(["run", "--no-such-option"])


@pytest.mark.parametrize("link", re.findall(r"\]\(((?!https?:)[^)]+)\)", PAGE))
def test_links_lead_to_files(link):
    assert (Path(__file__).parents[1] / link).exists()


@pytest.mark.parametrize("end", ["convbench run", "pytest"])
def test_the_gate_finds_each_of_the_two_commands_once(end):
    assert len(re.findall(rf"^pip install.*{end}$", PAGE, re.MULTILINE)) == 1
