"""Candidates in every form, as a mapping of tensor names to arrays."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoint.safetensors_file import read_safetensors
from ...errors import CheckpointError, InputError
from ..traces.named_tensors import NamedTensors
from ..traces.tensor_names import SINGLE_OUTPUT
from ..traces.trace import Trace


def read_candidate(candidate: Any, expected: Trace) -> NamedTensors:
    """Read a candidate: a mapping, a file, a callable, or a single array, which is an output.

    A callable takes the inputs of the trace by name and returns a mapping or a single array.

    Raises:
        InputError: the candidate is none of these, or a file of another format. CheckpointError: the file is damaged.
    """
    if isinstance(candidate, NamedTensors):
        return candidate
    if isinstance(candidate, Mapping):
        return NamedTensors(candidate, repr(candidate) if isinstance(candidate, Trace) else type(candidate).__name__)
    if isinstance(candidate, str | os.PathLike):
        return NamedTensors(read_file(Path(candidate)), os.fspath(candidate))
    if hasattr(candidate, "__array__") or hasattr(candidate, "__dlpack__"):
        if not expected.run.outputs:
            raise InputError("a single array is compared with an output, but the trace has none: pass a mapping")
        return NamedTensors({SINGLE_OUTPUT: candidate}, type(candidate).__name__)
    if hasattr(candidate, "named_modules"):
        raise InputError("run a torch module with capture_torch(module, **inputs), and pass its result")
    if callable(candidate):
        return read_candidate(_call(candidate, expected), expected)
    raise InputError(
        f"a candidate is a mapping of names to arrays, a .npz or .safetensors file, a callable that returns a mapping, "
        f"or one array, got {type(candidate).__name__}"
    )


def _call(candidate: Callable[..., Any], expected: Trace) -> Any:
    result = candidate(**{name: value.copy() for name, value in expected.run.inputs.items()})
    if callable(result) and not isinstance(result, Mapping):
        raise InputError(f"the candidate returned {type(result).__name__}, not a mapping of names to arrays")
    return result


def read_file(path: Path) -> Mapping[str, Any]:
    """The tensors of a .npz or .safetensors file, by name.

    Raises:
        InputError: the path ends in neither. CheckpointError: the file is damaged.
    """
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    if path.suffix != ".npz":
        raise InputError(f"{path}: a file of tensors ends in .npz or .safetensors")
    try:
        with open(path, "rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, Mapping):
                return dict(arrays)
            raise ValueError("it holds a single array, as .npy files do")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is not a complete .npz file of numeric arrays: {error}") from error
