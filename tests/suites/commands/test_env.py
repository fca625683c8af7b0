"""The environment as text and as JSON."""

import json

import pytest
from command_line import convbench


@pytest.mark.slow
def test_the_environment_is_shown_to_programs(tmp_path):
    told = json.loads(convbench("env", "--json", cwd=tmp_path).stdout)
    assert told["numba"]
    assert "own pool" in told["threads"][0]


@pytest.mark.slow
def test_the_environment_is_shown_as_text(tmp_path):
    assert "numba" in convbench("env", cwd=tmp_path).stdout
