"""safetensors: views of the mapped file, exact widening, shards, and what a hostile file may try."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lf_ref.checkpoint import open_tensors
from lf_ref.errors import CheckpointError
from lf_ref.files import locate
from oracles.memory import peak_growth

IMPORTS = """
from lf_ref.checkpoint import open_tensors
from lf_ref.errors import CheckpointError
from lf_ref.files import locate
"""


def encode(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A file in safetensors form: header length, header, data; `length` to lie about the first."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def write(folder: Path, content: bytes, name: str = "model.safetensors") -> Path:
    (folder / name).write_bytes(content)
    return folder


def refuses(folder: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_tensors(locate(folder))


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_bfloat16_widens_exactly(tmp_path, dtype):
    write(tmp_path, encode({"a": entry("BF16", [65536], 0, 131072)}, np.arange(65536, dtype="<u2").tobytes()))
    got = open_tensors(locate(tmp_path))["a"].array(dtype)
    # A bfloat16 is the upper half of a float32.
    expected = np.array([struct.unpack("<f", struct.pack("<HH", 0, bits))[0] for bits in range(65536)], dtype)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.signbit(got), np.arange(65536) >= 32768)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_float16_widens_exactly(tmp_path, dtype):
    write(tmp_path, encode({"a": entry("F16", [65536], 0, 131072)}, np.arange(65536, dtype="<u2").tobytes()))
    expected = np.array([struct.unpack("<e", struct.pack("<H", bits))[0] for bits in range(65536)], dtype)
    np.testing.assert_array_equal(open_tensors(locate(tmp_path))["a"].array(dtype), expected)


@pytest.mark.parametrize(
    ("stored", "layout", "name"),
    [
        ("F64", "<f8", "float64"),
        ("F32", "<f4", "float32"),
        ("I64", "<i8", "int64"),
        ("I32", "<i4", "int32"),
        ("I16", "<i2", "int16"),
        ("I8", "i1", "int8"),
        ("U64", "<u8", "uint64"),
        ("U32", "<u4", "uint32"),
        ("U16", "<u2", "uint16"),
        ("U8", "u1", "uint8"),
        ("BOOL", "?", "bool"),
    ],
)
def test_every_other_dtype_converts(tmp_path, stored, layout, name):
    values = np.array([[0, 1, 1], [1, 0, 1]], layout)
    write(tmp_path, encode({"a": entry(stored, [2, 3], 0, values.nbytes)}, values.tobytes()))
    tensor = open_tensors(locate(tmp_path))["a"]
    assert (tensor.dtype, tensor.shape, tensor.nbytes) == (name, (2, 3), values.nbytes)
    np.testing.assert_array_equal(tensor.array("float32"), values.astype("float32"))


def test_a_float64_beyond_float32_is_an_error_and_not_infinity(tmp_path):
    write(tmp_path, encode({"a": entry("F64", [2], 0, 16)}, np.array([1e300, np.inf]).tobytes()))
    tensor = open_tensors(locate(tmp_path))["a"]
    with pytest.raises(CheckpointError, match=r"too large for float32.*float64"):
        tensor.array("float32")
    np.testing.assert_array_equal(tensor.array("float64"), [1e300, np.inf])


@given(
    st.lists(
        st.tuples(
            st.sampled_from([("F32", "<f4"), ("F16", "<f2"), ("U8", "u1"), ("F64", "<f8")]),
            st.lists(st.integers(0, 3), max_size=3),
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 7),
)
def test_tensors_of_any_shape_and_alignment_come_back(tmp_path_factory, kinds, padding):
    header, data, expected = {}, b"", {}
    for index, ((stored, layout), shape) in enumerate(kinds):
        values = np.arange(np.prod(shape, dtype=int), dtype=layout).reshape(shape)
        header[f"t{index}"] = entry(stored, shape, len(data), len(data) + values.nbytes)
        data += values.tobytes()
        expected[f"t{index}"] = values
    text = json.dumps(header).encode() + b" " * padding  # the data may begin at any byte
    tensors = open_tensors(locate(write(tmp_path_factory.mktemp("shapes"), encode(text, data))))
    assert tensors.keys() == expected.keys()
    for name, values in expected.items():
        got = tensors[name].array("float64")
        assert got.shape == values.shape
        assert got.flags.aligned
        assert got.flags.c_contiguous
        np.testing.assert_array_equal(got, values)


# --- no copy ---------------------------------------------------------------------------------------------------------


def test_float32_is_a_read_only_view_of_the_file(tmp_path):
    text = json.dumps({"a": entry("F32", [2, 3], 0, 24)}).encode()
    text += b" " * (-len(text) % 8)
    write(tmp_path, encode(text, np.arange(6, dtype="<f4").tobytes()))
    tensor = open_tensors(locate(tmp_path))["a"]
    values = tensor.array("float32")
    assert np.shares_memory(values, tensor.data)
    with pytest.raises(ValueError, match="read-only"):
        values[0, 0] = 1
    # The mapped file outlives its name, so a checkpoint may be replaced while it is in use.
    (tmp_path / "model.safetensors").unlink()
    np.testing.assert_array_equal(values, [[0, 1, 2], [3, 4, 5]])


def test_opening_600_mb_reads_next_to_nothing(tmp_path):
    """A sparse file, in a process of its own: the time and memory that opening adds."""
    size = 600 << 20
    text = json.dumps({"a": entry("F32", [size // 4], 0, size)}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(encode(text + b" " * (-len(text) % 8)))
    os.truncate(path, path.stat().st_size + size)
    measured = """
