"""The notebook in docs/ runs from the top, as a reader's kernel would run it."""

import re
import warnings
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "example.ipynb"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Run the notebook in an empty folder; return its cells of code."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    here = str(tmp_path_factory.mktemp("notebook"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Jupyter's own libraries
        client = nbclient.NotebookClient(
            notebook, timeout=300, resources={"metadata": {"path": here}}
        )
        client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cells, start):
    """Return what the cell that begins with `start` printed and showed, by type."""
    (cell,) = [cell for cell in cells if cell.source.startswith(start)]
    shown = [dict(output.get("data", {})) for output in cell.outputs]
    text = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    return {kind: value for data in shown for kind, value in data.items()}, text


def test_the_table_is_shown_by_its_main_columns(cells):
    tables = [
        output.data["text/html"]
        for cell in cells
        if cell.source == "frame"
        for output in cell.outputs
    ]
    assert len(tables) == 1
    assert len(re.findall("<tr>", tables[0])) == 1 + 18
    assert "im2col" in tables[0]


@pytest.mark.parametrize("name", ["winner_map", "scaling", "profile"])
def test_figures_are_pictures(cells, name):
    shown, _ = outputs(cells, f"results.plot.{name}")
    assert "image/png" in shown


def test_the_call_of_the_winner_runs(cells):
    _, printed = outputs(cells, 'line = best["call"]')
    assert "(1, 1, 128, 128)" in printed


def test_the_function_of_the_notebook_is_right_and_timed(cells):
    shown, printed = outputs(cells, "convbench.verify")
    assert shown["text/plain"] == "True", printed
    shown, _ = outputs(cells, "mine = convbench.run")
    assert "image/png" in shown


def test_it_is_kept_without_outputs():
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
