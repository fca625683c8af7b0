"""Measure calls on all cores beside busy neighbours and after a rest, with peers beside them.

Call it as ``python -m suites.measures.neighbours [--rows TEXT] [--calls 25]``.

Each row runs in a process of its own. It times calls of one thread and of all threads in turn, in
short runs. The figures are medians in ms. In brackets is the ratio to one thread under the same
condition. A busy neighbour is a process that only counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from .turns import heading

#: By name: problem and algorithms; a pooling problem has none.
CASES = {
    "AlexNet conv1": (
        "mb1_ic3ih227_oc96_kh11_sh4ph0", ("parallel", "im2col", "torch", "onnxruntime"),
    ),
    "ResNet 3×3, 56²": (
        "mb1_ic64ih56_oc64_kh3_ph1", ("parallel", "winograd4", "im2col", "torch", "onnxruntime"),
    ),
    "ResNet 3×3, 14²": ("mb1_ic256ih14_oc256_kh3_ph1", ("parallel", "winograd4", "torch")),
    "31×31 on 1024²": ("mb1_ic1ih1024_oc1_kh31_ph15", ("fft-fused",)),
    "31×31 on 256²": ("mb1_ic1ih256_oc1_kh31_ph15", ("fft-fused",)),
    "9×9 on 1024²": ("mb1_ic1ih1024_oc1_kh9_ph4", ("separable",)),
    "9×9 on 384²": ("mb1_ic1ih384_oc1_kh9_ph4", ("separable",)),
    "max 2×2, 8×64×112²": ((8, 64, 112, 112), ("pooling", "torch")),
    "max 2×2, 64×112²": ((1, 64, 112, 112), ("pooling", "torch")),
}  # fmt: skip

#: Seconds of rest.
REST = 0.3


def ours(case: str, algorithm: str, threads: int) -> Callable[[], object]:
    """Return a call of ours on `threads` threads."""
    import algos

    rng = np.random.default_rng(0)
    what = CASES[case][0]
    if algorithm == "pooling":
        x = rng.standard_normal(what).astype("f4")
        problem = algos.PoolProblem(
            kind="max", channels=what[1], batch=what[0], size=what[2:], window=2, stride=2
        )
        pool, out = (
            algos.pooling.PoolPlan(problem, threads=threads),
            np.empty(problem.output_shape, "f4"),
        )
        return lambda: pool(x, out=out)
    problem = algos.parse_descriptor(what)
    x, w = (rng.standard_normal(shape).astype("f4") for shape in problem.operands)
    if algorithm == "separable":
        w = np.outer(w[0, 0, 0], w[0, 0, :, 0])[None, None]
    plan = algos.plan(problem, w, algorithm=algorithm, threads=threads)
    out = np.empty(problem.output_shape, "f4")
    return lambda: plan(x, out=out)


def torch(case: str, _: str, threads: int) -> Callable[[], object]:
    """Return a call of PyTorch, in its channels-last layout."""
    import torch

    import algos

    what = CASES[case][0]
    last = {"memory_format": torch.channels_last}
    if isinstance(what, tuple):
        x, pool = torch.randn(*what).contiguous(**last), torch.nn.MaxPool2d(2)
        run: Callable[[], object] = lambda: pool(x)  # noqa: E731
    else:
        v = algos.parse_descriptor(what)
        x = torch.randn(*v.input_shape).contiguous(**last)
        conv = torch.nn.Conv2d(
            v.in_channels, v.out_channels, v.kernel, v.stride, v.padding[0][0], bias=False
        ).to(**last)
        run = lambda: conv(x)  # noqa: E731

    def call() -> object:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        with torch.inference_mode():
            return run()

    return call


def onnxruntime(case: str, _: str, threads: int) -> Callable[[], object]:
    """Return a call of ONNX Runtime."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    import algos

    v = algos.parse_descriptor(CASES[case][0])
    x, w = (np.random.default_rng(0).standard_normal(s).astype("f4") for s in v.operands)
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], strides=v.stride, pads=[v.padding[0][0]] * 4
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "conv", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, v.output_shape)],
        [numpy_helper.from_array(w, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda: session.run(None, {"x": x})


def median(call: Callable[[], object], calls: int, rest: float = 0.0) -> float:
    """Return the median milliseconds of a call, each after `rest` seconds."""
    times = []
    for _ in range(calls):
        time.sleep(rest)
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def row(case: str, algorithm: str, calls: int) -> str:
    """Return one row of the table: a case and an algorithm, `calls` calls a run."""
    make = {"torch": torch, "onnxruntime": onnxruntime}.get(algorithm, ours)
    threads = len(os.sched_getaffinity(0))
    one, several = (make(case, algorithm, count) for count in (1, threads))
    for call in (one, several):
        median(call, 5)

    def compare(neighbours: int) -> tuple[float, float]:
        busy = [
            subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbours)
        ]
        try:
            time.sleep(0.2 * bool(busy))
            pairs = [(median(one, calls), median(several, calls)) for _ in range(5)]
        finally:
            for process in busy:
                process.kill()
                process.wait()
        return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)

    alone, *beside = (compare(neighbours) for neighbours in range(3))
    rested = median(several, max(calls // 3, 3), REST)
    cells = [case, algorithm, f"{alone[0]:.2f}", f"{alone[1]:.2f} ({alone[0] / alone[1]:.2f}×)"]
    cells += [f"{b:.2f} ({b / a:.2f})" for a, b in beside]
    cells.append(f"{rested:.2f} ({rested / alone[1]:.2f} of steady)")
    return f"| {' | '.join(cells)} |"


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description="Measure calls beside neighbours and after a rest."
    )
    parser.add_argument("--rows", default="", help="only rows whose names contain this")
    parser.add_argument("--calls", type=int, default=25, help="calls of a run")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.one:
        print(row(*options.one, options.calls))
        return
    print(heading(len(os.sched_getaffinity(0))), end="\n\n")
    print("| | | 1 thread | all threads | 1 busy | 2 busy | after a rest |")
    print("|---" * 7 + "|", flush=True)
    for case, (_, algorithms) in CASES.items():
        for algorithm in algorithms:
            if options.rows in f"{case} {algorithm}":
                one = ["--calls", str(options.calls), "--one", case, algorithm]
                done = subprocess.run(
                    [sys.executable, "-m", "suites.measures.neighbours", *one],
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
                print(done.stdout, end="", flush=True)


if __name__ == "__main__":
    main()
