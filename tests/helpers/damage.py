"""Damage of result files, as disks, editors and programs cause it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

#: Values that no field expects, and numbers at or beyond the ends of every type.
STRANGE: tuple[Any, ...] = (
    None, True, False, "", "x", "ok", "inf", "NaN", "\ud800", "a\x00b", "1", "$^_{", "x" * 3000,
    0, -1, 1, 2, 7, 1.5, -0.0, 1e-320, 1e-9, 1e12, 1e300, -1e300, 10**18, 2**70, 10**400, -(2**63),
    float("nan"), float("inf"), float("-inf"), [], {}, [[]], [[1]], [None], {"a": {"b": []}},
    [1, 2, 3, 4], [0], [-1], [1e9], [2**40], ["1"], {"1": 1}, {"": ""},
)  # fmt: skip
Lines = list[bytes]
FOREIGN = (
    b"[]", b"{}", b"0", b"null", b'"text"', b'{"record": "cell"}', b'{"record": "run"}',
    b'{"record": "pass", "group": 0, "pass": 0, "samples_s": {}}', b'{"record": ["cell"]}',
    b'{"record": "end"}', b"<html></html>", b"a,b,c", b"[" * 5000, b'{"a":' * 5000,
    b"\xef\xbb\xbf{}", b"{'a': 1}",
    b'{"name": "package", "version": "1.0.0", "dependencies": {}}', b"9" * 6000,
)  # fmt: skip


def damaged(content: bytes, seed: int) -> bytes:
    """Return `content` with one to three faults, the same ones for the same `seed`."""
    chance = random.Random(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        content = chance.choice(KINDS)(content, chance)
    return content


def _lines(change: Callable[[Lines, random.Random], None]) -> Callable[..., bytes]:
    def kind(content: bytes, chance: random.Random) -> bytes:
        lines = content.split(b"\n")
        change(lines, chance)
        return b"\n".join(lines)

    return kind


def _records(change: Callable[[Any, random.Random], None]) -> Callable[..., bytes]:
    """Return a kind of damage: `change` applied to one line, which stays JSON."""

    def kind(content: bytes, chance: random.Random) -> bytes:
        lines = content.split(b"\n")
        at = chance.randrange(len(lines))
        try:
            record = json.loads(lines[at])
        except (ValueError, RecursionError):
            return content
        if isinstance(record, dict) and record:
            change(record, chance)
        lines[at] = json.dumps(record).encode()
        return b"\n".join(lines)

    return kind


def _somewhere(record: Any, chance: random.Random) -> tuple[Any, Any]:
    """Return a container inside `record` and one of its keys."""
    holder, key = record, chance.choice(list(record))
    while isinstance(holder[key], dict | list) and holder[key] and chance.random() < 0.6:
        holder = holder[key]
        key = chance.choice(list(holder)) if isinstance(holder, dict) else chance.randrange(
            len(holder))  # fmt: skip
    return holder, key


def _delete(lines: Lines, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 3))):
        if lines:
            del lines[chance.randrange(len(lines))]


def _duplicate(lines: Lines, chance: random.Random) -> None:
    if lines:
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))


def _swap(lines: Lines, chance: random.Random) -> None:
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _insert_foreign(lines: Lines, chance: random.Random) -> None:
    at = chance.randrange(len(lines))
    lines[at : at + chance.randrange(2)] = [chance.choice(FOREIGN)]


def _replace(record: Any, chance: random.Random) -> None:
    holder, key = _somewhere(record, chance)
    holder[key] = chance.choice(STRANGE)


def _remove(record: Any, chance: random.Random) -> None:
    holder, key = _somewhere(record, chance)
    del holder[key]


def _add(record: Any, chance: random.Random) -> None:
    deep: Any = chance.choice(STRANGE)
    for _ in range(chance.choice((0, 1, 300))):
        deep = [deep] if chance.random() < 0.5 else {"a": deep}
    record[chance.choice(("extra", "noise", "withheld", "limits", "name", "environment"))] = deep


def _scale(record: Any, chance: random.Random) -> None:
    holder, key = _somewhere(record, chance)
    if isinstance(holder[key], int | float):
        factor = chance.choice((-1, 0, 2, 1000, 2**40, 1e-30, 1e30))
        holder[key] = type(holder[key])(holder[key] * factor)


def _exchange(record: Any, chance: random.Random) -> None:
    """Exchange two values of a record."""
    one, other = chance.choice(list(record)), chance.choice(list(record))
    record[one], record[other] = record[other], record[one]


def _truncate(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _bytes(content: bytes, chance: random.Random) -> bytes:
    """Write foreign bytes over some of the file; some are not UTF-8."""
    at, length = chance.randrange(len(content) + 1), chance.choice((1, 1, 4, 100))
    return content[:at] + chance.randbytes(length) + content[at + length :]


def _cut_out(content: bytes, chance: random.Random) -> bytes:
    at, length = chance.randrange(len(content) + 1), chance.choice((1, 10, 500))
    return content[:at] + content[at + length :]


KINDS: tuple[Callable[..., bytes], ...] = (
    *map(_lines, (_delete, _duplicate, _swap, _insert_foreign)),
    *map(_records, (_replace, _replace, _replace, _remove, _add, _scale, _exchange)),
    _truncate, _bytes, _cut_out,
)  # fmt: skip
