"""The command line: what each command is called and how it is spelled."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import results
from algos.backend.linking import launch_threads
from algos.core.errors import ConvbenchError, closest
from algos.core.problem import DTYPES
from results.verdicts.decide import MIN_EFFECT

from .commands import all_commands as commands
from .workers.process import open_standard_streams

_DESCRIPTION = "Time, compare and verify convolution algorithms on this machine."

_EPILOG = """examples:
  convbench run                       the quick suite: all algorithms, sizes, kernels, layers
  convbench run sizes --threads 1,2   a suite, with one thread and with two
  convbench verify                    are all algorithms right?
  convbench report                    figures and tables of the latest run
  convbench list suites               what there is to run
"""

_RUN_EPILOG = """examples:
  convbench run
  convbench run vgg16 --threads 1,2 --budget 300
  convbench run headline --peers --threads 1,2
  convbench run my.toml --algorithms fft,parallel --baseline fft
  convbench run --problem "mb1_ic3ih227_oc96_kh11_sh4ph0" --dtype float64
  convbench run --batch shapes_resnet_50
  convbench run --input picture.png --kernel gaussian:15
  convbench run --algorithm-file mine.py
  convbench run sizes --dry-run
  convbench run --resume 20261120-104212-sizes
"""

_VERIFY_EPILOG = """examples:
  convbench verify
  convbench verify --algorithms fft,parallel --cases 2000 --seed 7
  convbench verify --operation grad_weight
  convbench verify --algorithm-file mine.py
  convbench verify --problem "mb2_ic16ih9_oc8_kh3_ph1_bias" --weights rank1
"""

_REPORT_EPILOG = """examples:
  convbench report
  convbench report sizes
  convbench report 20261120-104212-quick
"""

_COMPILE_EPILOG = """examples:
  convbench compile
  convbench compile --cold --dtype float32
"""

_AUDIT_EPILOG = """examples:
  convbench audit
  convbench audit --budget 200
"""

_LIST_EPILOG = """examples:
  convbench list suites
  convbench list algorithms
  convbench list filters
  convbench list problems vgg16
  convbench list columns              of the table of a run, with units
"""

_SHAPE_EPILOG = """examples:
  convbench shape "mb1_ic3ih227_oc96_kh11_sh4"
  convbench shape "mb1_ic64ih56_oc128_kh3_sh2ph1_bwdd"
"""

_NEW_EPILOG = """example:
  convbench new-algorithm my-algorithm
  convbench verify --algorithm-file my_algorithm.py
"""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence, with the nearest known word."""

    def error(self, message: str) -> NoReturn:
        prefix = "argument COMMAND: invalid choice: "
        if message.startswith(prefix):
            word = message[len(prefix) :].split("'")[1]
            message = f"there is no command {word!r}; {closest(word, list(commands.COMMANDS))}"
        raise ConvbenchError(f"{message} ({self.prog} --help explains)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="convbench", description=_DESCRIPTION, epilog=_EPILOG, **_layout)
    parser.add_argument("--version", action="store_true", help="print the version")
    sub = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    _add_run(_add(sub, "run", "time algorithms on a suite of problems", _RUN_EPILOG))
    _add_verify(_add(sub, "verify", "hold every algorithm to the oracle", _VERIFY_EPILOG))
    report = _add(sub, "report", "figures and tables of a finished run", _REPORT_EPILOG)
    report.add_argument(
        "run", nargs="?", metavar="RUN", help="id, suite or folder; else the latest"
    )
    report.add_argument("--runs", metavar="DIR", help="where runs are kept")
    report.add_argument("--strict", action="store_true", help="no verdicts without a passed audit")
    _add_compile(_add(sub, "compile", "compile now, so that nothing waits later", _COMPILE_EPILOG))
    _add_audit(_add(sub, "audit", "how often are verdicts wrong on this machine?", _AUDIT_EPILOG))
    listing = _add(
        sub, "list", "show suites, algorithms, filters, columns or a suite's problems", _LIST_EPILOG
    )
    listing.add_argument("what", choices=("suites", "algorithms", "filters", "problems", "columns"))
    listing.add_argument("suite", nargs="?", metavar="SUITE", help="for problems: whose")
    shape = _add(sub, "shape", "the sizes of a problem, the formula filled in", _SHAPE_EPILOG)
    shape.add_argument("descriptor", metavar="DESCRIPTOR", help="in benchdnn's notation")
    new = _add(sub, "new-algorithm", "write a file to start an algorithm from", _NEW_EPILOG)
    new.add_argument("name", metavar="NAME", help="lower-case words, such as my-algorithm")
    env = _add(sub, "env", "show the machine and the versions that figures depend on", None)
    env.add_argument("--json", action="store_true", help="as JSON")
    env.add_argument(
        "--fresh", action="store_true", help="measure peak and bandwidths anew (some seconds)"
    )
    return parser


_layout: dict = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}


