"""Writing a run and reading it back, and the errors of both."""

from __future__ import annotations

import errno
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from synthetic import cell, header, record_of

import results
from algos.core.errors import ConvbenchError
from results import RunWriter, read_records
from results.records.locate import find, latest
from results.records.records import write_records
from results.records.run import FILE, SCHEMA, EndRecord, RunHeader

HEADLINE = Path(results.__file__).parent / "runs" / "headline"
PASS = {"record": "pass", "group": 0, "pass": 0}


def write(folder: Path, cells: int = 2, end: bool = True, **changes: object) -> Path:
    with RunWriter(folder, header(**changes)) as writer:
        for threads in range(1, cells + 1):
            writer.append(record_of(cell("fft", threads=threads)))
        if end:
            writer.append(EndRecord(finished="2026-11-20T10:45:00"))
    return writer.path


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = write(tmp_path, cells=3)
    run = read_records(path)
    assert run == read_records(path / FILE)
    assert run.path == path
    assert run.status == "complete"
    assert run.header.schema == SCHEMA
    assert run.header.id == path.name == "20261120-104212-quick"
    assert [c.threads for c in run.cells] == [1, 2, 3]
    assert run.cells[0] == record_of(cell("fft", threads=1))


def test_a_run_of_an_earlier_version_is_written_again_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # thousands of lines
    lines = [json.loads(line) for line in (HEADLINE / FILE).read_text().splitlines()]
    with RunWriter(tmp_path, RunHeader.from_json(lines[0])) as writer:
        for line in lines[1:]:
            writer.append(record_of(line))
    written = [json.loads(line) for line in (writer.path / FILE).read_text().splitlines()]
    # A column that came later is written as unknown.
    known = [{name: new[name] for name in old} for old, new in zip(lines, written, strict=True)]
    assert known == lines
    assert all(
        not new[name] for old, new in zip(lines, written, strict=True) for name in {*new} - {*old}
    )


def test_the_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    assert write(tmp_path / "a" / "b").is_dir()


def test_runs_that_start_in_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: write(tmp_path), range(24)))
    assert len(set(paths)) == 24
    assert {read_records(path).header.id for path in paths} == {path.name for path in paths}
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_a_suite_of_any_name_makes_a_plain_folder_name(tmp_path: Path) -> None:
    assert write(tmp_path, suite="../my suite: größer").name == "20261120-104212-my-suite-größer"
    assert write(tmp_path, suite="", started="").name == "run"


def test_numpy_values_paths_and_nonfinite_numbers_can_be_written(tmp_path: Path) -> None:
    with RunWriter(tmp_path, header(seed=np.int64(3))) as writer:
        writer.append(record_of(cell("fft", error_over_bound=np.float32(np.inf))))
        samples = {"fft": np.array([1e-3, np.nan])}
        writer.append(record_of({**PASS, "samples_s": samples}))
    run = read_records(writer.path)
    assert run.header.seed == 3
    assert run.passes[0].samples_s == {"fft": [1e-3, None]}
    assert run.cells[0].error_over_bound == math.inf


def test_every_record_is_on_the_disk_at_once(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, header())
    for count in range(1, 4):
        writer.append(record_of(cell("fft")))
        assert len(read_records(writer.path).cells) == count
    writer.close()
    writer.close()
    with pytest.raises(ConvbenchError, match="closed"):
        writer.append(record_of(cell("fft")))


def test_a_whole_run_appears_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def watched(descriptor: int) -> None:
        seen.append([len(read_records(path).cells) for path in folder.glob("[!.]*")])

    run, folder = read_records(write(tmp_path, cells=3)), tmp_path / "copies"
    seen: list[list[int]] = []
    monkeypatch.setattr(os, "fsync", watched)
    copy = read_records(write_records(folder, run))
    assert seen == [[], [3]]  # the file, then the folder
    assert (copy.cells, copy.end) == (run.cells, run.end)


def test_a_run_without_an_end_is_unfinished(tmp_path: Path) -> None:
    run = read_records(write(tmp_path, end=False))
    assert run.end is None
    assert run.status == "unfinished"


@pytest.mark.parametrize("torn", [b'{"record": "ce', b'{"record": "cell"}', b"\xff\xfe"])
def test_a_last_line_that_is_cut_off_is_ignored(tmp_path: Path, torn: bytes) -> None:
    path = write(tmp_path, end=False)
    with (path / FILE).open("ab") as file:
        file.write(torn)
    assert len(read_records(path).cells) == 2


