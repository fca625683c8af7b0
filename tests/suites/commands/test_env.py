"""The environment as text and as JSON."""

import json

from command_line import convbench


def test_the_environment_is_shown(tmp_path):
    told = json.loads(convbench("env", "--json", cwd=tmp_path).stdout)
    assert told["numba"]
    assert "numba" in convbench("env", cwd=tmp_path).stdout
