"""The page on golden files, in lf_ref/testing, followed to the letter in plain Python: no NumPy, nothing of lf_ref.

What a programmer of another language would write: the generator, and a reader of the file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15
FORMATS = {"F64": "d", "F32": "f", "I64": "q", "U8": "B"}


def mix(z: int) -> int:
    """The finaliser of SplitMix64."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def fnv(name: str) -> int:
    """FNV-1a of 64 bits."""
    h = 0xCBF29CE484222325
    for byte in name.encode("utf-8"):
        h = (h ^ byte) * 0x100000001B3 & MASK
    return h


def word(seed: int, name: str, i: int) -> int:
    """Word i of a stream."""
    start = mix((seed ^ fnv(name)) + GAMMA & MASK)
    return mix(start + (i + 1) * GAMMA & MASK)


def weight(seed: int, name: str, shape: Sequence[int]) -> list[float]:
    """A tensor of the generator, in C order."""
    centre, shift = 0.0, 16
    if len(shape) == 2:
        shift = 15
        if not name.startswith("embeddings."):
            shift += max(0, (len(bin(shape[1])) - 2 - 1) // 2 - 1)
    elif name.endswith(("LayerNorm.weight", "layer_norm.weight")):
        centre = 1.0
    return [centre + ((word(seed, name, i) >> 48) - 32768) / 2**shift for i in range(prod(shape))]


@dataclass
class File:
    """A golden file: the manifest, and each tensor's (dtype, shape, values in C order)."""

    manifest: dict[str, Any]
    tensors: dict[str, tuple[str, list[int], list[float]]]


def read(path: Any) -> File:
    """Read a whole golden file."""
    with open(path, "rb") as file:
        content = file.read()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length].decode("utf-8"))
    manifest = json.loads(header.pop("__metadata__")["lf_ref.golden"])
    tensors = {}
    for name, entry in header.items():
        start, stop = (8 + length + offset for offset in entry["data_offsets"])
        letter = FORMATS[entry["dtype"]]
        values = struct.unpack(f"<{prod(entry['shape'])}{letter}", content[start:stop])
        tensors[name] = (entry["dtype"], entry["shape"], list(values))
    return File(manifest, tensors)
