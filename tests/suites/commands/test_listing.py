"""Lists of suites, algorithms and problems."""

import pytest
from command_line import convbench

from suites import cli
from suites.commands import listing


@pytest.mark.parametrize(
    ("what", "known"),
    [("suites", "quick"), ("algorithms", "im2col"), ("claims", "edge-detection")],
)
def test_lists(what, known, capsys):
    assert cli.main(["list", what]) == 0
    assert known in capsys.readouterr().out


def test_the_problems_of_a_suite_are_listed_for_programs(tmp_path):
    problems = convbench("list", "problems", "alexnet", cwd=tmp_path).stdout.strip().split("\n")
    assert len(problems) == 5
    assert all(line.startswith("mb") or line.startswith("g") for line in problems)


def test_what_is_not_installed_is_listed_as_such(monkeypatch, capsys):
    assert cli.main(["list", "algorithms"]) == 0
    before = capsys.readouterr().out
    real = listing.find_spec
    monkeypatch.setattr(listing, "find_spec", lambda name: name != "torch" and real(name))
    assert cli.main(["list", "algorithms"]) == 0
    after = " ".join(capsys.readouterr().out.split())
    assert after.count("(not installed)") > before.count("(not installed)")
    assert "(not installed)" in after.split("torch-channels-last")[1].split("torch-prepacked")[0]


def test_a_suite_goes_with_problems_alone(capsys):
    assert cli.main(["list", "algorithms", "vgg16"]) == 2
    assert "try convbench list problems vgg16" in capsys.readouterr().err
