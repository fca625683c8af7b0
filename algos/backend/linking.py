"""Linking of kernels: compiled into their callers, or compiled once and called by address.

Numba compiles a kernel that other kernels call into machine code of its own. It optimises it twice
and wraps it for Python and for C. Then it passes the optimised code to each caller, where all of
this is done again. Here a kernel called by kernels is a `KernelBody`: its functions are simplified
one by one and go into its callers. Only a kernel called from Python becomes machine code.

A kernel that takes long to compile, and long enough to run, is compiled once and called by its
address: `apart` calls it, `threaded` and `by_ranges` let the threads of `thread_pool` call it.
"""

from __future__ import annotations

import gc
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.callconv import RETCODE_OK, excinfo_ptr_t
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic


class Kernel(CPUDispatcher):
    """Dispatcher for kernels called from Python; other kernels inline its `KernelBody`."""

    def __init__(self, function: Callable, *arguments: Any, **options: Any) -> None:
        super().__init__(function, *arguments, **{"pipeline_class": _Numbered, **options})
        self._part = KernelBody(
            function, targetoptions=self.targetoptions, pipeline_class=_IntoCallers
        )

    @property
    def _numba_type_(self) -> Any:
        return types.Dispatcher(self._part)

    def compile(self, sig: Any) -> Any:
        with _collecting_nothing():
            return super().compile(sig)


class KernelBody(CPUDispatcher):
    """Dispatcher of a kernel for other kernels: without an address, compiled into its callers."""

    def add_overload(self, cres: Any) -> None:
        known = cres._replace(entry_point=object())  # identifies it to its callers
        self.targetctx.insert_user_function(known.entry_point, known.fndesc, [known.library])
        self.overloads[tuple(known.signature.args)] = known


class _Numbered(Compiler):
    """Compiler pipeline whose functions get a number that no other process gives.

    Numba makes symbols unique by a counter, which every process starts at one. A process that
    loads two variants of one function, cached by two others, could take one for the other.
    Numba's own functions keep their numbers: LLVM inlines them, and none is left in the code of
    a kernel.
    """

    def _compile_bytecode(self) -> Any:
        identity = self.state.func_id
        identity.unique_id = secrets.randbits(63)
        identity.unique_name = f"{identity.func_qualname}${identity.unique_id}"
        return super()._compile_bytecode()


class _IntoCallers(_Numbered):
    """Compiler pipeline of a `KernelBody`: no machine code, no wrappers for Python or C."""

    def __init__(self, typing: Any, target: Any, library: Any, *described: Any) -> None:
        flags = described[2]
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        super().__init__(typing, target, _Linked(target.codegen(), "part"), *described)


class _Linked(JITCodeLibrary):
    """Code library whose functions are simplified as they come; its callers optimise the rest."""

    def finalize(self) -> None:
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True


