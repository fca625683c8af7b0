"""The page as text: self-contained, readable without JavaScript, inert for hostile names."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic import LIMITS, cell, grid, layers, measured, troubled, write_run

import results
from algos.core.problem import Problem
from results.page.badges import badges
from results.page.page import page_text, write_page
from results.page.ranking import PENALTY

SMALL = Problem(size=(64, 64), kernel=3)
HOSTILE = (
    "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "</script><b>", "{{ 7 * 7 }}",
    "x" * 10_000, "😀 \u202e fed", "&lt;b&gt;",
)  # fmt: skip


@pytest.fixture(autouse=True)
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave plotly out of the page: five megabytes take long to read."""
    monkeypatch.setattr("results.page.page.get_plotlyjs", lambda: "")


def page_of(folder: Path, cells: list[dict], **changes: object) -> str:
    run = write_run(folder, cells, **changes)
    return page_text(results.read(run), run)


class Reader(HTMLParser):
    """Reader that collects elements with their attributes, and the text of scripts apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script":
            self.scripts[-1] += data
        else:
            self.text += data


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    elements = Reader(page_of(tmp_path, grid((64, 128, 256), (3,)))).elements
    assert not [tag for tag, given in elements if tag in ("link", "iframe") or "src" in given]
    policies = [given.get("content") for tag, given in elements if "http-equiv" in given]
    assert len(policies) == 1
    assert str(policies[0]).startswith("default-src 'none'")


def test_the_table_is_readable_without_scripts(tmp_path: Path) -> None:
    page = page_of(tmp_path, measured(SMALL) + troubled())
    text = Reader(re.sub(r"<script.*?</script>", "", page, flags=re.S)).text
    for word in ("parallel", "1.00×", "FAILED", "too big", "skipped", "cannot", "AMD EPYC 9B14"):
        assert word in text
    assert "17 times its bound" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(tmp_path: Path, name: str) -> None:
    cells = [
        {**cell(algorithm, SMALL), "name": name, "algorithm": algorithm}
        for algorithm in ("naive", name)
    ]
    plain = Reader(page_of(tmp_path / "plain", measured(SMALL)))
    page = page_of(tmp_path, cells, title=name, question=name, algorithms=["naive", name])
    read = Reader(page)
    assert len(read.scripts) == len(plain.scripts)
    assert {tag for tag, _ in read.elements} <= {tag for tag, _ in plain.elements}
    assert not [given for _, given in read.elements if any(key.startswith("on") for key in given)]
    keys = [algorithm["key"] for algorithm in data_of(page)["algorithms"]]
    assert name in keys


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [cell("naive", SMALL)],
        [cell("fft", SMALL, status="failed", reason="wrong result")],
        [cell(name, SMALL, status="skipped", reason="no time was left") for name in ("a", "b")],
        [cell("naive", SMALL, samples=(1e-3,))],
        measured(SMALL, algorithms=["parallel"]) + layers(),
        [cell("naive", Problem(size=(8,), kernel=3), multiply_adds=0)],
    ],
    ids=["empty", "one cell", "only failures", "only skipped", "one sample", "sparse", "no work"],
)  # fmt: skip
def test_poor_runs_get_a_page(tmp_path: Path, cells: list[dict]) -> None:
    page = page_of(tmp_path, cells, end=None)
    assert "nan" not in Reader(re.sub(r"<script.*?</script>", "", page, flags=re.S)).text.split()
    assert len(data_of(page)["cells"]["group"]) == len(cells)


def test_a_header_that_says_little_is_enough(tmp_path: Path) -> None:
    page = page_of(
        tmp_path, measured(SMALL), environment=None, title=None, question=None, command=None,
        budget_s=None, baseline=None, threads=None, seed=None, started=None, algorithms=None,
    )  # fmt: skip
    assert "Which algorithm should I use?" in Reader(page).text


@pytest.mark.slow
@pytest.mark.parametrize("run", ["headline", "reference"])
def test_runs_of_earlier_versions_get_a_page(run: str) -> None:
    folder = Path(results.__file__).parent / "runs" / run
    page = page_text(results.read(folder), folder)
    assert len(page) < 2_000_000  # beside the library
    assert len(data_of(page)["groups"]) > 100


def test_roofs_come_from_the_limits_of_the_run(tmp_path: Path) -> None:
    roofs = data_of(page_of(tmp_path, measured(SMALL), limits=LIMITS))["roofs"]
    assert [(roof["threads"], roof["peak"]) for roof in roofs] == [(1, 100)]
    assert roofs[0]["levels"]["DRAM"] == 10


def test_pictures_stand_inside_the_page(tmp_path: Path) -> None:
    from PIL import Image

    run = write_run(tmp_path, measured(SMALL))
    (run / "pictures").mkdir()
    for name in ("sheet", "2024-edge"):
        Image.new("L", (8, 8)).save(run / "pictures" / f"{name}.png")
    (run / "pictures" / "broken.png").write_bytes(b"no picture")
    images = [given for tag, given in Reader(page_text(results.read(run), run)).elements
              if tag == "img"]  # fmt: skip
    assert [given["alt"] for given in images] == ["sheet", "2024-edge"]
    assert str(images[0]["src"]).startswith("data:image/jpeg;base64,")


def test_the_audit_is_a_badge(tmp_path: Path) -> None:
    frame = results.read(write_run(tmp_path, measured(SMALL)))
    assert badges(frame, None)[0].text == "not audited"
    audit = {
        "alarms": {"convbench": {"hits": 1, "trials": 200}},
        "power": {"convbench": {"A +5 %": {"hits": 190, "trials": 200}}},
        "shortcomings": [],
    }
    badge = badges(frame, audit)[0]
    assert (badge.level, badge.text) == (
        "good", "audited: 0.5 % false alarms, 95 % of slow-downs by 5 % found",
    )  # fmt: skip
    failed = badges(frame, {"shortcomings": ["coverage 80 %, expected at least 93 %"]})[0]
    assert failed.level == "poor"
    assert "coverage 80 %" in failed.meaning


def test_the_file_is_written_whole(tmp_path: Path) -> None:
    run = write_run(tmp_path, measured(SMALL))
    assert write_page(results.read(run), run) == run / "report.html"
    assert (run / "report.html").read_text("utf-8").rstrip().endswith("</html>")


def test_both_rankings_know_one_penalty() -> None:
    script = (Path(results.__file__).parent / "page" / "standings.js").read_text("utf-8")
    assert f"const PENALTY = {PENALTY:g};" in script
