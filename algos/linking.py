"""How kernels come together: compiled into those that call them, or called where they lie.

Numba makes a kernel that others call into machine code of its own, twice optimised and wrapped
for Python and for C, and then hands the optimised code to each caller, where all of it is done
again. Here a kernel that is called by kernels is a `Part`: its functions are simplified, one by
one, and go into its callers; only what Python calls becomes machine code.

What takes long to compile, and long enough to run, is compiled once and called by its address
from elsewhere: `apart` calls it, and `threaded` has the threads call it.
"""

from __future__ import annotations

import gc
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
from numba.np.ufunc.parallel import _launch_threads


class Kernel(CPUDispatcher):
    """What Python calls; kernels that name it get its `Part`."""

    def __init__(self, function: Callable, *arguments: Any, **options: Any) -> None:
        super().__init__(function, *arguments, **options)
        self._part = Part(function, targetoptions=self.targetoptions, pipeline_class=_IntoCallers)

    @property
    def _numba_type_(self) -> Any:
        return types.Dispatcher(self._part)

    def compile(self, sig: Any) -> Any:
        with _collecting_nothing():
            return super().compile(sig)


class Part(CPUDispatcher):
    """A kernel as others call it: it has no address, and is compiled into its callers."""

    def add_overload(self, cres: Any) -> None:
        known = cres._replace(entry_point=object())  # what its callers know it by
        self.targetctx.insert_user_function(known.entry_point, known.fndesc, [known.library])
        self.overloads[tuple(known.signature.args)] = known


class _IntoCallers(Compiler):
    def __init__(self, typing: Any, target: Any, library: Any, *described: Any) -> None:
        flags = described[2]
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        super().__init__(typing, target, _Linked(target.codegen(), "part"), *described)


class _Linked(JITCodeLibrary):
    """Functions simplified one by one as they come; the rest is done where they are linked into."""

    def finalize(self) -> None:
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True


@contextmanager
def _collecting_nothing() -> Iterator[None]:
    """Meanwhile Python looks for no garbage: a compiler makes many objects, and few cycles."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


#: The kernels that are called where they lie, by module, in the order they are defined in.
_APART: dict[str, list[Any]] = {}


def apart(compiled: Any) -> Any:
    """What other kernels call to have the kernel `compiled` run without compiling it again.

    The caller holds a symbol, which is told the address before the caller is linked, be it just
    compiled or loaded from the cache.
    """
    tell = _teller(compiled)

    @intrinsic
    def call(typing, *arguments):
        kinds = tuple(map(types.unliteral, arguments))
        told = partial(tell, kinds)
        symbol, result = told()

        def emit(context, builder, signature, values):
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
    """What other kernels call to have Numba's threads share calls of the kernel `compiled`.

    ``run = threaded(work)``; ``run(count, *arguments)`` is ``work(i, *arguments)`` for every
    i < count, neighbours on one thread; `work` returns nothing. It is one kernel, compiled once,
    where a parallel loop of Numba's is four. An error of one call is raised after all of them.
    """
    tell = partial(_tell_of_threads, _teller(compiled))

    @intrinsic
    def run(typing, *arguments):
        kinds = (types.intp, *map(types.unliteral, arguments[1:]))
        told = partial(tell, kinds)
        symbol, result = told()

        def emit(context, builder, signature, values):
            context.active_code_library._reload_init.add(told)
            convention = context.call_conv
            work = _declared(convention, builder.module, symbol, result, kinds)
            count, *given = cgutils.unpack_tuple(builder, values[0])
            # What threads are told: where to leave an error and what it is, then the arguments.
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
    """A function for Numba's threads, which are given some neighbouring numbers at a time.

    They come as Numba's loops over arrays have them: the first as an address, their count, the
    step from one to the next.
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
    """Call `task` for 0 … `count` - 1, on as many threads as the caller may use."""
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
    kind = convention.get_function_type(result, kinds)
    return cgutils.get_or_insert_function(module, kind, symbol)


def _teller(compiled: Any) -> Callable[[tuple[Any, ...]], tuple[str, Any]]:
    """Enter `compiled` into `_APART`; `_tell` of it."""
    module = compiled.py_func.__module__
    siblings = _APART.setdefault(module, [])
    siblings.append(compiled)
    return partial(_tell, module, len(siblings) - 1)


def _tell(module: str, number: int, kinds: tuple[Any, ...]) -> tuple[str, Any]:
    """Compile or load a kernel of `_APART`, and name its code; (the name, the type returned)."""
    import_module(module)
    compiled = _APART[module][number]
    compiled.compile(kinds)
    found = compiled.overloads[kinds]
    symbol = f"{module}.{number}({', '.join(map(str, kinds))})"
    llvm.add_symbol(symbol, found.library.get_pointer_to_function(found.fndesc.llvm_func_name))
    return symbol, found.signature.return_type


def _tell_of_threads(tell: Callable, kinds: tuple[Any, ...]) -> tuple[str, Any]:
    _launch_threads()  # which names what starts them
    return tell(kinds)
