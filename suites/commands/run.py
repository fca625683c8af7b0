"""Command ``run``: time algorithms on a suite of problems."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

import results
from algos.core.arrays import narrowed
from algos.core.errors import ConvbenchError
from suites.cases import filters
from suites.cases.data import has_nonfinite
from suites.cases.pictures import is_path
from suites.cases.pictures import read as read_picture
from suites.cases.suite import Suite
from suites.timing.cell import memory_allowed, obstacle
from suites.timing.estimate import seconds_needed
from suites.timing.progress import run_and_show
from suites.timing.schedule import Settings

from . import dry_run
from . import selection as choose
from .arguments import (
    add_algorithm_file,
    add_limits,
    add_min_effect,
    add_runs,
    seconds,
    whole_number,
)
from .command import Command
from .consoles import notes, out, remark
from .resuming import resumed

EXAMPLES = """examples:
  convbench run
  convbench run vgg16 --threads 1,2 --budget 300
  convbench run headline --peers --threads 1,2
  convbench run my.toml --algorithms fft,parallel --baseline fft
  convbench run resnet50 --algorithms parallel,parallel@channels_last
  convbench run --problem "mb1_ic3ih227_oc96_kh11_sh4ph0" --dtype float64
  convbench run --batch shapes_resnet_50
  convbench run --input picture.png --kernel gaussian:15 --boundary reflect
  convbench run --model network.onnx --peers
  convbench run --algorithm-file mine.py
  convbench run sizes --dry-run
  convbench run --resume 20261120-104212-sizes
  convbench run headline --cluster tcp://head:8786
"""


@dataclass(frozen=True, kw_only=True)
class Options(choose.RunCases):
    """Options of ``convbench run``."""

    algorithms: str | None
    algorithm_file: tuple[str, ...]
    peers: bool
    baseline: str | None
    threads: str
    budget: float | None
    min_effect: float
    call_limit: float
    timeout: float
    cold_cache: bool
    seed: int
    resume: str | None
    strict: bool
    dry_run: bool
    manner: str
    runs: str | None
    cluster: str | None
    wait: float
    #: Words of the command line, kept in the records; `resume` reads them.
    words: tuple[str, ...] = ()
    #: Folder of the run that is resumed.
    earlier: Path | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench run`` to `parser`."""
    what = parser.add_argument_group("what to time")
    what.add_argument("suite", nargs="?", help="name of a suite, or a .toml file (default: quick)")
    what.add_argument(
        "--problem", action="append", default=[], metavar="DESCRIPTOR",
        help="one problem in benchdnn's notation; may be repeated",
    )  # fmt: skip
    what.add_argument(
        "--batch", metavar="FILE",
        help="problem file of benchdnn; deconv:FILE or pool:FILE for its other drivers",
    )  # fmt: skip
    what.add_argument(
        "--input", metavar="FILE", help="picture or array (.npy, .npz, TIFF) to filter"
    )
    what.add_argument(
        "--kernel", metavar="SPEC",
        help="with --input: kernel, such as gaussian:15, sobel-x or k.npy",
    )  # fmt: skip
    what.add_argument(
        "--boundary", metavar="MODE",
        help="with --input: values beyond the border, one of zeros (default), constant, nearest, "
        "reflect, mirror and wrap",
    )  # fmt: skip
    what.add_argument(
        "--cval", type=float, default=0.0, metavar="X",
        help="value beyond the border with --boundary constant (default: 0)",
    )  # fmt: skip
    what.add_argument(
        "--model", metavar="FILE", help="ONNX file; its convolution and pooling layers are timed"
    )
    what.add_argument(
        "--batch-size", type=whole_number(1), metavar="N",
        help="with --model: images per call (default: the file's, or 1)",
    )  # fmt: skip
    what.add_argument(
        "--weights", metavar="SPEC", help="with --problem or --batch: values of the kernels"
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--algorithms", metavar="A,B",
        help="algorithms to time (default: the suite's); parallel@channels_last has its arrays "
        "laid out channels last",
    )  # fmt: skip
    add_algorithm_file(how)
    how.add_argument("--peers", action="store_true", help="also time other libraries, if installed")
    how.add_argument("--baseline", metavar="A", help="algorithm that the others are compared with")
    how.add_argument("--threads", default="1", metavar="N,M", help="thread counts (default: 1)")
    how.add_argument("--dtype", metavar="D", help="float32 or float64, for every problem")
    how.add_argument(
        "--budget", type=seconds, metavar="SECONDS",
        help="time to spend (default: what the suite needs)",
    )  # fmt: skip
    add_min_effect(how)
    add_limits(how)
    how.add_argument("--cold-cache", action="store_true", help="empty the caches before every call")
    how.add_argument(
        "--seed", type=whole_number(0), default=0, help="seed of data and order (default: 0)"
    )
    how.add_argument(
        "--resume", metavar="RUN",
        help="continue an interrupted run; with a larger --budget, also one that ran out of it",
    )  # fmt: skip
    how.add_argument(
        "--cluster", metavar="ADDRESS",
        help="measure on the hosts of a Dask scheduler, such as tcp://host:8786",
    )  # fmt: skip
    how.add_argument(
        "--wait", type=seconds, default=60.0, metavar="SECONDS",
        help="with --cluster: time to wait while there is no host (default: 60)",
    )  # fmt: skip
    how.add_argument(
        "--strict", action="store_true", help="give verdicts only if the audit has passed"
    )
    manner = parser.add_argument_group("what to print").add_mutually_exclusive_group()
    for name, purpose in (
        ("quiet", "print only the path of the page"),
        ("verbose", "print a line for every decided problem, even to files and pipes"),
        ("json", "print only the table, as JSON"),
    ):
        manner.add_argument(
            f"--{name}", dest="manner", action="store_const", const=name, default="", help=purpose
        )
    how.add_argument(
        "--dry-run", action="store_true", help="list what would be timed, without timing"
    )
    add_runs(how)


