"""Torch files that are damaged, of another making or not of torch at all are refused."""

from __future__ import annotations

import struct
import zipfile

import numpy as np
import pytest
from checkpoint.torch_files import GOLDEN, VALUES, floats, read, refuses, write

from lf_ref.errors import CheckpointError
from oracles import torch_writer as w


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_a_file_cut_off_anywhere_is_refused(tmp_path, form):
    raw = np.arange(9001, dtype="<f4").tobytes()
    path = write(tmp_path, form, lambda place: w.dictionary({"a": w.tensor(place, 0, (9001,), (1,))}), raw)
    content = path.read_bytes()
    cuts = {*range(0, len(content), 1000), *range(400), *range(len(content) - 400, len(content))}
    for size in sorted(cut for cut in cuts if cut < len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            read(tmp_path)


@pytest.mark.parametrize("form", ["zip", "stream", "protocol4"])
def test_a_flipped_byte_never_ends_in_anything_but_a_checkpoint_error(tmp_path, form):
    content = (GOLDEN / f"{form}.bin").read_bytes()
    rng = np.random.default_rng(11)
    for _ in range(400):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 2):
            damaged[place] = rng.integers(0, 256)
        (tmp_path / "pytorch_model.bin").write_bytes(damaged)
        try:
            read(tmp_path)
        except CheckpointError as error:
            assert str(tmp_path) in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"magic": 7}, "magic number"),
        ({"protocol": 1000}, "protocol"),
        ({"little_endian": w.FALSE}, "big-endian"),
        ({"keys": ["1"]}, "list of storages"),
        ({"keys": []}, "list of storages"),
    ],
)
def test_streams_of_another_making_are_refused(tmp_path, options, message):
    body = w.dictionary({"a": w.tensor(floats(legacy=True), 0, (12,), (1,))})
    w.write_stream(tmp_path / "pytorch_model.bin", body, {"0": (12, VALUES.tobytes())}, **options)
    refuses(tmp_path, message)


@pytest.mark.parametrize("length", [11, 13, -1, 1 << 60])
def test_a_stream_whose_lengths_disagree_is_refused(tmp_path, length):
    body = w.dictionary({"a": w.tensor(floats(legacy=True), 0, (12,), (1,))})
    w.write_stream(tmp_path / "pytorch_model.bin", body, {"0": (length, VALUES.tobytes())})
    refuses(tmp_path, "damaged at storage '0'")


def test_a_big_endian_zip_is_refused_and_one_without_byte_order_is_little_endian(tmp_path):
    body = w.dictionary({"a": w.tensor(floats(), 0, (12,), (1,))})
    path = tmp_path / "pytorch_model.bin"
    w.write_zip(path, body, {"0": VALUES.tobytes()}, byteorder=b"big")
    refuses(tmp_path, "big-endian")
    w.write_zip(path, body, {"0": VALUES.tobytes()}, byteorder=None, folder="model")
    np.testing.assert_array_equal(read(tmp_path)["a"], VALUES)


def test_other_zips_are_refused(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", b"")
    refuses(tmp_path, "not one of torch.save")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", w.pickled(b"}"))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("archive/data.pkl", w.pickled(b"}"))
    refuses(tmp_path, "each name once")
    w.write_zip(path, w.dictionary({"a": w.tensor(floats(), 0, (12,), (1,))}), {})
    refuses(tmp_path, "lacks the storage '0'")


def directory_of(content: bytes, name: bytes) -> int:
    """Where the entry of a file stands in the directory at the end of a zip file."""
    return content.rindex(b"PK\x01\x02", 0, content.rindex(name))


def test_a_damaged_pickle_is_found_by_its_checksum(tmp_path):
    body = w.dictionary({"name": w.tensor(floats(), 0, (12,), (1,))})
    path = w.write_zip(tmp_path / "pytorch_model.bin", body, {"0": VALUES.tobytes()})
    path.write_bytes(path.read_bytes().replace(w.text("name"), w.text("nome")))
    refuses(tmp_path, "data.pkl' is damaged")


def test_an_entry_marked_as_compressed_is_refused(tmp_path):
    body = w.dictionary({"a": w.tensor(floats(), 0, (12,), (1,))})
    path = w.write_zip(tmp_path / "pytorch_model.bin", body, {"0": VALUES.tobytes()})
    content = bytearray(path.read_bytes())
    content[directory_of(content, b"archive/data/0") + 10] = zipfile.ZIP_DEFLATED
    path.write_bytes(content)
    refuses(tmp_path, "data/0' is compressed")


def test_a_pickle_beyond_all_measure_is_not_read(tmp_path):
    w.write_zip(tmp_path / "pytorch_model.bin", w.text("x" * (17 << 20)), {})
    refuses(tmp_path, "too many for names and shapes")


def test_a_stream_cut_off_in_its_last_storage_is_named(tmp_path):
    body = w.dictionary({"a": w.tensor(floats(legacy=True), 0, (12,), (1,))})
    path = w.write_stream(tmp_path / "pytorch_model.bin", body, {"0": (12, VALUES.tobytes())})
    path.write_bytes(path.read_bytes()[:-4])
    refuses(tmp_path, "cut off in storage '0'")


def test_a_zip_entry_that_points_elsewhere_is_refused(tmp_path):
    body = w.dictionary({"a": w.tensor(floats(200), 0, (200,), (1,))})
    path = w.write_zip(tmp_path / "pytorch_model.bin", body, {"0": bytes(800)})
    content = path.read_bytes()
    zeros = content.index(bytes(800))  # a header of zeros would be one without name, right before other data
    for offset in (7, zeros, len(content) - 3, 0x7FFFFFFF):
        directory = directory_of(content, b"archive/data/0")
        damaged = bytearray(content)
        damaged[directory + 42 : directory + 46] = struct.pack("<I", offset)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            read(tmp_path)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (w.dictionary({}), "no state dict"),
        (w.list_of(w.integer(1)), "no state dict but list"),
        (w.dictionary({"a": w.integer(1)}), "holds int under 'a'"),
        (w.dictionary({"model": w.name("torch", "FloatStorage")}), "holds Name under 'model'"),
        (b"}" + w.integer(3) + w.tensor(floats(), 0, (12,), (1,)) + b"s", "under 3"),
    ],
)
def test_a_value_that_is_no_state_dict_is_refused(tmp_path, body, message):
    w.write_zip(tmp_path / "pytorch_model.bin", body, {"0": VALUES.tobytes()})
    refuses(tmp_path, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>401</html>", "web page"),
        (b"\x10\0\0\0\0\0\0\0{}              ", "rename it to model.safetensors"),
        (b"\x93NUMPY", "not a file of torch.save"),
        (b"\x80\x02}.", "torch.save|broken"),
    ],
)
def test_other_file_formats_are_named(tmp_path, content, message):
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    refuses(tmp_path, message)
