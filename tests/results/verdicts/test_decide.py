"""Verdicts on simulated passes of known truth: rates of false and missing claims."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest

from results.verdicts.decide import ERROR_RATE, MIN_PASSES, UNDECIDED, claim, judge, looks

Groups = dict[int, dict[str, dict[int, list[float]]]]


def groups_of(
    effect: float, groups: int, passes: int, spread: float = 0.01, seed: int = 0
) -> Groups:
    """Return pairs in which ``mine`` takes (1 + effect) times as long as ``base``."""
    rng = np.random.default_rng([seed, groups, passes, round(1000 + 1000 * effect)])
    noise = np.exp(rng.normal(0, spread, (groups, passes)))
    return {
        group: {
            "base": {number: [1.0] for number in range(passes)},
            "mine": {number: [(1 + effect) * noise[group, number]] for number in range(passes)},
        }
        for group in range(groups)
    }


def verdicts_of(groups: Groups, min_effect: float = 0.02) -> Counter[str]:
    referee = judge(groups, "base", min_effect)
    return Counter(referee.verdict(group, "mine", "base") for group in groups)


@pytest.mark.parametrize(
    ("effect", "expected"), [(0.0, "equivalent"), (0.10, "slower"), (1 / 1.10 - 1, "faster")]
)
def test_what_is_clear_is_decided(effect: float, expected: str) -> None:
    assert verdicts_of(groups_of(effect, 20, 10, spread=0.005)) == {expected: 20}


def test_no_verdict_on_fewer_than_five_passes() -> None:
    assert verdicts_of(groups_of(1.0, 20, MIN_PASSES - 1, spread=1e-4)) == {UNDECIDED: 20}
    assert verdicts_of(groups_of(1.0, 20, MIN_PASSES, spread=1e-4)) == {"slower": 20}


@pytest.mark.parametrize("border", [0.02, 1 / 1.02 - 1])
def test_claims_on_the_border_are_as_rare_as_promised_however_often_one_looks(
    border: float,
) -> None:
    """At the minimum effect itself every claim is false; each pair is a separate run."""
    trials = 300
    runs = groups_of(border, trials, 40)
    wrong = trials - sum(verdicts_of({0: pair})[UNDECIDED] for pair in runs.values())
    assert binomtest(wrong, trials).proportion_ci(0.999).low <= ERROR_RATE


def test_looking_after_every_pass_would_claim_too_much() -> None:
    """Testing the same pairs at 5 % after every pass makes too many false claims."""
    trials = 300
    wrong = 0
    for pair in groups_of(0.02, trials, 40).values():
        ratios = np.log([1 / taken[0] for taken in pair["mine"].values()])
        wrong += any(claim(ratios[:n], 0.02)[1] <= ERROR_RATE for n in range(MIN_PASSES, 41))
    assert binomtest(wrong, trials).proportion_ci(0.999).low > 2 * ERROR_RATE


def test_false_discoveries_stay_below_their_rate_over_a_grid() -> None:
    """Half of a grid is on the border, half beyond: about 5 % of claims may be false."""
    false = claims = 0
    for seed in range(12):
        border = groups_of(0.02, 40, 14, seed=seed)
        beyond = {at + 40: pair for at, pair in groups_of(0.06, 40, 14, seed=seed).items()}
        referee = judge(border | beyond, "base", 0.02)
        found = [referee.verdict(at, "mine", "base") != UNDECIDED for at in range(80)]
        false += sum(found[:40])
        claims += sum(found)
    assert claims > 12 * 30
    assert binomtest(false, claims).proportion_ci(0.999).low <= ERROR_RATE


def test_equals_are_never_told_apart_and_five_per_cent_nearly_always() -> None:
    equal = verdicts_of(groups_of(0.0, 500, 14))
    assert binomtest(equal["slower"] + equal["faster"], 500).proportion_ci().high < 0.01
    assert (
        binomtest(verdicts_of(groups_of(0.05, 500, 14))["slower"], 500).proportion_ci().low > 0.95
    )


def test_what_is_decided_stays_decided() -> None:
    pairs = groups_of(0.10, 10, 5, spread=0.005)
    for pair in pairs.values():
        for number in range(5, 28):
            pair["base"][number], pair["mine"][number] = [1.0], [0.5 if number % 2 else 1.5]
    assert verdicts_of(pairs) == {"slower": 10}


def test_the_same_whichever_side_is_asked() -> None:
    pairs = groups_of(0.10, 3, 7)
    referee = judge(pairs, "base", 0.02)
    assert {referee.verdict(at, "base", "mine") for at in pairs} == {"faster"}


def test_who_is_beaten_is_out_of_the_race() -> None:
    group = {
        name: {number: [factor * (1 + 0.001 * ((number * k) % 3))] for number in range(5)}
        for k, (name, factor) in enumerate({"base": 9.0, "a": 1.0, "b": 1.02, "c": 3.0}.items(), 1)
    }
    referee = judge({0: group}, "base", 0.02)
    assert referee.leader(0, group) == "a"
    assert referee.beaten(0, "c", group)
    assert referee.open_pairs(0, group) == [("b", "a")]


def test_looks_are_few_and_far_between() -> None:
    assert list(looks(4)) == []
    assert list(looks(30)) == [5, 7, 10, 14, 20, 28]


def test_pairs_without_passes_are_left_alone() -> None:
    group = {"base": {}, "mine": {0: [None]}}
    referee = judge({0: group}, "base", 0.02)
    assert referee.leader(0, group) is None
    assert referee.verdict(0, "mine", "base") == UNDECIDED


def test_nothing_more_is_compared_with_a_baseline_that_is_beaten() -> None:
    """``c`` is about as slow as the beaten baseline, so the pair needs no verdict."""
    rng = np.random.default_rng(5)
    group = {
        name: {number: [factor * float(np.exp(rng.normal(0, 0.01)))] for number in range(7)}
        for name, factor in {"base": 9.0, "a": 1.0, "b": 1.02, "c": 9.18}.items()
    }
    referee = judge({0: group}, "base", 0.02)
    assert referee.verdict(0, "c", "base") == UNDECIDED
    assert referee.open_pairs(0, group) == [("b", "a")]