start = time.perf_counter()
values = open_tensors(locate(sys.argv[1]))["a"].array("float32")
assert time.perf_counter() - start < 1
assert values.nbytes == 600 << 20
"""
    assert peak_growth("import time" + IMPORTS, measured, tmp_path) < 10


# --- hostile and damaged ---------------------------------------------------------------------------------------------

FLOATS = np.arange(6, dtype="<f4").tobytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x01\x02", "not a whole safetensors"),
        (encode({"a": entry("F32", [6], 0, 24)}, FLOATS, length=10_000), "not a whole safetensors"),
        (encode({"a": entry("F32", [6], 0, 24)}, FLOATS, length=2 << 30), "not a whole safetensors"),
        (encode({"a": entry("F32", [6], 0, 24)}, FLOATS, length=(1 << 64) - 1), "not a whole safetensors"),
        (encode({"a": entry("F32", [6], 0, 24)}, FLOATS[:-1]), "not a whole safetensors"),
        (encode({"a": entry("F32", [6], 0, 24)}, FLOATS + b"\0"), "not a whole safetensors"),
        (encode({"a": entry("F32", [4], 0, 16), "b": entry("F32", [4], 8, 24)}, FLOATS), "not a whole safetensors"),
        (encode({"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 16, 24)}, FLOATS), "not a whole safetensors"),
        (encode({"a": entry("F32", [6], 24, 48)}, FLOATS), "not a whole safetensors"),
        (encode({"a": entry("F32", [6], 0, 1 << 40)}, FLOATS), "not a whole safetensors"),
        (encode({"a": entry("F32", [6], 24, 0)}, FLOATS), "not a whole safetensors"),
        (encode({"a": entry("F32", [6], -24, 0)}, FLOATS), "not a whole safetensors"),
        (encode({"a": entry("F32", [7], 0, 24)}, FLOATS), "not a whole safetensors"),
        (encode({"a": entry("F32", [1 << 62, 8], 0, 24)}, FLOATS), "not a whole safetensors"),
        (encode({"a": entry("F32", [-6], 0, 24)}, FLOATS), "not a whole safetensors"),
        (encode({"a": entry("NOPE", [6], 0, 24)}, FLOATS), "not a whole safetensors"),
        (encode({"a": {"dtype": "F32"}}, FLOATS), "not a whole safetensors"),
        (encode([1, 2], FLOATS), "not a whole safetensors"),
        (encode(b"{not json", FLOATS), "not a whole safetensors"),
        (encode(b'{"\xff": 1}', FLOATS), "not a whole safetensors"),
        (encode(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, FLOATS), "not a whole safetensors"),
        (encode({"a": entry("F32", [0, 1 << 62], 0, 0)}), "a of shape .0, 4611686018427387904. cannot be an array"),
        (encode({"a": entry("F32", [0, 1 << 63], 0, 0)}), "a of shape .0, 9223372036854775808. cannot be an array"),
        (encode({"a": entry("F32", [1] * 70, 0, 4)}, FLOATS[:4]), "a of shape .* cannot be an array"),
        (encode({"a": entry("F8_E4M3", [24], 0, 24)}, FLOATS), "F8_E4M3, which is not supported"),
        (b"PK\x03\x04" + bytes(100), "rename it to pytorch_model.bin"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>503</html>", "web page"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, content, message):
    refuses(write(tmp_path, content), f"model.safetensors.*{message}")


def test_a_name_given_twice_is_refused(tmp_path):
    once = json.dumps(entry("F32", [3], 0, 12))
    twice = json.dumps(entry("F32", [3], 12, 24))
    refuses(write(tmp_path, encode(f'{{"a":{once},"a":{twice}}}'.encode(), FLOATS)), "model.safetensors")
    refuses(write(tmp_path, encode(f'{{"a":{once},"a":{once}}}'.encode(), FLOATS[:12])), "model.safetensors")


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    content = encode({"a": entry("F32", [2000], 0, 8000)}, bytes(8000))
    for size in {*range(0, len(content), 1000), *range(100), len(content) - 1}:
        write(tmp_path, content[:size])
        with pytest.raises(CheckpointError):
            open_tensors(locate(tmp_path))


def test_a_header_of_2_gb_takes_no_memory(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 2 << 30) + b"{")
    os.truncate(path, 3 << 30)
    measured = """
