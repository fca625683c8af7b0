"""Formats that a run is exported to."""

import io
import json

import pandas as pd
import pytest
from synthetic import LAYERS, VOLUME, measured, troubled, write_run

from algos.core.errors import ConvbenchError
from results.records.columns import DEFINED
from results.records.records import read_records
from results.tables.formats import FORMATS
from results.tables.table import tabulate_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    cells = [*measured(LAYERS[0]), *measured(VOLUME, threads=2), *troubled()]
    cells[0]["error_over_bound"] = float("inf")
    return read_records(write_run(tmp_path_factory.mktemp("run"), cells))


def test_csv_and_json_hold_every_column_and_row(run):
    frame = tabulate_run(run)
    csv = pd.read_csv(io.StringIO(FORMATS["csv"](run)))
    content = json.loads(FORMATS["json"](run))
    names = [column.name for column in DEFINED]
    assert list(csv.columns) == names == [column["name"] for column in content["columns"]]
    assert len(csv) == len(content["rows"]) == len(frame)
    assert csv["time_s"].tolist() == pytest.approx(frame["time_s"].tolist(), nan_ok=True)
    assert content["run"]["suite"] == "quick"
    assert content["rows"][0]["error_over_bound"] == "inf"
    assert content["rows"][-1]["time_s"] is None


def test_latex_escapes_and_marks_the_winner(run):
    lines = FORMATS["latex"](run).splitlines()
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len(rows) == 1 + len(tabulate_run(run))
    assert {line.replace(r"\&", "").count("&") for line in rows} == {4}
    assert sum(r"\textbf{parallel}" in row for row in rows) > 1
    assert not set("_²×µ").intersection("".join(lines).replace(r"\_", ""))


def test_parquet_keeps_types_and_attributes(run):
    pytest.importorskip("pyarrow")
    frame, back = tabulate_run(run), pd.read_parquet(io.BytesIO(FORMATS["parquet"](run)))
    assert list(back.columns) == list(frame.columns)
    assert back["time_s"].equals(frame["time_s"])
    assert back.attrs["baseline"] == "naive"


def test_parquet_without_pyarrow_is_a_sentence(run, monkeypatch):
    def refuse(*_, **__):
        raise ImportError

    monkeypatch.setattr(pd.DataFrame, "to_parquet", refuse)
    with pytest.raises(ConvbenchError, match="pip install pyarrow"):
        FORMATS["parquet"](run)


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_without_cells_has_every_format(name, tmp_path):
    if name == "parquet":
        pytest.importorskip("pyarrow")
    assert FORMATS[name](read_records(write_run(tmp_path, [], end=None)))
