"""Check the headline without the harness: the same calls, timed by a plain loop in one process.

Call it as ``python -m suites.check_peers [--threads 2] [--only NAME]``.

Every side gets its arrays in the layout that suits it, and packs its weights beforehand. In each of
15 rounds all take their turns: rest until no pool of threads spins, uncounted calls for `WAKE`
seconds, then counted ones for `TIMED` seconds. A ratio is the peer's time over ours in the same
round. The median is printed with its 95 % interval.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

ROUNDS, REST, WAKE, TIMED = 15, 0.06, 0.025, 0.01  # ONNX Runtime's pool spins for 35 ms
LOW, HIGH = 3, 11  # ranks that bound the median of 15 values with 96.5 % probability
#: Settings that keep the memory which a library frees in one call for the next.
KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
#: Name in the headline: channels in, size, channels out, kernel, stride, padding, groups.
ROWS = {
    "alexnet:conv1": (3, 227, 96, 11, 4, 0, 1), "alexnet:conv2": (96, 27, 256, 5, 1, 2, 2),
    "alexnet:conv3": (256, 13, 384, 3, 1, 1, 1), "vgg16:conv1_1": (3, 224, 64, 3, 1, 1, 1),
    "vgg16:conv1_2": (64, 224, 64, 3, 1, 1, 1), "vgg16:conv2_2": (128, 112, 128, 3, 1, 1, 1),
    "vgg16:conv3_2": (256, 56, 256, 3, 1, 1, 1), "vgg16:conv4_2": (512, 28, 512, 3, 1, 1, 1),
    "vgg16:conv5_2": (512, 14, 512, 3, 1, 1, 1), "resnet50:conv1": (3, 224, 64, 7, 2, 3, 1),
    "resnet50:1x1 64-256": (64, 56, 256, 1, 1, 0, 1), "papers-12:5": (96, 24, 256, 5, 1, 0, 1),
    "resnet50:1x1 256-64": (256, 56, 64, 1, 1, 0, 1), "papers-12:6": (256, 12, 512, 3, 1, 0, 1),
    "resnet50:3x3 64": (64, 56, 64, 3, 1, 1, 1), "resnet50:3x3 512": (512, 7, 512, 3, 1, 1, 1),
    "resnet50:3x3 128 s2": (128, 56, 128, 3, 2, 1, 1), "papers-12:7": (3, 224, 64, 3, 1, 0, 1),
    "resnet50:1x1 2048-512": (2048, 7, 512, 1, 1, 0, 1), "papers-12:3": (3, 227, 64, 7, 2, 0, 1),
    "googlenet:3a 5x5": (16, 28, 32, 5, 1, 2, 1), "mobilenet:pointwise": (64, 112, 128, 1, 1, 0, 1),
    "convnext:depthwise 7x7": (96, 56, 96, 7, 1, 3, 96),
}  # fmt: skip
Calls = dict[str, Callable[[], Any]]


def ours(x: Any, w: Any, s: int, p: int, g: int, threads: int) -> Calls:
    import algos.registry

    calls: Calls = {}
    for layout, axis in (("channels_first", 1), ("channels_last", -1)):
        a = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, axis)), axis, 1)
        problem = algos.problem_of(a, w, stride=s, padding=p, groups=g, layout=layout)
        for name in {"parallel", *(f"winograd{m}" for m in (2, 4, 6))} - {*algos.why_not(problem)}:
            if axis == 1 or (x.shape[1] > 1 and algos.registry.get(name).reads_layout(problem)):
                plan = algos.plan(problem, w, algorithm=name, threads=threads)
                calls[name if axis == 1 else f"{name}@{layout}"] = partial(plan, a, plan(a))
    return calls


def torch(x: Any, w: Any, s: int, p: int, g: int, threads: int) -> Calls:
    import torch

    torch.set_num_threads(threads)
    with torch.inference_mode():
        t, k = (torch.from_numpy(a).clone(memory_format=torch.channels_last) for a in (x, w))
        after, ops = ([p, p], [s, s], [1, 1], g), torch.ops.mkldnn
        packed = ops._reorder_convolution_weight(torch.from_numpy(w), *after, list(x.shape))
    op = ops._convolution_pointwise
    return {
        "torch-channels-last": lambda: torch.conv2d(t, k, None, s, p, 1, g),
        "torch-prepacked": lambda: op(t, packed, None, *after, "none", [], ""),
    }


def onnxruntime(x: Any, w: Any, s: int, p: int, g: int, threads: int) -> Calls:
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[s, s], pads=[p] * 4, group=g)
    first = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
    last = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", [first], [last], [numpy_helper.from_array(w, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options)
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(x))
    binding.bind_output("y")
    return {"onnxruntime": lambda: session.run_with_iobinding(binding)}


def ncnn(x: Any, w: Any, s: int, p: int, g: int, threads: int) -> Calls:
    import ncnn

    net, kind = ncnn.Net(), "Convolution" if g == 1 else "ConvolutionDepthWise"
    net.opt.num_threads = threads
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    numbers = f"0={w.shape[0]} 1={w.shape[2]} 3={s} 4={p} 6={w.size} 7={g}"
    net.load_param_mem(f"7767517\n2 2\nInput i 0 1 x\n{kind} c 1 1 x y {numbers}\n")
    weights, planes, packed = bytes(4) + w.tobytes(), x[0].copy(), ncnn.Mat()
    net.load_model_mem(weights)
    ncnn.convert_packing(ncnn.Mat(planes), packed, 8 if x.shape[1] % 8 == 0 else 1, net.opt)

    def call(_: Any = (weights, planes)) -> Any:  # ncnn refers to these
        extractor = net.create_extractor()
        extractor.input("x", packed)
        return extractor.extract("y", 1)

    return {"ncnn": call}


def per_call(call: Callable[[], Any], seconds: float) -> float:
    """Call for at least `seconds`; return the seconds of a call."""
    count, start = 0, time.perf_counter()
    while not count or time.perf_counter() < start + seconds:
        call()
        count += 1
    return (time.perf_counter() - start) / count


def check(name: str, threads: int) -> None:
    """Time every side on a row in turns, and print the best of ours and of the peers."""
    c, n, o, k, s, p, g = ROWS[name]
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape, "f4") for shape in ((1, c, n, n), (o, c // g, k, k)))
    mine, *others = (side(x, w, s, p, g, threads) for side in (ours, torch, onnxruntime, ncnn))
    peers = {name: call for other in others for name, call in other.items()}
    times: dict[str, list[float]] = {side: [] for side in mine | peers}
    for side, call in ROUNDS * list((mine | peers).items()):
        time.sleep(REST if threads > 1 else 0)
        per_call(call, WAKE)
        times[side].append(per_call(call, TIMED))
    middle = {side: statistics.median(found) for side, found in times.items()}
    best, peer = (min(sides, key=middle.__getitem__) for sides in (mine, peers))
    ratios = sorted(b / a for a, b in zip(times[best], times[peer], strict=True))
    print(f"{name:24s} {best:22s} {1e3 * middle[best]:8.3f} ms  {peer:20s}", end="")
    print(f"{1e3 * middle[peer]:8.3f} ms  {statistics.median(ratios):5.2f}  "
          f"[{ratios[LOW]:.2f}, {ratios[HIGH]:.2f}]", flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="take rows whose name holds this text")
    options = parser.parse_args()
    if not KEEP.items() <= os.environ.items():
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **KEEP})
    for name in filter(lambda name: options.only in name, ROWS):
        check(name, options.threads)
