"""Every column of a run's table, defined once.

These definitions give the frame its columns and types, and the CSV its header. The docstring of
`results.read`, ``convbench list columns`` and the checks of a cell record use them too. A recorded
column is a field of `CellRecord`: define a new one in `Outcome`, and give it its value where it is
measured. A computed column is a `Column` of `COMPUTED`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from .fields import Anything, Choice, Field, ListOf, Number, TableOf, Text, Truth, Whole
from .record import Record, entries, entry

OPERATIONS = ("forward", "grad_input", "grad_weight")
STATUSES = ("ok", "unsupported", "failed", "refused", "skipped")
#: Classes of accuracy.
ACCURACIES = ("direct", "normwise")
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
    """One column: its pandas type, its unit and its meaning; recorded, or computed."""

    name: str
    dtype: str
    unit: str
    meaning: str
    recorded: bool = False


def column(dtype: str, unit: str, meaning: str, kind: Field, **more: Any) -> Any:
    """Return a dataclass field that is a column of the table too; `more` is as in `entry`."""
    return entry(kind, column=(dtype, unit, meaning), **more)


GROUP_NUMBER = Whole(0, 1_000_000)
_SECONDS = Number(0, 1e9, optional=True)
_BYTES = Whole(0, 2**70, optional=True)
_SIZES = ListOf(Whole(1), 1, len(AXES))


@dataclass(frozen=True, kw_only=True)
class Identity(Record):
    """The fields that identify a cell."""

    suite: str = column("str", "", "name of the suite", Text())
    group: int = entry(GROUP_NUMBER)
    problem: str = column("str", "", "descriptor of the problem", Text())
    name: str = column(
        "str", "", "name that the suite gives the problem", Text(optional=True), default=""
    )
    operation: str = column("str", "", "forward, grad_input or grad_weight", Choice(OPERATIONS))
    kind: str = column(
        "str", "", '"convolution", "inception", "deblur", or the kind of pooling', Text(),
        default="convolution",
    )  # fmt: skip
    algorithm: str = column("str", "", "name of the algorithm", Text())
    dtype: str = column("str", "", "float32 or float64", Text())
    threads: int = column("int64", "", "threads that the algorithm may use", Whole(1, 65536))
    weights: str = column("str", "", "source of the kernel's values", Text())
    pixels: str = column("str", "", "source of the input's values", Text())


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The status of a cell, and the values measured beside its samples."""

    status: str = column(
        "str", "", "ok, unsupported, failed, refused or skipped", Choice(STATUSES),
        default="ok", required=True,
    )  # fmt: skip
    reason: str = column(
        "str", "", "why a cell has no time, as a sentence", Text(1_000_000),
        default="", required=True,
    )  # fmt: skip
    compile_s: float | None = column(
        "float64", "s", "time to compile; 0 if all kernels were in the cache", _SECONDS,
        default=None,
    )  # fmt: skip
    prepare_s: float | None = column(
        "float64", "s", "time to prepare the kernel, once per kernel", _SECONDS, default=None
    )
    first_call_s: float | None = column(
        "float64", "s", "time of the first call", _SECONDS, default=None
    )
    convert_s: float | None = column(
        "float64", "s",
        "time to convert operands to a library's own and its result back, outside of time_s",
        _SECONDS, default=None,
    )  # fmt: skip
    workspace_bytes: int | None = column(
        "float64", "B", "predicted memory beyond input, kernel and output", _BYTES,
        default=None, required=True,
    )  # fmt: skip
    peak_extra_bytes: int | None = column(
        "float64", "B",
        "measured memory beyond input, kernel and output, in a separate process", _BYTES,
        default=None,
    )  # fmt: skip
    error_over_bound: float | None = column(
        "float64", "", "largest ratio of an error to its proven bound",
        Number(0, 1e300, optional=True, infinite=True), default=None,
    )  # fmt: skip
    relative_error: float | None = column(
        "float64", "", "largest error over the largest exact result",
        Number(0, 1e300, optional=True, infinite=True), default=None,
    )  # fmt: skip
    accuracy: str = column(
        "str", "",
        'what bounds an error: "direct" if the terms of its own element do, as in a direct sum, '
        '"normwise" if the largest numbers nearby do; empty if unknown',
        Choice(("", *ACCURACIES)), default="",
    )  # fmt: skip
    #: Threads of each library, read back after the first call.
    threads_seen: Mapping[str, int] = entry(
        TableOf(Anything(), optional=True), default_factory=dict
    )
    #: Processor counters per call; see `COUNTED`.
    counters: Mapping[str, float] = entry(
        TableOf(Number(optional=True), optional=True), default_factory=dict
    )


def is_late(status: str, reason: str) -> bool:
    """Return True if a cell of this status has no time because the budget was spent."""
    return status == "skipped" and "--call-limit" not in reason


