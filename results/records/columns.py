"""Every column of a run's table, defined once.

These definitions give the frame its columns and types, and the CSV its header. The docstring of
`results.read`, ``convbench list columns`` and the checks of a cell record use them too. To add a
column that the harness records, add one `Column` with a `field`. A computed column has no field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .fields import Choice, Field, ListOf, Number, TableOf, Text, Whole

STATUSES = ("ok", "unsupported", "failed", "refused", "skipped")
#: Columns with one value per spatial axis: field of the record, and a noun for the value.
SHAPES = {
    "input_size": ("size", "input"),
    "kernel_size": ("kernel", "kernel or window"),
    "stride": ("stride", "stride"),
    "dilation": ("dilation", "dilation"),
    "output_size": ("output_size", "output"),
}
#: Columns with the same value in all cells of a group. Only the algorithm differs.
GROUP = ("operation", "problem", "name", "weights", "pixels", "dtype", "threads")
#: Passes needed before an interval is shown. Student's t makes the interval of two passes 13
#: times as wide as their spread.
MIN_PASSES = 3
#: Spatial axes, the last one first. A problem has one to three.
AXES = ("width", "height", "depth")
#: Processor counters per call. A record keeps them under ``counters``.
COUNTED = ("cycles", "instructions", "instructions_per_cycle", "l1_misses", "llc_misses")


@dataclass(frozen=True)
class Column:
    """One column: its pandas type, its unit, its meaning, and its field in a cell record.

    `field` is None for a computed column. An optional field may be missing from a record,
    because older versions did not write it.
    """

    name: str
    dtype: str
    unit: str
    meaning: str
    field: Field | None = None
    optional: bool = False


def axis_column(shape: str, axis: str) -> str:
    """Return the name of the number column for one axis of `shape`.

    >>> axis_column("input_size", "width")
    'input_width'
    """
    return f"{shape.removesuffix('_size')}_{axis}"


def _shapes() -> Iterator[Column]:
    """Yield a text column for every entry of `SHAPES`, then a number column per axis."""
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
           "time per call: geometric mean of the shortest sample of each pass, over the passes "
           "shared by most algorithms of the problem; with one pass, the median of its samples"),
    Column("time_low_s", "float64", "s",
           "lower end of its 95 % interval: Student's t over the passes; with one pass, order "
           "statistics of its samples, valid for that process only"),
    Column("time_high_s", "float64", "s", "upper end of the same interval"),
    Column("speedup", "float64", "×",
           "time_s of the baseline over time_s of this algorithm; its interval uses one ratio per "
           "pass, of the shortest samples from the same blocks"),
    Column("speedup_low", "float64", "×", "lower end of its 95 % interval"),
    Column("speedup_high", "float64", "×", "upper end of its 95 % interval"),
    Column("verdict", "str", "",
           "against the baseline: faster, slower, equivalent or undecided, by the rules of "
           "results.verdicts.decide; withheld under --strict without a passed audit; empty for "
           "the baseline"),
    Column("winner", "bool", "", "True for the fastest of its problem and thread count"),
    Column("decided", "bool", "", "True for a winner without rivals"),
    Column("rivals", "str", "",
           "on the winner's row: algorithms it may not have beaten, fastest first"),
    Column("ties", "str", "", "on the winner's row: algorithms equivalent to it"),
    Column("doubt", "str", "",
           "on the winner's row: why it has rivals: too few passes, noise, drift or budget"),
    Column("drift", "float64", "×",
           "time of late passes over time of early ones; 1 if the change is within noise or 5 %"),
    Column("gflops", "float64", "GFLOP/s",
           "flops / time_s / 10⁹; effective: counts the operations of the direct algorithm, so "
           "it may pass the machine's peak"),
    Column("intensity", "float64", "FLOP/B", "flops / compulsory_bytes"),
    Column("attainable_s", "float64", "s",
           "least time that the machine's measured limits allow; for pooling, by bandwidth alone"),
    Column("roofline_percent", "float64", "%", "100 · attainable_s / time_s"),
    Column("compile_s", "float64", "s",
           "time to compile; 0 if all kernels were in the cache", _SECONDS, True),
    Column("prepare_s", "float64", "s",
           "time to prepare the kernel, once per kernel", _SECONDS, True),
    Column("first_call_s", "float64", "s", "time of the first call", _SECONDS, True),
    Column("load_s", "float64", "s",
           "time of prepare and first call in a fresh process with all kernels in the cache"),
    Column("workspace_bytes", "float64", "B",
           "predicted memory beyond input, kernel and output", _BYTES),
    Column("peak_extra_bytes", "float64", "B",
           "measured memory beyond input, kernel and output, in a separate process", _BYTES, True),
    Column("error_over_bound", "float64", "",
           "largest ratio of an error to its proven bound",
           Number(0, 1e300, True, infinite=True), True),
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
    Column("multiply_adds", "float64", "", "multiply-adds of the direct algorithm", Number()),
    Column("compulsory_bytes", "float64", "B",
           "bytes of input, kernel and output, each moved once", Number(optional=True), True),
    Column("parameters", "float64", "", "values in the kernel", Number(optional=True), True),
    Column("flops", "float64", "FLOP",
           "operations: 2 per multiply-add, 1 per sample that a pooling window reads",
           Number(), True),
    Column("saved", "float64", "",
           "share of multiply-adds saved by 1×1 reductions; NaN except for inception",
           Number(-1e30, 1, optional=True), True),
    Column("passes", "int64", "", "number of passes with a sample"),
    Column("blocks", "int64", "", "number of blocks with a sample"),
    Column("loops", "float64", "", "calls per sample", Whole(1)),
    Column("samples", "object", "s",
           "time per call of each sample: a tuple per pass, one entry per block, NaN if missing; "
           "see results.samples"),
)  # fmt: skip

#: Pandas type of every column, in order.
DTYPES: dict[str, str] = {column.name: column.dtype for column in DEFINED}


def described(indent: str = "") -> str:
    """Return name, unit and meaning of every column, one per line."""
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
