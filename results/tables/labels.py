"""Readable text for times, sizes and problems, and the order of algorithms."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath

import pandas as pd

from results.records.columns import GROUP
from results.records.entrants import Entrant

#: Display order of the algorithms; others follow by name.
KNOWN = ("naive", "im2col", "fft", "separable", "parallel", "winograd", "toeplitz")

VERDICTS = ("faster", "slower", "equivalent", "undecided")
#: Sign appended to a ratio for each verdict that the ratio does not show.
VERDICT_SIGNS = {"equivalent": " ≈", "undecided": " ?", "withheld": " ?"}
#: Opening of the doubt about a winner that had too few passes.
TOO_EARLY = "not decided yet"

STATUS_WORDS = {
    "unsupported": "cannot",
    "failed": "FAILED",
    "refused": "too big",
    "skipped": "skipped",
}


def in_order(algorithms: Iterable[str]) -> list[str]:
    """Return `algorithms` without repeats: first those of `KNOWN`, then the rest by name.

    An algorithm in another layout follows the algorithm itself.

    >>> in_order(["toeplitz", "parallel@channels_last", "parallel"])
    ['parallel', 'parallel@channels_last', 'toeplitz']
    """
    rank = {name: position for position, name in enumerate(KNOWN)}

    def place(name: str) -> tuple[int, str]:
        return rank.get(Entrant.of(name).algorithm, len(KNOWN)), name

    return sorted(set(algorithms), key=place)


def three_digits(value: float) -> str:
    """Return `value` with three significant digits, without an exponent.

    >>> [three_digits(v) for v in (0.0123, 1.0, 9.996, 45.62, 123.4, 98765.0)]
    ['0.0123', '1.00', '10.0', '45.6', '123', '98800']
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else str(value)
    if value == 0:
        return "0"
    value = float(f"{value:.2e}")
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def time_text(seconds: float) -> str:
    """Return a time in a readable unit.

    >>> [time_text(t) for t in (1.234e-3, 5.6e-7, 0.9999, 12.0, float("nan"))]
    ['1.23 ms', '560 ns', '1.00 s', '12.0 s', '–']
    """
    if math.isnan(seconds):
        return "–"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * scale:
            return f"{three_digits(seconds / scale)} {unit}"
    return f"{three_digits(seconds / 1e-9)} ns"


def times_text(ratio: float) -> str:
    """Return a ratio with a times sign.

    >>> [times_text(r) for r in (0.5, 4.56, 45.6, 1234.0, 0.00123, float("nan"))]
    ['0.50×', '4.6×', '46×', '1234×', '0.0012×', '–']
    """
    if math.isnan(ratio):
        return "–"
    if 0 < ratio < 0.0995:
        return f"{float(f'{ratio:.2g}'):f}".rstrip("0") + "×" if ratio >= 1e-6 else f"{ratio:.0e}×"
    decimals = 2 if ratio < 0.995 else 1 if ratio < 9.95 else 0
    return f"{ratio:.{decimals}f}×"


def lead_text(ratio: float) -> str:
    """Return a ratio like `times_text`, with two decimals near 1.

    >>> [lead_text(r) for r in (1.034, 1.96, 45.6)]
    ['1.03×', '2.0×', '46×']
    """
    return f"{ratio:.2f}×" if 0.0995 <= ratio < 1.95 else times_text(ratio)


def percent(ratio: float) -> str:
    """Return a ratio as a change in percent.

    >>> percent(1.052), percent(0.5), percent(1.0), percent(12.3)
    ('+5.2 %', '−50.0 %', '0.0 %', '12×')
    """
    if math.isnan(ratio):
        return "–"
    if ratio >= 10:
        return times_text(ratio)
    change = round(100 * (ratio - 1), 1) + 0.0
    sign = "+" if change > 0 else "−" if change < 0 else ""
    return f"{sign}{abs(change):.1f} %"


def bytes_text(count: float) -> str:
    """Return a number of bytes in a readable unit.

    >>> [bytes_text(b) for b in (0, 1536, 3 * 2**20, float("nan"))]
    ['0 B', '1.50 KiB', '3.00 MiB', '–']
    """
    if math.isnan(count):
        return "–"
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= scale:
            return f"{three_digits(count / scale)} {unit}"
    return f"{count:.0f} B"


def spread(text: str) -> tuple[int, ...]:
    """Return the numbers in the text of a size column.

    >>> spread("256x128")
    (256, 128)
    """
    return tuple(int(part) for part in text.split("x"))


def edge(text: str) -> float:
    """Return the edge of a square, or of the square or cube with as many elements.

    >>> edge("256x256"), edge("4x16")
    (256.0, 8.0)
    """
    numbers = spread(text)
    if len(set(numbers)) == 1:
        return float(numbers[0])
    return math.prod(numbers) ** (1 / len(numbers))


