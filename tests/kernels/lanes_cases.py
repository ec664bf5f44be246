"""Tokens in lanes, and words of reduced precision, spelled out. Imports nothing of the program under test."""

from __future__ import annotations

from typing import Any

import numpy as np

from oracles.reduced import bfloat16

LANES = 16


def lanes_of(rows: Any, width: int) -> Any:
    """Rows [n, channels] in panels of 16 tokens, with zeros beyond them.  # -> [panels, width, 16]"""
    lanes = np.zeros((-(-len(rows) // LANES), width, LANES), rows.dtype)
    for token, row in enumerate(rows):
        lanes[token // LANES, : len(row), token % LANES] = row
    return lanes


def rows_of(lanes: Any) -> Any:
    """All tokens of panels.  # [panels, width, 16] -> [16 panels, width]"""
    return np.stack([panel[:, lane] for panel in lanes for lane in range(LANES)])


def bits_of(x: Any) -> Any:
    """float32 that are no NaN, rounded to bfloat16: uint16."""
    return (bfloat16(x).astype(np.float32).view(np.uint32) >> np.uint32(16)).astype(np.uint16)


def values_of(bits: Any) -> Any:
    """bfloat16 as float32."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def words_of(small: Any) -> Any:
    """Neighbours along the last axis in words of 32 bits, the first in the lowest; uint16, int8 or uint8."""
    per_word = 4 // small.itemsize
    groups = small.astype(np.int64).reshape(*small.shape[:-1], -1, per_word) % (1 << 8 * small.itemsize)
    words = sum(groups[..., i] << (8 * small.itemsize * i) for i in range(per_word))
    return words.astype(np.uint32).view(np.int32)


def words_in_lanes(small: Any) -> Any:
    """The same of tokens in lanes, along their channels.  # [panels, channels, 16] -> int32 [panels, words, 16]"""
    return np.ascontiguousarray(words_of(small.swapaxes(1, 2)).swapaxes(1, 2))


def frozen(array: Any) -> Any:
    """A copy that nobody can write to."""
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy
