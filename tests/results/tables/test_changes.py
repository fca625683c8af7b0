"""Comparisons of invented runs: every verdict and format, and what cannot be compared."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from synthetic import ENVIRONMENT, LAYERS, cell, write_run

from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from results.page.changes import changes_page
from results.records.records import read_records
from results.records.run import RunRecords
from results.tables.changes import compare_in_turns, compare_runs
from results.tables.changes_text import as_json, as_markdown, show
from results.tables.comparison import Comparison
from results.tables.matched import KEY

SIZES = (16, 32, 48, 64)
#: Factors of the second run, one for each problem of `SIZES`.
FACTORS = (1.3, 1 / 1.3, 1.0, 1.0)
OTHER_MACHINE = {**ENVIRONMENT, "cpu": "Ampere Altra", "host": "server"}


def problem(size: int) -> Problem:
    return Problem(size=(size, size), kernel=3)


def run(
    folder: Path,
    factors: tuple[float, ...] = (1.0,) * len(SIZES),
    *,
    seed: int = 0,
    spread: float = 0.003,
    passes: int = 10,
    algorithms: tuple[str, ...] = ("naive", "parallel"),
    more: tuple[dict[str, Any], ...] = (),
    **changes: Any,
) -> RunRecords:
    """Write a run in which ``parallel`` takes `factors` times 1 ms; ``naive`` does not change."""
    rng = np.random.default_rng(seed)
    cells = [
        cell(
            name, problem(size),
            samples=(2e-3 if name == "naive" else 1e-3 * factor)
            * np.exp(rng.normal(0, spread, passes)),
        )
        for size, factor in zip(SIZES, factors, strict=True)
        for name in algorithms
    ]  # fmt: skip
    return read_records(write_run(folder, [*cells, *more], **changes))


def pair(folder: Path, **later: Any) -> list[RunRecords]:
    """Return a run, and a later one with `FACTORS`."""
    return [run(folder), run(folder, FACTORS, seed=1, **later)]


def of(found: Comparison, size: int, algorithm: str = "parallel") -> Any:
    rows = found.rows
    (row,) = rows[
        (rows["algorithm"] == algorithm) & rows["problem"].str.contains(f"ih{size}_")
    ].to_dict("records")
    return row


def test_every_verdict(tmp_path: Path) -> None:
    blurred = cell("parallel", LAYERS[0], samples=[1e-3, 2e-3] * 5)
    found = compare_runs(
        [run(tmp_path, more=(blurred,)), run(tmp_path, FACTORS, seed=1, more=(blurred,))]
    )
    assert found.counts == {"slower": 1, "faster": 1, "equivalent": 6, "undecided": 1}
    assert of(found, 16)["verdict"] == "slower"
    assert of(found, 16)["change"] == pytest.approx(1.3, rel=0.01)
    assert of(found, 16)["low"] < 1.3 < of(found, 16)["high"]
    assert of(found, 32)["verdict"] == "faster"
    assert found.rows["verdict"].tolist() == [
        "slower", "faster", "undecided", *["equivalent"] * 6,
    ]  # fmt: skip
    assert found.headline == "1 slower, 1 faster, 1 undecided, 6 equivalent of 9 matched cells"
    assert "at most 5 % are expected to be false alarms: 0.4." in found.false_alarms


def test_the_mean_is_over_matched_cells_alone(tmp_path: Path) -> None:
    alone = cell("fft", LAYERS[0], samples=[9.0] * 10)
    found = compare_runs([run(tmp_path), run(tmp_path, (2.0,) * 4, seed=1, more=(alone,))])
    assert found.mean(found.names[1]) == pytest.approx(2**0.5, rel=0.01)


def test_differences_are_named_by_kind(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "numba": "0.65.1"}
    runs = [
        run(tmp_path, settings={"cold_cache": False, "budget": 60.0}),
        run(tmp_path, seed=1, threads=[1, 2], environment=environment,
            settings={"cold_cache": True, "budget": 60.0}),
    ]  # fmt: skip
    found = compare_runs(runs)
    assert found.differences[found.names[1]] == {
        "versions": ["numba was 0.61.0, is 0.65.1"],
        "threads": ["threads was 1, is 1,2"],
        "settings": ["cold cache was False, is True"],
    }
    assert found.baseline == ""


def test_across_machines_times_are_relative_to_the_baseline(tmp_path: Path) -> None:
    """The other machine is twice as fast in everything but one problem."""
    factors = (1.0, 1.3, 1.0, 1.0)
    other = run(tmp_path, factors, seed=1, environment=OTHER_MACHINE)
    halved = [
        replace(one, samples_s={n: [s / 2 for s in taken] for n, taken in one.samples_s.items()})
        for one in other.passes
    ]
    found = compare_runs([run(tmp_path), replace(other, passes=halved)])
    assert found.baseline == "naive"
    assert "cpu was AMD EPYC 9B14, is Ampere Altra" in found.differences[found.names[1]]["machine"]
    assert set(found.rows["algorithm"]) == {"parallel"}
    assert found.counts == {"slower": 1, "equivalent": 3}
    assert of(found, 32)["before"] == pytest.approx(0.5, rel=0.01)
    assert of(found, 32)["after"] == pytest.approx(0.65, rel=0.01)
    assert "relative to naive" in as_markdown(found)


def test_machines_without_a_common_baseline_are_not_compared(tmp_path: Path) -> None:
    runs = [run(tmp_path), run(tmp_path, environment=OTHER_MACHINE, baseline="parallel")]
    with pytest.raises(ConvbenchError, match="their baselines are naive and parallel"):
        compare_runs(runs)
    assert len(compare_runs(runs, baseline="naive").rows) == 4
    with pytest.raises(ConvbenchError, match="no time of the baseline 'fft'"):
        compare_runs(runs, baseline="fft")


def test_unmatched_cells_are_listed(tmp_path: Path) -> None:
    refused = cell("fft", problem(16), status="refused", reason="would need 12.4 GiB")
    wrong = cell("im2col", problem(16), status="failed", reason="17 times its bound")
    fine = [cell(name, problem(16), samples=[1e-3] * 6) for name in ("fft", "im2col", "low-rank")]
    first, second = run(tmp_path, more=tuple(fine)), run(tmp_path, seed=1, more=(refused, wrong))
    found = compare_runs([first, second])
    before, after = found.names
    assert [sentence.split(":")[0] for sentence in found.unmatched] == [
        f"FAILED in {after} (17 times its bound)", f"too big in {after} (would need 12.4 GiB)",
        f"only in {before}",
    ]  # fmt: skip
    assert found.unmatched[2].endswith("low-rank on 16² · 3²")
    assert found.broken == 1
    assert compare_runs([second, first]).broken == 0


def test_several_runs_are_compared_with_the_first(tmp_path: Path) -> None:
    runs = [run(tmp_path), *(run(tmp_path, (f,) * 4, seed=s) for s, f in ((1, 1.1), (2, 1.2)))]
    found = compare_runs(runs)
    assert [round(found.mean(name) ** 2, 2) for name in found.names[1:]] == [1.1, 1.2]
    assert found.counts == {"slower": 8, "equivalent": 8}
    assert f"| {found.names[2]} |" in as_markdown(found)


def test_a_shift_of_all_cells_is_taken_out_where_asked(tmp_path: Path) -> None:
    both = (1.1 * 1.1, 1.1, 1.1, 1.1)
    later = run(tmp_path, both, seed=1)
    moved = [
        replace(one, samples_s={
            name: [s * (1.1 if name == "naive" else 1.0) for s in taken]
            for name, taken in one.samples_s.items()
        })
        for one in later.passes
    ]  # fmt: skip
    runs = [run(tmp_path), replace(later, passes=moved)]
    assert compare_runs(runs).counts == {"slower": 8}
    found = compare_runs(runs, beyond_shift=True)
    assert found.counts == {"slower": 1, "equivalent": 7}
    assert re.search(r"\+(9\.9|10\.\d) %, is taken out", " ".join(found.notes))
    few = [run(tmp_path, algorithms=("parallel",), seed=seed) for seed in (0, 1)]
    with pytest.raises(ConvbenchError, match="too few to tell a shift"):
        compare_runs(few, beyond_shift=True)


def test_withheld_verdicts_stay_withheld(tmp_path: Path) -> None:
    found = compare_runs(pair(tmp_path, withheld="the audit failed"))
    assert found.counts == {"withheld": 8}
    assert any("the audit failed" in note for note in found.notes)


def test_the_minimum_effect_is_the_largest_of_the_runs(tmp_path: Path) -> None:
    assert compare_runs(pair(tmp_path, min_effect=0.4)).counts == {"equivalent": 8}
    assert compare_runs(pair(tmp_path, min_effect=0.4), min_effect=0.1).counts["slower"] == 1


def test_runs_that_share_nothing_are_not_compared(tmp_path: Path) -> None:
    other = read_records(write_run(tmp_path, [cell("naive", LAYERS[0], samples=[1.0] * 5)]))
    with pytest.raises(ConvbenchError, match="share no cell with a time"):
        compare_runs([run(tmp_path), other])


def test_an_audit_is_not_compared(tmp_path: Path) -> None:
    twice = [cell("naive", LAYERS[0], samples=[1e-3] * 5) for _ in range(2)]
    audit = read_records(write_run(tmp_path, twice, suite="audit"))
    apart = [replace(one, group=at) for at, one in enumerate(audit.cells)]
    audit = replace(audit, cells=apart)
    with pytest.raises(ConvbenchError, match="holds cells twice"):
        compare_runs([audit, run(tmp_path)])


def test_a_run_is_given_once(tmp_path: Path) -> None:
    one = run(tmp_path)
    with pytest.raises(ConvbenchError, match="was given twice"):
        compare_runs([one, one])


def test_verdicts_of_a_session_are_shown_as_they_are(tmp_path: Path) -> None:
    runs = pair(tmp_path)
    keys = [tuple(getattr(one, name) or "" for name in KEY) for one in runs[0].cells]
    found = compare_in_turns(*runs, dict.fromkeys(keys, ("undecided", "within the noise")), ["hm"])
    assert found.counts == {"undecided": 8}
    assert of(found, 16)["change"] == pytest.approx(1.3, rel=0.02)
    assert "undecided: within the noise" in as_markdown(found)
    assert "hm" in as_markdown(found)


def shown(found: Comparison) -> str:
    console = Console(file=io.StringIO(), width=160)
    show(found, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_terminal_names_differences_first_and_counts_what_stayed(tmp_path: Path) -> None:
    found = compare_runs(pair(tmp_path, environment={**ENVIRONMENT, "numba": "0.65.1"}))
    text = shown(found)
    assert text.index("numba was 0.61.0") < text.index("Geometric mean") < text.index("16² · 3²")
    assert re.search(r"16² · 3² +parallel .* 1.30 ms +\+\d+\.\d % .* slower", text)
    assert "6 equivalent" in text
    assert "64² · 3²" not in text


def test_markdown_holds_all_cells_and_no_markup_of_names(tmp_path: Path) -> None:
    odd = replace(problem(16), name="<b>a|b</b>", size=(17, 17))
    more = (cell("naive", odd, samples=[1e-3] * 6),)
    text = as_markdown(compare_runs([run(tmp_path, more=more), run(tmp_path, seed=1, more=more)]))
    assert "&lt;b>a\\|b&lt;/b>" in text
    assert "<b>" not in text
    assert "<details><summary>9 equivalent</summary>" in text


@pytest.mark.parametrize("most", [1_000, 2_000, 65_000])
def test_markdown_is_cut_to_size_and_says_so(tmp_path: Path, most: int) -> None:
    found = compare_runs(pair(tmp_path))
    many = replace(found, rows=found.rows.loc[found.rows.index.repeat(200)])
    text = as_markdown(many, most)
    assert len(text.encode()) <= most
    left = re.search(r"(\d+) more lines did not fit", text)
    assert left
    assert int(left[1]) + sum(" ms | " in line for line in text.split("\n")) == 1600


def test_json_holds_every_row(tmp_path: Path) -> None:
    found = compare_runs(pair(tmp_path))
    content = json.loads(as_json(found))
    assert content["counts"]["slower"] == 1
    assert content["runs"] == list(found.names)
    assert len(content["rows"]) == 8
    assert content["rows"][0]["verdict"] == "slower"
    assert content["rows"][0]["change"] == pytest.approx(1.3, rel=0.02)


def test_the_page_is_one_file_without_scripts(tmp_path: Path) -> None:
    odd = replace(problem(16), name="<script>x</script>", size=(17, 17))
    more = (cell("naive", odd, samples=[1e-3] * 6),)
    found = compare_runs([run(tmp_path, more=more), run(tmp_path, FACTORS, seed=1, more=more)])
    page = changes_page(found)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert page.count("<circle") == 9
    assert '<tr class="slower">' in page
    assert "1 slower, 1 faster, 7 equivalent of 9 matched cells" in page
