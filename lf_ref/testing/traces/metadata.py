"""What is known of the run that tensors come from, and what follows: how each is laid out, and which numbers count."""

from __future__ import annotations

from dataclasses import dataclass

from ...config import LongformerConfig
from ...reference.ops import Array


@dataclass(frozen=True)
class Run:
    """What a trace is of.

    class_name, config, dtype, backend: of the model; dtype is that of all tensors. inputs: the arguments that were
    given, as arrays. visible, is_global: bool (rows, seq), as the encoder had them, the head's default included;
    choices count as rows. outputs: the names of the model's outputs, in order.
    """

    class_name: str
    config: LongformerConfig
    dtype: str
    backend: str
    inputs: dict[str, Array]
    visible: Array
    is_global: Array
    outputs: tuple[str, ...]