try:
    open_tensors(locate(sys.argv[1]))
except CheckpointError:
    pass
else:
    sys.exit("was read")
"""
    assert peak_growth(IMPORTS, measured, tmp_path) < 10


# --- shards ----------------------------------------------------------------------------------------------------------


def shard(folder: Path, name: str, tensor: str) -> None:
    write(folder, encode({tensor: entry("F32", [6], 0, 24)}, FLOATS), name)


def index(folder: Path, files: object) -> Path:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return folder


def test_shards_are_put_together(tmp_path):
    shard(tmp_path, "model-1.safetensors", "a")
    shard(tmp_path, "model-2.safetensors", "b")
    tensors = open_tensors(locate(index(tmp_path, {"a": "model-1.safetensors", "b": "model-2.safetensors"})))
    assert {name: tensor.shape for name, tensor in tensors.items()} == {"a": (6,), "b": (6,)}
    assert tensors.origin == str(tmp_path / "model.safetensors.index.json")


@pytest.mark.parametrize(
    "name",
    ["../outside.safetensors", "/etc/passwd", "sub/model.safetensors", "a\\b", "..", ".hidden", "", "a\0b", "C:x"],
)
def test_a_shard_name_that_leads_elsewhere_is_refused(tmp_path, name):
    shard(tmp_path, "outside.safetensors", "a")
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    shard(tmp_path / "folder" / "sub", "model.safetensors", "a")
    refuses(index(tmp_path / "folder", {"a": name}), "plain name")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": "model-1.safetensors", "b": "model-1.safetensors"}, "lists b in model-1.safetensors"),
        ({"a": "model-1.safetensors", "b": "model-9.safetensors"}, "has no model-9.safetensors"),
        ({"a": "model-1.safetensors", "b": "again.safetensors"}, "a is in again.safetensors and in another"),
        ({"a": 3}, "weight_map"),
        ({}, "weight_map"),
        ([1], "not an index"),
        (None, "not an index"),
    ],
)
def test_an_index_that_does_not_match_is_refused(tmp_path, files, message):
    shard(tmp_path, "model-1.safetensors", "a")
    shard(tmp_path, "again.safetensors", "a")
    refuses(index(tmp_path, files), message)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"weight_map":' * 100_000, b"{}"])
def test_an_index_that_is_no_json_object_is_refused(tmp_path, content):
    refuses(write(tmp_path, content, "model.safetensors.index.json"), "not an index")


def test_a_huge_index_is_not_read(tmp_path):
    path = tmp_path / "model.safetensors.index.json"
    path.touch()
    os.truncate(path, 1 << 33)
    refuses(tmp_path, "larger than 64 MB")


def test_one_file_goes_before_shards_and_safetensors_before_torch(tmp_path):
    refuses(tmp_path, "has no model.safetensors or pytorch_model.bin.*holds nothing")
    write(tmp_path, b"not torch", "pytorch_model.bin")
    refuses(tmp_path, "pytorch_model.bin is not|pytorch_model.bin: is not")
    shard(tmp_path, "model-1.safetensors", "b")
    assert open_tensors(locate(index(tmp_path, {"b": "model-1.safetensors"}))).keys() == {"b"}
    shard(tmp_path, "model.safetensors", "a")
    assert open_tensors(locate(tmp_path)).keys() == {"a"}


def test_widening_does_not_keep_the_file_in_memory_beside_the_result(tmp_path):
    """4 x 50 MB of float16 become 400 MB: the process grows by that and one tensor, not by the whole file as well."""
    size, header = 50 << 20, {}
    for index in range(4):
        header[f"t{index}"] = entry("F16", [size // 2], index * size, (index + 1) * size)
    path = tmp_path / "model.safetensors"
    path.write_bytes(encode(header))
    os.truncate(path, path.stat().st_size + 4 * size)
    measured = """
values = [tensor.array("float32") for tensor in open_tensors(locate(sys.argv[1])).values()]
"""
    assert 390 < peak_growth(IMPORTS, measured, tmp_path) < 490
