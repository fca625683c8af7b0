"""The page in headless Chromium: it draws, filters, sorts, keeps its state, and loads nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic import LIMITS, cell, grid, layers, measured, troubled, write_run

import results
from algos.core.problem import Problem
from results.page.model import group_numbers
from results.page.page import write_page
from results.page.ranking import costs, ranking

pytestmark = pytest.mark.browser
#: JavaScript for the figures of the page: name of the section, and whether it is drawn.
DRAWN = (
    "[...document.querySelectorAll('figure.plot')]"
    ".map((figure) => [figure.closest('section').id, figure.dataset.drawn])"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{word}")
    options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver") or "/usr/bin/chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cells = grid((64, 128, 256, 512), (3, 7, 31), threads=(1, 2)) + layers(threads=(1, 2))
    cells += troubled()
    peers = {"peers": ["im2col"], "limits": LIMITS, "threads": [1, 2]}
    return write_page_of(tmp_path_factory.mktemp("small"), cells, **peers)


def write_page_of(folder: Path, cells: list[dict], **changes: object) -> Path:
    run = write_run(folder, cells, **changes)
    return write_page(results.read(run), run)


def opened(browser: Any, page: Path, fragment: str = "") -> Any:
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page.as_uri() + fragment)
    wait(browser, "return state !== null")
    return browser


def wait(browser: Any, script: str, seconds: float = 20) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds, 0.05).until(lambda one: one.execute_script(script))


def all_drawn(browser: Any) -> list[str]:
    wait(browser, f"return {DRAWN}.every(([, drawn]) => drawn)")
    return [name for name, _ in browser.execute_script(f"return {DRAWN}")]


def click(browser: Any, element: Any) -> None:
    """Click `element` in the middle of the screen, where no bar covers it."""
    browser.execute_script(
        "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", element
    )
    element.click()


def complaints(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


def requests(browser: Any) -> list[str]:
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in sent
            if one["method"] == "Network.requestWillBeSent"]  # fmt: skip
    return [url for url in urls if url.split(":")[0] not in ("data", "blob", "about")]


def visible_rows(browser: Any) -> int:
    return browser.execute_script("return tableRows.filter((row) => !row.hidden).length")


def test_every_figure_is_drawn_without_a_complaint_or_request(browser: Any, small: Path) -> None:
    opened(browser, small)
    names = all_drawn(browser)
    assert names == [
        "ranking", "map", "scaling", "profile", "roofline", "tradeoff", "threads", "phases",
        "peers",
    ]  # fmt: skip
    marks = browser.execute_script(
        "return [...document.querySelectorAll('figure.plot')]"
        ".map((f) => f.querySelectorAll('.trace, .scatter').length)"
    )
    assert min(marks) > 0
    assert browser.execute_script(f"return {DRAWN}.every(([, drawn]) => drawn === 'yes')")
    assert complaints(browser) == []
    assert requests(browser) == [small.as_uri()]


def test_presets_search_and_threads_select(browser: Any, small: Path) -> None:
    opened(browser, small)
    groups = browser.execute_script("return model.groups")
    two = [one for one in groups if one["threads"] == 2]
    assert visible_rows(browser) == len(two)
    layer = sum("Layers" in one["tags"] for one in two)
    press = "[...document.querySelectorAll('.chips button')].find((b) => b.textContent === '{}')"
    browser.execute_script(press.format("Layers") + ".click()")
    assert visible_rows(browser) == layer
    assert f"these {layer} problems" in browser.find_element("id", "verdict").text
    browser.execute_script(press.format("any threads") + ".click()")
    assert visible_rows(browser) == sum("Layers" in one["tags"] for one in groups)
    browser.find_element("id", "search").send_keys("mobilenet")
    assert visible_rows(browser) == sum("mobilenet" in one["label"] for one in groups)
    assert "Of this selection" in browser.find_element("id", "verdict").text
    assert complaints(browser) == []


def test_the_fragment_keeps_the_view(browser: Any, small: Path) -> None:
    opened(browser, small, "#preset=Layers&threads=1&theme=dark&sort=2-&cell=3")
    assert browser.execute_script("return [state.preset, state.threads, panel.open]") == [
        "Layers", 1, True,
    ]  # fmt: skip
    browser.find_element("id", "close").click()
    wait(browser, "return !location.hash.includes('cell')")
    assert "preset=Layers" in browser.current_url
    assert browser.execute_script("return isDark()")
    browser.find_element("id", "theme").click()
    assert "theme=light" in browser.current_url


def test_a_heading_sorts(browser: Any, small: Path) -> None:
    opened(browser, small)
    all_drawn(browser)
    heading = browser.find_elements("css selector", "#grid thead button")[2]
    shown = (
        "return [...table.tBodies[0].rows].filter((row) => !row.hidden)"
        ".map((row) => keyOfRow(row, 2)).filter((key) => key !== null)"
    )
    click(browser, heading)
    up = browser.execute_script(shown)
    assert up == sorted(up)
    click(browser, heading)
    assert browser.execute_script(shown) == sorted(up, reverse=True)
    click(browser, heading)
    assert browser.execute_script("return state.sort") == ""


def test_a_cell_shows_its_samples_and_command(browser: Any, small: Path) -> None:
    opened(browser, small)
    all_drawn(browser)
    body = browser.find_element("css selector", "#grid tbody tr:not([hidden]) td[data-c]")
    click(browser, body)
    wait(browser, "return document.querySelectorAll('#detail .point').length > 5")
    text = browser.find_element("id", "detail-body").text
    assert "convbench run --problem mb1_ic1ih64_oc1_kh3_ph1 --algorithms" in text
    assert "time per call" in text
    assert complaints(browser) == []


def test_the_script_ranks_as_python_does(browser: Any, small: Path) -> None:
    opened(browser, small, "#threads=0")
    frame = results.read(small.parent)
    expected = ranking(costs(frame, group_numbers(frame)))
    found = browser.execute_script(
        "return ranking(selectedGroups()).map((one) => [model.algorithms[one.algorithm].name,"
        " one.rank, one.middle, one.low, one.high, one.wins, one.timed])"
    )
    assert [tuple(one[:2]) for one in found] == [(one.algorithm, one.rank) for one in expected]
    for mine, other in zip(found, expected, strict=True):
        assert mine[2:5] == pytest.approx(list(other.cost), rel=2e-3)
        assert mine[5:] == [other.wins, other.timed]


def test_a_large_run_opens(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # thousands of records take long
    sizes, kernels = [32 * at for at in range(1, 21)], range(3, 43, 2)
    page = write_page_of(tmp_path, grid(sizes, kernels, blocks=5), limits=LIMITS)
    opened(browser, page)
    assert browser.execute_script("return cells.length") == 2000
    loaded = browser.execute_script(
        "return performance.getEntriesByType('navigation')[0].loadEventEnd"
    )
    print(f"2 000 cells opened in {loaded:.0f} ms")
    all_drawn(browser)
    assert complaints(browser) == []
    assert requests(browser) == [page.as_uri()]


def test_hostile_names_stay_text_in_figures_and_panel(browser: Any, tmp_path: Path) -> None:
    name = "<img src=x onerror=document.title='bad'><script>document.title='bad'</script>\"'"
    problem = Problem(size=(64, 64), kernel=3)
    cells = [
        {**cell(algorithm, problem), "name": name, "algorithm": algorithm}
        for algorithm in ("naive", name)
    ]
    page = write_page_of(tmp_path, cells, title=name, question=name, baseline=name)
    opened(browser, page, "#cell=1")
    all_drawn(browser)
    assert browser.title != "bad"
    assert not browser.find_elements("css selector", "main img, dialog img, figure a")
    assert complaints(browser) == []


@pytest.mark.parametrize("cells", [
    [], [cell("fft", Problem(size=(8, 8), kernel=3), status="failed", reason="wrong result")],
    [cell("fft", Problem(size=(8, 8), kernel=3), samples=(1e-3,))],
    measured(Problem(size=(8, 8), kernel=3), algorithms=["parallel"]),
], ids=["empty", "only failures", "one sample", "one algorithm"])  # fmt: skip
def test_poor_runs_open(browser: Any, tmp_path: Path, cells: list[dict]) -> None:
    opened(browser, write_page_of(tmp_path, cells, end=None))
    all_drawn(browser)
    assert complaints(browser) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 900, 1600])
def test_no_width_scrolls_sideways(browser: Any, small: Path, width: int, theme: str) -> None:
    device = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    opened(browser, small, f"#theme={theme}")
    all_drawn(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert complaints(browser) == []
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
