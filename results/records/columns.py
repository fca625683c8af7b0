"""Every column of a run's table, defined once.

From here come the columns and types of the frame, the header of the CSV, the docstring of
`results.read`, ``convbench list columns``, and the checks of a cell record. To add a column that
the harness records, add one `Column` with a `field`; a computed one has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .fields import Choice, Field, ListOf, Number, TableOf, Text, Whole

STATUSES = ("ok", "unsupported", "failed", "refused", "skipped")
#: Columns that describe a size along every axis: the field of the record, and of what it is.
SHAPES = {
    "input_size": ("size", "input"),
    "kernel_size": ("kernel", "kernel or window"),
    "stride": ("stride", "stride"),
    "dilation": ("dilation", "dilation"),
    "output_size": ("output_size", "output"),
}
#: Columns in which the cells of a group agree; the algorithm is what differs.
GROUP = ("operation", "problem", "name", "weights", "pixels", "dtype", "threads")
#: With fewer passes no interval is shown to a person: Student's t makes that of two passes 13
#: times as wide as their spread.
MIN_PASSES = 3
#: Spatial axes, the last one first; a problem has one to three of them.
AXES = ("width", "height", "depth")
#: What the processor counted per call; kept together in a record, under ``counters``.
COUNTED = ("cycles", "instructions", "instructions_per_cycle", "l1_misses", "llc_misses")


@dataclass(frozen=True)
class Column:
    """One column: its pandas type, its unit, its meaning, and how a cell record holds it.

    `field` is None where the column is computed. An optional one may be absent from a record,
    as it is from those of older versions.
    """

    name: str
    dtype: str
    unit: str
    meaning: str
    field: Field | None = None
    optional: bool = False


def axis_column(shape: str, axis: str) -> str:
    """Return the name of the column of numbers along one axis.

    >>> axis_column("input_size", "width")
    'input_width'
    """
    return f"{shape.removesuffix('_size')}_{axis}"


def _shapes() -> Iterator[Column]:
    """A text column for every entry of `SHAPES`, followed by one number for each axis."""
    for name, (_, noun) in SHAPES.items():
        yield Column(name, "str", "", f'{noun} along every spatial axis, as text: "256x128"')
        for axis in reversed(AXES):
            yield Column(
                axis_column(name, axis), "int64", "",
                f"{noun} along the {axis}; 1 where the problem has no such axis",
            )  # fmt: skip


GROUP_NUMBER = Whole(0, 1_000_000)
_SECONDS = Number(0, 1e9, optional=True)
_BYTES = Whole(0, 2**70, optional=True)

#: All columns, in order.
DEFINED: tuple[Column, ...] = (
    Column("suite", "str", "", "name of the suite", Text()),
    Column("label", "str", "", "short name of the problem, unique within the run"),
    Column("problem", "str", "", "descriptor of the problem", Text()),
    Column("name", "str", "", "name that the suite gives the problem", Text(optional=True), True),
    Column("operation", "str", "", "forward, grad_input or grad_weight", Text()),
    Column("kind", "str", "", '"convolution", "inception", or the kind of pooling', Text(), True),
    Column("algorithm", "str", "", "name of the algorithm", Text()),
    Column("dtype", "str", "", "float32 or float64", Text()),
    Column("threads", "int64", "", "threads that the algorithm may use", Whole(1, 65536)),
    Column("weights", "str", "", "source of the kernel's values", Text()),
    Column("pixels", "str", "", "source of the input's values", Text()),
    Column("status", "str", "", "ok, unsupported, failed, refused or skipped", Choice(STATUSES)),
    Column("reason", "str", "", "why a cell has no time, as a sentence", Text(1_000_000)),
    Column("time_s", "float64", "s",
           "time per call: geometric mean of the shortest samples of the passes that most "
           "algorithms of the problem share; with a single pass, the median of its samples"),
    Column("time_low_s", "float64", "s",
           "lower end of its 95 % interval: Student's t over the passes; with a single pass from "
           "order statistics, and only for that process"),
    Column("time_high_s", "float64", "s", "upper end of the same interval"),
    Column("speedup", "float64", "×",
           "time_s of the baseline over time_s of this algorithm; its interval comes from one "
           "ratio a pass, that of the shortest samples out of the same blocks"),
    Column("speedup_low", "float64", "×", "lower end of its 95 % interval"),
    Column("speedup_high", "float64", "×", "upper end of its 95 % interval"),
    Column("verdict", "str", "",
           "against the baseline: faster, slower, equivalent or undecided, by the rules of "
           "results.verdicts.decide; withheld without an audit under --strict; empty for the baseline"),
    Column("winner", "bool", "", "True for the fastest of its problem and thread count"),
    Column("decided", "bool", "", "True for a winner without rivals"),
    Column("rivals", "str", "", "on the winner's row: those it may not have beaten, by speed"),
    Column("ties", "str", "", "on the winner's row: those that are equivalent to it"),
    Column("doubt", "str", "",
           "on the winner's row: why it has rivals: too few passes, noise, drift or budget"),
    Column("drift", "float64", "×",
           "time of late passes over time of early ones; 1 within noise and 5 %"),
    Column("gflops", "float64", "GFLOP/s",
           "flops / time_s / 10⁹; effective: counts the operations of the direct algorithm, so "
           "it may pass the machine's peak"),
    Column("intensity", "float64", "FLOP/B", "flops / compulsory_bytes"),
    Column("attainable_s", "float64", "s",
           "least time that the machine's measured limits allow; of pooling, its bandwidth alone"),
    Column("roofline_percent", "float64", "%", "100 · attainable_s / time_s"),
    Column("compile_s", "float64", "s",
           "time to compile; 0 where all kernels were in the cache", _SECONDS, True),
    Column("prepare_s", "float64", "s",
           "time to prepare the kernel, once per kernel", _SECONDS, True),
    Column("first_call_s", "float64", "s", "time of the first call", _SECONDS, True),
    Column("load_s", "float64", "s",
           "prepare and first call in a fresh process that finds everything in the cache"),
    Column("workspace_bytes", "float64", "B",
           "predicted memory beyond input, kernel and output", _BYTES),
    Column("peak_extra_bytes", "float64", "B",
           "the same measured, in a process of its own", _BYTES, True),
    Column("error_over_bound", "float64", "",
           "largest error over its proven bound", Number(0, 1e300, True, infinite=True), True),
    Column("cycles", "float64", "", "processor cycles per call, all threads, caches warm"),
    Column("instructions", "float64", "", "instructions per call"),
    Column("instructions_per_cycle", "float64", "", "instructions / cycles"),
    Column("l1_misses", "float64", "", "level-1 data cache misses per call"),
    Column("llc_misses", "float64", "", "last-level cache misses per call"),
    Column("batch", "int64", "", "inputs in a batch", Whole()),
    Column("in_channels", "int64", "", "channels of the input", Whole()),
    Column("out_channels", "int64", "", "channels of the output", Whole()),
    Column("groups", "int64", "", "groups of channels", Whole(1)),
    *_shapes(),
    Column("multiply_adds", "float64", "", "of the direct algorithm", Number()),
    Column("compulsory_bytes", "float64", "B",
           "input, kernel and output, each moved once", Number(optional=True), True),
    Column("parameters", "float64", "", "values in the kernel", Number(optional=True), True),
    Column("flops", "float64", "FLOP",
           "2 for a multiply-add, 1 for a sample that a pooling window reads", Number(), True),
    Column("saved", "float64", "",
           "share of multiply-adds that 1×1 reductions save; NaN for all but inception",
           Number(-1e30, 1, optional=True), True),
    Column("passes", "int64", "", "passes that gave a sample"),
    Column("blocks", "int64", "", "blocks that gave a sample"),
    Column("loops", "float64", "", "calls in a sample", Whole(1)),
    Column("samples", "object", "s",
           "time per call: a tuple of passes that are tuples of blocks, NaN where missing; "
           "see results.samples"),
)  # fmt: skip

#: Pandas type of every column, in order.
DTYPES: dict[str, str] = {column.name: column.dtype for column in DEFINED}


def described(indent: str = "") -> str:
    """Return name, unit and meaning of every column, one a line."""
    return f"\n{indent}".join(
        f"- ``{column.name}``{f' ({column.unit})' if column.unit else ''}: {column.meaning}"
        for column in DEFINED
    )


def cell_fields() -> Iterator[tuple[str, Field, bool]]:
    """Yield name, type and optionality of every field of a cell record that a table uses."""
    for column in DEFINED:
        if column.field:
            yield column.name, column.field, column.optional
    yield "group", GROUP_NUMBER, False
    yield "counters", TableOf(Number(optional=True), optional=True), True
    yield "once_s", _SECONDS, True
    for field, _ in SHAPES.values():
        yield field, ListOf(Whole(0 if field == "output_size" else 1), 1, len(AXES)), False
