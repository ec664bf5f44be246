"""How a function that only kernels call is compiled: as part of each of them, and not by itself.

Numba optimizes each function that it compiles, and makes machine code and wrappers for Python of it, though all of that
is done again for the kernel that it is inlined in. Here its code is left as it is for the kernel. Kernels compile in
about half the time, and are the same.
"""

from __future__ import annotations

from typing import Any

import numba
from numba.core import codegen, compiler

from .. import memory

__all__ = ["HELPER", "helper"]


class _Unfinished(codegen.JITCodeLibrary):  # type: ignore[misc]  # Numba has no types
    """LLVM code of one function and of those that it calls, to be linked into a kernel's."""

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


class _Compiler(compiler.Compiler):  # type: ignore[misc]
    """Numba's compiler, up to the LLVM code."""

    def __init__(self, typing: Any, target: Any, library: Any, args: Any, result: Any, flags: Any, names: Any) -> None:
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        super().__init__(typing, target, _Unfinished(target.codegen(), "helper"), args, result, flags, names)

    def compile_extra(self, function: Any) -> Any:
        result = super().compile_extra(function)
        # Kernels find the code by the builtin that Python would call. This one refuses every argument.
        entry = [].clear
        self.state.targetctx.insert_user_function(entry, result.fndesc, [result.library])
        return result._replace(entry_point=entry)


# Options of `numba.njit`.
HELPER: dict[str, Any] = {"pipeline_class": _Compiler, "error_model": "numpy", "forceinline": True}

numba.extending.register_jitable(**HELPER)(memory.empty)


def helper(function: Any = None, **options: Any) -> Any:
    """Compile a function for kernels and other helpers to call; Python cannot. Options: those of `numba.njit`."""
    compiled: Any = numba.njit(**{**HELPER, **options})
    return compiled if function is None else compiled(function)
