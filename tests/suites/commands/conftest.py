"""Fixtures of the tests of commands."""

from importlib.util import find_spec

import numpy as np
import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a folder of files that a user may give, most of them bad."""
    here = tmp_path_factory.mktemp("user")
    rng = np.random.default_rng(0)
    np.save(here / "ok.npy", rng.random((30, 40)))
    np.save(here / "holes.npy", np.where(np.eye(30) > 0, np.nan, 1.0))
    np.save(here / "empty.npy", np.zeros((0, 5)))
    np.save(here / "complex.npy", np.zeros((5, 5), complex))
    np.save(here / "text.npy", np.array([["a", "b"]]))
    np.save(here / "objects.npy", np.array([[None, 1]], dtype=object))
    np.save(here / "scalar.npy", np.float64(3))
    (here / "torn.npy").write_bytes((here / "ok.npy").read_bytes()[:300])
    (here / "junk.png").write_bytes(b"hello")
    (here / "text.onnx").write_text("no model\n")
    if find_spec("onnx"):
        from onnx_graphs import Graph

        graph = Graph(1, 4)
        graph.node("Relu", "x")
        graph.save(here / "none.onnx")
    (here / "bad.toml").write_text("title = \n")
    (here / "key.toml").write_text('title = "x"\nproblemz = ["mb1_ic1ih5_oc1_kh3"]\n')
    (here / "bad.batch").write_text("mb1_ic3ih5_oc2_kh3\nfoo bar\n")
    (here / "none.batch").write_text("# nothing\n")
    (here / "binary.batch").write_bytes(bytes(range(256)))
    (here / "nothing.py").write_text("x = 1\n")
    (here / "import.py").write_text("import nosuchmodule\n")
    (here / "exit.py").write_text("import sys\nsys.exit(7)\n")
    (here / "leave.py").write_text("import os\nos._exit(3)\n")
    (here / "crash.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    (here / "syntax.py").write_text("def f(:\n")
    (here / "clash.py").write_text(
        "from algos import Algorithm\n\n\nclass Mine(Algorithm):\n    name = 'fft'\n"
    )
    return here
