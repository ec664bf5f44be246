"""The loops of the register tiles in the code of processors that need not be here: compiled and read, not run."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import pytest
from llvmlite import ir
from numba import types

from lf_ref.kernels import tile, vectors

pytestmark = pytest.mark.jit

ARRAY, INDEX = types.Array(types.float32, 1, "C"), types.int64
TILES = {
    "score_tiles": (ARRAY, INDEX, ARRAY, INDEX, INDEX, INDEX, ARRAY, INDEX, INDEX),
    "value_tiles": (ARRAY, INDEX, INDEX, ARRAY, INDEX, ARRAY, INDEX),
}


class Processor(NamedTuple):
    """A processor in LLVM's terms, the shape its tiles should have, and patterns of its assembly.

    multiply_add: one of whole vectors; memory: a vector that is stored, or that comes from the stack.
    """

    triple: str
    name: str
    shape: tuple[int, int]
    multiply_add: str
    memory: str


NEON, ARM_MEMORY = r"\tfmla(\.4s|\tv\d+\.4s)", r"\tst|\bsp\b"
X86_MEMORY = r"mm\d+, .*\(|\(%rsp.*mm"
PROCESSORS = [
    Processor("aarch64-unknown-linux-gnu", "generic", (4, 4), NEON, ARM_MEMORY),
    Processor("aarch64-unknown-linux-gnu", "cortex-a72", (4, 4), NEON, ARM_MEMORY),
    Processor("aarch64-unknown-linux-gnu", "neoverse-v2", (4, 4), NEON, ARM_MEMORY),
    Processor("arm64-apple-macosx", "apple-m1", (4, 4), NEON, ARM_MEMORY),
    Processor("powerpc64le-unknown-linux-gnu", "pwr9", (4, 4), r"\txvmadd[am]sp", r"\tst|\(1\)"),
    Processor("x86_64-unknown-linux-gnu", "haswell", (8, 2), r"\tvfmadd\d+ps.*%ymm", X86_MEMORY),
    Processor("x86_64-unknown-linux-gnu", "znver4", (16, 4), r"\tvfmadd\d+ps.*%zmm", X86_MEMORY),
]


class Elsewhere:
    """What the emitters ask of Numba's target context, for another processor and for arrays that are mere pointers."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def codegen(self) -> Elsewhere:
        return self

    def magic_tuple(self) -> tuple[str, str, str]:
        return self._processor.triple, self._processor.name, ""

    def make_array(self, array_type: Any) -> Any:
        return lambda context, builder, pointer: SimpleNamespace(data=pointer)

    def get_dummy_value(self) -> None:
        return None


def machine_for(processor: Processor) -> Any:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple(processor.triple)
    except RuntimeError as error:
        pytest.skip(f"this LLVM was built without the processor: {error}")
    return target.create_target_machine(cpu=processor.name, opt=3)


def assembly_of(name: str, processor: Processor) -> str:
    """The optimised code of one of TILES, alone in a function."""
    machine = machine_for(processor)
    signature, codegen = getattr(tile, name)._defn(None, *TILES[name])
    module = ir.Module()
    module.triple = processor.triple
    arguments = [ir.FloatType().as_pointer() if kind is ARRAY else ir.IntType(64) for kind in TILES[name]]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    builder = ir.IRBuilder(function.append_basic_block())
    codegen(Elsewhere(processor), builder, signature, function.args)
    builder.ret_void()
    code = llvm.parse_assembly(str(module))
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(code, passes)
    return machine.emit_assembly(code)


def loops_of(assembly: str) -> list[list[str]]:
    """The lines from a label to a jump back to it, where no other such stretch lies within."""
    labels, loops = {}, []
    for at, line in enumerate(lines := assembly.splitlines()):
        if label := re.match(r"\.?(LBB\w+):", line):
            labels[label[1]] = at
        elif (jump := re.search(r"\W(LBB\w+)$", line)) and jump[1] in labels:
            loops.append((labels[jump[1]], at))
    inner = [(start, stop) for start, stop in loops if not any(start < a and b < stop for a, b in loops)]
    return [lines[start:stop] for start, stop in inner]


@pytest.mark.parametrize("name", TILES)
@pytest.mark.parametrize("processor", PROCESSORS, ids=[processor.name for processor in PROCESSORS])
def test_the_sums_stay_in_registers(name: str, processor: Processor) -> None:
    """One multiply-add for each vector of a tile in each step, and none of them to or from memory."""
    loops = loops_of(assembly_of(name, processor))
    lines = {sum(bool(re.search(processor.multiply_add, line)) for line in loop): loop for loop in loops}
    lines.pop(0, None)
    assert vectors.tile_shape(Elsewhere(processor)) == processor.shape
    assert tile.ROWS * processor.shape[1] in lines
    assert not [line for loop in lines.values() for line in loop if re.search(processor.memory, line)]
