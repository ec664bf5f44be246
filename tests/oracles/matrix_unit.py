"""Intel's AMX tile unit, emulated: each instruction as a function that machine code can call.

After "Intel 64 and IA-32 Architectures Software Developer's Manual", volume 2: LDTILECFG, TILELOADD, TDPBF16PS, ...
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_BYTE, _PLACE, _DISTANCE = ctypes.c_uint8, ctypes.c_void_p, ctypes.c_int64
# The operands of each instruction, which the functions of a `MatrixUnit` are named after.
_OPERANDS: dict[str, list[Any]] = {
    "ldtilecfg": [_PLACE],
    "tilerelease": [],
    "tilezero": [_BYTE],
    "tileloadd64": [_BYTE, _PLACE, _DISTANCE],
    "tilestored64": [_BYTE, _PLACE, _DISTANCE],
    "tdpbf16ps": [_BYTE, _BYTE, _BYTE],
    "tdpbsud": [_BYTE, _BYTE, _BYTE],
}


class MatrixUnit(threading.local):
    """The tiles of each thread. `faults` lists, for all threads, operations that a processor would reject."""

    def __init__(self, faults: list[str], loads: list[tuple[int, int]]) -> None:
        """faults: see above; loads: for each load, the address of its first byte and of the one after its last."""
        self.faults, self.loads = faults, loads
        self.tiles: list[Array] | None = None

    def functions(self) -> dict[str, Any]:
        """One for each instruction, to be referenced as long as machine code calls them."""
        return {
            name: ctypes.CFUNCTYPE(None, *operands)(self._told(getattr(self, f"_{name}")))
            for name, operands in _OPERANDS.items()
        }

    def _told(self, instruction: Any) -> Any:
        def call(*operands: int) -> None:
            try:
                with np.errstate(all="ignore"):  # a processor's arithmetic raises no warning
                    instruction(*operands)
            except Exception as error:
                self.faults.append(f"{instruction.__name__}{operands}: {error!r}")

        return call

    def _ldtilecfg(self, place: int) -> None:
        shapes = _memory(place, 1, 64, 64)[0]
        if shapes[0] != 1 or shapes[1:16].any() or shapes[32:48].any() or shapes[56:].any():
            raise ValueError(f"not a configuration of palette 1: {shapes.tolist()}")
        columns, rows = shapes[16:32].view(np.uint16), shapes[48:56]
        if columns.max() > 64 or rows.max() > 16 or (columns % 4).any():
            raise ValueError(f"no such tiles: {rows.tolist()} rows of {columns.tolist()} bytes")
        self.tiles = [np.zeros((int(row), int(column)), np.uint8) for row, column in zip(rows, columns, strict=True)]

    def _tilerelease(self) -> None:
        self.tiles = None

    def _tilezero(self, tile: int) -> None:
        self._tile(tile)[:] = 0

    def _tileloadd64(self, tile: int, place: int, distance: int) -> None:
        rows, width = self._tile(tile).shape
        self.loads.append((place, place + (rows - 1) * distance + width))
        self._tile(tile)[:] = _memory(place, rows, width, distance)

    def _tilestored64(self, tile: int, place: int, distance: int) -> None:
        _memory(place, *self._tile(tile).shape, distance)[:] = self._tile(tile)

    def _tdpbf16ps(self, sums: int, left: int, right: int) -> None:
        """The even and the odd terms are summed separately; subnormal values count as zero."""
        c, a, b = self._operands(sums, left, right, np.float32, np.uint16, np.uint16)
        a, b = (_normal((bits.astype(np.uint32) << 16).view(np.float32)) for bits in (a, b))
        # a: [rows, words x 2] -> [words, 2, rows, 1], b: [words, columns x 2] -> [words, 2, 1, columns]
        a = a.T.reshape(len(b), 2, -1, 1)
        b = b.reshape(len(b), 1, -1, 2).transpose(0, 3, 1, 2)
        parts = np.zeros((2, *c.shape), np.float32)
        for products in a * b:
            parts = _normal(parts + products)
        c[:] = _normal(_normal(c) + _normal(parts[0] + parts[1]))

    def _tdpbsud(self, sums: int, left: int, right: int) -> None:
        c, a, b = self._operands(sums, left, right, np.int32, np.int8, np.uint8)
        b = b.reshape(b.shape[0], -1, 4).transpose(0, 2, 1).reshape(4 * b.shape[0], -1)
        c += a.astype(np.int32) @ b.astype(np.int32)

    def _operands(self, sums: int, left: int, right: int, *dtypes: Any) -> tuple[Array, Array, Array]:
        c, a, b = (self._tile(number) for number in (sums, left, right))
        if len({sums, left, right}) < 3 or len(a) != len(c) or a.shape[1] != 4 * len(b) or b.shape[1] != c.shape[1]:
            raise ValueError(f"tiles {sums}, {left}, {right} do not fit: {c.shape}, {a.shape}, {b.shape}")
        c, a, b = (tile.view(dtype) for tile, dtype in zip((c, a, b), dtypes, strict=True))
        return c, a, b

    def _tile(self, number: int) -> Array:
        if self.tiles is None:
            raise ValueError("the tiles have no shape")
        return self.tiles[number]


def _memory(place: int, rows: int, width: int, distance: int) -> Array:
    """Rows of bytes that lie anywhere."""
    span = (ctypes.c_uint8 * ((rows - 1) * distance + width)).from_address(place)
    return np.ndarray((rows, width), np.uint8, span, strides=(distance, 1))


def _normal(x: Array) -> Array:
    return np.where(np.abs(x) < np.finfo(np.float32).tiny, np.copysign(np.float32(0), x), x)
