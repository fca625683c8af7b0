"""New memory full of garbage: what is read before it is written then shows in the result.

Every byte that NumPy or a kernel allocates and leaves uninitialised becomes one of `BYTES`. The
judge turns this on in its process; nothing that is timed does.

NumPy takes its memory from a handler that may be replaced (NEP 49). Kernels call Numba's runtime
by a symbol, which is given another address before they are linked; so the kernels themselves, and
their cache, are those that run elsewhere. Kernels that were linked earlier stay as they are.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys

#: 0xFF makes a NaN in either dtype, and -1 as an index. A comparison with NaN may hide it, so there
#: is 0x7F too: 3·10³⁸ in float32, 10³⁰⁶ in float64, an index far outside.
BYTES = 0xFF, 0x7F

#: Functions of Numba's runtime that allocate, and their parameters behind the size.
_ALLOCATORS = {"MemInfo_alloc": "", "MemInfo_alloc_aligned": ", i32 %align"}

#: Number of `PyDataMem_SetHandler` in NumPy's table of C functions.
_SET_HANDLER = 304

#: Functions of NumPy's handler: those of C, but with a context, and the size of what is freed.
_NUMPY_FUNCTIONS = """
declare ptr @malloc(i64)
declare ptr @calloc(i64, i64)
declare ptr @realloc(ptr, i64)
declare void @free(ptr)
declare ptr @memset(ptr, i32, i64)
@filling = global i32 255

define ptr @poison(ptr %memory, i64 %size) {
  %missing = icmp eq ptr %memory, null
  br i1 %missing, label %done, label %fill
fill:
  %byte = load i32, ptr @filling
  %filled = call ptr @memset(ptr %memory, i32 %byte, i64 %size)
  br label %done
done:
  ret ptr %memory
}
define ptr @numpy_malloc(ptr %context, i64 %size) {
  %memory = call ptr @malloc(i64 %size)
  %filled = call ptr @poison(ptr %memory, i64 %size)
  ret ptr %memory
}
define ptr @numpy_calloc(ptr %context, i64 %count, i64 %size) {
  %memory = call ptr @calloc(i64 %count, i64 %size)
  ret ptr %memory
}
define ptr @numpy_realloc(ptr %context, ptr %old, i64 %size) {
  %memory = call ptr @realloc(ptr %old, i64 %size)
  ret ptr %memory
}
define void @numpy_free(ptr %context, ptr %memory, i64 %size) {
  call void @free(ptr %memory)
  ret void
}
declare ptr @NRT_MemInfo_data(ptr)
"""

#: An allocator of Numba's runtime, which returns the description of the memory.
_RUNTIME_FUNCTION = """
define ptr @poisoned_{name}(i64 %size{parameters}) {{
  %original = inttoptr i64 {address} to ptr
  %info = call ptr %original(i64 %size{parameters})
  %missing = icmp eq ptr %info, null
  br i1 %missing, label %done, label %fill
fill:
  %memory = call ptr @NRT_MemInfo_data(ptr %info)
  %filled = call ptr @poison(ptr %memory, i64 %size)
  br label %done
done:
  ret ptr %info
}}
"""


class _Handler(ctypes.Structure):
    """NumPy's `PyDataMem_Handler`, version 1."""

    _fields_ = [
        ("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p), ("calloc", ctypes.c_void_p), ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    ]  # fmt: skip


def poison_memory(byte: int = BYTES[0]) -> None:
    """Fill all memory that this process allocates from now on with `byte`.

    Call it on the main thread, first before any kernel that allocates is linked.
    """
    _filling().value = byte


@cache
def _filling() -> ctypes.c_int32:
    """Install the allocators; return the byte that they fill memory with."""
    engine = _compiled()
    for name in _ALLOCATORS:
        llvm.add_symbol(f"NRT_{name}", engine.get_function_address(f"poisoned_{name}"))
    functions = ("malloc", "calloc", "realloc", "free")
    addresses = (engine.get_function_address(f"numpy_{name}") for name in functions)
    handler = _Handler(b"poison", 1, None, *addresses)
    kind = b"mem_handler"
    # Arrays may be freed at the very end of the process, when nothing of Python is left.
    for lasting in (engine, handler, kind):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(lasting))
    call = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)
    call(_numpy_table()[_SET_HANDLER])(_capsule(ctypes.addressof(handler), kind))
    return ctypes.c_int32.from_address(engine.get_global_value_address("filling"))


def _compiled() -> Any:
    """Return the engine that holds the functions above as machine code."""
    rtsys.initialize(cpu_target.target_context)  # names its functions, which it does once
    source = _NUMPY_FUNCTIONS
    for name, parameters in _ALLOCATORS.items():
        address = llvm.address_of_symbol(f"NRT_{name}")
        source += _RUNTIME_FUNCTION.format(name=name, parameters=parameters, address=address)
    module = llvm.parse_assembly(source)
    module.verify()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(jit=True)
    module.triple, module.data_layout = target.triple, str(machine.target_data)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


def _numpy_table() -> Any:
    """NumPy's table of C functions."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table: Any = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    return ctypes.cast(get(table, None), ctypes.POINTER(ctypes.c_void_p))


def _capsule(address: int, name: bytes) -> Any:
    """Return a Python object around a C pointer; `name` must outlive it."""
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(address, name, None)