def shape_text(text: str) -> str:
    """Return the text of a size column for a label.

    >>> [shape_text(s) for s in ("256x256", "64x64x64", "3x1", "4096")]
    ['256²', '64³', '3×1', '4096']
    """
    numbers = spread(text)
    if len(set(numbers)) == 1 and len(numbers) > 1:
        return f"{numbers[0]}{'²' if len(numbers) == 2 else '³'}"
    return "×".join(str(number) for number in numbers)


def channels_text(row: pd.Series) -> str:
    """Return channels like ``3→96 ch``, or ``64 ch depthwise`` for one group per channel."""
    given, made, groups = row["in_channels"], row["out_channels"], row["groups"]
    if groups > 1 and groups == given == made:
        return f"{given} ch depthwise"
    text = f"{given} ch" if given == made else f"{given}→{made} ch"
    return f"{text}, {groups} groups" if groups > 1 else text


def source_text(source: str) -> str:
    """Return the source of kernel or pixels; a path is cut to its file name.

    The kernel of a network's layer adds nothing to the name of the layer.
    """
    if source.startswith("onnx:"):
        return ""
    return PurePath(source).name if source.endswith((".npy", ".png", ".jpg", ".jpeg")) else source


def problem_labels(frame: pd.DataFrame) -> list[str]:
    """Return a label per row: the problem's name, or its sizes and the fields that vary.

    A name shared by several problems opens their labels. Rows with different problems never
    share a label.
    """
    varies = {
        name: frame[name].nunique() > 1
        for name in ("batch", "weights", "pixels", "dtype", "operation", "kind")
    }

    own = (frame["name"] != "") & (
        frame.groupby(["name", "operation"])["problem"].transform("nunique") == 1
    )
    plain = bool((frame.loc[~own, ["in_channels", "out_channels"]] == 1).all(axis=None))

    def label(row: pd.Series, own_name: bool) -> str:
        kernel, pixels = (
            source_text(row[field])
            if varies[field] and row[field] != "random" and row[field] not in row["name"]
            else ""
            for field in ("weights", "pixels")
        )
        parts = [row["name"]] if row["name"] else []
        if own_name:
            parts += [kernel, pixels]
        else:
            parts += _shape_parts(row, kernel, pixels, plain)
            parts.append(f"batch {row['batch']}" if varies["batch"] and not pixels else "")
        parts += [row[field] for field in ("dtype", "operation") if varies[field]]
        parts = [part for part in parts if part != "forward"]  # the default operation
        return ", ".join(part for part in parts if part)

    labels = [label(row, alone) for (_, row), alone in zip(frame.iterrows(), own, strict=True)]
    asked = list(
        frame[[name for name in GROUP if name != "threads"]].itertuples(index=False, name=None)
    )
    meant: dict[str, set[tuple[str, ...]]] = {}
    for text, key in zip(labels, asked, strict=True):
        meant.setdefault(text, set()).add(key)
    return [
        text if len(meant[text]) == 1 else f"{text} ({problem})"
        for text, problem in zip(labels, frame["problem"], strict=True)
    ]


def _shape_parts(row: pd.Series, kernel: str, pixels: str, plain: bool) -> list[str]:
    """Return ``photograph 512² · gaussian 15²``, then channels, stride and dilation."""
    given, taps = shape_text(row["input_size"]), shape_text(row["kernel_size"])
    if ":" not in kernel:  # gaussian:15 already includes its size
        kernel = f"{kernel} {taps}".lstrip()
    if row["kind"] != "convolution":
        kernel = f"{row['kind']} {taps}"
    parts = [f"{pixels} {given}".lstrip() + " · " + kernel]
    if not plain:
        parts.append(channels_text(row))
    if tiled := re.search(r"_tile(\d+(?:x\d+)*)", row["problem"]):
        parts.append(f"tiles {shape_text(tiled[1])}")
    for field in ("stride", "dilation"):
        if set(spread(row[field])) != {1}:
            numbers = spread(row[field])
            text = str(numbers[0]) if len(set(numbers)) == 1 else "×".join(map(str, numbers))
            parts.append(f"{field} {text}")
    if "_axb" in row["problem"]:
        parts.append("channels last")
    return parts


def shortened(label: str, most: int = 90) -> str:
    """Return `label`, cut in the middle if it is longer than `most`.

    >>> shortened("a rather long label", 12)
    'a rath…label'
    """
    return label if len(label) <= most else f"{label[: most // 2]}…{label[1 - most // 2 :]}"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural unless the count is 1.

    >>> plural(1, "problem"), plural(3, "problem")
    ('1 problem', '3 problems')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(parts: Sequence[str]) -> str:
    """Return `parts` joined by commas and a final "and".

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def error_text(error: float) -> str:
    """Return a relative error with one digit.

    >>> error_text(1.26e-7)
    '1e-07'
    """
    return "–" if math.isnan(error) else "0" if error == 0 else f"{error:.0e}"