def execute(options: Options) -> int:
    """Time algorithms, and leave a run folder behind."""
    if options.resume:
        options = resumed(COMMAND, options, options.resume)
    files, more = choose.algorithm_files(options.algorithm_file, options.threads)
    chosen, remarks = choose.run_suite(options)
    remark(remarks)
    threads = choose.thread_counts(options.threads, here=not options.cluster)
    among = choose.families_of(chosen.cases)
    algorithms = choose.algorithms(options.algorithms, chosen.algorithms, among, chosen.also + more)
    chosen = choose.admitting(chosen, algorithms if options.algorithms else more)
    if options.peers:
        algorithms = choose.with_peers(algorithms, chosen.cases)
    baseline = choose.baseline(options.baseline, chosen.baseline, algorithms)
    needed = seconds_needed(chosen.cases, algorithms, threads, options.call_limit)
    budget = options.budget or max(chosen.seconds * len(threads), 5.0 * math.ceil(needed / 5))
    settings = Settings(
        suite=chosen.name, algorithms=algorithms, threads=threads, budget=budget,
        call_limit=options.call_limit, timeout=options.timeout, seed=options.seed,
        baseline=baseline, min_effect=options.min_effect, files=files,
        strict=options.strict, cold_cache=options.cold_cache,
        elastic=options.budget is None, needed=needed,
    )  # fmt: skip
    _check_finite(chosen)
    if options.dry_run:
        return dry_run.show(chosen, settings)
    folder = options.runs or results.runs_folder()
    if options.cluster:
        return _on_cluster(options, options.cluster, chosen, settings, folder)
    _refuse_the_impossible(chosen, settings)
    return run_and_show(
        chosen, settings, folder, out, options.words, options.earlier, options.manner
    )


def _on_cluster(
    options: Options, address: str, chosen: Suite, settings: Settings, folder: str | Path
) -> int:
    for given, name in ((options.strict, "--strict"), (options.algorithm_file, "--algorithm-file")):
        if given:
            raise ConvbenchError(
                f"{name} applies to this machine alone; leave it out with --cluster"
            )
    from suites.cluster.command import run_on_cluster

    return run_on_cluster(
        chosen, settings, address, folder, out, options.words, options.earlier, options.manner,
        options.wait,
    )  # fmt: skip


def _refuse_the_impossible(chosen: Suite, settings: Settings) -> None:
    """Raise an error if no cell can be tried, before a run folder is made."""
    memory, first = memory_allowed(), ""
    for threads in settings.threads:
        for case in chosen.cases:
            for name in case.entrants(settings.algorithms):
                found = obstacle(case.problem, name, threads, memory)
                if found is None or found[0] == "failed":
                    return
                first = first or f"{name} on {case.problem}: {found[1]}"
    raise ConvbenchError(f"none of these cells can be timed here; the first, {first}")


def _check_finite(chosen: Suite) -> None:
    """Refuse kernel files with NaN or infinite values, and warn of such inputs."""
    # The problem decides the number of axes of a kernel file, so it is read for each problem.
    kernels = {
        (case.weights, case.problem.kernel, case.problem.axes, case.problem.dtype)
        for case in chosen.cases
        if filters.is_path(case.weights)
    }
    for path, kernel, axes, dtype in sorted(kernels):
        values = narrowed(f"kernel file {path!r}", filters.make(path, kernel, axes), dtype)
        if has_nonfinite(values):
            raise ConvbenchError(
                f"kernel file {path!r} holds NaN or infinite values, which would spread to every "
                f"output, so that nothing could be checked; give finite numbers"
            )
    images = {(case.pixels, case.problem.dtype) for case in chosen.cases if is_path(case.pixels)}
    for path, dtype in sorted(images):
        if has_nonfinite(narrowed(f"input {path!r}", read_picture(path), dtype)):
            notes.print(
                f"[yellow]warning:[/] {escape(path)} holds NaN or infinite values; it is timed "
                f"unchanged, but fft spreads them over whole tiles of the output",
                soft_wrap=True,
            )


COMMAND = Command("run", Options, add_arguments, execute, EXAMPLES)
