"""Tensors of any array library, by the names of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...checkpoint.stored import StoredTensor
from ...errors import InputError
from ...reference.ops import Array
from .interchange import to_host, widened
from .tensor_names import TUPLES, bare


class NamedTensors(Mapping[str, Array]):
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


def _by_layer(name: str, values: Any) -> dict[str, Any]:
    """A tuple of an output record: what it holds for each layer, by the place it is from."""
    before, within = TUPLES[name]
    first = 1 if before else 0
    found = {f"encoder.layer.{layer}.{within}": value for layer, value in enumerate(values[first:])}
    return {before: values[0], **found} if before and len(values) else found
