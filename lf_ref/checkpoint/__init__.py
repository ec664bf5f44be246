"""Checkpoints: the tensors in their files, their names, and the parameters of a model."""

from .allenai import adapt_config
from .binding import bind
from .names import HEADS, expected_shapes
from .saving import save
from .stored import StoredTensor, StoredTensors
from .tensors import open_tensors

__all__ = [
    "HEADS",
    "StoredTensor",
    "StoredTensors",
    "adapt_config",
    "bind",
    "expected_shapes",
    "open_tensors",
    "save",
]
