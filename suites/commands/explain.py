"""Command ``explain``: show how an algorithm is chosen for a problem, or for every layer."""

from __future__ import annotations

import argparse
import json
import math
import re
import shlex
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

import results
from algos.choice import Candidate, Explanation
from algos.core.errors import ConvbenchError
from results.records.records import plain
from results.tables.labels import bytes_text, plural, time_text
from suites.cases.choosing import explained, key_of
from suites.cases.suite import Case, Suite
from suites.choice import networks
from suites.choice.tuning import can_be_tuned

from .arguments import add_runs, bytes_count, whole_number
from .command import Command
from .command import Options as BaseOptions
from .consoles import out, remark
from .everyday_suite import is_suite
from .selection import RunCases, run_suite, thread_count

EXAMPLES = """examples:
  convbench explain "mb1_ic64ih56_oc64_kh3_ph1"
  convbench explain "mb1_ic1ih512_oc1_kh31" --weights gaussian --use once
  convbench explain "mb1_ic64ih56_oc64_kh3_ph1" --accuracy direct --memory 16MiB
  convbench explain resnet50
  convbench explain --model network.onnx
  convbench explain --batch shapes_resnet_50 --run 20261120-104212
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench explain``."""

    what: str | None
    batch: str | None
    model: str | None
    batch_size: int | None
    weights: str | None
    dtype: str | None
    use: str
    accuracy: str | float
    memory: int | None
    threads: str | None
    run: str | None
    runs: str | None
    json: bool


def accuracy(text: str) -> str | float:
    """Return a class of accuracy, or a multiple of a direct sum's error."""
    try:
        return float(text)
    except ValueError:
        return text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench explain`` to `parser`."""
    parser.add_argument(
        "what",
        nargs="?",
        metavar="DESCRIPTOR",
        help="descriptor of a problem, or name of a suite for a whole network",
    )
    parser.add_argument(
        "--batch", metavar="FILE", help="problem file of benchdnn, read as a network"
    )
    parser.add_argument("--model", metavar="FILE", help="ONNX file, read as a network")
    parser.add_argument(
        "--batch-size", type=whole_number(1), metavar="N",
        help="with --model: images per call (default: the file's, or 1)",
    )  # fmt: skip
    parser.add_argument("--weights", metavar="SPEC", help="values of the kernels (default: random)")
    parser.add_argument(
        "--dtype", metavar="D", help="float32 or float64 (default: the type of each problem)"
    )
    parser.add_argument(
        "--use", default="prepared", choices=("prepared", "once"),
        help="preparation of the kernel: prepared beforehand, or once in every call (default: "
        "prepared)",
    )  # fmt: skip
    parser.add_argument(
        "--accuracy", type=accuracy, default="standard", metavar="CLASS",
        help="largest error: direct, standard, fast, or a multiple of a direct sum's error "
        "(default: standard)",
    )  # fmt: skip
    parser.add_argument(
        "--memory",
        type=bytes_count,
        metavar="BYTES",
        help="most workspace, such as 64MiB (default: no limit)",
    )
    parser.add_argument("--threads", metavar="N", help="number of threads (default: all)")
    parser.add_argument(
        "--run", metavar="RUN", help="with a network: finished run to take measured times from"
    )
    add_runs(parser)
    parser.add_argument("--json", action="store_true", help="print the candidates as JSON")


def execute(options: Options) -> int:
    """Explain one problem, or sum up a network; nothing is timed."""
    if [options.what, options.batch, options.model].count(None) != 2:
        raise ConvbenchError(
            "explain takes one thing: a descriptor such as mb1_ic3ih8_oc4_kh3, a suite, --batch, "
            "or --model"
        )
    what = options.what or ""
    network = bool(options.batch or options.model) or is_suite(what) or not _is_descriptor(what)
    if options.run and not network:
        raise ConvbenchError(
            "--run goes with a suite, --batch or --model, not with a single problem"
        )
    chosen, notes = run_suite(
        RunCases(
            suite=options.what if network else None, problem=() if network else (what,),
            batch=options.batch, weights=options.weights, dtype=options.dtype, input=None,
            kernel=None, model=options.model, batch_size=options.batch_size,
        )
    )  # fmt: skip
    remark(notes)
    if network:
        return _network(chosen, options)
    found = _explained(chosen.cases[0], options)
    if options.json:
        print(json.dumps(plain(_as_json(found, options.weights)), indent=1))
    else:
        _print(found, options.weights)
    return 0


def _is_descriptor(text: str) -> bool:
    """Return True if `text`, no known suite, is meant as a descriptor, however misspelt."""
    return "_" in text or re.search(r"i[cdhw]\d", text) is not None


def _explained(case: Case, options: Options) -> Explanation:
    threads = None
    if options.threads:
        threads = thread_count(options.threads, "a choice is explained for one count")
    return explained(
        case, threads, use=options.use, accuracy=options.accuracy, memory=options.memory
    )


def _as_json(found: Explanation, weights: str | None) -> dict[str, Any]:
    return {
        "problem": str(found.problem), "algorithm": found.algorithm, "source": found.source,
        "threads": found.threads, "use": found.use, "command": _command(found, weights),
        "candidates": found.to_frame().to_dict("records"),
    }  # fmt: skip


def _print(found: Explanation, weights: str | None) -> None:
    """Print the choice, a row per candidate, the reasons of the others, and the command."""
    how = {"prepared": "kernel prepared beforehand", "once": "kernel prepared in the call"}
    out.print(
        f"[bold]{escape(found.algorithm)}[/] for {escape(str(found.problem))}, "
        f"{plural(found.threads, 'thread')}, {how[found.use]}",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("algorithm", no_wrap=True)
    for heading in ("time", "95 %", "prepare", "pays after", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("accuracy", "from"):
        table.add_column(heading, no_wrap=True)
    able = [one for one in found.candidates if not one.reason]
    for one in able:
        chosen = one.algorithm == found.algorithm
        table.add_row(*_cells(one), style="bold green" if chosen else "")
    out.print(table)
    others = [one for one in found.candidates if one.reason]
    if others:
        out.print("\nNot chosen from:")
    for one in others:
        out.print(f"  {escape(one.algorithm)}: {escape(one.reason)}", soft_wrap=True)
    out.print(f"\nto settle it: {escape(_command(found, weights))}", soft_wrap=True)


def _command(found: Explanation, weights: str | None) -> str:
    """Return the command that measures the candidates, with the same kernel."""
    return found.command + (f" --weights {shlex.quote(weights)}" if weights else "")


def _cells(one: Candidate) -> list[str]:
    """Return the cells of a candidate's row."""
    time, low, high, prepare, workspace = (
        math.nan if value is None else value
        for value in (one.time_s, one.low_s, one.high_s, one.prepare_s, one.workspace_bytes)
    )
    calls = "never" if one.break_even is None else plural(one.break_even, "call")
    calls = "at once" if one.break_even == 0 else calls
    return [
        escape(one.algorithm), time_text(time), f"{time_text(low)} – {time_text(high)}",
        time_text(prepare), "" if math.isnan(time) else calls,
        bytes_text(workspace), one.accuracy, one.source,
    ]  # fmt: skip


