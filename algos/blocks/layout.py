"""Layout of a convolution in blocks: their shape, their order and the memory they need.

All blocks have one shape, so one plan serves them. The last block of an axis begins early enough
to be whole; only its new part is written.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from algos.core.errors import ConvbenchError
from algos.core.problem import Problem

from .positions import Span

#: Blocks of input and of output held at once: one in work, one being read or written.
HELD = 2
#: Fewest outputs of a block along an axis. A single output would be a matrix product, which sums
#: in another order than all others.
LEAST = 16
#: Fewest outputs of a block of a single row: `parallel` sums shorter rows in another order.
LEAST_OF_ONE_AXIS = 8192
#: Most bytes of the blocks while their halos are small, and the factor by which halos may increase
#: the samples read. Above that factor, blocks become larger.
USUAL, OFTEN = 64 << 20, 1.25
#: Cost of one more contiguous run in a copy, in bytes that could be copied in the same time.
RUN_BYTES = 4096

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Store:
    """The facts of an array that decide how it is best read or written.

    Attributes
    ----------
    itemsize : int
        Bytes of an element.
    chunks : tuple of int or None
        Shape of a chunk of the store. None if the store has no chunks.
    in_memory : bool
        True for an array in memory. Reading it allocates nothing.
    in_flight : int
        Number of chunks that the store decodes or encodes at once.
    """

    itemsize: int
    chunks: tuple[int, ...] | None
    in_memory: bool
    in_flight: int = 1

    def needed(self, box: tuple[int, ...]) -> int:
        """Return the bytes beside our own arrays while `box` is read or written."""
        if self.in_memory:
            return 0
        copied = math.prod(box) * self.itemsize
        if self.chunks is None:
            return copied
        touched = math.prod(-(-b // c) + 1 for b, c in zip(box, self.chunks, strict=True))
        chunk = math.prod(self.chunks) * self.itemsize
        return copied + 2 * chunk * min(touched, self.in_flight)


@dataclass(frozen=True)
class Block:
    """One block: the outputs that are computed, and those of them that are new."""

    computed: Ranges
    written: Ranges

    @property
    def slices(self) -> tuple[slice, ...]:
        """Place of the new outputs in the whole result."""
        return tuple(slice(*each) for each in self.written)

    @property
    def inside(self) -> tuple[slice, ...]:
        """Place of the new outputs in the block."""
        return tuple(
            slice(start - first, stop - first)
            for (start, stop), (first, _) in zip(self.written, self.computed, strict=True)
        )


@dataclass(frozen=True)
class Layout:
    """Blocks of a convolution.

    Attributes
    ----------
    spans : tuple of Span
        Axes of the convolution. There are 1 to 3.
    block : tuple of int
        Outputs of a block, per axis.
    algorithm : str
        Name of the algorithm. It computes every block.
    bytes : int
        Peak memory of the blocks, as predicted.
    """

    spans: tuple[Span, ...]
    block: tuple[int, ...]
    algorithm: str
    bytes: int

    @property
    def counts(self) -> tuple[int, ...]:
        """Blocks along each axis."""
        return tuple(-(-s.outputs // b) for s, b in zip(self.spans, self.block, strict=True))

    @property
    def blocks(self) -> int:
        """Number of all blocks."""
        return math.prod(self.counts)

    @property
    def read_shape(self) -> tuple[int, ...]:
        """Samples that a block reads, per axis."""
        return halo(self.block, self.spans)

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks, the last axis fastest."""
        ranges = [
            [
                (max(min(i * b, s.outputs - b), 0), i * b, min(i * b + b, s.outputs))
                for i in range(n)
            ]
            for s, b, n in zip(self.spans, self.block, self.counts, strict=True)
        ]
        for chosen in itertools.product(*ranges):
            computed = tuple((c[0], c[0] + b) for c, b in zip(chosen, self.block, strict=True))
            yield Block(computed, tuple((c[1], c[2]) for c in chosen))


def halo(block: tuple[int, ...], spans: tuple[Span, ...]) -> tuple[int, ...]:
    """Return the samples that a block of outputs reads, per axis."""
    return tuple(b + s.kernel - 1 for b, s in zip(block, spans, strict=True))


def problem_of(block: tuple[int, ...], spans: tuple[Span, ...], dtype: str, flip: bool) -> Problem:
    """Return the problem that every block is: valid, its halo read beforehand."""
    kernel = tuple(s.kernel for s in spans)
    return Problem(size=halo(block, spans), kernel=kernel, dtype=dtype, flip=flip)


def whole_of(spans: tuple[Span, ...], dtype: str, flip: bool) -> Problem:
    """Return the problem of the whole array, with zeros beyond its border."""
    size, kernel, padding = zip(*((s.size, s.kernel, s.padding) for s in spans), strict=True)
    return Problem(size=size, kernel=kernel, padding=padding, dtype=dtype, flip=flip)


