"""The loops of the register tiles in the code of processors that need not be here: compiled and read, not run."""

from __future__ import annotations

import inspect
import re
from types import SimpleNamespace
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import pytest
from llvmlite import ir
from numba import types

from lf_ref.kernels.cpu.features import registers
from lf_ref.kernels.matmul import microkernel_vectors

pytestmark = pytest.mark.jit


class Processor(NamedTuple):
    """A processor in LLVM's terms, its registers and their float32 lanes, and patterns of its assembly.

    multiply_add: one of whole vectors; memory: a vector that is stored, or comes from the stack.
    """

    triple: str
    name: str
    registers: tuple[int, int]
    multiply_add: str
    memory: str


NEON, ARM_MEMORY = r"\tfmla(\.4s|\tv\d+\.4s)", r"\tst|\bsp\b"
X86, X86_MEMORY = r"\tvfmadd\d+ps.*%", r"mm\d+, .*\(|\(%rsp.*mm"
PROCESSORS = [
    Processor("aarch64-unknown-linux-gnu", "generic", (32, 4), NEON, ARM_MEMORY),
    Processor("aarch64-unknown-linux-gnu", "cortex-a72", (32, 4), NEON, ARM_MEMORY),
    Processor("aarch64-unknown-linux-gnu", "neoverse-v2", (32, 4), NEON, ARM_MEMORY),
    Processor("arm64-apple-macosx", "apple-m1", (32, 4), NEON, ARM_MEMORY),
    Processor("powerpc64le-unknown-linux-gnu", "pwr9", (32, 4), r"\txvmadd[am]sp", r"\tst|\(1\)"),
    Processor("x86_64-unknown-linux-gnu", "haswell", (16, 8), X86 + "ymm", X86_MEMORY),
    Processor("x86_64-unknown-linux-gnu", "znver4", (32, 16), X86 + "zmm", X86_MEMORY),
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


def assembly_of(kind: str, processor: Processor, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """The optimised code of a tile, alone in a function, and the panels that it does at most."""
    machine, elsewhere = machine_for(processor), Elsewhere(processor)
    assert registers(elsewhere) == processor.registers
    monkeypatch.setattr(microkernel_vectors, "registers", lambda context=None: registers(elsewhere))
    micro = microkernel_vectors.vector_microkernel(kind)
    array, index = types.Array(getattr(types, kind), 1, "C"), types.int64
    names = list(inspect.signature(micro.tile._defn).parameters)[1:]
    kinds = [{"left": array, "right": array, "out": array, "accumulate": types.boolean}.get(n, index) for n in names]
    signature, codegen = micro.tile._defn(None, *kinds)
    module = ir.Module()
    module.triple = processor.triple
    element = ir.DoubleType() if kind == "float64" else ir.FloatType()
    low = {array: element.as_pointer(), types.boolean: ir.IntType(1), index: ir.IntType(64)}
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [low[one] for one in kinds]), "tile")
    builder = ir.IRBuilder(function.append_basic_block())
    codegen(elsewhere, builder, signature, function.args)
    builder.ret_void()
    code = llvm.parse_assembly(str(module))
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(code, passes)
    return machine.emit_assembly(code), micro.panels


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


@pytest.mark.parametrize("processor", PROCESSORS, ids=[processor.name for processor in PROCESSORS])
def test_the_sums_stay_in_registers(processor: Processor, monkeypatch: pytest.MonkeyPatch) -> None:
    """One multiply-add for each vector of a tile in each step, and none of them to or from memory."""
    assembly, panels = assembly_of("float32", processor, monkeypatch)
    loops = loops_of(assembly)
    lines = [(sum(bool(re.search(processor.multiply_add, line)) for line in loop), loop) for loop in loops]
    steps = [(count, loop) for count, loop in lines if count]
    assert len(steps) >= panels  # a loop for each number of panels; LLVM may write several, or do two steps in one
    assert (24 if processor.registers[0] == 32 else 12) in [count for count, _ in steps]
    assert not [line for _, loop in steps for line in loop if re.search(processor.memory, line)]
