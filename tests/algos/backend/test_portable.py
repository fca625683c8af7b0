"""Other processors than this one: narrower registers here, and ARM's by what LLVM makes of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import llvmlite.binding as llvm
import pytest

from algos.simd import registers as simd

#: Processors with vectors of 32 and of 16 bytes, the latter without fused multiply-add.
NARROWER = {"haswell": 32, "nehalem": 16}


def run(code_or_arguments, cpu, tmp_path):
    """Run Python as if on another processor, its kernels cached in a place of their own."""
    environment = {
        **os.environ, "NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path / cpu),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-W", "error", *code_or_arguments], env=environment, text=True,
        capture_output=True, check=False,
    )  # fmt: skip


def runs_here(width):
    if width > simd.REGISTER_BYTES:
        pytest.skip(f"this processor has no registers of {width} bytes")


@pytest.mark.parametrize(("cpu", "width"), NARROWER.items())
def test_the_width_is_that_of_the_processor_compiled_for(cpu, width, tmp_path):
    found = run(
        ["-c", "from algos.simd import registers; print(registers.REGISTER_BYTES)"], cpu, tmp_path
    )
    assert found.stdout.strip() == str(width), found.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("cpu", "width"), NARROWER.items())
def test_kernels_verify_with_narrower_registers(cpu, width, tmp_path):
    runs_here(width)
    if width == simd.REGISTER_BYTES:
        pytest.skip("all other tests verify kernels with these registers")
    found = run(
        ["-m", "suites.cli", "verify", "--operation", "all", "--cases", "10", "--seed", "5",
         "--algorithms", "parallel,winograd4"],
        cpu, tmp_path,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]


#: Prints the LLVM code of the register tile for 16-byte registers; ARM has 32 of them.
TILE = """
import numba
from numba.core import types
from algos.simd import registers
registers.REGISTERS = 32
from algos.parallel import channels
from algos.backend.compiler import kernel
data, number = types.CPointer(numba.float32), types.intp
tile = kernel(channels._make_tile(*channels.TILES[1]).py_func, cache=False)
tile.compile((data, number, types.CPointer(types.int64), number, data, *[number] * 3, data,
              number, data, types.boolean))
print(tile.inspect_llvm(tile.signatures[0]))
"""


@pytest.fixture(scope="module")
def neon():
    """A compiler for 64-bit ARM."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple("aarch64-linux-gnu")
    except RuntimeError as error:
        pytest.skip(f"llvmlite was built without ARM: {error}")
    return target.create_target_machine(cpu="cortex-a76", features="+neon", opt=3)


def lowered(code, machine):
    """Assembly for `machine` of LLVM code that Numba wrote for x86."""
    code = re.sub(r'^target (triple|datalayout) = ".*"$', "", code, flags=re.MULTILINE)
    code = re.sub(r'"(target-cpu|target-features|tune-cpu)"="[^"]*"', "", code)
    module = llvm.parse_assembly(code)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    module.verify()
    return machine.emit_assembly(module)


def test_the_register_tile_fits_neon(neon, tmp_path):
    found = run(["-c", TILE], "nehalem", tmp_path)
    assert found.returncode == 0, found.stderr
    text = lowered(found.stdout, neon)
    products = re.findall(r"\bfmla\s+v\d+\.4s.*", text)
    assert len(products) >= 24
    first, last = text.index(products[0]), text.rindex(products[-1])
    inside = text[first:last].splitlines()
    assert not [line for line in inside if re.search(r"\b(st|ld)[ru]?[rp]\s+q.*\[sp", line)]
