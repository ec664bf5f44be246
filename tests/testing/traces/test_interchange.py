"""Arrays of any library by each protocol, and values that are refused."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testing.building import trace_of
from testing.foreign_arrays import VALUES, Named, OnlyDlpack

from lf_ref import InputError
from lf_ref.testing.traces.interchange import to_numpy
from model.building import FEW
from oracles import reduced
from oracles.compare import assert_identical

ROUNDED = reduced.bfloat16(VALUES).astype(np.float32)
BITS = (ROUNDED.view(np.uint32) >> 16).astype(np.uint16)


class OnlyArray:
    dtype = Named("<dtype: 'float32'>", "float32")

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values


class OnDevice(OnlyDlpack):
    """An array on a GPU, which copies to the host when asked to."""

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, *, dl_device=None, copy=None):
        if dl_device is None:
            raise BufferError("on the GPU")
        assert (dl_device, copy) == ((1, 0), True)
        return self.values.__dlpack__()


class _Managed(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Capsule:
    """A DLPack capsule made by hand: any type code, strides or none, an offset."""

    def __init__(self, buffer, code, bits, shape, strides=None, lanes=1, offset=0):
        self.buffer = buffer
        axes = ctypes.c_int64 * len(shape)
        self.shape, self.strides = axes(*shape), None if strides is None else axes(*strides)
        self.tensor = _Managed(
            buffer.ctypes.data,
            (ctypes.c_int32 * 2)(1, 0),
            len(shape),
            code,
            bits,
            lanes,
            self.shape,
            self.strides,
            offset,
        )

    def __dlpack_device__(self):
        return 1, 0

    def __dlpack__(self):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.tensor), b"dltensor", None)


class Gradient:
    """A tensor as torch has it: no array before it is detached, and none in bfloat16."""

    def __init__(self, values, dtype, attached=True):
        self.values, self.dtype, self.attached = values, Named(f"torch.{dtype}"), attached

    def __array__(self, dtype=None, copy=None):
        if self.attached or "bfloat16" in repr(self.dtype):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self.values

    def __dlpack__(self):
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")

    def detach(self):
        return Gradient(self.values, repr(self.dtype).rpartition(".")[2], attached=False)

    def cpu(self):
        return self

    def float(self):
        return Gradient(self.values.astype(np.float32), "float32", attached=False)


class Cuda(OnlyArray):
    """As CuPy: it converts only on request."""

    __cuda_array_interface__ = {}  # noqa: RUF012

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def get(self):
        return self.values


@pytest.mark.parametrize(
    ("value", "expected", "dtype"),
    [
        (VALUES, VALUES, "float32"),
        (np.float64(2.5), np.float64(2.5), "float64"),
        (VALUES.tolist(), VALUES.astype(np.float64), "float64"),
        (3, np.asarray(3), "int64"),
        (OnlyArray(VALUES), VALUES, "float32"),
        (OnlyDlpack(VALUES), VALUES, "float32"),
        (OnlyDlpack(VALUES[::-1, ::2]), VALUES[::-1, ::2], "float32"),
        (OnlyDlpack(np.arange(4, dtype=np.int16)), np.arange(4, dtype=np.int16), "float32"),
        (OnlyDlpack(np.array([True, False])), np.array([True, False]), "float32"),
        (OnlyDlpack(np.zeros((0, 3), np.float32)), np.zeros((0, 3), np.float32), "float32"),
        (OnDevice(VALUES), VALUES, "float32"),
        (Capsule(BITS, 4, 16, (5, 7)), ROUNDED, "bfloat16"),
        (Capsule(BITS, 4, 16, (5, 3), (7, 2), offset=2), ROUNDED[:, 1:6:2], "bfloat16"),
        (Gradient(VALUES, "float32"), VALUES, "float32"),
        (Gradient(ROUNDED, "bfloat16"), ROUNDED, "bfloat16"),
        (Gradient(VALUES.astype(np.float64), "float64"), VALUES.astype(np.float64), "float64"),
        (Cuda(VALUES), VALUES, "float32"),
        (BITS.view("V2"), ROUNDED, "bfloat16"),
    ],
)
def test_arrays_come_to_the_host(value, expected, dtype):
    array, name = to_numpy("x", value)
    assert_identical(array, expected, "x")
    assert name == dtype


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            object(),
            "x is of type object, which offers neither a usable __array__ nor __dlpack__; convert it to",
        ),
        (np.zeros(2, complex), "x must hold real numbers, got complex128"),
        (np.array(["a"]), "x must hold real numbers, got <U1"),
        ([object()], "x is of type list"),
        (Capsule(VALUES, 5, 64, (2,)), "DLPack type unknown64 x 1 is not supported"),
        (Capsule(VALUES, 2, 32, (2,), lanes=2), "DLPack type float32 x 2 is not supported"),
        ([[1.0], [2.0, 3.0]], r"\(ValueError: .*inhomogeneous"),
    ],
)
def test_values_that_are_not_numeric_arrays_are_refused(value, message):
    with pytest.raises(InputError, match=message):
        to_numpy("x", value)


@FEW
@given(st.data())
def test_any_strided_array_through_dlpack(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    array = np.random.default_rng(0).standard_normal(shape)
    cut = tuple(slice(None, None, data.draw(st.sampled_from([1, 2, -1, -2]))) for _ in shape)
    array = array.transpose(data.draw(st.permutations(range(len(shape)))))[cut]
    assert_identical(to_numpy("x", OnlyDlpack(array))[0], array, "x")


@pytest.fixture
def expected():
    return trace_of()
