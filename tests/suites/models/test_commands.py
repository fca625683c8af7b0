"""``run --model`` and ``explain --model`` on a small network."""

import pytest

pytest.importorskip("onnx")

from command_line import convbench
from onnx_graphs import Graph

import results
from results.tables.network import whole_network


@pytest.fixture
def model(tmp_path):
    """Write a network of two equal convolutions, a pooling and a layer that nothing computes."""
    graph = Graph("N", 4, 12, 12)
    x = graph.conv(graph.conv("x", 4, 3, 3, pads=1), 4, 3, 3, pads=1)
    graph.node("DeformConv", x, graph.tensor(4, 4, 3, 3), x)
    graph.node("MaxPool", graph.node("Relu", x), kernel_shape=[2, 2])
    return graph.save(tmp_path / "net.onnx")


@pytest.mark.slow
def test_a_run_times_the_layers_and_sums_them_up(model, tmp_path):
    done = convbench(
        "run", "--model", "net.onnx", "--batch-size", 2, "--algorithms", "naive,im2col",
        "--budget", 20, "--min-effect", "80%", "--runs", tmp_path / "runs", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Left out: DeformConv DeformConv_2: no algorithm computes DeformConv." in done.stderr
    assert "Other operators are not timed: Relu 1." in done.stderr
    assert "convolution (2)  pooling (1)  all layers (3)" in done.stdout
    frame = results.read(results.latest(tmp_path / "runs"))
    assert set(frame["label"]) == {"Conv_0 ×2", "MaxPool_4 ×1"}
    assert set(frame["batch"]) == {2}
    assert set(frame.loc[frame["kind"] == "convolution", "weights"]) == {f"onnx:{model}#w0"}
    (whole,) = whole_network(frame)
    naive = frame[frame["algorithm"] == "naive"].set_index("name")["time_s"]
    sums = {way.name: way.seconds["all layers"] for way in whole.ways}
    assert sums.get("naive", sums.get("im2col")) > 0
    assert sums["the fastest of ours for each layer"] <= (
        2 * naive["Conv_0 ×2"] + naive["MaxPool_4 ×1"]
    )


def test_explain_counts_equal_layers(model, tmp_path):
    done = convbench("explain", "--model", "net.onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Conv_0 ×2" in done.stdout
    assert "3 layers with auto" in done.stdout
