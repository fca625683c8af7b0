"""Parts that every command is made of: its options, its parser and its description."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Generic, NoReturn, Self, TypeVar

from algos.core.errors import ConvbenchError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base class for the options of a command, named like the parser's destinations."""

    @classmethod
    def from_namespace(cls, parsed: argparse.Namespace) -> Self:
        """Return the options among the attributes of `parsed`; lists become tuples."""
        given = vars(parsed)
        return cls(**{f.name: _frozen(given[f.name]) for f in fields(cls) if f.name in given})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Parser(argparse.ArgumentParser):
    """Argument parser that raises `ConvbenchError` instead of exiting on a mistake."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings
        )

    def error(self, message: str) -> NoReturn:
        """Raise the complaint as one sentence."""
        raise ConvbenchError(f"{message} ({self.prog} --help explains)")


AnyOptions = TypeVar("AnyOptions", bound=Options)


@dataclass(frozen=True)
class Command(Generic[AnyOptions]):
    """Description of a command: its name, its options and the function that runs it."""

    name: str
    options: type[AnyOptions]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[AnyOptions], int]
    examples: str = ""

    def fill(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments and examples of the command to `parser`."""
        self.add_arguments(parser)
        parser.epilog = self.examples or f"example:\n  convbench {self.name}\n"

    def parse(self, words: list[str]) -> AnyOptions:
        """Return the options that `words` spell, without the name of the command."""
        parser = Parser(prog=f"convbench {self.name}")
        self.fill(parser)
        return self.options.from_namespace(parser.parse_args(words))
