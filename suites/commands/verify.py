"""Command ``verify``: compare every algorithm with the oracle."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from algos import registry
from algos.backend.threads import available
from suites.verification.progress import Campaign, verify_and_show
from suites.verification.verifier import Verifier

from . import selection as choose
from .arguments import add_algorithm_file, seconds, whole_number
from .command import Command
from .consoles import notes, out, remark

EXAMPLES = """examples:
  convbench verify
  convbench verify --algorithms fft,parallel --cases 2000 --seed 7
  convbench verify --operation grad_weight
  convbench verify --algorithm-file mine.py
  convbench verify --problem "mb2_ic16ih9_oc8_kh3_ph1_bias" --weights rank1
"""


@dataclass(frozen=True, kw_only=True)
class Options(choose.VerifyCases):
    """Options of ``convbench verify``."""

    algorithms: str | None
    algorithm_file: tuple[str, ...]
    peers: bool
    threads: str | None
    timeout: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench verify`` to `parser`."""
    parser.add_argument("--algorithms", metavar="A,B", help="algorithms to verify (default: all)")
    add_algorithm_file(parser)
    parser.add_argument(
        "--cases", type=whole_number(1), default=200, metavar="N",
        help="number of generated problems of convolution, and again of pooling (default: 200)",
    )  # fmt: skip
    parser.add_argument(
        "--problem", action="append", default=[], metavar="DESCRIPTOR",
        help="problem to verify instead of generated ones; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--batch", metavar="FILE", help="problem file of benchdnn, instead of generated problems"
    )
    parser.add_argument(
        "--weights", metavar="SPEC", help="with --problem or --batch: values of the kernels"
    )
    parser.add_argument(
        "--pixels", metavar="SPEC", help="with --problem or --batch: values of the inputs"
    )
    parser.add_argument(
        "--operation", choices=("all", "forward", "grad_input", "grad_weight"),
        help="operation to judge (default: all for generated problems, their own for listed ones)",
    )  # fmt: skip
    parser.add_argument("--peers", action="store_true", help="also judge other libraries")
    parser.add_argument("--dtype", metavar="D", help="float32 or float64, for every problem")
    parser.add_argument("--threads", metavar="N", help="number of threads (default: all)")
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, help="seed of problems and data (default: 0)"
    )
    parser.add_argument(
        "--timeout", type=seconds, default=120.0, metavar="SECONDS",
        help="give up a case that takes longer (default: 120)",
    )  # fmt: skip


def execute(options: Options) -> int:
    """Judge algorithms, and the judge by canaries; return the exit code.

    It is 1 if an algorithm or the judge fails. It is 3 if none is wrong, but time or memory ran
    out for some case.
    """
    files, found = choose.algorithm_files(options.algorithm_file, options.threads)
    cases, remarks = choose.verify_cases(options)
    remark(remarks)
    among = choose.families_of(cases)
    wanted = (
        set(
            choose.without_layouts(
                choose.algorithms(options.algorithms, found, among), "convbench verify"
            )
        )
        if (options.algorithms or found)
        else None
    )
    rounds = []
    for family in among:
        names = [
            name
            for name, algorithm in registry.of(family).items()
            if (name in wanted if wanted else options.peers or not algorithm.is_peer)
        ]
        rounds.append(Campaign(family, names, [c for c in cases if c.problem.family is family]))
    threads = choose.thread_count(
        options.threads or str(available()), "cases are verified with one number of threads"
    )
    listed = choose.words_for_cases(options)
    verifier = Verifier(threads, options.seed, options.timeout, files, listed)
    everything = not (options.problem or options.batch or options.algorithms or found)
    return verify_and_show(verifier, rounds, everything, out, notes)


COMMAND = Command("verify", Options, add_arguments, execute, EXAMPLES)