def _add(
    sub: argparse._SubParsersAction, name: str, summary: str, epilog: str | None
) -> argparse.ArgumentParser:
    text = summary[0].upper() + summary[1:] + "."
    epilog = epilog or f"example:\n  convbench {name}\n"
    return sub.add_parser(name, help=summary, description=text, epilog=epilog, **_layout)


def _add_run(run: argparse.ArgumentParser) -> None:
    what = run.add_argument_group("what to time")
    what.add_argument("suite", nargs="?", help="a suite's name, or a .toml file (default: quick)")
    what.add_argument(
        "--problem", action="append", default=[], metavar="DESCRIPTOR",
        help="one problem in benchdnn's notation; may be repeated",
    )  # fmt: skip
    what.add_argument(
        "--batch", metavar="FILE", help="problems of a benchdnn file; deconv:FILE, pool:FILE"
    )
    what.add_argument("--input", metavar="FILE", help="a picture, or an array (.npy), to filter")
    what.add_argument(
        "--kernel", metavar="SPEC", help="with --input: gaussian:15, sobel-x, k.npy …"
    )
    what.add_argument("--weights", metavar="SPEC", help="kernel values of --problem and --batch")
    how = run.add_argument_group("how")
    how.add_argument("--algorithms", metavar="A,B", help="only these (default: the suite's)")
    _add_algorithm_file(how)
    how.add_argument(
        "--peers", action="store_true", help="time other libraries too, where they are installed"
    )
    how.add_argument("--baseline", metavar="A", help="the one the others are compared with")
    how.add_argument("--threads", default="1", metavar="N,M", help="thread counts (default: 1)")
    how.add_argument("--dtype", metavar="D", help="float32 or float64 for every problem")
    how.add_argument("--budget", type=_seconds, metavar="SECONDS", help="time to spend")
    how.add_argument(
        "--min-effect", type=_percent, default=MIN_EFFECT, metavar="PERCENT",
        help="differences below do not matter (default: 2%%)",
    )  # fmt: skip
    how.add_argument(
        "--call-limit", type=_seconds, default=2.0, metavar="SECONDS",
        help="skip what would take longer for a single call (default: 2)",
    )  # fmt: skip
    how.add_argument(
        "--timeout", type=_seconds, default=120.0, metavar="SECONDS",
        help="give an algorithm up that does not answer for so long (default: 120)",
    )  # fmt: skip
    how.add_argument("--cold-cache", action="store_true", help="empty the caches before every call")
    how.add_argument("--seed", type=_whole(0), default=0, help="of data and order (default: 0)")
    how.add_argument("--resume", metavar="RUN", help="go on with a run that was cut short")
    how.add_argument("--strict", action="store_true", help="no verdicts without a passed audit")
    how.add_argument("--dry-run", action="store_true", help="show what would be timed")
    how.add_argument(
        "--runs", metavar="DIR",
        help="where to keep runs (default: CONVBENCH_RUNS, or ./results/runs)",
    )  # fmt: skip


def _add_compile(compiling: argparse.ArgumentParser) -> None:
    compiling.add_argument("--algorithms", metavar="A,B", help="only these (default: all of ours)")
    compiling.add_argument("--dtype", choices=DTYPES, help="only this one (default: both)")
    compiling.add_argument(
        "--cold", action="store_true", help="from nothing, into a cache that is thrown away"
    )


def _add_audit(audit: argparse.ArgumentParser) -> None:
    audit.add_argument(
        "--budget", type=_seconds, default=600.0, metavar="SECONDS",
        help="time to spend; the number of pairs follows from it (default: 600)",
    )  # fmt: skip
    audit.add_argument(
        "--min-effect", type=_percent, default=MIN_EFFECT, metavar="PERCENT",
        help="differences below do not matter (default: 2%%)",
    )  # fmt: skip
    audit.add_argument("--seed", type=_whole(0), default=0, help="of data and order (default: 0)")
    audit.add_argument("--runs", metavar="DIR", help="where runs are kept, and audits beside them")


