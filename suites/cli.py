"""Command line of convbench: builds the parser, runs a command and reports errors.

argparse is enough here. Every command fills in a parser of its own, and its typed options replace
the parsed namespace at once. A heavier library would add a dependency, and its error messages
would have to be replaced all the same.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from algos.core.errors import ConvbenchError, closest
from results.tables import plain_signs

from .commands.command import Command, Parser
from .workers.standard_streams import open_standard_streams

#: Module and purpose of every command, in the order of the help. A module is imported when its
#: command is called, since most take long to load.
COMMANDS = {
    "run": ("run", "time algorithms on a suite of problems"),
    "verify": ("verify", "check every algorithm against the oracle"),
    "report": ("report", "write the page, figures and tables of a finished run"),
    "history": ("history", "show how the times of a suite changed over many runs"),
    "export": ("export", "convert the table of a run to CSV, LaTeX, JSON and other formats"),
    "compare": ("compare", "show which cells became faster or slower between runs or revisions"),
    "merge": ("merge", "join runs of one suite from one machine"),
    "import": ("importing", "make a run from JSON files of pytest-benchmark"),
    "blocks": ("blocks", "convolve an array that does not fit in memory, from file to file"),
    "compile": ("compiling", "compile all kernels now, so that later calls need not wait"),
    "explain": ("explain", "show how an algorithm is chosen for a problem or a network"),
    "tune": ("tune", "measure the fastest algorithms and remember them for algorithm=auto"),
    "regret": ("regret", "measure how far the automatic choice is from the fastest algorithm"),
    "audit": ("audit", "count how often verdicts are wrong on this machine"),
    "claims": ("claims", "check statements of books and papers about convolution"),
    "list": ("listing", "list suites, algorithms, filters, claims, columns or a suite's problems"),
    "shape": ("shape", "show the sizes of a problem, with the formula filled in"),
    "new-algorithm": ("new_algorithm", "write a file to start an algorithm from"),
    "env": ("env", "show the machine, and the versions that times depend on"),
}

_DESCRIPTION = "Time, compare and verify convolution algorithms on this machine."

_EPILOG = """examples:
  convbench run                       time the suite quick: image sizes, kernel sizes, layers
  convbench run sizes --threads 1,2   time the suite sizes, with one thread and with two
  convbench verify                    check that all algorithms are right
  convbench report                    draw the latest run again: page, figures and tables
  convbench list suites               list all suites
"""


class _CommandLine(Parser):
    """Parser of the whole command line; it suggests the nearest name for an unknown command."""

    def error(self, message: str) -> NoReturn:
        prefix = "argument COMMAND: invalid choice: "
        if message.startswith(prefix):
            word = message[len(prefix) :].split("'")[1]
            message = f"there is no command {word!r}; {closest(word, list(COMMANDS))}"
        super().error(message)


def load(name: str) -> Command[Any]:
    """Return the command called `name`."""
    module = import_module(f".commands.{COMMANDS[name][0]}", __package__)
    command: Command[Any] = module.COMMAND
    return command


def _parser(words: Sequence[str]) -> _CommandLine:
    """Return a parser that knows the arguments of the command in `words`."""
    parser = _CommandLine(prog="convbench", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action="store_true", help="print the version")
    sub = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    called = next((word for word in words if not word.startswith("-")), None)
    for name, (_, purpose) in COMMANDS.items():
        own = sub.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.")
        if name == called:
            load(name).fill(own)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    The code is 0 for success. It is 1 for wrong results, or a slow-down under --fail-on. It is 2
    for a user's mistake or Ctrl-C. It is 3 if `verify` found nothing wrong, but time or memory ran
    out before all was judged.
    """
    open_standard_streams()
    plain_signs.register()
    # Python leaves a stream that was closed before the start at None.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks × shows an x
            stream.reconfigure(errors=plain_signs.HANDLER)
    with suppress(ValueError):  # only the main thread may set signal handlers
        signal.signal(signal.SIGTERM, _end)
    try:
        try:
            return perform(argv)
        finally:
            sys.stdout.flush()
    except ConvbenchError as error:
        return _complain(str(error))
    except BrokenPipeError:  # the reader of the output has seen enough
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
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(words)
    parsed = parser.parse_args(words)
    if parsed.version:
        print(f"convbench {version('convbench')}")
        return 0
    if parsed.command is None:
        parser.print_help()
        return 2
    parsed.words = words  # an option of `run`, which records them
    command = load(parsed.command)
    return command.execute(command.options.from_namespace(parsed))


def _mute() -> None:
    """Send later standard output nowhere, even the text that Python flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(sentence: str) -> int:
    print(f"convbench: error: {sentence}", file=sys.stderr)
    return 2


def _end(*_: object) -> NoReturn:
    """Treat SIGTERM like Ctrl-C, so that measurements are kept."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