@dataclass(frozen=True, kw_only=True)
class CellRecord(Outcome, Identity):
    """A problem × algorithm × thread count: its problem's size, and its outcome."""

    kind_of_record: ClassVar[str] = "cell"
    writes_null: ClassVar[bool] = True

    auto: bool = column(
        "bool", "", 'True for the algorithm that algorithm="auto" took when this was measured',
        Truth(), default=False,
    )  # fmt: skip
    ruled_out: bool = column(
        "bool", "", 'True if the default accuracy of algorithm="auto" rules the algorithm out',
        Truth(), default=False,
    )  # fmt: skip
    batch: int = column("int64", "", "inputs in a batch", Whole())
    in_channels: int = column("int64", "", "channels of the input", Whole())
    out_channels: int = column("int64", "", "channels of the output", Whole())
    groups: int = column("int64", "", "groups of channels", Whole(1))
    multiply_adds: int = column("float64", "", "multiply-adds of the direct algorithm", Number())
    compulsory_bytes: int | None = column(
        "float64", "B", "bytes of input, kernel and output, each moved once",
        Number(optional=True), default=None,
    )  # fmt: skip
    parameters: int | None = column(
        "float64", "", "values in the kernel", Number(optional=True), default=None
    )
    flops: int | None = column(
        "float64", "FLOP",
        "operations: 2 per multiply-add, 1 per sample that a pooling window reads", Number(),
        default=None,
    )  # fmt: skip
    saved: float | None = column(
        "float64", "",
        "share of multiply-adds saved by 1×1 reductions; NaN except for inception",
        Number(-1e30, 1), default=None,
    )  # fmt: skip
    #: Multiply-adds of an inception module without reductions.
    textbook_multiply_adds: int | None = entry(Number(), default=None)
    loops: int = column("float64", "", "calls per sample", Whole(1))
    #: Seconds of a call, as calibration found them.
    once_s: float | None = entry(_SECONDS, default=None)
    #: Numbers along the spatial axes; see `SHAPES`.
    size: Sequence[int] = entry(_SIZES)
    kernel: Sequence[int] = entry(_SIZES)
    stride: Sequence[int] = entry(_SIZES)
    dilation: Sequence[int] = entry(_SIZES)
    output_size: Sequence[int] = entry(ListOf(Whole(), 1, len(AXES)))

    @property
    def asked(self) -> tuple[Any, ...]:
        """The values of `GROUP`. Cells that share them ask for the same computation."""
        return tuple(getattr(self, name) or "" for name in GROUP)

    @property
    def outcome(self) -> Outcome:
        """The outcome alone."""
        return Outcome(**{one.name: getattr(self, one.name) for one in entries(Outcome)})


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


_STATISTICS = (
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
    Column("direct_winner", "bool", "",
           "True for the fastest of those with a direct sum's accuracy"),
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
)  # fmt: skip
_SAMPLES = (
    Column("samples", "object", "s",
           "time per call of each sample: a tuple per pass, one entry per block, NaN if missing; "
           "see results.samples"),
)  # fmt: skip
#: Computed columns, by the recorded column that they follow in the table.
COMPUTED: dict[str, tuple[Column, ...]] = {
    "suite": (
        Column("label", "str", "", "short name of the problem, unique within the run"),
    ),
    "reason": _STATISTICS,
    "first_call_s": (
        Column("load_s", "float64", "s",
               "time of prepare and first call in a fresh process with all kernels in the cache"),
    ),
    "error_over_bound": (
        Column("cycles", "float64", "", "processor cycles per call, all threads, caches warm"),
        Column("instructions", "float64", "", "instructions per call"),
        Column("instructions_per_cycle", "float64", "", "instructions / cycles"),
        Column("l1_misses", "float64", "", "level-1 data cache misses per call"),
        Column("llc_misses", "float64", "", "last-level cache misses per call"),
    ),
    "groups": tuple(_shapes()),
    "saved": (
        Column("passes", "int64", "", "number of passes with a sample"),
        Column("blocks", "int64", "", "number of blocks with a sample"),
    ),
    "loops": _SAMPLES,
}  # fmt: skip


def _columns() -> Iterator[Column]:
    for one in entries(CellRecord):
        if one.column:
            yield Column(one.name, *one.column, recorded=True)
        yield from COMPUTED.get(one.name, ())


#: All columns, in order.
DEFINED: tuple[Column, ...] = tuple(_columns())

#: Pandas type of every column, in order.
DTYPES: dict[str, str] = {column.name: column.dtype for column in DEFINED}


def described(indent: str = "") -> str:
    """Return name, unit and meaning of every column, one per line."""
    return f"\n{indent}".join(
        f"- ``{column.name}``{f' ({column.unit})' if column.unit else ''}: {column.meaning}"
        for column in DEFINED
    )
