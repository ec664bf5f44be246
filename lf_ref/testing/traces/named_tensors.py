"""Tensors of any array library, by the names of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...checkpoint.stored import StoredTensor
from ...errors import InputError
from ...reference.ops import Array
from .interchange import bfloat16_to_float32, to_numpy
from .tensor_names import TUPLES, strip_prefix


class NamedTensors(Mapping[str, Array]):
    """A mapping of names to arrays; each is converted to NumPy on access.

    Prefixes of names are removed. Tuples of an output record, or arrays of their stacked items, are taken apart.

    title: its name in a report.

    Raises:
        InputError: two names differ in their prefix alone.
    """

    def __init__(self, tensors: Mapping[str, Any], title: str) -> None:
        self.title = title
        self._tensors: dict[str, Any] = {}
        original: dict[str, str] = {}  # names with prefix, by those without
        for name, value in tensors.items():
            if value is None:
                continue
            if name in TUPLES:
                stacked = value if isinstance(value, tuple | list) else _as_array(name, value)[0]
                self._tensors |= _by_layer(name, stacked)
            else:
                known = strip_prefix(str(name))
                if known in original:
                    raise InputError(f"{name} and {original[known]} are one tensor of the trace: leave out one of them")
                self._tensors[known], original[known] = value, str(name)

    def convert(self, name: str) -> tuple[Array, str]:
        """A tensor as a NumPy array, and the name of its original dtype."""
        return _as_array(name, self._tensors[name])

    def replaced(self, values: Mapping[str, Any]) -> NamedTensors:
        """With other values of some tensors; those that are None are left out."""
        return NamedTensors({**self._tensors, **values}, self.title)

    def __getitem__(self, name: str) -> Array:
        return self.convert(name)[0]

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _as_array(name: str, value: Any) -> tuple[Array, str]:
    if isinstance(value, StoredTensor):
        is_bfloat16 = value.dtype == "bfloat16"
        return (bfloat16_to_float32(value.data) if is_bfloat16 else value.data), value.dtype
    return to_numpy(name, value)


def _by_layer(name: str, values: Any) -> dict[str, Any]:
    """The items of a tuple of an output record, or of an array of them, by the names of the tensors."""
    before, within = TUPLES[name]
    first = 1 if before else 0
    found = {f"encoder.layer.{layer}.{within}": value for layer, value in enumerate(values[first:])}
    return {before: values[0], **found} if before and len(values) else found
