"""Wisdom: kept, found again, merged, damaged, foreign, exported and forgotten."""

import json
import multiprocessing

import pandas as pd
import pytest

import algos
from algos.choice import wisdom
from algos.choice.machine import folder, rates, remember_rates
from algos.choice.wisdom import Entry, Measured
from algos.core.errors import ConvbenchError

PROBLEM = algos.Problem(size=(64, 64), kernel=9, name="a name")
TEXT = wisdom.descriptor(PROBLEM)
TIMES = {"parallel": Measured(2e-3, 1.9e-3, 2.1e-3, 1e-5)}


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVBENCH_WISDOM", str(tmp_path / "wisdom"))
    wisdom._warn.cache_clear()
    rates.cache_clear()
    algos.choice.forget_choices()
    yield
    rates.cache_clear()
    algos.choice.forget_choices()


def files():
    return sorted((folder() / wisdom.ENTRIES).glob("*"))


def test_an_entry_is_found_again():
    assert wisdom.lookup(PROBLEM, {1}) is None
    wisdom.remember(Entry(TEXT, 1, TIMES))
    assert wisdom.lookup(PROBLEM, {1, 2}) == Entry(TEXT, 1, TIMES)
    assert wisdom.lookup(PROBLEM, {2}) is None
    assert wisdom.lookup(PROBLEM, {1}, shipped_only=True) is None


def test_times_of_other_algorithms_stay():
    wisdom.remember(Entry(TEXT, 1, TIMES))
    wisdom.remember(Entry(TEXT, 1, {"fft": Measured(1.0, 1.0, 1.0)}))
    assert set(wisdom.lookup(PROBLEM, {1}).times) == {"parallel", "fft"}
    assert len(files()) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        '{"times": 3}',
        '"text"',
        "null",
        '{"problem": "p", "threads": 1, "times": {"fft": [0, 0, 0]}}',
    ],
)
def test_a_damaged_entry_is_a_miss_with_a_warning(damage):
    wisdom.remember(Entry(TEXT, 1, TIMES))
    files()[0].write_text(damage)
    with pytest.warns(UserWarning, match="is damaged and is ignored"):
        assert wisdom.lookup(PROBLEM, {1}) is None


def test_every_truncation_of_an_entry_is_a_miss_or_the_entry():
    wisdom.remember(Entry(TEXT, 1, TIMES))
    (file,) = files()
    whole = file.read_text()
    for length in range(0, len(whole), 7):
        file.write_text(whole[:length])
        wisdom._warn.cache_clear()
        with pytest.warns(UserWarning):
            assert wisdom.lookup(PROBLEM, {1}) is None


@pytest.mark.parametrize("key", ["cpu", "numba", "format"])
def test_an_entry_of_another_machine_or_version_is_a_miss(key):
    wisdom.remember(Entry(TEXT, 1, TIMES))
    (file,) = files()
    file.write_text(json.dumps({**json.loads(file.read_text()), key: "other"}))
    with pytest.warns(UserWarning, match=f"measured with {key} other"):
        assert wisdom.lookup(PROBLEM, {1}) is None
    assert wisdom.entries() == []


def table(**attrs):
    rows = [
        (str(PROBLEM), 1, "parallel", "ok", 2e-3, 1.9e-3, 2.1e-3, 1e-5),
        (str(PROBLEM), 1, "fft", "ok", 1e-3, float("nan"), float("nan"), float("nan")),
        (str(PROBLEM), 1, "naive", "failed", *[float("nan")] * 4),
        (str(PROBLEM), 1, "torch", "ok", 1e-4, 1e-4, 1e-4, 0.0),
    ]
    frame = pd.DataFrame(rows, columns=list(wisdom.COLUMNS))
    frame.attrs.update(attrs)
    return frame


def test_wisdom_is_learnt_from_the_table_of_a_run():
    frame = table(peers=["torch"])
    frame["convert_s"] = 0.0
    assert algos.wisdom(frame) == 1
    (entry,) = wisdom.entries()
    assert set(entry.times) == {"parallel", "fft"}
    assert entry.times["fft"].high_s == 2e-3  # an unknown interval is wide


def test_a_run_of_another_machine_teaches_nothing():
    with pytest.raises(ConvbenchError, match="measure again"):
        algos.wisdom(table(environment={"target": "another"}))
    with pytest.raises(ConvbenchError, match="lacks the column 'problem'"):
        algos.wisdom(pd.DataFrame({"a": [1]}))


def test_export_import_and_forget(tmp_path):
    wisdom.remember(Entry(TEXT, 1, TIMES))
    assert wisdom.export_to(tmp_path / "kept.json") == 1
    assert wisdom.forget() == 1
    assert wisdom.entries() == []
    assert wisdom.import_from(tmp_path / "kept.json") == 1
    assert wisdom.entries() == [Entry(TEXT, 1, TIMES)]


def test_importing_what_is_no_wisdom(tmp_path):
    with pytest.raises(ConvbenchError, match="cannot be read"):
        wisdom.import_from(tmp_path / "nosuch.json")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ConvbenchError, match="holds no wisdom"):
        wisdom.import_from(tmp_path / "a.json")
    (tmp_path / "b.json").write_text('{"entries": [], "cpu": "other", "format": 1}')
    with pytest.raises(ConvbenchError, match="tune on this machine"):
        wisdom.import_from(tmp_path / "b.json")


def test_a_folder_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONVBENCH_WISDOM", str(tmp_path / "file"))
    with pytest.raises(ConvbenchError, match="CONVBENCH_WISDOM"):
        wisdom.remember(Entry(TEXT, 1, TIMES))
    assert algos.choose(PROBLEM)  # choosing works without it


def _remember_many(number):
    for threads in range(1, 21):
        wisdom.remember(Entry(TEXT, threads, {f"a{number}": Measured(1.0, 1.0, 1.0)}))


def test_several_processes_may_tune_at_once():
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_remember_many, args=(n,)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(wisdom.entries()) == 20
    assert all(file.suffix == ".json" for file in files())


def test_rates_of_the_machine_are_kept():
    assert rates() is None
    remember_rates(1e11, 2e10)
    assert rates() == (1e11, 2e10)


def test_shipped_wisdom_can_be_read():
    for entry in wisdom.shipped().values():
        assert entry.source == "shipped"
        assert entry.times


def test_times_in_another_layout_are_not_learnt():
    rows = [
        {
            "problem": TEXT, "threads": 1, "algorithm": name, "status": "ok", "time_s": 1e-3,
            "time_low_s": 1e-3, "time_high_s": 1e-3, "prepare_s": 0.0,
        }
        for name in ("parallel", "parallel@channels_last")
    ]  # fmt: skip
    assert wisdom.learn(pd.DataFrame(rows)) == 1
    assert set(wisdom.lookup(PROBLEM, {1}).times) == {"parallel"}