@contextmanager
def _collecting_nothing() -> Iterator[None]:
    """Disable garbage collection inside this block.

    A compiler makes many objects but few cycles.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


#: Module and number in `_APART` of the kernel that shares items among threads.
_POOL = ("algos.backend.thread_pool", 0)

#: Kernels called by address, by module, in the order of their definition.
_APART: dict[str, list[Any]] = {}


def apart(compiled: Any) -> Any:
    """Return a function through which other kernels call `compiled` without compiling it again.

    The caller holds a symbol. The symbol gets its address before the caller is linked, both when
    the caller was just compiled and when it was loaded from the cache.
    """
    tell = _teller(compiled)

    @intrinsic
    def call(typing: Any, *arguments: Any) -> Any:
        kinds = tuple(map(types.unliteral, arguments))
        told = partial(tell, kinds)
        symbol, result = told()

        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            context.active_code_library._reload_init.add(told)
            convention = context.call_conv
            function = _declared(convention, builder.module, symbol, result, kinds)
            each = cgutils.unpack_tuple(builder, values[0])
            status, value = convention.call_function(builder, function, result, kinds, each)
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return value

        return result(types.StarArgTuple.from_types(kinds)), emit

    return call


def threaded(compiled: Any) -> Any:
    """Return a function through which other kernels split calls of `compiled` among threads.

    ``run = threaded(work)``; ``run(count, *arguments)`` calls ``work(i, *arguments)`` for every i <
    count; `work` returns nothing. This is one kernel, compiled once; a parallel loop of Numba's is
    four. If a call fails, its error is raised after all calls.
    """
    return _shared(compiled, by_range=False)


def by_ranges(compiled: Any) -> Any:
    """Return a function through which other kernels split ranges of `compiled` among threads.

    ``run(threads, count, *arguments)`` calls ``work(slot, first, last, *arguments)`` for ranges
    that make up 0 … `count` − 1. At most `threads` threads take part; `slot` is the number of the
    thread.
    """
    return _shared(compiled, by_range=True)


def _shared(compiled: Any, by_range: bool) -> Any:
    """Return a function that has `compiled` called by `thread_pool.run`."""
    tell = partial(_tell_of_threads, _teller(compiled))

    @intrinsic
    def run(typing: Any, *arguments: Any) -> Any:
        counts = (types.intp,) * (2 if by_range else 1)
        given_kinds = tuple(map(types.unliteral, arguments[len(counts) :]))
        kinds = ((types.intp,) * (3 if by_range else 1)) + given_kinds
        told = partial(tell, kinds)
        symbol, result, share = told()

        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            context.active_code_library._reload_init.add(told)
            convention = context.call_conv
            work = _declared(convention, builder.module, symbol, result, kinds)
            given = cgutils.unpack_tuple(builder, values[0])
            most = given.pop(0) if by_range else cgutils.intp_t(2**31)
            count = given.pop(0)
            # The threads get room for an error (its code and its information), then the arguments.
            fine = builder.load(cgutils.alloca_once_value(builder, RETCODE_OK))
            nothing = cgutils.get_null_value(excinfo_ptr_t)
            told_all = cgutils.pack_struct(builder, [fine, nothing, *given])
            room = cgutils.alloca_once_value(builder, told_all)
            task = _task(convention, builder.module, work, result, kinds, told_all.type, by_range)
            four = [types.intp] * 4
            pool = _declared(convention, builder.module, share, types.none, four)
            places = [builder.ptrtoint(place, cgutils.intp_t) for place in (task, room)]
            convention.call_function(builder, pool, types.none, four, [*places, count, most])
            code, info = (builder.load(cgutils.gep_inbounds(builder, room, 0, n)) for n in (0, 1))
            status = convention._get_return_status(builder, code, info)
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return context.get_dummy_value()

        return types.none(types.StarArgTuple.from_types(counts + given_kinds)), emit

    return run


def _task(
    convention: Any, module: Any, work: Any, result: Any, kinds: Any, told: Any, by_range: bool
) -> Any:
    """Return a function for the pool: it computes items `first` to `last` − 1 as thread `slot`."""
    kind = ir.FunctionType(ir.VoidType(), [cgutils.intp_t] * 4)
    task = ir.Function(module, kind, module.get_unique_name("task"))
    task.linkage = "internal"
    builder = ir.IRBuilder(task.append_basic_block())
    place, slot, first, last = task.args
    room = builder.inttoptr(place, told.as_pointer())
    fields = [cgutils.gep_inbounds(builder, room, 0, n) for n in range(len(told.elements))]
    given = [builder.load(field) for field in fields[2:]]

    def call(*numbers: Any) -> None:
        status, _ = convention.call_function(builder, work, result, kinds, [*numbers, *given])
        with cgutils.if_unlikely(builder, status.is_error):
            builder.store(status.excinfoptr, fields[1])
            builder.store(status.code, fields[0])

    if by_range:
        call(slot, first, last)
    else:
        with cgutils.for_range(builder, last, first) as loop:
            call(loop.index)
    builder.ret_void()
    return task


def _declared(convention: Any, module: Any, symbol: str, result: Any, kinds: Any) -> Any:
    """Return the function `symbol`, declared in `module`."""
    kind = convention.get_function_type(result, kinds)
    return cgutils.get_or_insert_function(module, kind, symbol)


def _teller(compiled: Any) -> Callable[[tuple[Any, ...]], tuple[str, Any]]:
    """Enter `compiled` into `_APART`, and return `_tell` for it."""
    module = compiled.py_func.__module__
    siblings = _APART.setdefault(module, [])
    siblings.append(compiled)
    return partial(_tell, module, len(siblings) - 1)


def _tell(module: str, number: int, kinds: tuple[Any, ...]) -> tuple[str, Any]:
    """Compile or load a kernel of `_APART`; return the symbol of its code and its return type."""
    import_module(module)
    compiled = _APART[module][number]
    compiled.compile(kinds)
    found = compiled.overloads[kinds]
    symbol = f"{module}.{number}({', '.join(map(str, kinds))})"
    llvm.add_symbol(symbol, found.library.get_pointer_to_function(found.fndesc.llvm_func_name))
    return symbol, found.signature.return_type


def _tell_of_threads(tell: Callable, kinds: tuple[Any, ...]) -> tuple[str, Any, str]:
    """Return what `_tell` does, and the symbol of the kernel that shares items among threads."""
    return *tell(kinds), _tell(*_POOL, (types.intp,) * 4)[0]
