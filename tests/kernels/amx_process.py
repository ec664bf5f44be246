"""Processes that multiply on AMX, or on its twin in software, or that compile for a CPU that has it."""

from __future__ import annotations

import ctypes
import warnings
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from lf_ref.kernels.cpu.features import has_tiles, registers
from lf_ref.kernels.cpu.permission import amx_permitted
from lf_ref.kernels.layout.vectors import cgutils
from lf_ref.kernels.matmul import dispatch
from lf_ref.kernels.matmul.microkernel_amx import AmxCode
from lf_ref.kernels.rows.norm import norm_kernel
from oracles.matrix_unit import MatrixUnit

_KEPT = []  # what machine code calls

# What LLVM is told of a processor with AMX.
SAPPHIRE_RAPIDS = (
    "+64bit,+cx8,+cmov,+fxsr,+mmx,+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,"
    "+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,+avx512vnni,+avx512bf16,+amx-tile,+amx-bf16,+amx-int8"
)


def unit_or_twin(which: str) -> tuple[list[str], list[tuple[int, int]]]:
    """Have this process multiply on the unit, or on its twin; return the `faults` and `loads` of a `MatrixUnit`.

    Warnings become errors.
    """
    warnings.simplefilter("error")
    faults: list[str] = []
    loads: list[tuple[int, int]] = []
    if which == "twin":
        functions = MatrixUnit(faults, loads).functions()
        _KEPT.append(functions)
        for name, function in functions.items():
            llvm.add_symbol("twin_" + name, ctypes.cast(function, ctypes.c_void_p).value)
        AmxCode.instruct = _call_twin  # type: ignore[method-assign]
        dispatch.has_tiles = lambda kind: True
        dispatch.amx_permitted = lambda: True
    return faults, loads


def _call_twin(self: AmxCode, name: str, *operands: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
    function = cgutils.get_or_insert_function(self.builder.module, kind, "twin_" + name)
    self.builder.call(function, operands)


def on_unit() -> bool:
    return has_tiles("bfloat16") and has_tiles("int8") and amx_permitted()


def cache_of(which: str, folder: Path) -> Path | None:
    """What runs on the unit is the code that all processes run; what runs on its twin is kept apart, below that.

    Where nothing can be kept it is compiled in `folder`.
    """
    kept = norm_kernel(np.float32).stats.cache_path
    return None if which == "unit" else Path(kept or folder) / "twin"


def skip_without(which: str) -> None:
    """Skip a test where a process cannot multiply on the unit, or on its twin."""
    if which == "unit" and not on_unit():
        pytest.skip("this processor or system has no AMX")
    if which == "twin" and registers()[1] != 16:
        pytest.skip("AMX is only used beside vectors of 16 floats")
