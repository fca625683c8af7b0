"""Atomic memory accesses, and the interpreter's own thread functions, for kernels.

An address is an integer. All accesses are to int64 and sequentially consistent: every thread sees
them in one order. The functions of the interpreter (`PyThread_…`) need no interpreter lock, and
are the same on every system.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm

from .emitter import cgutils, intrinsic, ir, types

_INT = ir.IntType(64)
_ADDRESS = ir.IntType(8).as_pointer()

#: Assembly that tells the processor that a loop waits, by architecture.
_PAUSES = {
    "x86_64": "pause", "AMD64": "pause", "i686": "pause", "aarch64": "yield", "arm64": "yield",
}  # fmt: skip

_intp, _none = types.intp, types.none


def _place(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _INT.as_pointer())


def _called(builder: Any, name: str, result: Any, *given: Any) -> Any:
    """Emit a call of the C function `name`."""
    kind = ir.FunctionType(result, [value.type for value in given])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)


def _instruction(emit: Callable) -> Callable:
    """Return an `emit` of Numba's that ignores context and signature."""
    return lambda context, builder, signature, values: emit(context, builder, *values)


@intrinsic
def load(typing: Any, address: Any) -> Any:
    """Return the integer at `address`."""

    def emit(context: Any, builder: Any, address: Any) -> Any:
        return builder.load_atomic(_place(builder, address), "seq_cst", 8)

    return _intp(_intp), _instruction(emit)


@intrinsic
def store(typing: Any, address: Any, value: Any) -> Any:
    """Write `value` to `address`."""

    def emit(context: Any, builder: Any, address: Any, value: Any) -> Any:
        builder.store_atomic(value, _place(builder, address), "seq_cst", 8)
        return context.get_dummy_value()

    return _none(_intp, _intp), _instruction(emit)


@intrinsic
def add(typing: Any, address: Any, value: Any) -> Any:
    """Add `value` to the integer at `address`; return the sum."""

    def emit(context: Any, builder: Any, address: Any, value: Any) -> Any:
        old = builder.atomic_rmw("add", _place(builder, address), value, "seq_cst")
        return builder.add(old, value)

    return _intp(_intp, _intp), _instruction(emit)


@intrinsic
def exchange(typing: Any, address: Any, old: Any, new: Any) -> Any:
    """Write `new` to `address` if it holds `old`; return True if it did."""

    def emit(context: Any, builder: Any, address: Any, old: Any, new: Any) -> Any:
        at = _place(builder, address)
        done = builder.cmpxchg(at, old, new, "seq_cst", "seq_cst")
        return builder.extract_value(done, 1)

    return types.boolean(_intp, _intp, _intp), _instruction(emit)


@intrinsic
def pause(typing: Any) -> Any:
    """Tell the processor that this thread waits in a loop."""

    def emit(context: Any, builder: Any) -> Any:
        text = _PAUSES.get(platform.machine())
        if text:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(ir.InlineAsm(kind, text, "~{memory}", side_effect=True), [])
        return context.get_dummy_value()

    return _none(), _instruction(emit)


@intrinsic
def this_thread(typing: Any) -> Any:
    """Return the number of the calling thread, as `threading.get_ident` does."""

    def emit(context: Any, builder: Any) -> Any:
        return _called(builder, "PyThread_get_thread_ident", _INT)

    return _intp(), _instruction(emit)


@intrinsic
def native_thread(typing: Any) -> Any:
    """Return the number that the system gives the calling thread."""

    def emit(context: Any, builder: Any) -> Any:
        return _called(builder, "PyThread_get_thread_native_id", _INT)

    return _intp(), _instruction(emit)


@intrinsic
def core(typing: Any) -> Any:
    """Return the number of the core that the calling thread runs on, −1 if unknown."""

    def emit(context: Any, builder: Any) -> Any:
        if sys.platform != "linux":
            return _INT(-1)
        return builder.sext(_called(builder, "sched_getcpu", ir.IntType(32)), _INT)

    return _intp(), _instruction(emit)


def _affinity(name: str) -> Callable:
    @intrinsic
    def call(typing: Any, thread: Any, size: Any, mask: Any) -> Any:
        def emit(context: Any, builder: Any, thread: Any, size: Any, mask: Any) -> Any:
            if sys.platform != "linux":
                return _INT(-1)
            i32 = ir.IntType(32)
            given = builder.trunc(thread, i32), size, builder.inttoptr(mask, _ADDRESS)
            return builder.sext(_called(builder, name, i32, *given), _INT)

        return _intp(_intp, _intp, _intp), _instruction(emit)

    return call


#: Read and set the cores of a thread (0: the caller), as a mask of `size` bytes; 0 on success.
get_cores, set_cores = _affinity("sched_getaffinity"), _affinity("sched_setaffinity")


@intrinsic
def acquire(typing: Any, lock: Any) -> Any:
    """Wait until the lock of the interpreter's at the address `lock` is free, and take it."""

    def emit(context: Any, builder: Any, lock: Any) -> Any:
        wait = ir.Constant(ir.IntType(32), 1)
        lock = builder.inttoptr(lock, _ADDRESS)
        _called(builder, "PyThread_acquire_lock", ir.IntType(32), lock, wait)
        return context.get_dummy_value()

    return _none(_intp), _instruction(emit)


@intrinsic
def release(typing: Any, lock: Any) -> Any:
    """Free the lock of the interpreter's at the address `lock`."""

    def emit(context: Any, builder: Any, lock: Any) -> Any:
        _called(builder, "PyThread_release_lock", ir.VoidType(), builder.inttoptr(lock, _ADDRESS))
        return context.get_dummy_value()

    return _none(_intp), _instruction(emit)


@intrinsic
def call(typing: Any, task: Any, room: Any, slot: Any, first: Any, last: Any) -> Any:
    """Call the function at the address `task` with the other arguments."""

    def emit(context: Any, builder: Any, task: Any, *given: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_INT] * 4)
        builder.call(builder.inttoptr(task, kind.as_pointer()), given)
        return context.get_dummy_value()

    return _none(*[_intp] * 5), _instruction(emit)


def named(symbol: str, address: int) -> Callable:
    """Return a function by which kernels get `address`, under the name `symbol`.

    Kernels in the cache hold the name; every process puts its own address in its place.
    """
    llvm.add_symbol(symbol, address)

    @intrinsic
    def get(typing: Any) -> Any:
        def emit(context: Any, builder: Any) -> Any:
            place = cgutils.add_global_variable(builder.module, _INT, symbol)
            return builder.ptrtoint(place, _INT)

        return _intp(), _instruction(emit)

    return get