def memory_of(
    block: tuple[int, ...], spans: tuple[Span, ...], itemsize: int, workspace: int, source: Store,
    out: Store, rounded: bool,
) -> int:  # fmt: skip
    """Return the most bytes that blocks of this shape take.

    The sum counts two blocks of input, two blocks of output, the algorithm's workspace and two
    copies of the kernel. It also counts the copies that the stores make when they read and write.
    `rounded` results are converted to integers, which takes two more copies of a block.
    """
    read = halo(block, spans)
    held = HELD * (math.prod(read) + math.prod(block)) * itemsize
    kernel = 2 * math.prod(s.kernel for s in spans) * itemsize
    copies = 2 * math.prod(block) * 8 if rounded else 0
    return held + kernel + workspace + copies + source.needed(read) + out.needed(block)


def choose(
    spans: tuple[Span, ...], memory: int, needed: Callable[[tuple[int, ...]], int], source: Store,
    out: Store,
) -> tuple[int, ...]:  # fmt: skip
    """Return the shape of blocks: small ones, unless their halos would be read too often.

    Small blocks overlap reading, computing and writing, and stay nearer to the caches. Blocks
    begin at `USUAL` bytes and are doubled, as far as `memory` allows, while they read more than
    `OFTEN` times the array or cut the chunks of `out`. `needed` returns the bytes of a shape.

    Raises
    ------
    ConvbenchError
        If the smallest block takes more than `memory`; it is named.
    """
    least = smallest(spans)
    if needed(least) > memory:
        raise ConvbenchError(
            f"memory of {memory} bytes is too little: the smallest block, of {least} outputs, "
            f"takes {needed(least)}; allow at least that"
        )
    limit = max(USUAL, needed(least))
    while True:
        shape = _within(min(limit, memory), spans, needed, source, out)
        again = math.prod(halo(shape, spans)) / math.prod(shape)
        if limit >= memory or (again <= OFTEN and not _cuts_chunks(shape, spans, out)):
            return shape
        limit *= 2


def _cuts_chunks(shape: tuple[int, ...], spans: tuple[Span, ...], out: Store) -> bool:
    """Return True if blocks are smaller than the chunks of `out`, which are then written again."""
    sizes = [s.outputs for s in spans]
    return any(b < min(c, n) for b, c, n in zip(shape, out.chunks or shape, sizes, strict=True))


def _within(
    limit: int, spans: tuple[Span, ...], needed: Callable[[tuple[int, ...]], int], source: Store,
    out: Store,
) -> tuple[int, ...]:  # fmt: skip
    """Return the shape of blocks that read least, of those that take at most `limit` bytes."""
    least = smallest(spans)
    counts = [1] * len(spans)
    while needed(_shape(counts, spans, out)) > limit:
        options = []
        for axis, span in enumerate(spans):
            more = [c * 2 if at == axis else c for at, c in enumerate(counts)]
            if -(-span.outputs // more[axis]) >= least[axis]:
                options.append((_cost(more, spans, source), axis, more))
        if not options:
            return least
        counts = min(options)[2]
    for axis in range(len(spans)):  # as few blocks as fit
        low, high = counts[axis] // 2, counts[axis]
        while high - low > 1:
            middle = (low + high) // 2
            trial = [middle if at == axis else c for at, c in enumerate(counts)]
            if needed(_shape(trial, spans, out)) <= limit:
                high = middle
            else:
                low = middle
        counts[axis] = high
    return _shape(counts, spans, out)


def smallest(spans: tuple[Span, ...]) -> tuple[int, ...]:
    """Return the shape of the smallest blocks."""
    single = all(s.outputs == s.kernel == 1 for s in spans[:-1])
    least = max(LEAST_OF_ONE_AXIS, spans[-1].kernel) if single else LEAST
    return tuple(min(s.outputs, least) for s in spans)


def _shape(counts: list[int], spans: tuple[Span, ...], out: Store) -> tuple[int, ...]:
    """Return the shape for numbers of blocks: equal ones, of whole chunks of `out` if possible."""
    shape, least = [], smallest(spans)
    for axis, (count, span) in enumerate(zip(counts, spans, strict=True)):
        part = -(-span.outputs // count)
        whole = part - part % out.chunks[axis] if out.chunks else 0
        if count > 1 and whole >= least[axis]:
            part = whole
        shape.append(part)
    return tuple(shape)


def _cost(counts: list[int], spans: tuple[Span, ...], source: Store) -> float:
    """Return bytes read by all blocks, and as many more for each run that is not contiguous."""
    block = tuple(-(-s.outputs // c) for s, c in zip(spans, counts, strict=True))
    read = [min(r, s.size) for r, s in zip(halo(block, spans), spans, strict=True)]
    if source.chunks:
        sides = [(-(-r // c) + (n > 1)) * c
                 for r, c, n in zip(read, source.chunks, counts, strict=True)]  # fmt: skip
        return math.prod(counts) * math.prod(sides) * source.itemsize
    whole = len(spans) - 1
    while whole > 0 and counts[whole] == 1:
        whole -= 1
    runs = math.prod(read[:whole])
    return math.prod(counts) * (math.prod(read) * source.itemsize + RUN_BYTES * runs)
