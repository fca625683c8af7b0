"""``convbench merge`` at the command line."""

from synthetic import LAYERS, measured, write_run

import results
from suites import cli


def test_the_joined_run_is_written_beside_its_parts(tmp_path, capsys):
    parts = [write_run(tmp_path, measured(LAYERS[at], blocks=5)) for at in (0, 2)]
    assert cli.main(["merge", *(part.name for part in parts), "--runs", str(tmp_path)]) == 0
    assert results.read(results.latest(tmp_path))["label"].nunique() == 2
    assert "convbench report" in capsys.readouterr().out


def test_one_run_is_not_joined(tmp_path, capsys):
    run = write_run(tmp_path, measured(LAYERS[0], blocks=5))
    assert cli.main(["merge", str(run), "--runs", str(tmp_path)]) == 2
    assert cli.main(["merge", str(run), str(run), "--runs", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 2
