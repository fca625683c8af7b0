"""Joining shards of a suite."""

from dataclasses import replace

import pytest
from synthetic import ENVIRONMENT, LAYERS, cell, measured, write_run

from algos.core.errors import ConvbenchError
from results.records.merge import merged
from results.records.records import read_records, write_records
from results.tables.table import tabulate_run

NAMES = ("naive", "parallel")


def shard(folder, *problems, seed=0, **changes):
    cells = [
        record
        for problem in problems
        for record in measured(problem, blocks=5, algorithms=NAMES, seed=seed)
    ]
    return read_records(write_run(folder, cells, **changes))


def test_shards_of_other_problems_stand_side_by_side(tmp_path):
    one, other = shard(tmp_path, LAYERS[0]), shard(tmp_path, LAYERS[2], LAYERS[3])
    frame = tabulate_run(read_records(write_records(tmp_path, merged([one, other]))))
    apart = [tabulate_run(run) for run in (one, other)]
    assert len(frame) == 6
    assert frame["time_s"].tolist() == [t for part in apart for t in part["time_s"]]


def test_shards_of_one_problem_have_the_passes_of_both(tmp_path):
    one, other = shard(tmp_path, LAYERS[0]), shard(tmp_path, LAYERS[0], seed=1)
    frame = tabulate_run(merged([one, other]))
    assert frame["passes"].tolist() == [10, 10]
    apart = [tabulate_run(run)["samples"][0] for run in (one, other)]
    assert frame["samples"][0] == apart[0] + apart[1]


def test_a_failure_in_a_shard_is_one_of_the_run(tmp_path):
    wrong = cell("naive", LAYERS[0], status="failed", reason="wrong result")
    skipped = cell("parallel", LAYERS[0], status="skipped", reason="no time")
    failed = read_records(write_run(tmp_path, [wrong, skipped]))
    for order in ([failed, shard(tmp_path, LAYERS[0])], [shard(tmp_path, LAYERS[0]), failed]):
        frame = tabulate_run(merged(order)).set_index("algorithm")
        assert frame["status"].to_dict() == {"naive": "failed", "parallel": "ok"}


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"suite": "sizes"}, "suite was quick, is sizes"),
        ({"environment": {**ENVIRONMENT, "host": "other"}}, "host was bench, is other"),
        ({"environment": {**ENVIRONMENT, "numba": "0.65.0"}}, r"numba was 0\.61\.0, is 0\.65\.0"),
        ({"settings": {"cold_cache": True}}, "cold cache was not known, is True"),
    ],
)
def test_runs_that_differ_are_refused(changes, clause, tmp_path):
    one, other = shard(tmp_path, LAYERS[0]), shard(tmp_path, LAYERS[2], **changes)
    with pytest.raises(ConvbenchError, match=clause):
        merged([one, other])


def test_a_longer_budget_or_another_seed_is_no_difference(tmp_path):
    runs = [
        shard(tmp_path, LAYERS[at], settings={"budget": 60.0 + at, "seed": at}, budget_s=60.0)
        for at in (0, 2)
    ]
    assert merged(runs).header.budget_s == 120


def test_a_run_given_twice_is_refused(tmp_path):
    one = shard(tmp_path, LAYERS[0])
    with pytest.raises(ConvbenchError, match="was given twice"):
        merged([one, one])


def test_shares_are_not_added_up(tmp_path):
    runs = [shard(tmp_path, LAYERS[at]) for at in (0, 2)]
    loud = [replace(run, end=replace(run.end, noise={"steal": 0.2, "switches": 3})) for run in runs]
    assert merged(loud).end.noise == {"steal": 0.2, "switches": 6}


def test_shards_that_started_in_one_second_are_joined(tmp_path):
    one, other = shard(tmp_path / "a", LAYERS[0]), shard(tmp_path / "b", LAYERS[2])
    assert one.header.id == other.header.id
    assert len(merged([one, other]).cells) == 4
    elsewhere = {**ENVIRONMENT, "host": "other"}
    stranger = shard(tmp_path / "c", LAYERS[2], environment=elsewhere)
    with pytest.raises(ConvbenchError, match=r"a/2026.* and .*c/2026.* cannot be joined"):
        merged([one, stranger])


def test_descriptions_of_all_shards_are_kept(tmp_path):
    about = [{name: {"does": f"It is {name}."}} for name in NAMES]
    runs = [
        shard(tmp_path, LAYERS[at], descriptions=one) for at, one in zip((0, 2), about, strict=True)
    ]
    assert merged(runs).header.descriptions == about[0] | about[1]