def _network(suite: Suite, options: Options) -> int:
    """Sum up the layers of a suite or a problem file."""
    best: dict[Any, float] = {}
    if options.run:
        best = networks.best_times(results.read(results.find(options.run, options.runs)))
    layers = []
    for case in suite.cases:
        if not can_be_tuned(case):
            remark([f"{case.problem} has no choice and is left out"])
            continue
        found = _explained(case, options)
        label = case.problem.name or str(case.problem)
        key = key_of(case, found.threads)
        layers.append(networks.layer_of(label, found, best.get(key, math.nan)))
    if not layers:
        raise ConvbenchError(
            f"{suite.title}: no problem here has a choice between several algorithms"
        )
    if options.json:
        print(json.dumps(plain([vars(layer) for layer in layers]), indent=1))
        return 0
    _print_network(suite, layers)
    return 0


def _print_network(suite: Suite, layers: list[networks.Layer]) -> None:
    total = networks.sum_up(layers)
    table = Table(title=escape(suite.title), box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", overflow="fold")
    table.add_column("auto", no_wrap=True)
    for heading in ("time", total.single or "one algorithm", "measured best", "memory"):
        table.add_column(escape(heading), justify="right", no_wrap=True)
    for layer in layers:
        table.add_row(
            escape(layer.label), escape(layer.chosen), time_text(layer.chosen_s),
            time_text(layer.times.get(total.single, math.nan)), time_text(layer.best_s),
            bytes_text(layer.workspaces.get(layer.chosen, 0)),
        )  # fmt: skip
    out.print(table)
    for sentence in networks.sentences(total):
        out.print(f"• {escape(sentence)}", soft_wrap=True)


COMMAND = Command("explain", Options, add_arguments, execute, EXAMPLES)
