"""Writing NumPy's files while the arrays still come, so that they never are in memory all together."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

# Bytes of the header of a .npy file, so long that any shape fits. Its length is a multiple of 64, as the format asks.
_HEADER = 128


def write_npz(file: BinaryIO, arrays: Iterable[NDArray[Any]]) -> int:
    """Write arrays as arr_0, arr_1, ... of a .npz file, as `numpy.savez` names them; how many there were."""
    count = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for array in arrays:
            with archive.open(f"arr_{count}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)
            count += 1
    return count


def write_npy(file: BinaryIO, arrays: Iterable[NDArray[Any]], alone: bool = False) -> int:
    """Write arrays of one shape as the rows of one array in a .npy file, or one alone as it is; how many there were."""
    count = 0
    for array in arrays:
        if alone:
            npy.write_array(file, array, allow_pickle=False)
            return 1
        if count == 0:
            file.write(_header(array, 0))
        file.write(np.ascontiguousarray(array).tobytes())
        count += 1
        first = array
    if count:
        file.seek(0)
        file.write(_header(first, count))
    else:
        npy.write_array(file, np.empty(0, np.float32), allow_pickle=False)
    return count


def _header(array: NDArray[Any], count: int) -> bytes:
    """The header of version 1.0 for `count` arrays like this one."""
    fields = {"descr": npy.dtype_to_descr(array.dtype), "fortran_order": False, "shape": (count, *array.shape)}
    start = npy.magic(1, 0)
    text = repr(fields).encode("latin1")
    room = _HEADER - len(start) - 2
    return start + (room).to_bytes(2, "little") + text.ljust(room - 1) + b"\n"
