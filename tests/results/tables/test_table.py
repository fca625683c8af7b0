"""The table of a run, its files, and the summary in the terminal."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from synthetic import ALGORITHMS, cell, grid, layers, measured, troubled, write_run

import results
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from results.records.columns import DEFINED
from results.tables.export import markdown_table, write_tables
from results.tables.summary import reasons, summary, verdicts
from results.tables.table import COLUMNS, folded_reasons, read
from results.tables.terminal import show

IMAGE = Problem(size=(64, 64), kernel=5, padding="same")
ASKED = {
    "suite", "problem", "operation", "algorithm", "dtype", "threads", "status", "reason",
    "time_s", "time_low_s", "time_high_s", "compile_s", "prepare_s", "first_call_s", "gflops",
    "workspace_bytes", "error_over_bound", "samples",
}  # fmt: skip


def table(folder: Path, cells: list[dict], **changes: object) -> pd.DataFrame:
    return results.read(write_run(folder, cells, **changes))


def printed(frame: pd.DataFrame, width: int) -> str:
    out = io.StringIO()
    show(frame, Console(file=out, width=width))
    return out.getvalue()


def test_one_row_a_cell_with_the_columns_that_were_promised(tmp_path: Path) -> None:
    cells = layers((1, 2)) + troubled()
    frame = table(tmp_path, cells)
    assert len(frame) == len(cells)
    assert list(frame.columns) == list(COLUMNS)
    assert set(frame.columns) >= ASKED
    assert {name: str(frame[name].dtype) for name in COLUMNS} == COLUMNS


def test_the_run_is_in_the_attributes(tmp_path: Path) -> None:
    frame = table(tmp_path, measured(IMAGE), end="interrupted")
    assert frame.attrs["id"] == "20261120-104212-quick"
    assert frame.attrs["baseline"] == "naive"
    assert frame.attrs["status"] == "interrupted"
    assert frame.attrs["environment"]["cpu"] == "AMD EPYC 9B14"
    assert Path(frame.attrs["path"]) == tmp_path / frame.attrs["id"]


def test_a_cell_is_computed_from_its_samples(tmp_path: Path) -> None:
    taken = [4e-3, 1e-3, None, 2e-3]
    row = table(tmp_path, [cell("fft", IMAGE, samples=taken)]).iloc[0]
    assert row["time_s"] == pytest.approx(2e-3)  # the geometric mean of the passes
    assert row["time_s"] ** 2 == pytest.approx(row["time_low_s"] * row["time_high_s"])
    assert (row["passes"], row["blocks"]) == (3, 3)
    np.testing.assert_equal(row["samples"], ((4e-3,), (1e-3,), (math.nan,), (2e-3,)))
    assert row["gflops"] == pytest.approx(2 * IMAGE.multiply_adds / 2e-3 / 1e9)
    assert (row["input_size"], row["kernel_size"], row["stride"]) == ("64x64", "5x5", "1x1")
    assert math.isnan(row["speedup"])  # the baseline was not measured


def test_sizes_are_numbers_that_sort_and_no_column_hides_an_attribute(tmp_path: Path) -> None:
    sizes = (256, 64, 1024, 512)
    cells = [cell("fft", Problem(size=(2 * n, n), kernel=(5, 3))) for n in sizes]
    cells.append(cell("fft", Problem(size=(99,), kernel=7)))
    frame = table(tmp_path, cells)
    assert frame.sort_values("input_width")["input_width"].to_list() == [64, 99, 256, 512, 1024]
    assert frame["input_height"].to_list() == [512, 128, 2048, 1024, 1]
    assert frame["kernel_height"].to_list() == [5, 5, 5, 5, 1]
    assert frame["kernel_width"].to_list() == [3, 3, 3, 3, 7]
    assert (frame["input_depth"] == 1).all()
    assert frame["output_width"].to_list() == [254, 62, 1022, 510, 93]
    assert frame.size == frame.shape[0] * frame.shape[1]
    assert not [name for name in frame.columns if hasattr(pd.DataFrame, name)]


def test_every_column_has_a_meaning_and_is_in_the_docstring() -> None:
    assert len({column.name for column in DEFINED}) == len(DEFINED)
    for column in DEFINED:
        assert column.meaning
        assert f"- ``{column.name}``" in str(read.__doc__)
    assert "{columns}" not in str(read.__doc__)


def test_samples_in_long_form(tmp_path: Path) -> None:
    cells = [cell("fft", IMAGE, samples=[4e-3, None, 2e-3]), cell("naive", IMAGE, samples=[8e-3]),
             cell("im2col", IMAGE, status="failed", reason="no")]  # fmt: skip
    path = write_run(tmp_path, cells)
    long = results.samples(path)
    fft = long[long["algorithm"] == "fft"]
    assert fft["pass"].to_list() == [0, 2]
    assert fft["block"].to_list() == [0, 0]
    assert fft["sample_index"].to_list() == [0, 1]
    assert fft["seconds"].to_list() == [4e-3, 2e-3]
    assert long["algorithm"].to_list() == ["fft", "fft", "naive"]
    assert set(long["label"]) == set(results.read(path)["label"])
    assert long.attrs["id"] == path.name
    assert results.samples(write_run(tmp_path, [])).empty


def test_the_interval_of_two_passes_is_not_shown(tmp_path: Path) -> None:
    cells = [cell("naive", IMAGE, samples=[1e-3, 1.1e-3]), cell("fft", IMAGE, samples=[1e-3] * 3)]
    lines = markdown_table(table(tmp_path, cells)).splitlines()
    assert [line.split(" | ")[4] for line in lines[2:4]] == ["1.00 ms", "–"]


def test_speedups_are_paired_block_by_block(tmp_path: Path) -> None:
    drift = [1.0, 5.0, 2.0, 9.0, 3.0, 1.5, 4.0]
    frame = table(
        tmp_path,
        [
            cell("naive", IMAGE, samples=[8e-3 * d for d in drift]),
            cell("fft", IMAGE, samples=[2e-3 * d for d in drift]),
        ],
    ).set_index("algorithm")
    assert frame.loc["fft", ["speedup", "speedup_low", "speedup_high"]].to_list() == (
        pytest.approx([4.0, 4.0, 4.0])
    )
    assert frame.loc["naive", "speedup"] == pytest.approx(1.0)
    assert frame.loc["fft", "time_high_s"] > 10e-3
    assert frame.loc["fft", "verdict"] == "faster"
    assert frame.loc["naive", "verdict"] == ""


def test_speedups_never_mix_threads_data_or_dtype(tmp_path: Path) -> None:
    double = Problem(size=(64, 64), kernel=5, padding="same", dtype="float64")
    variants = [
        (IMAGE, {"threads": 1}), (IMAGE, {"threads": 2}), (IMAGE, {"weights": "gaussian"}),
        (IMAGE, {"pixels": "mri"}), (double, {}),
    ]  # fmt: skip
    cells = []
    for factor, (problem, fields) in enumerate(variants, start=2):
        cells.append(cell("naive", problem, samples=[1e-3 * factor] * 3, **fields))
        cells.append(cell("fft", problem, samples=[1e-3] * 3, **fields))
    frame = table(tmp_path, cells)
    fast = frame[frame["algorithm"] == "fft"]
    assert fast["speedup"].to_list() == pytest.approx([2, 3, 4, 5, 6])
    assert fast["winner"].all()


def test_the_baseline_is_the_run_s(tmp_path: Path) -> None:
    frame = table(tmp_path, measured(IMAGE), baseline="fft").set_index("algorithm")
    assert frame.loc["fft", "speedup"] == pytest.approx(1.0)
    times = frame["time_s"]
    assert frame.loc["naive", "speedup"] == pytest.approx(times["fft"] / times["naive"], rel=0.2)


def test_the_winner_and_those_it_may_not_have_beaten(tmp_path: Path) -> None:
    frame = table(
        tmp_path,
        [
            cell("naive", IMAGE, samples=[9.0] * 7),
            cell("fft", IMAGE, samples=[1.0, 1.1, 1.0, 1.2, 1.0, 1.1, 1.0]),
            cell("im2col", IMAGE, samples=[1.1, 1.0, 1.1, 1.1, 1.1, 1.2, 1.1]),
            cell("parallel", IMAGE, status="failed", reason="wrong result"),
        ],
    ).set_index("algorithm")
    assert frame.index[frame["winner"]].to_list() == ["fft"]
    assert not frame.loc["fft", "decided"]
    assert frame.loc["fft", "rivals"] == "im2col"
    assert not frame.loc["naive", "decided"]


def test_an_algorithm_alone_wins_and_nobody_wins_where_nothing_was_timed(tmp_path: Path) -> None:
    other = Problem(size=(32, 32), kernel=3)
    frame = table(
        tmp_path,
        [cell("fft", IMAGE), cell("fft", other, status="refused", reason="too much memory")],
    )
    assert frame["winner"].to_list() == [True, False]
    assert frame["decided"].to_list() == [True, False]


def test_what_was_not_measured_is_nan_and_has_its_reason(tmp_path: Path) -> None:
    frame = table(tmp_path, troubled())
    rest = frame[frame["status"] != "ok"]
    assert len(rest) == 4
    assert (
        rest[["time_s", "gflops", "speedup", "compile_s", "workspace_bytes"]].isna().all(axis=None)
    )
    assert (rest["reason"].str.len() > 10).all()
    assert rest["samples"].map(len).eq(0).all()


def test_a_cell_that_was_ok_but_gave_no_sample_has_no_time(tmp_path: Path) -> None:
    row = table(tmp_path, [cell("fft", IMAGE, samples=[None, None])]).iloc[0]
    assert math.isnan(row["time_s"])
    assert not row["winner"]


def test_what_the_processor_counted_is_in_the_row_where_it_told(tmp_path: Path) -> None:
    told, silent, old = (cell(name, IMAGE) for name in ALGORITHMS[:3])
    told["counters"] = {"cycles": 2e6, "instructions": 5e6, "instructions_per_cycle": 2.5}
    silent["counters"] = {}
    frame = table(tmp_path, [told, silent, old])
    assert frame["instructions_per_cycle"].iloc[0] == 2.5
    counted = ["cycles", "instructions", "instructions_per_cycle", "l1_misses", "llc_misses"]
    assert frame[counted].notna().sum().tolist() == [1, 1, 1, 0, 0]


def test_a_cell_measured_again_replaces_the_earlier_one(tmp_path: Path) -> None:
    frame = table(
        tmp_path,
        [cell("fft", IMAGE, status="failed", reason="crashed"), cell("fft", IMAGE)],
    )
    assert frame["status"].to_list() == ["ok"]


def test_infinite_error_over_bound_survives(tmp_path: Path) -> None:
    frame = table(tmp_path, [cell("fft", IMAGE, error_over_bound=math.inf)])
    assert frame["error_over_bound"].to_list() == [math.inf]


def test_an_empty_run_is_an_empty_table_with_every_column(tmp_path: Path) -> None:
    frame = table(tmp_path, [], end=None)
    assert frame.empty
    assert list(frame.columns) == list(COLUMNS)
    assert frame.attrs["status"] == "unfinished"
    assert "no cell" in verdicts(frame)[0]
    assert "no cell" in printed(frame, 80)
    assert markdown_table(frame) == "No cell was measured.\n"


def test_labels_are_short_and_tell_every_problem_from_every_other(tmp_path: Path) -> None:
    def image(**fields: object) -> Problem:
        return Problem(**{"size": (64, 64), "kernel": 5, "padding": "same", **fields})

    problems = [
        image(), image(padding=0), image(stride=2), image(batch=4), image(dtype="float64"),
        image(in_channels=3, out_channels=8), image(in_channels=8, out_channels=8, groups=8),
        image(dilation=2), image(flip=True), image(name="edges"), image(kernel=(5, 1)),
        Problem(size=(64,), kernel=5, name="fir"), Problem(size=(99,), kernel=5, name="fir"),
        image(in_channels=3, name="conv1"),
        image(in_channels=3, name="conv1", layout="channels_last"),
    ]  # fmt: skip
    cells = [cell("fft", problem) for problem in problems]
    cells += [cell("fft", IMAGE, weights=w) for w in ("gaussian", "gaussian:5", "/tmp/w.npy")]
    labels = table(tmp_path, cells)["label"].to_list()
    assert len(set(labels)) == len(labels)
    for expected in (
        "64² · 5², 3→8 ch", "64² · 5², 8 ch depthwise", "64² · 5², 1 ch, stride 2", "edges",
        "64² · 5×1, 1 ch", "fir, 64 · 5, 1 ch", "64² · gaussian 5², 1 ch",
        "64² · gaussian:5, 1 ch", "64² · w.npy 5², 1 ch",
    ):  # fmt: skip
        assert any(label.startswith(expected) for label in labels), (expected, labels)
    conv1 = "conv1, 64² · 5², 3→1 ch, batch 1, float32"
    assert labels[13:15] == [conv1, conv1.replace(" ch,", " ch, channels last,")]


def test_plain_sweeps_have_plain_labels(tmp_path: Path) -> None:
    labels = set(table(tmp_path, grid((64, 128), (3,)))["label"])
    assert labels == {"64² · 3²", "128² · 3²"}


def test_the_csv_reads_back_with_every_number(tmp_path: Path) -> None:
    frame = table(tmp_path, layers() + troubled())
    csv, markdown = write_tables(frame, tmp_path / "out")
    assert [path.name for path in (csv, markdown)] == ["table.csv", "table.md"]
    back = pd.read_csv(csv, keep_default_na=False, na_values={"time_s": [""]})
    assert list(back.columns) == list(frame.columns)
    np.testing.assert_allclose(back["time_s"], frame["time_s"], rtol=1e-8)
    assert back["label"].to_list() == frame["label"].to_list()
    assert len(str(back["samples"].iloc[0]).split(" ")) == frame["blocks"].iloc[0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["table.csv", "table.md"]


def test_the_markdown_puts_the_fastest_on_top_in_bold(tmp_path: Path) -> None:
    problem = Problem(size=(64, 64), kernel=5, name="a|b")
    text = markdown_table(table(tmp_path, measured(problem)))
    lines = text.splitlines()
    assert len({line.replace(r"\|", "").count("|") for line in lines[:6]}) == 1
    assert lines[2].startswith(r"| a\|b | 1 | **parallel** | **")
    assert "cannot" in lines[6]
    assert lines[-1].startswith("- separable cannot (1 cell): the kernel is no outer product")


def test_tables_that_cannot_be_written_are_a_sentence(tmp_path: Path) -> None:
    frame = table(tmp_path, measured(IMAGE))
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvbenchError, match="cannot be written"):
        write_tables(frame, tmp_path / "file")


def test_reasons_that_differ_in_numbers_are_folded(tmp_path: Path) -> None:
    frame = table(tmp_path, grid((64, 128), (3, 5)) + troubled())
    folded = folded_reasons(frame)
    assert [entry[:3] for entry in folded] == [
        ("fft", "failed", 1),
        ("im2col", "refused", 1),
        ("winograd", "skipped", 1),
        ("separable", "unsupported", 5),
    ]
    assert folded[-1][3].startswith(", for example: the kernel is no outer product")
    assert reasons(frame)[0].startswith("fft FAILED (1 cell): wrong result")


def test_a_reason_that_algorithms_share_is_said_once(tmp_path: Path) -> None:
    late = {"status": "skipped", "reason": "the time is up"}
    cells = [cell(name, IMAGE, **late) for name in ("parallel", "naive", "fft")]
    assert reasons(table(tmp_path, cells)) == [
        "naive, fft, parallel skipped (3 cells): the time is up"
    ]


def test_the_summary_has_a_row_per_problem_and_thread_count(tmp_path: Path) -> None:
    rows = summary(table(tmp_path, layers((1, 2))))
    assert len(rows) == 16
    assert {row.threads for row in rows} == {1, 2}
    for row in rows:
        assert set(row.entries) == set(ALGORITHMS)
        timed = {name: e.time_s for name, e in row.entries.items() if e.status == "ok"}
        assert row.winner == min(timed, key=lambda name: timed[name])
        assert row.entries["separable"].text == "cannot"


def test_the_verdict_counts_winners_and_names_those_who_never_won(tmp_path: Path) -> None:
    frame = table(tmp_path, grid((64, 512), (3, 31)) + grid((512,), (31,), weights=("rank1",)))
    said = verdicts(frame)
    assert said[0] == ("Of 5 problems, parallel was the fastest in 2, fft in 2 and separable in 1.")
    assert "Never the fastest: naive and im2col." in said
    assert "In the 1 of 5 where it has a time, separable was the fastest in 1." in said
    assert any(sentence.startswith("Were one algorithm to do them all") for sentence in said)
    assert any(sentence.startswith("Against naive, the fastest gains") for sentence in said)


def test_the_verdict_tells_thread_counts_apart(tmp_path: Path) -> None:
    said = verdicts(table(tmp_path, layers((1, 2))))
    assert sum(sentence.startswith("Of 8 problems with ") for sentence in said) == 2
    assert any(sentence.startswith("2 threads against 1") for sentence in said)
    assert "Without any time: separable." in said


def test_the_verdict_opens_with_what_went_wrong(tmp_path: Path) -> None:
    said = verdicts(table(tmp_path, troubled(), end="interrupted"))
    assert said[0] == "1 cell FAILED (fft); the reasons are below."
    assert said[1] == "The run was interrupted; what follows is what its 6 cells say."
    assert said[2].startswith("The fastest is parallel: 1.93 ms a call, 13× as fast as naive")


def test_nothing_timed_says_so(tmp_path: Path) -> None:
    frame = table(tmp_path, troubled()[2:])
    assert "Nothing was timed, so nothing can be said." in verdicts(frame)
    assert "cannot" in printed(frame, 100)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_terminal_summary_fits_and_names_every_problem_and_winner(
    tmp_path: Path, width: int
) -> None:
    frame = table(tmp_path, grid((64, 512), (3, 31)) + layers() + troubled())
    text = printed(frame, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text.split("•")[0]
    for label in set(frame["label"]):
        assert label in text or width < 80  # folded
    for name in ("parallel", "fft", "im2col"):
        assert name in text
    assert "GFLOP/s" in text
    assert ("FAILED" in text.split("•")[0]) == (width >= 120)
    assert "separable cannot (" in text


def test_markup_in_a_name_is_text(tmp_path: Path) -> None:
    problem = Problem(size=(64, 64), kernel=5, name="[bold]x[/nothing]")
    assert "[bold]x[/nothing]" in printed(table(tmp_path, measured(problem)), 120)


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_ones_own_algorithm_is_in_every_table(width: int, tmp_path: Path) -> None:
    cells = [
        cell(name, problem=IMAGE, samples=[time] * 3)
        for name, time in zip(
            ("mine", *ALGORITHMS), (9e-3, *np.linspace(1e-3, 8e-3, 5)), strict=True
        )
    ]
    assert "mine" not in printed(table(tmp_path / "a", cells), 60).split("•")[0]
    shown = printed(table(tmp_path / "b", cells, own=["mine"]), width).split("•")[0]
    assert "mine" in shown
    assert "9 ms" in shown or "9.00 ms" in shown
