"""The metadata of a trace: which model ran on which inputs."""

from __future__ import annotations

from dataclasses import dataclass

from ...config import LongformerConfig
from ...reference.ops import Array


@dataclass(frozen=True)
class Run:
    """The forward pass that a trace records.

    class_name, config, dtype, backend: of the model; all tensors have this dtype. inputs: the arguments of the call, as
    arrays. visible, is_global: bool (rows, seq), the masks of the encoder, with the global attention that the head sets
    by default; choices count as rows. outputs: the names of the model's outputs, in order.
    """

    class_name: str
    config: LongformerConfig
    dtype: str
    backend: str
    inputs: dict[str, Array]
    visible: Array
    is_global: Array
    outputs: tuple[str, ...]
