"""Files of registered functions: runs name them, so they outlast the process that wrote them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from algos.core.errors import ConvbenchError
from algos.functions import FunctionAlgorithm
from suites.workers.functions import file_of

ROOT = Path(__file__).parents[3]


def test_a_file_outlasts_its_process():
    program = (
        "import json; from algos.functions import FunctionAlgorithm\n"
        "from suites.workers.functions import file_of\n"
        "print(file_of(FunctionAlgorithm('mine', json.dumps)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "register('mine', dumps)" in Path(done.stdout.strip()).read_text()


def test_a_cache_that_takes_no_files_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONVBENCH_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(ConvbenchError, match=r"cannot be written: .*CONVBENCH_CACHE=DIR names"):
        file_of(FunctionAlgorithm("mine", json.dumps))
