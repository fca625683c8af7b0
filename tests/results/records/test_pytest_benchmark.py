"""JSON of pytest-benchmark: written for it, read from it, and read back."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from synthetic import LAYERS, cell, measured, write_run

from algos.core.errors import ConvbenchError
from results.records.pytest_benchmark import exported, read_files
from results.records.records import read_records
from results.records.run import EndRecord, PassRecord
from results.tables.table import tabulate_run

MACHINE = {"node": "bench", "system": "Linux", "python_version": "3.12.4",
           "cpu": {"brand_raw": "a processor"}}  # fmt: skip


def benchmark(name="test_sum", data=(1e-3, 2e-3), **more):
    fullname = f"tests/test_sums.py::{name}"
    stats = {"data": list(data), "median": 5e-3, "iterations": 7}
    return {"name": name, "fullname": fullname, "group": None, "params": None, "stats": stats,
            **more}  # fmt: skip


def written(folder, *benchmarks, name="bench.json", machine=MACHINE):
    file = folder / name
    content = {"machine_info": machine, "benchmarks": benchmarks, "datetime": "2026-11-20T10:00:00"}
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
def run(tmp_path):
    cells = [record for problem in LAYERS[:2] for record in measured(problem, blocks=6)]
    cells += [cell("naive", LAYERS[4], samples=[1e-3, None, 2e-3])]
    return read_records(write_run(tmp_path, cells, min_effect=0.03))


def test_pytest_benchmark_compares_what_is_exported(tmp_path, run):
    (tmp_path / "0001_run.json").write_text(exported(run))
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "0001_run.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.count("parallel") == 2
    assert "benchmark 'alexnet:conv1': 4 tests" in done.stdout
    assert "Failed to load" not in done.stdout + done.stderr


def test_an_exported_run_is_read_back(tmp_path, run):
    file = tmp_path / "run.json"
    file.write_text(exported(run))
    back = read_files([file])
    assert back.header == run.header
    before, after = tabulate_run(run), tabulate_run(back)
    before = before[before["status"] == "ok"].reset_index(drop=True)
    for name in ("label", "algorithm", "time_s", "speedup", "verdict", "passes", "loops"):
        assert after[name].equals(before[name]), name


def test_missing_samples_and_the_end_are_read_back(tmp_path, run):
    taken = [PassRecord(group=0, number=0, samples_s={"naive": [1e-3, None, 2e-3]})]
    file = tmp_path / "run.json"
    for end in (EndRecord(status="interrupted", noise={"steal": 0.2}), None):
        file.write_text(exported(replace(run, passes=taken, end=end)))
        back = read_files([file])
        assert (back.passes, back.end) == (taken, end)


def test_statistics_are_those_of_the_samples(tmp_path, run):
    entry = json.loads(exported(run))["benchmarks"][-1]
    assert entry["stats"]["data"] == [1e-3, 2e-3]
    assert entry["stats"]["mean"] == pytest.approx(1.5e-3)
    assert (entry["stats"]["rounds"], entry["stats"]["iterations"]) == (2, 17)


def test_a_group_is_a_problem_and_its_benchmarks_are_algorithms(tmp_path):
    file = written(
        tmp_path, benchmark("test_a", group="sort"), benchmark("test_b", [3e-3], group="sort"),
        benchmark("test_c[9]"),
    )  # fmt: skip
    frame = tabulate_run(read_files([file]))
    assert [*zip(frame["label"], frame["algorithm"], strict=True)] == [
        ("sort", "test_a"), ("sort", "test_b"), ("tests/test_sums.py::test_c[9]", "test_c"),
    ]  # fmt: skip
    assert frame["loops"].tolist() == [7, 7, 7]
    assert frame["winner"].tolist() == [True, False, True]


def test_a_parameter_called_algorithm_is_the_algorithm(tmp_path):
    entries = [
        benchmark(f"test_conv[{name}-{n}]", params={"algorithm": name, "n": n})
        for name in ("fft", "naive")
        for n in (8, 16)
    ]
    frame = tabulate_run(read_files([written(tmp_path, *entries)]))
    assert frame["label"].tolist() == ["test_conv, n=8", "test_conv, n=16"] * 2
    assert frame["algorithm"].tolist() == ["fft", "fft", "naive", "naive"]


def test_each_file_is_a_pass(tmp_path):
    files = [
        written(tmp_path, benchmark("a", [1e-3], group="g"), benchmark("b", [2e-3], group="g"),
                name=f"{at}.json")
        for at in range(5)
    ]  # fmt: skip
    frame = tabulate_run(read_files(files))
    assert frame["passes"].tolist() == [5, 5]
    assert frame["verdict"].tolist() == ["", "slower"]


def test_without_data_the_median_is_the_sample(tmp_path):
    frame = tabulate_run(read_files([written(tmp_path, benchmark(data=()))]))
    assert frame["time_s"].tolist() == pytest.approx([5e-3])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read"),
        ("{", "is no JSON"),
        ("[]", "no list 'benchmarks'"),
        ('{"benchmarks": []}', "holds no benchmark"),
        ('{"benchmarks": [1]}', "no object 'machine_info'"),
        ('{"benchmarks": [1], "machine_info": {}}', "benchmark 0"),
        ('{"benchmarks": [{"name": "a", "stats": {}}], "machine_info": {}}', "'median'"),
        ('{"benchmarks": [{}], "machine_info": {"convbench": {"record": "run"}}}', "extra_info"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(content, complaint, tmp_path):
    file = tmp_path / "bench.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConvbenchError, match=complaint) as caught:
        read_files([file])
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("sample", [0, -1, "x", 1e300])
def test_a_sample_that_is_no_time_is_a_sentence(sample, tmp_path):
    with pytest.raises(ConvbenchError, match="is not a time in seconds"):
        read_files([written(tmp_path, benchmark(data=[sample]))])


def test_files_of_two_machines_are_not_mixed(tmp_path):
    one = written(tmp_path, benchmark())
    other = written(tmp_path, benchmark(), name="other.json", machine={**MACHINE, "node": "new"})
    with pytest.raises(ConvbenchError, match=r"host is new, but that of .* is bench"):
        read_files([one, other])
