"""Candidates in every form: arrays by each protocol, mappings, files, callables; and what is refused."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from testing.building import as_float32, case_of, model_of, trace_of

from lf_ref import CheckpointError, InputError, testing
from lf_ref.testing.comparison.candidates import read_candidate
from lf_ref.testing.traces.interchange import to_numpy
from lf_ref.testing.traces.named_tensors import NamedTensors
from model.building import FEW
from oracles import reduced
from oracles.compare import assert_identical

VALUES = np.random.default_rng(3).standard_normal((5, 7)).astype(np.float32)
ROUNDED = reduced.bfloat16(VALUES).astype(np.float32)
BITS = (ROUNDED.view(np.uint32) >> 16).astype(np.uint16)


class Named:
    """A dtype as MLX and TensorFlow have it."""

    def __init__(self, text: str, name: str | None = None) -> None:
        self.text = text
        if name:
            self.name = name

    def __repr__(self) -> str:
        return self.text


class OnlyArray:
    dtype = Named("<dtype: 'float32'>", "float32")

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values


class OnlyDlpack:
    """What CPU arrays without `__array__` offer: NumPy's own capsule."""

    dtype = Named("mlx.core.float32")

    def __init__(self, values):
        self.values = values

    def __dlpack__(self):
        return self.values.__dlpack__()


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
    """As CuPy: it converts only when told to."""

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
def test_what_is_no_array_of_numbers_is_refused(value, message):
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


def test_prefixes_nones_and_tuples_of_records():
    states, maps = (VALUES, VALUES + 1, VALUES + 2), (VALUES + 3, VALUES + 4)
    found = NamedTensors(
        {
            "longformer.pooler.dense": VALUES,
            "loss": None,
            "hidden_states": states,
            "attentions": maps,
            "global_attentions": list(maps),
        },
        "x",
    )
    assert list(found) == [
        "pooler.dense",
        "embeddings.LayerNorm",
        *(f"encoder.layer.{layer}.output.LayerNorm" for layer in range(2)),
        *(f"encoder.layer.{layer}.attention.self.probabilities" for layer in range(2)),
        *(f"encoder.layer.{layer}.attention.self.probabilities_global" for layer in range(2)),
    ]
    assert len(found) == 8
    assert_identical(found["encoder.layer.1.output.LayerNorm"], VALUES + 2, "hidden_states[2]")
    assert_identical(found["encoder.layer.1.attention.self.probabilities"], VALUES + 4, "attentions[1]")
    assert list(NamedTensors({"hidden_states": ()}, "x")) == []


@pytest.mark.parametrize("names", [("longformer.pooler", "pooler"), ("pooler", "roberta.pooler")])
def test_of_two_names_that_are_one_none_is_taken(names):
    """The last would win, and a fault under the other go unseen."""
    with pytest.raises(
        InputError, match=f"{names[1]} and {names[0]} are one tensor of the trace: leave out one of them"
    ):
        NamedTensors(dict.fromkeys(names, VALUES), "x")


@pytest.fixture
def expected():
    return trace_of()


def passes(candidate, expected, **options):
    report = testing.compare(candidate, expected, **options)
    assert report.passed, str(report)
    return report


def test_mappings_traces_and_records(expected):
    assert len(passes(as_float32(expected), expected).tensors) == len(expected.places)
    single = testing.trace(model_of(dtype="float32"), **case_of("LongformerForMaskedLM")[2])
    assert passes(single, expected).candidate == repr(single)
    record = model_of(dtype="float32")(
        **case_of("LongformerForMaskedLM")[2], output_hidden_states=True, output_attentions=True
    )
    assert set(passes(record, expected).tensors) == {
        "logits",
        "embeddings.LayerNorm",
        *(f"encoder.layer.{layer}.output.LayerNorm" for layer in range(2)),
        *(f"encoder.layer.{layer}.attention.self.probabilities" for layer in range(2)),
        *(f"encoder.layer.{layer}.attention.self.probabilities_global" for layer in range(2)),
    }


def test_files(expected, tmp_path):
    candidate = as_float32(expected)
    np.savez(tmp_path / "c.npz", **candidate)
    assert passes(str(tmp_path / "c.npz"), expected).candidate == str(tmp_path / "c.npz")
    save_file({f"longformer.{name}": values for name, values in candidate.items()}, tmp_path / "c.safetensors")
    assert len(passes(tmp_path / "c.safetensors", expected).tensors) == len(candidate)


