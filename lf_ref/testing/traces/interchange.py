"""Arrays of any library as NumPy arrays, by the interchange protocols they offer; no library is imported."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ...errors import InputError
from ...reference.ops import Array


def to_numpy(name: str, value: Any) -> tuple[Array, str]:
    """Convert a tensor to NumPy: returns the array and the name of its original dtype. bfloat16 becomes float32.

    Takes NumPy arrays, Python scalars and lists, and objects with `__array__` or `__dlpack__`: tensors of torch (also
    those that require gradients), JAX, TensorFlow, MLX, CuPy.

    Raises:
        InputError: the value is none of these, or cannot be copied from its device.
    """
    dtype = _dtype_name(value)
    problems: list[str] = []
    for convert in (_as_numpy, _through_dlpack, _torch_as_numpy):
        try:
            array = convert(value)
        except Exception as error:  # each library raises errors of its own
            problems.append(f"{type(error).__name__}: {error}")
            continue
        if array is not None:
            return _checked(name, array, dtype)
    why = f" ({problems[0]})" if problems else ""
    raise InputError(
        f"{name} is of type {type(value).__name__}, which offers neither a usable __array__ nor __dlpack__{why}; "
        "convert it to a NumPy array"
    )


def _dtype_name(value: Any) -> str:
    """`float32` for torch.float32, dtype('float32'), <dtype: 'float32'>, mlx.core.float32; "" where it is unknown."""
    dtype = getattr(value, "dtype", None)
    known = getattr(dtype, "name", None)
    return known if isinstance(known, str) else str(dtype or "").rpartition(".")[2]


def _checked(name: str, array: Array, dtype: str) -> tuple[Array, str]:
    if array.dtype.kind == "V" and array.dtype.itemsize == 2:  # bfloat16 of package ml_dtypes, or of a file
        return bfloat16_to_float32(np.ascontiguousarray(array).view(np.uint16).reshape(array.shape)), "bfloat16"
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} must hold real numbers, got {array.dtype}")
    return array, dtype or array.dtype.name


def bfloat16_to_float32(bits: Array) -> Array:
    """The bits of bfloat16 values as float32.  # uint16 [...] -> float32 [...]"""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _as_numpy(value: Any) -> Array | None:
    if hasattr(value, "__cuda_array_interface__") and hasattr(value, "get"):  # CuPy refuses implicit conversion
        value = value.get()
    if isinstance(value, np.ndarray | np.generic | float | int | list | tuple) or hasattr(value, "__array__"):
        array = np.asarray(value)
        return None if array.dtype.kind == "O" else array
    return None


def _torch_as_numpy(value: Any) -> Array | None:
    """Detach a torch tensor, copy it to the CPU, and convert it to a dtype that NumPy has."""
    if not (hasattr(value, "detach") and hasattr(value, "cpu")):
        return None
    tensor = value.detach().cpu()
    return np.asarray(tensor.float() if "float" in str(tensor.dtype) and "64" not in str(tensor.dtype) else tensor)


# --- DLPack: https://dmlc.github.io/dlpack/latest/c_api.html ---------------------------------------------------------


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_HOST_DEVICES = (1, 3, 11)  # memory of the host: pageable, pinned for CUDA, pinned for ROCm
_CODES = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 6: "bool"}


def _through_dlpack(value: Any) -> Array | None:
    """Copy the tensor of a DLPack capsule. NumPy's own `from_dlpack` does not support bfloat16."""
    if not hasattr(value, "__dlpack__"):
        return None
    device = int(value.__dlpack_device__()[0]) if hasattr(value, "__dlpack_device__") else 1
    capsule = value.__dlpack__() if device in _HOST_DEVICES else value.__dlpack__(dl_device=(1, 0), copy=True)
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    tensor = _Tensor.from_address(pointer(capsule, b"dltensor"))
    kind = f"{_CODES.get(tensor.code, 'unknown')}{tensor.bits}"
    if tensor.lanes != 1 or tensor.code not in _CODES:
        raise InputError(f"DLPack type {kind} x {tensor.lanes} is not supported")
    dtype = np.dtype({"bfloat16": "V2", "bool8": "bool"}.get(kind, kind))
    shape = tuple(tensor.shape[axis] for axis in range(tensor.ndim))
    if 0 in shape:
        return np.empty(shape, dtype)
    strides = np.empty(shape, dtype).strides
    if tensor.strides:
        strides = tuple(tensor.strides[axis] * dtype.itemsize for axis in range(tensor.ndim))
    reach = [(n - 1) * step for n, step in zip(shape, strides, strict=True)]
    before, behind = -sum(min(0, step) for step in reach), sum(max(0, step) for step in reach)
    start = tensor.data + tensor.byte_offset - before
    memory = (ctypes.c_char * (before + behind + dtype.itemsize)).from_address(start)
    return np.array(np.ndarray(shape, dtype, memory, before, strides))  # the capsule owns the memory up to this copy
