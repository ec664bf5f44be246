"""The type of a vector of 16 lanes in Numba, and how operations on vectors are written as LLVM code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba.extending
from llvmlite import ir
from numba.core import cgutils as _cgutils
from numba.core.datamodel.models import PrimitiveModel

from ..jit import HELPER, types

__all__ = ["CODES", "LANES", "Bfloat", "Emitter", "Value", "Vector", "cgutils", "instruction", "intrinsic"]

LANES = 16

Value = Any  # a value of the LLVM program being written

# Numba's own annotations do not describe these to a type checker.
cgutils: Any = _cgutils
intrinsic: Any = numba.extending.intrinsic
_overload: Any = numba.extending.overload


class Vector(types.Type):  # type: ignore[misc]  # Numba has no types
    """16 values of one dtype, in Numba's type system."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype}, {LANES})")


@numba.extending.register_model(Vector)
class _VectorModel(PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        vector = ir.VectorType(dmm.lookup(fe_type.dtype).get_value_type(), LANES)
        super().__init__(dmm, fe_type, vector)  # type: ignore[no-untyped-call]


class Bfloat(ir.types.Type):  # type: ignore[misc]  # llvmlite has no annotations
    """LLVM's bfloat, which llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"


class Emitter:
    """Writes LLVM instructions on vectors where a builder stands."""

    def __init__(self, context: Any, builder: Any, signature: Any) -> None:
        self.context, self.builder, self.signature = context, builder, signature

    def pointer(self, array: int, args: Any, at: Value, element: Any = None, lanes: int = LANES) -> Value:
        """Where the elements at [at, at + 16) of the array among the arguments lie."""
        kind = self.signature.args[array]
        data = self.context.make_array(kind)(self.context, self.builder, args[array]).data
        element = element or self.context.get_value_type(kind.dtype)
        return self.builder.bitcast(self.builder.gep(data, [at]), ir.VectorType(element, lanes).as_pointer())

    def constant(self, kind: Any, value: Any) -> Value:
        """A vector type's value in all lanes."""
        return ir.Constant(kind, [value] * LANES)

    def call(self, name: str, result: Any, *operands: Value) -> Value:
        """One of LLVM's own functions."""
        kind = ir.FunctionType(result, [operand.type for operand in operands])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), operands)

    def fold(self, vector: Value, combine: Callable[[Value, Value], Value]) -> Value:
        """Combine all lanes into one scalar."""
        step = LANES // 2
        while step:
            order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [(i + step) % LANES for i in range(LANES)])
            vector = combine(vector, self.builder.shuffle_vector(vector, vector, order))
            step //= 2
        return self.builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


CODES: dict[Callable[..., Any], Any] = {}  # the intrinsic that each function is in compiled code


def instruction(function: Callable[..., Any], result: Callable[..., Any], parameters: str) -> Callable[..., Any]:
    """Make the decorated emitter the compiled form of a function.

    result: its type from those of the arguments, or None where these are not vectors.
    """

    def decorate(emit: Callable[..., Value]) -> Callable[..., Value]:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
            value = emit(Emitter(context, builder, signature), args)
            return context.get_dummy_value() if value is None else value

        namespace: dict[str, Any] = {"codegen": codegen, "result": result, "intrinsic": intrinsic, "__name__": __name__}
        source = (
            f"@intrinsic\ndef code(typing_context, {parameters}):\n"
            f"    kind = result({parameters})\n"
            f"    return None if kind is None else (kind({parameters}), codegen)\n"
            f"def chosen({parameters}):\n"
            f"    return None if result({parameters}) is None else (lambda {parameters}: code({parameters}))\n"
        )
        exec(source, namespace)  # Numba reads the names of the parameters, which must be those of the function
        _overload(function, jit_options=HELPER)(namespace["chosen"])
        CODES[function] = namespace["code"]
        return emit

    return decorate
