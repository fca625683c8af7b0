"""Looks: distinct for the algorithms that are known, stable for others."""

from __future__ import annotations

from itertools import islice

from results.figures.looks import KNOWN, look
from suites.cases import suite
from suites.commands import selection as choose


def test_twelve_algorithms_have_twelve_colours() -> None:
    assert len({entry.colour for entry in islice(KNOWN.values(), 12)}) == 12


def test_no_two_algorithms_share_colour_and_marker() -> None:
    assert len({(entry.colour, entry.marker) for entry in KNOWN.values()}) == len(KNOWN)


def test_the_algorithms_of_the_suite_papers_have_a_colour_each() -> None:
    loaded = suite.load("papers")
    timed = choose.algorithms(None, (), choose.families_of(loaded.cases), loaded.also)
    assert len({look(name).colour for name in timed}) == len(timed) > 12


def test_an_unknown_name_has_a_look_of_its_own() -> None:
    assert look("somebody-elses") == look("somebody-elses") != look("another")
    assert look("somebody-elses").colour not in {entry.colour for entry in KNOWN.values()}


def test_another_layout_keeps_the_colour_and_changes_marker_and_dashes() -> None:
    for name in (*KNOWN, "somebody-elses"):
        own, last = look(name), look(f"{name}@channels_last")
        assert last.colour == own.colour
        assert last.marker != own.marker
        assert last.dashes != own.dashes
        assert (last.colour, last.marker) not in {(o.colour, o.marker) for o in KNOWN.values()}