def test_files_in_bfloat16(expected, tmp_path):
    from lf_ref.checkpoint import StoredTensor
    from lf_ref.checkpoint.safetensors_file import write_safetensors

    words = reduced.bfloat16(expected["embeddings.word_embeddings"]).astype(np.float32)
    bits = (words.view(np.uint32) >> 16).astype(np.uint16)
    write_safetensors(tmp_path / "c.safetensors", {"embeddings.word_embeddings": StoredTensor("bfloat16", bits)})
    np.savez(tmp_path / "c.npz", **{"embeddings.word_embeddings": bits.view("V2")})
    for name in ("c.safetensors", "c.npz"):
        report = passes(tmp_path / name, expected, precision="bfloat16")
        assert report.tensors["embeddings.word_embeddings"].dtype == "bfloat16"


def test_broken_and_hostile_files(expected, tmp_path):
    path = tmp_path / "c.npz"
    np.savez(path, logits=np.array([object()]))
    with pytest.raises(CheckpointError, match=r"is not a complete \.npz file of numeric arrays: Object arrays cannot"):
        testing.compare(path, expected)
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(CheckpointError, match=r"is not a complete \.npz file"):
        testing.compare(path, expected)
    with pytest.raises(CheckpointError, match=r"absent.npz cannot be read: No such file"):
        testing.compare(tmp_path / "absent.npz", expected)
    with open(path, "wb") as file:
        np.save(file, VALUES)
    with pytest.raises(CheckpointError, match="it holds a single array"):
        testing.compare(path, expected)
    with pytest.raises(InputError, match=r"a file of tensors ends in \.npz or \.safetensors"):
        testing.compare(tmp_path / "c.pt", expected)


def test_callables_get_inputs_of_their_own(expected):
    seen = {}

    def port(**inputs):
        seen.update(inputs)
        for values in inputs.values():
            values[...] = 0
        return {"logits": expected["logits"].astype(np.float32)}

    passes(port, expected)
    assert set(seen) == set(case_of("LongformerForMaskedLM")[2])
    assert expected.run.inputs["input_ids"].any()
    passes(model_of(dtype="float32"), expected)
    passes(lambda **inputs: expected["logits"].astype(np.float32), expected)


@pytest.mark.parametrize("wrapped", [lambda array: array, OnlyDlpack, lambda array: {"output": array}])
def test_a_single_array_is_the_last_output_with_as_many_axes(wrapped):
    """Of an encoder the hidden states, though the trace has pooled ones behind them; logits, though it has a loss."""
    trace = trace_of("LongformerModel")
    assert trace.run.outputs == ("last_hidden_state", "pooler_output")
    for name in trace.run.outputs:
        assert list(passes(wrapped(trace[name].astype(np.float32)), trace).tensors) == [name]
    inputs = case_of("LongformerForMaskedLM")[2]
    labelled = testing.trace(model_of(), labels=inputs["input_ids"], **inputs)
    for name in ("logits", "loss"):
        assert list(passes(wrapped(labelled[name].astype(np.float32)), labelled).tensors) == [name]
    assert list(testing.compare(wrapped(np.zeros((2, 2, 2, 2))), trace).tensors) == ["pooler_output"]
    assert list(testing.compare({"output": "no array"}, trace).tensors) == ["pooler_output"]


def test_a_single_array_is_the_last_output(expected):
    assert list(passes(expected["logits"].astype(np.float32), expected).tensors) == ["logits"]
    assert list(passes(OnlyDlpack(expected["logits"].astype(np.float32)), expected).tensors) == ["logits"]
    passes({"output": expected["logits"].astype(np.float32)}, expected)
    without = testing.trace(model_of(), names="embeddings.*", **case_of("LongformerForMaskedLM")[2])
    with pytest.raises(InputError, match="compared with an output, but the trace has none"):
        testing.compare(expected["logits"], without)


def test_other_candidates_are_refused(expected):
    with pytest.raises(InputError, match="got int"):
        testing.compare(3, expected)
    with pytest.raises(InputError, match="the candidate returned function, not a mapping"):
        testing.compare(lambda **inputs: passes, expected)
    module = type("Module", (), {"named_modules": lambda self: []})()
    with pytest.raises(InputError, match="run a torch module with capture_torch"):
        testing.compare(module, expected)
    with pytest.raises(InputError, match="the candidate has no name of the trace: it has a, b, c, d, e and 1 more"):
        testing.compare(dict.fromkeys("abcdef", VALUES), expected)
    with pytest.raises(InputError, match=r"expected must be a trace, as trace\(\) returns it, got dict"):
        testing.compare({}, {})


def test_a_candidate_is_taken_as_it_is(expected):
    candidate = NamedTensors({"logits": expected["logits"]}, "mine")
    assert read_candidate(candidate, expected) is candidate
