"""The command ``claims``: output, JSON and exit codes."""

import json

from algos.core.errors import ConvbenchError
from suites import cli
from suites.claims import catalogue, claim, page


def test_the_command_prints_rows_and_writes_json(tmp_path, capsys):
    file = tmp_path / "claims.json"
    words = ["claims", "zero-padding", "--json", str(file), "--folder", str(tmp_path)]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "16, 11, 6, 1" in said
    assert "layer 4: the kernel spans 6 samples" in said
    (told,) = json.loads(file.read_text())["claims"]
    assert told["name"] == "zero-padding"
    assert {"statement": "layers", "stated": 3, "found": 3, "holds": True} in told["rows"]
    assert not (tmp_path / page.FILE).exists()


def test_what_could_not_be_checked_has_an_exit_code_of_its_own(tmp_path, monkeypatch, capsys):
    def lacking():
        raise ConvbenchError("no data here")
        yield

    made = claim.Claim("lacking", "Lack data", "nobody", lacking)
    monkeypatch.setattr(catalogue, "chosen", lambda names: [made])
    assert cli.main(["claims", "--folder", str(tmp_path)]) == 3
    assert "not checked: no data here" in capsys.readouterr().out
    assert "Not checked: no data here" in (tmp_path / page.FILE).read_text()


def test_places_that_cannot_be_written_are_refused_at_once(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["claims", "--folder", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert cli.main(["claims", "--folder", str(tmp_path), "--json", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
