"""Timing inside claims: blocks, warm-up and ratios."""

import math

from suites.claims import timing


def test_every_block_has_a_sample_of_each():
    found = timing.samples({"one": lambda: None, "other": lambda: sum(range(1000))}, 0.0)
    for parts in found.values():
        assert list(parts) == list(range(timing.PARTS))
        assert sum(map(len, parts.values())) == timing.BLOCKS
        assert all(sample > 0 for part in parts.values() for sample in part)


def test_the_first_call_is_not_timed():
    calls = []
    timing.times({"slow at first": lambda: calls.append(len(calls))}, 0.0)
    assert len(calls) > timing.BLOCKS


def test_a_ratio_of_equals_has_both_ends():
    found = timing.ratio(lambda: None, lambda: None, 0.05)
    assert 0 < found.low <= found.middle <= found.high < math.inf