def _add_verify(verify: argparse.ArgumentParser) -> None:
    verify.add_argument("--algorithms", metavar="A,B", help="only these (default: all)")
    _add_algorithm_file(verify)
    verify.add_argument(
        "--cases",
        type=_whole(1),
        default=200,
        metavar="N",
        help="how many problems of convolution, and as many of pooling (default: 200)",
    )
    verify.add_argument(
        "--problem", action="append", default=[], metavar="DESCRIPTOR",
        help="these instead of generated ones; may be repeated",
    )  # fmt: skip
    verify.add_argument("--batch", metavar="FILE", help="the problems of a benchdnn file instead")
    verify.add_argument("--weights", metavar="SPEC", help="kernel values of --problem and --batch")
    verify.add_argument("--pixels", metavar="SPEC", help="input values of --problem and --batch")
    verify.add_argument(
        "--operation", choices=("all", "forward", "grad_input", "grad_weight"),
        help="what to judge (default: all of generated problems, and what listed ones say)",
    )  # fmt: skip
    verify.add_argument("--peers", action="store_true", help="judge other libraries too")
    verify.add_argument("--dtype", metavar="D", help="float32 or float64 for every problem")
    verify.add_argument("--threads", metavar="N", help="threads (default: all)")
    verify.add_argument(
        "--seed", type=_whole(0), default=0, help="of problems and data (default: 0)"
    )
    verify.add_argument(
        "--timeout", type=_seconds, default=120.0, metavar="SECONDS",
        help="give a case up that takes longer (default: 120)",
    )  # fmt: skip


def _add_algorithm_file(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--algorithm-file", action="append", default=[], metavar="PATH",
        help="a Python file with algorithms of your own; may be repeated",
    )  # fmt: skip


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a positive number of seconds")
    return value


def _percent(text: str) -> float:
    """``2%`` as 0.02; the sign may be left out."""
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a percentage such as 2% or 0.5%")
    return value


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from {least} on")
        return int(text)

    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, 1 (wrong results), 2 (a mistake, or Ctrl-C), or 3.

    3 is of `verify`: nothing was wrong, but time or memory ran out before all was judged.
    """
    open_standard_streams()
    # Python leaves a stream that was closed before the start at None.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no × gets a ?
            stream.reconfigure(errors="replace")
    with suppress(ValueError):  # outside the main thread signals are somebody else's
        signal.signal(signal.SIGTERM, _end)
    try:
        try:
            return perform(argv)
        finally:
            sys.stdout.flush()
    except ConvbenchError as error:
        return _complain(str(error))
    except BrokenPipeError:  # whoever read the output has seen enough
        _mute()
        return 0
    except KeyboardInterrupt:
        return _complain("interrupted")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        code = _complain(f"{error.strerror or error}{where}")
        _mute()
        return code


def perform(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code, or raise `ConvbenchError` for a user's mistake."""
    arguments = _parser().parse_args(argv)
    if arguments.version:
        return commands.show_version()
    if arguments.command is None:
        _parser().print_help()
        return 2
    arguments.words = list(sys.argv[1:] if argv is None else argv)
    if arguments.command == "run" and arguments.resume:
        arguments = _taken_up(arguments)
    if arguments.command in ("run", "verify", "audit", "compile"):
        launch_threads()  # or say why they cannot, once and not for every cell
    command: Callable[[argparse.Namespace], int] = commands.COMMANDS[arguments.command]
    return command(arguments)


def _taken_up(arguments: argparse.Namespace) -> argparse.Namespace:
    """The command line of the run to be resumed; what is given anew beside it must agree."""
    earlier = results.find(arguments.resume, arguments.runs)
    words = results.read_records(earlier).header.get("words") or ["run"]
    told, usual = _parser().parse_args(words), _parser().parse_args(["run"])
    for name, value in vars(arguments).items():
        if name not in ("resume", "words") and value != getattr(usual, name):
            setattr(told, name, value)
    told.words, told.earlier, told.resume = words, earlier, None
    return told


def _mute() -> None:
    """Let nothing more reach standard output, not even what Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(sentence: str) -> int:
    print(f"convbench: error: {sentence}", file=sys.stderr)
    return 2


def _end(*_: object) -> NoReturn:
    """SIGTERM ends as Ctrl-C does: what was measured is kept."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
