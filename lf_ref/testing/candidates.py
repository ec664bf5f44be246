"""What is to be judged, in whichever form it comes, as a mapping of names to arrays."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint.safetensors_file import read_safetensors
from ..checkpoint.stored import StoredTensor
from ..errors import CheckpointError, InputError
from ..reference.ops import Array
from .host import to_host, widened
from .names import ONLY, TUPLES, bare
from .tracing import Trace


class Candidate(Mapping[str, Array]):
    """Named arrays; each is brought to the host when it is asked for. Prefixes of names are taken off.

    title: what a report calls it.

    Raises:
        InputError: two names differ in their prefix alone.
    """

    def __init__(self, tensors: Mapping[str, Any], title: str) -> None:
        self.title = title
        self._tensors: dict[str, Any] = {}
        bearers: dict[str, str] = {}  # names as given, by those without prefix
        for name, value in tensors.items():
            if value is None:
                continue
            if isinstance(value, tuple | list) and name in TUPLES:
                self._tensors |= _by_layer(name, value)
            else:
                known = bare(str(name))
                if known in bearers:
                    raise InputError(f"{name} and {bearers[known]} are one tensor of the trace: leave out one of them")
                self._tensors[known], bearers[known] = value, str(name)

    def host(self, name: str) -> tuple[Array, str]:
        """An array as NumPy's, and the name of the dtype it came in."""
        value = self._tensors[name]
        if isinstance(value, StoredTensor):
            return (widened(value.data), value.dtype) if value.dtype == "bfloat16" else (value.data, value.dtype)
        return to_host(name, value)

    def __getitem__(self, name: str) -> Array:
        return self.host(name)[0]

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def read_candidate(candidate: Any, expected: Trace) -> Candidate:
    """Take a candidate in any form: a mapping, a file, a callable, or a single array, which is an output.

    A callable gets the inputs of the trace by name and returns a mapping or a single array.

    Raises:
        InputError: it is none of these, or a file of another kind. CheckpointError: a file is damaged.
    """
    if isinstance(candidate, Candidate):
        return candidate
    if isinstance(candidate, Mapping):
        return Candidate(candidate, repr(candidate) if isinstance(candidate, Trace) else type(candidate).__name__)
    if isinstance(candidate, str | os.PathLike):
        return Candidate(read_file(Path(candidate)), os.fspath(candidate))
    if hasattr(candidate, "__array__") or hasattr(candidate, "__dlpack__"):
        if not expected.run.outputs:
            raise InputError("a single array is compared with an output, but the trace has kept no output")
        return Candidate({ONLY: candidate}, type(candidate).__name__)
    if hasattr(candidate, "named_modules"):
        raise InputError("a torch module is run by capture_torch(module, **inputs), whose result is the candidate")
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


def _by_layer(name: str, values: Any) -> dict[str, Any]:
    """A tuple of an output record: what it holds for each layer, by the place it is from."""
    before, within = TUPLES[name]
    first = 1 if before else 0
    found = {f"encoder.layer.{layer}.{within}": value for layer, value in enumerate(values[first:])}
    return {before: values[0], **found} if before and len(values) else found


def read_file(path: Path) -> Mapping[str, Any]:
    """The tensors of a .npz or .safetensors file, by name.

    Raises:
        InputError: the name ends in neither. CheckpointError: the file is damaged.
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
        raise CheckpointError(f"{path} is not a whole .npz file of numbers: {error}") from error
