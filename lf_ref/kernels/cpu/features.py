"""What the CPU offers that Numba compiles for: its vectors, and its instructions for reduced precision."""

from __future__ import annotations

from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core.registry import cpu_target as _cpu_target

__all__ = ["compiled_for", "dot_instruction", "has_bfloat16_conversion", "has_tiles", "registers"]

# Numba's own annotations do not describe these to a type checker.
cpu_target: Any = _cpu_target
config: Any = numba.config

_PROBE = """target triple = "{triple}"
define <16 x float> @probe(<16 x float> %a) {{
  %b = fadd <16 x float> %a, %a
  ret <16 x float> %b
}}"""

# What multiplies the 2 or 4 short values in each 32 bits of two vectors and adds their sum to the 32 bits of a third:
# by the kind of values and the lanes of a register, the CPU's feature and the instruction in LLVM's terms.
_DOTS = {
    ("bfloat16", 16): ("avx512bf16", "llvm.x86.avx512bf16.dpbf16ps.512"),
    ("int8", 16): ("avx512vnni", "llvm.x86.avx512.vpdpbusd.512"),
    ("int8", 8): ("avxvnni", "llvm.x86.avx512.vpdpbusd.256"),
}
_TILES = {"bfloat16": "+amx-bf16", "int8": "+amx-int8"}


@cache
def _registers_of(triple: str, cpu: str, features: str) -> tuple[int, int]:
    """How many vector registers there are, and the float32 lanes of one: ask LLVM where it puts 16 floats."""
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)
    assembly = machine.emit_assembly(llvm.parse_assembly(_PROBE.format(triple=triple)))
    for name, count, lanes in (("zmm", 32, 16), ("ymm", 16, 8), ("xmm", 16, 4)):
        if name in assembly:
            return count, lanes
    return 32, 4  # outside x86 (ARM's NEON, POWER's VSX)


def registers(context: Any = None) -> tuple[int, int]:
    """How many vector registers the CPU has, and the float32 lanes of one."""
    return _registers_of(*compiled_for(context))


@cache  # asked for at each product, and LLVM looks at the machine anew each time
def compiled_for(context: Any = None) -> tuple[str, str, str]:
    """The target triple, the CPU's name and its features, as LLVM takes them."""
    triple, cpu, features = (context or cpu_target.target_context).codegen().magic_tuple()
    if config.CPU_NAME is not None and config.CPU_FEATURES is None:
        features = ""  # Numba pairs a CPU named by NUMBA_CPU_NAME with the host's features; the name decides
    return triple, cpu, features


def _features(context: Any) -> list[str]:
    return compiled_for(context)[2].split(",")


def dot_instruction(kind: str, context: Any = None) -> str | None:
    """The instruction that the CPU has for "bfloat16" or "int8" values. One that is named without its features counts
    as having none: LLVM does not tell what belongs to a name, and ends the process over an instruction that does not.
    """
    feature, name = _DOTS.get((kind, registers(context)[1]), (None, None))
    return name if f"+{feature}" in _features(context) else None


def has_bfloat16_conversion(context: Any = None) -> bool:
    """Whether one instruction rounds a vector to bfloat16."""
    return dot_instruction("bfloat16", context) is not None


def has_tiles(kind: str) -> bool:
    """Whether the CPU has AMX for "bfloat16" or "int8" values, and vectors as wide."""
    needed = {"+amx-tile", _TILES[kind]}
    return not config.DISABLE_JIT and registers()[1] == 16 and needed <= set(_features(None))
