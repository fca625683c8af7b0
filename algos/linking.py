"""How kernels come together: compiled into those that call them, or called where they lie.

Numba makes a kernel that others call into machine code of its own, twice optimised and wrapped
for Python and for C, and then hands the optimised code to each caller, where all of it is done
again. Here a kernel that is called by kernels is a `Part`: what LLVM is given for it goes into
its callers as it is, and only what Python calls becomes machine code. That halved compiling.

What takes long to compile, and long enough to run, is compiled once and called by its address
from elsewhere: `apart` calls it, and `shared` has the threads call it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import llvmlite.binding as llvm
from numba.core import cgutils, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic


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
    """Functions that are simplified one by one; the rest is done where they are linked into."""

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout
        passes, builder = self._codegen._function_pass_manager()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)

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
            kind = convention.get_function_type(result, kinds)
            function = cgutils.get_or_insert_function(builder.module, kind, symbol)
            each = cgutils.unpack_tuple(builder, values[0])
            status, value = convention.call_function(builder, function, result, kinds, each)
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return value

        return result(types.StarArgTuple.from_types(kinds)), emit

    return call


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
