"""Small runs of the programs that show the claims on large arrays and clusters."""

import pytest

from algos.blocks.journal import Journal
from suites.scale import inputs, kills, memory, throughput, workers


@pytest.mark.parametrize("store", ["npy", pytest.param("h5", marks=pytest.mark.scale)])
def test_the_peak_stays_within_a_limit_that_is_set(tmp_path, store):
    """Ten times the memory; the limit is 1.2 times the prediction, on the address space."""
    pytest.importorskip({"npy": "numpy", "h5": "h5py"}[store])
    found = memory.run(8 << 20, 10.0, store, 15, tmp_path)
    assert found.input_bytes > 9.9 * found.memory and found.predicted <= found.memory
    assert found.limit == int(1.2 * found.predicted)
    assert found.blocks > 10


@pytest.mark.slow
@pytest.mark.parametrize("store", ["npy", pytest.param("h5", marks=pytest.mark.scale)])
def test_the_peak_is_as_predicted(tmp_path, store):
    """Many blocks: pages of a memory map that stayed would add up."""
    pytest.importorskip({"npy": "numpy", "h5": "h5py"}[store])
    found = memory.run(32 << 20, 12.0, store, 15, tmp_path)
    assert found.peak <= memory.EXCESS * found.predicted


@pytest.mark.slow
def test_a_limit_below_the_need_ends_the_call(tmp_path, monkeypatch):
    """The limit is a real one: with half of the need, the process cannot go on."""
    real = memory.subprocess.run

    def run(words, **more):
        code = "import sys; from suites.scale import memory; memory.EXCESS = 0.3; memory.main()"
        return real([words[0], "-c", code, *words[3:]], **more)

    monkeypatch.setattr(memory.subprocess, "run", run)
    with pytest.raises(MemoryError):
        memory.run(64 << 20, 2.0, "npy", 15, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["auto", "fft"])
def test_kills_are_resumed_to_the_same_bits(tmp_path, algorithm):
    found = kills.run(2, "npy", algorithm, tmp_path)
    assert found.identical and found.kills == 2 and found.starts == 3


def test_throughput_has_a_row_for_each_block(tmp_path):
    rows = throughput.measure((256, 200), 5, (16, 64, 1024), tmp_path)
    assert [row.block_bytes for row in rows] == [20 * 200 * 4, 68 * 200 * 4]
    assert all(row.share > 0 for row in rows)
    throughput.draw(rows, 256 * 200 * 4, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_an_image_of_a_size_is_square():
    assert inputs.square_of(4 * 100 * 100) == (100, 100)
    assert inputs.blur(5).sum() == pytest.approx(1)
    assert Journal(None, "").done == {}


def test_hosts_share_the_longest_tasks_first():
    assert workers.makespan([5, 4, 3, 3, 3], 0.0, 2) == 10  # 5+3, 4+3+3
    assert workers.makespan([5, 4, 3], 0.5, 1) == 13.5
    assert workers.makespan([5, 4, 3], 0.5, 100) == 5.5
    found = workers.projected("headline", 0.1, (1, 10, 100))
    assert found[1] > found[10] >= found[100]


@pytest.mark.slow
@pytest.mark.scale
def test_two_workers_measure_twice_as_many_problems(tmp_path):
    pytest.importorskip("distributed")
    row = workers.measure(2, 1, 2.0, tmp_path)
    assert sorted(one.number for one in row.tasks) == [0, 1]
    assert all(0 <= cost < one.total for cost, one in zip(row.costs, row.tasks, strict=True))
