"""The innermost loops in the code of CPUs that need not be here: compiled and read, not run."""

from __future__ import annotations

import inspect
import operator
import re
from types import SimpleNamespace
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import pytest
from llvmlite import ir
from numba import types
from numba.core import cgutils

from lf_ref.kernels.cpu.features import registers
from lf_ref.kernels.layout.vectors import CODES, LANES, Vector, exp2, store
from lf_ref.kernels.matmul import microkernel_vectors

pytestmark = pytest.mark.jit

ARRAY, INDEX = types.Array(types.float32, 1, "C"), types.int64
FLOATS = Vector(types.float32)
FLOAT, WORD = ir.FloatType(), ir.IntType(64)


class Processor(NamedTuple):
    """A CPU in LLVM's terms, its vector registers and their lanes, and patterns of its assembly.

    multiply_add: one of whole vectors; memory: a vector that is stored, or that comes from the stack; call: of a
    function.
    """

    triple: str
    name: str
    registers: tuple[int, int]
    multiply_add: str
    memory: str
    call: str


NEON, ARM_MEMORY, ARM_CALL = r"\tfml[as](\.4s|\tv\d+\.4s)", r"\tst|\bsp\b", r"\tbl\b"
X86_MEMORY, X86_CALL = r"mm\d+, .*\(|\(%rsp.*mm", r"\tcall"
POWER_MEMORY, POWER_CALL = r"\tst|\(1\)", r"\tbl\b"
PROCESSORS = [
    Processor("aarch64-unknown-linux-gnu", "generic", (32, 4), NEON, ARM_MEMORY, ARM_CALL),
    Processor("aarch64-unknown-linux-gnu", "cortex-a72", (32, 4), NEON, ARM_MEMORY, ARM_CALL),
    Processor("aarch64-unknown-linux-gnu", "neoverse-v2", (32, 4), NEON, ARM_MEMORY, ARM_CALL),
    Processor("arm64-apple-macosx", "apple-m1", (32, 4), NEON, ARM_MEMORY, ARM_CALL),
    Processor("powerpc64le-unknown-linux-gnu", "pwr9", (32, 4), r"\txvn?m(add|sub)[am]sp", POWER_MEMORY, POWER_CALL),
    Processor("x86_64-unknown-linux-gnu", "haswell", (16, 8), r"\tvfn?madd\d+ps.*%ymm", X86_MEMORY, X86_CALL),
    Processor("x86_64-unknown-linux-gnu", "znver4", (32, 16), r"\tvfn?madd\d+ps.*%zmm", X86_MEMORY, X86_CALL),
]
every_processor = pytest.mark.parametrize("processor", PROCESSORS, ids=[processor.name for processor in PROCESSORS])


class Elsewhere:
    """What the emitters ask of Numba's target context, for another CPU and for arrays that are mere pointers."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def codegen(self) -> Elsewhere:
        return self

    def magic_tuple(self) -> tuple[str, str, str]:
        return self._processor.triple, self._processor.name, ""

    def make_array(self, array_type: Any) -> Any:
        return lambda context, builder, pointer: SimpleNamespace(data=pointer)

    def get_value_type(self, kind: Any) -> Any:
        return FLOAT

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


def assembly_of(processor: Processor, arguments: list[Any], emit: Any) -> str:
    """The optimised code of what `emit` writes with a builder and arguments, alone in a function."""
    machine = machine_for(processor)
    module = ir.Module()
    module.triple = processor.triple
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), "alone")
    builder = ir.IRBuilder(function.append_basic_block())
    emit(builder, function.args)
    builder.ret_void()
    code = llvm.parse_assembly(str(module))
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(code, passes)
    return str(machine.emit_assembly(code))


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


def multiply_adds(processor: Processor, loop: list[str]) -> int:
    return sum(bool(re.search(processor.multiply_add, line)) for line in loop)


@every_processor
def test_the_sums_stay_in_registers(processor: Processor, monkeypatch: pytest.MonkeyPatch) -> None:
    """One multiply-add for each vector of sums in each step, and none of them to or from memory."""
    machine_for(processor)
    elsewhere = Elsewhere(processor)
    assert registers(elsewhere) == processor.registers
    monkeypatch.setattr(microkernel_vectors, "registers", lambda context=None: processor.registers)
    micro = microkernel_vectors.vector_microkernel("float32")
    names = list(inspect.signature(micro.tile._defn).parameters)[1:]
    kinds = {"left": ARRAY, "right": ARRAY, "out": ARRAY, "accumulate": types.boolean}
    signature, codegen = micro.tile._defn(None, *(kinds.get(name, INDEX) for name in names))
    types_of = {"accumulate": ir.IntType(1)} | dict.fromkeys(("left", "right", "out"), FLOAT.as_pointer())
    assembly = assembly_of(
        processor,
        [types_of.get(name, WORD) for name in names],
        lambda builder, arguments: codegen(elsewhere, builder, signature, arguments),
    )
    loops = [loop for loop in loops_of(assembly) if multiply_adds(processor, loop)]
    assert micro.panels == {4: 1, 8: 1, 16: 4}[processor.registers[1]]
    assert len(loops) >= micro.panels  # LLVM may write several, or do several steps in one
    # The sums fill the registers but for a quarter.
    assert processor.registers[0] * 3 // 4 in [multiply_adds(processor, loop) for loop in loops]
    assert not [line for loop in loops for line in loop if re.search(processor.memory, line)]


@every_processor
def test_the_exponential_of_attention_is_a_few_instructions(processor: Processor) -> None:
    """Five multiply-adds for each register of 16 lanes, no call, and nothing that waits on the stack."""
    elsewhere = Elsewhere(processor)

    def code(builder: Any, function: Any, kinds: Any, values: Any) -> Any:
        signature, codegen = CODES[function]._defn(None, *kinds)
        return codegen(elsewhere, builder, signature, values)

    def emit(builder: Any, arguments: Any) -> None:
        source, target, top, count = arguments
        vector = ir.VectorType(FLOAT, LANES)
        tops = builder.load(builder.bitcast(top, vector.as_pointer()), align=4)
        with cgutils.for_range_slice(builder, ir.Constant(WORD, 0), count, ir.Constant(WORD, LANES)) as (at, _):
            score = builder.load(builder.bitcast(builder.gep(source, [at]), vector.as_pointer()), align=4)
            score = code(builder, operator.sub, (FLOATS, FLOATS), (score, tops))
            power = code(builder, exp2, (FLOATS,), (score,))
            code(builder, store, (FLOATS, ARRAY, INDEX), (power, target, at))

    pointer = FLOAT.as_pointer()
    (loop,) = loops_of(assembly_of(processor, [pointer, pointer, pointer, WORD], emit))
    assert multiply_adds(processor, loop) == 5 * LANES // processor.registers[1]
    kept = {"x86_64": r", -?\d*\(%rsp", "powerpc64le": r"\tst.*\(1\)"}.get(
        processor.triple.split("-")[0], r"\tst.*\bsp\b"
    )
    assert not [line for line in loop if re.search(f"{processor.call}|{kept}", line)]
