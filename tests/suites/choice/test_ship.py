"""Times of a run become wisdom that is shipped."""

import json

from synthetic import layers, write_run

import results
from algos.choice.wisdom import Entry, shipped
from suites.choice.ship import shipped_text


def test_every_problem_of_a_run_has_an_entry(tmp_path):
    frame = results.read(write_run(tmp_path, layers()))
    kept = json.loads(shipped_text(frame))
    entries = [Entry.from_json(one, "shipped") for one in kept["entries"]]
    assert len(entries) == len(frame[["problem", "threads"]].drop_duplicates())
    timed = frame[frame["time_s"].notna()]
    assert {name for entry in entries for name in entry.times} == set(timed["algorithm"])
    assert kept["run"] == frame.attrs["id"]


def test_shipped_problems_have_no_name():
    assert not any('n"' in problem for problem, _ in shipped())
