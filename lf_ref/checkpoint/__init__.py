"""Checkpoints: the tensors in their files, their names, and the parameters of a model."""

from .binding import bind
from .config_file import read_config
from .names import HEADS, expected_shapes
from .quantizing import is_quantized, quantize
from .reduced import REDUCED, reduce
from .saving import save
from .stored import StoredTensor, StoredTensors, stored_dtype
from .tensors import open_tensors

__all__ = [
    "HEADS",
    "REDUCED",
    "StoredTensor",
    "StoredTensors",
    "bind",
    "expected_shapes",
    "is_quantized",
    "open_tensors",
    "quantize",
    "read_config",
    "reduce",
    "save",
    "stored_dtype",
]
