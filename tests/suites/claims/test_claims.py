"""Claims: their texts, their verdicts, and the checks of those that take no time."""

import sys

import pytest

from algos.core.errors import ConvbenchError
from results.figures.style import Sheet
from results.verdicts.statistics import Interval
from suites.claims import catalogue, checking, claim, data, page

ALL = catalogue.claims()
#: Claims that are checked within a second and rest on counts, not on times or training.
QUICK = (
    "commutation", "commutation-of-channels", "pooling-with-downsampling", "quadrants",
    "zero-padding",
)  # fmt: skip


def test_every_claim_names_its_source():
    assert len(ALL) > 10
    for one in ALL.values():
        assert one.title and one.source, one.name
        assert not one.title.endswith("."), one.name


@pytest.mark.parametrize("name", QUICK)
def test_claims_that_take_no_time(name):
    found = checking.check(ALL[name])
    assert found.unchecked is None
    assert found.rows
    for row in found.rows:
        expected = not row.statement.startswith("equal channels suffice")
        assert row.holds is expected, row


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_claim_can_be_checked(name):
    pytest.importorskip("sklearn")
    found = checking.check(ALL[name])
    assert found.unchecked is None
    assert found.rows
    statements = [row.statement for row in found.rows]
    assert len(set(statements)) == len(statements)
    assert all(isinstance(sheet, Sheet) for sheet in found.sheets)


def test_an_interval_across_a_bound_is_undecided():
    around = Interval(2.0, 1.5, 2.5)
    assert claim.at_least("", "", around, 1.0).holds is True
    assert claim.at_least("", "", around, 2.1).holds is None
    assert claim.at_least("", "", around, 3.0).holds is False
    assert claim.at_most("", "", around, 3.0).holds is True
    assert claim.at_most("", "", around, 2.1).holds is None
    assert claim.at_most("", "", around, 1.0).holds is False
    assert claim.about("", 2, around, 0.5).holds is True
    assert claim.about("", 2, around, 0.1).holds is None
    assert claim.about("", 60_000, 59_733).holds is True
    assert claim.about("", 60_000, 50_000).holds is False


def test_a_claim_without_source_is_refused(monkeypatch):
    monkeypatch.setattr(claim, "CLAIMS", {})

    def bare():
        """Check nothing."""

    with pytest.raises(TypeError, match="Source"):
        claim.claim(bare)


def test_two_claims_of_one_name_are_refused(monkeypatch):
    monkeypatch.setattr(claim, "CLAIMS", {})

    def twice():
        """Check nothing.

        Source: nobody.
        """

    claim.claim(twice)
    with pytest.raises(TypeError, match="two claims"):
        claim.claim(twice)


def test_a_claim_that_lacks_something_says_so(monkeypatch):
    def lacking():
        yield claim.equal("one", 1, 1)
        raise ConvbenchError("no data here")

    found = checking.check(claim.Claim("lacking", "Lack data", "nobody", lacking))
    assert found.unchecked == "no data here"
    assert found.rows == ()
    assert "1 claims could not be checked" in checking.tally([found])


def test_the_page_has_every_row_and_figure(tmp_path):
    found = checking.check(ALL["border-visits"])
    files = page.save_figures(found, tmp_path)
    text = page.save_page([found], tmp_path).read_text(encoding="utf-8")
    for row in found.rows:
        assert row.statement in text
    assert len(files) == 1
    for file in files:
        assert file.is_file()
        assert f"({file.relative_to(tmp_path)})" in text


def test_missing_images_are_no_traceback(monkeypatch):
    data.digits.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn", None)
    found = checking.check(ALL["fixed-filters"])
    assert "pip install" in found.unchecked
    assert "[claims]" in found.unchecked