def test_a_file_cut_anywhere_still_gives_its_whole_lines(tmp_path: Path) -> None:
    path = write(tmp_path)
    content = (path / FILE).read_bytes()
    first = content.index(b"\n") + 1
    for length in range(first, len(content), 97):
        (path / FILE).write_bytes(content[:length])
        whole = content[:length].count(b"\n") - 1
        assert len(read_records(path).cells) == min(whole, 2)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"oops", "line 3: not a line of JSON"),
        (b"\xff\xfe", "line 3: not a line of JSON"),
        (b"[1]", "line 3: expected one JSON object"),
        (b'{"record": "lunch"}', "line 3: a record of kind 'lunch'"),
        (b'{"record": "cell"}', "line 3: the cell has no 'suite'"),
    ],
)
def test_any_other_bad_line_is_named(tmp_path: Path, line: bytes, complaint: str) -> None:
    path = write(tmp_path)
    lines = (path / FILE).read_bytes().split(b"\n")
    lines[2] = line
    (path / FILE).write_bytes(b"\n".join(lines))
    with pytest.raises(ConvbenchError, match=complaint) as caught:
        read_records(path)
    assert str(path / FILE) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"threads": "1"}, "threads '1' is not of the expected type"),
        ({"status": "okay"}, "status 'okay' is not known; did you mean 'ok'"),
        ({"record": "pass"}, "the pass has no 'pass'"),
        ({**PASS, "samples_s": {"fft": [1e-3, "fast"]}}, "sample 'fast' is not a time"),
        ({**PASS, "samples_s": {"fft": [0.0]}}, "sample 0.0 is not a time"),
    ],
)
def test_a_cell_that_makes_no_sense_is_named(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    path = write(tmp_path, cells=0, end=False)
    with (path / FILE).open("a") as file:
        file.write(json.dumps({**cell("fft"), **change}) + "\n")
    with pytest.raises(ConvbenchError, match=complaint):
        read_records(path)


def test_a_later_format_asks_for_an_update(tmp_path: Path) -> None:
    path = write(tmp_path)
    lines = (path / FILE).read_text().split("\n")
    lines[0] = json.dumps({**json.loads(lines[0]), "schema": SCHEMA + 1})
    (path / FILE).write_text("\n".join(lines))
    with pytest.raises(ConvbenchError, match=r"format 3.*reads format 2; update convbench"):
        read_records(path)


def test_what_is_no_run_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConvbenchError, match=r"no run here"):
        read_records(tmp_path)
    (tmp_path / FILE).write_text("")
    with pytest.raises(ConvbenchError, match="holds no record"):
        read_records(tmp_path)
    (tmp_path / FILE).write_text('{"record": "cell"}\n')
    with pytest.raises(ConvbenchError, match="line 1: expected the record that opens a run"):
        read_records(tmp_path)


class FullDisk:
    """Substitute for `os.write` on a disk with room for `room` more bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.write = os.write

    def __call__(self, descriptor: int, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self.write(descriptor, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_is_one_sentence_and_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    with RunWriter(tmp_path, header()) as writer:
        writer.append(record_of(cell("fft")))
        before = (writer.path / FILE).read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", FullDisk(room))
            with pytest.raises(ConvbenchError, match="the disk is full"):
                writer.append(record_of(cell("im2col")))
        assert (writer.path / FILE).read_bytes() == before
        writer.append(record_of(cell("naive")))
    assert [c.algorithm for c in read_records(writer.path).cells] == ["fft", "naive"]


def test_ctrl_c_in_mid_write_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(descriptor: int, data: memoryview) -> int:
        real(descriptor, data[:7])
        raise KeyboardInterrupt

    real = os.write
    with RunWriter(tmp_path, header()) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                writer.append(record_of(cell("fft")))
        writer.append(EndRecord(status="interrupted"))
    assert read_records(writer.path).status == "interrupted"


def test_a_disk_that_is_full_from_the_start_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConvbenchError, match="the disk is full"):
        RunWriter(tmp_path / "runs", header())
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvbenchError, match=r"file.* cannot be written: .*; choose a folder"):
        RunWriter(tmp_path / "file", header())


def test_latest_goes_by_the_start_of_the_run(tmp_path: Path) -> None:
    write(tmp_path, id="zz-reference", started="2026-11-01T00:00:00")
    newest = write(tmp_path, started="2026-11-21T08:00:00")
    write(tmp_path, started="2026-11-20T08:00:00")
    (tmp_path / ".new-left-behind").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / FILE).write_text('{"record"')
    assert latest(tmp_path) == newest
    assert results.latest(tmp_path) == newest


def test_no_runs_yet_says_how_to_start_one(tmp_path: Path) -> None:
    for search in (latest, lambda folder: find(folder, "quick")):
        for folder in (tmp_path, tmp_path / "missing"):
            with pytest.raises(ConvbenchError, match=r"no runs yet.*`convbench run`"):
                search(folder)


def test_find_takes_id_beginning_suite_and_path(tmp_path: Path) -> None:
    old = write(tmp_path, started="2026-11-19T08:00:00")
    new = write(tmp_path, started="2026-11-20T08:00:00")
    photo = write(tmp_path, suite="photo", started="2026-11-21T08:00:00")
    assert find(tmp_path, old.name) == old
    assert find(tmp_path, "20261119") == old
    assert find(tmp_path, "quick") == new
    assert find(tmp_path, "photo") == photo
    assert find(tmp_path, str(old)) == old
    assert find(tmp_path / "elsewhere", str(old / FILE)) == old
    assert results.find("photo", tmp_path) == photo


def test_find_explains_what_it_did_not_find(tmp_path: Path) -> None:
    write(tmp_path, started="2026-11-20T08:00:00")
    write(tmp_path, suite="photo", started="2026-11-20T09:00:00")
    with pytest.raises(ConvbenchError, match="did you mean 'photo'"):
        find(tmp_path, "foto")
    with pytest.raises(ConvbenchError, match=r"2 runs begin with '20261120'.*give more of the id"):
        find(tmp_path, "20261120")
    with pytest.raises(ConvbenchError, match=r"holds no records\.jsonl"):
        find(tmp_path, str(tmp_path))


def test_importing_results_loads_neither_pandas_nor_matplotlib() -> None:
    import subprocess
    import sys

    code = "import sys, results; assert not {'pandas', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
