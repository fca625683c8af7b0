"""The HTML page of a run: complete, inert, and without a request."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from synthetic import cell, grid, troubled, write_run

from algos.core.problem import Problem
from results.page.page import page_html, shades
from results.tables.summary import Entry, Row, summary
from results.tables.table import read

HOSTILE = "<script>alert(1)</script>"


class Elements(HTMLParser):
    """Start tags of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def page(folder: Path, cells: list[dict[str, Any]], **changes: Any) -> str:
    return page_html(read(write_run(folder, cells, **changes)), [], {"cpu": "a <b> & c"})


def test_every_cell_of_the_run_is_on_the_page(tmp_path: Path) -> None:
    run = write_run(tmp_path, grid((64, 128), (3,)) + troubled())
    frame = read(run)
    text = page_html(frame, [], {})
    rows = text.split('id="cells"')[1].split("</table>")[0].count("<tr>") - 1
    assert rows == len(frame)
    assert all(row.label in text for row in summary(frame))
    assert "FAILED" in text
    assert "Why some cells have no time" in text


def test_the_page_asks_for_nothing_over_the_network(tmp_path: Path) -> None:
    elements = Elements(page(tmp_path, grid((64,), (3,))))
    policies = [a.get("content") or "" for tag, a in elements.tags if tag == "meta"]
    assert any(policy.startswith("default-src 'none'") for policy in policies)
    for _, attributes in elements.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    problem = Problem(size=(64, 64), kernel=3, padding="same")
    cells = [cell(name, problem) for name in (HOSTILE, 'a"b', "\u05d0\u202e", "x" * 10_000)]
    plain = Elements(page(tmp_path / "plain", grid((64,), (3,))))
    text = page(tmp_path / "hostile", cells, title=HOSTILE, question=HOSTILE)
    assert Elements(text).count("script") == plain.count("script") == 1
    assert Elements(text).count("b") == 0
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize("cells", [[], [cell("naive", status="failed", reason="it crashed")]])
def test_a_run_without_times_has_a_page(tmp_path: Path, cells: list[dict[str, Any]]) -> None:
    text = page(tmp_path, cells)
    assert "Nothing was timed" in text
    assert "nan" not in re.sub("<script>.*?</script>", "", text, flags=re.DOTALL)


def test_shades_follow_the_ratio_to_the_fastest() -> None:
    times = {"fft": 1.0, "near": 1.1, "far": 5.0, "hopeless": 1e3}
    entries = {name: Entry(time, 1.0, "ok") for name, time in times.items()}
    entries["broken"] = Entry(float("nan"), 1.0, "failed")
    cells = shades(Row("512²", 1, entries, "fft", rivals=("near",)), [*entries, "absent"])
    assert [found.step for found in cells] == [0, 1, 3, 5, None, None]
    assert [found.glyph for found in cells] == ["?", "?", "▃", "▇", "", ""]
    assert [found.text for found in cells][1:3] == ["1.10×", "5.0×"]
    assert cells[4].text == "FAILED"
