"""Linking of kernels: compiled into their callers, or compiled once and called by address.

Numba compiles a kernel that other kernels call into machine code of its own. It optimises it twice
and wraps it for Python and for C. Then it passes the optimised code to each caller, where all of
this is done again. Here a kernel called by kernels is a `KernelBody`: its functions are simplified
one by one and go into its callers. Only a kernel called from Python becomes machine code.

A kernel that takes long to compile, and long enough to run, is compiled once and called by its
address: `apart` calls it, and `threaded` lets Numba's threads call it.
"""

from __future__ import annotations

import gc
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
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
from numba.np.ufunc.parallel import _launch_threads

from algos.core.errors import ConvbenchError


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
    count. Neighbouring i run on one thread; `work` returns nothing. This is one kernel, compiled
    once; a parallel loop of Numba's is four. If a call fails, its error is raised after all calls.
    """
    tell = partial(_tell_of_threads, _teller(compiled))

    @intrinsic
    def run(typing: Any, *arguments: Any) -> Any:
        kinds = (types.intp, *map(types.unliteral, arguments[1:]))
        told = partial(tell, kinds)
        symbol, result = told()

        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            context.active_code_library._reload_init.add(told)
            convention = context.call_conv
            work = _declared(convention, builder.module, symbol, result, kinds)
            count, *given = cgutils.unpack_tuple(builder, values[0])
            # The threads get room for an error (its code and its information), then the arguments.
            fine = builder.load(cgutils.alloca_once_value(builder, RETCODE_OK))
            nothing = cgutils.get_null_value(excinfo_ptr_t)
            told_all = cgutils.pack_struct(builder, [fine, nothing, *given])
            room = cgutils.alloca_once_value(builder, told_all)
            task = _task(convention, builder.module, work, result, kinds, told_all.type)
            _run_by_threads(builder, task, count, room)
            code, info = (builder.load(cgutils.gep_inbounds(builder, room, 0, n)) for n in (0, 1))
            status = convention._get_return_status(builder, code, info)
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return context.get_dummy_value()

        return types.none(types.StarArgTuple.from_types(kinds)), emit

    return run


def _task(convention: Any, module: Any, work: Any, result: Any, kinds: Any, told: Any) -> Any:
    """Return a function for Numba's threads; each thread gets some neighbouring numbers.

    The numbers come as in Numba's loops over arrays: the first as an address, then their count and
    the step between them.
    """
    address, sizes = cgutils.voidptr_t, cgutils.intp_t.as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [address.as_pointer(), sizes, sizes, address])
    task = ir.Function(module, kind, module.get_unique_name("task"))
    task.linkage = "internal"
    builder = ir.IRBuilder(task.append_basic_block())
    addresses, counts, steps, data = task.args
    room = builder.bitcast(data, told.as_pointer())
    first, step = builder.ptrtoint(builder.load(addresses), cgutils.intp_t), builder.load(steps)
    fields = [cgutils.gep_inbounds(builder, room, 0, n) for n in range(len(told.elements))]
    given = [builder.load(field) for field in fields[2:]]
    with cgutils.for_range(builder, builder.load(counts)) as loop:
        number = builder.add(first, builder.mul(loop.index, step))
        status, _ = convention.call_function(builder, work, result, kinds, [number, *given])
        with cgutils.if_unlikely(builder, status.is_error):
            builder.store(status.excinfoptr, fields[1])
            builder.store(status.code, fields[0])
    builder.ret_void()
    return task


def _run_by_threads(builder: Any, task: Any, count: Any, room: Any) -> None:
    """Call `task` for 0 … `count` − 1, on as many threads as the caller may use."""
    address, size = cgutils.voidptr_t, cgutils.intp_t
    threads = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(size, []), "get_num_threads"
    )
    share = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [address] * 5 + [size] * 3),
        "numba_parallel_for",
    )  # fmt: skip
    first = cgutils.alloca_once_value(builder, cgutils.get_null_value(address))
    counts = cgutils.alloca_once_value(builder, count)
    steps = cgutils.alloca_once_value(builder, size(1))
    told = [builder.bitcast(each, address) for each in (task, first, counts, steps, room)]
    builder.call(share, [*told, size(0), size(1), builder.call(threads, [])])


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


def _tell_of_threads(tell: Callable, kinds: tuple[Any, ...]) -> tuple[str, Any]:
    """Do as `_tell`, once Numba's threads are running."""
    launch_threads()  # Numba then names the function that starts them
    return tell(kinds)


@cache
def launch_threads() -> None:
    """Load Numba's threading layer.

    Raises
    ------
    ConvbenchError
        Where NUMBA_THREADING_LAYER, or another of Numba's variables, asks for one that is not
        there.
    """
    try:
        _launch_threads()
    except ValueError as error:
        raise ConvbenchError(
            f"Numba cannot start its threads ({' '.join(str(error).split())}); unset "
            f"NUMBA_THREADING_LAYER and NUMBA_THREADING_LAYER_PRIORITY, or name a layer that is "
            f"installed: omp, tbb or workqueue"
        ) from None
