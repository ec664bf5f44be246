"""`tf_model.h5`, the files of HF's TensorFlow models."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lf_ref
from lf_ref.checkpoint import HEADS, bind, open_tensors
from lf_ref.checkpoint.tf_file import read_tf
from lf_ref.config import LongformerConfig
from lf_ref.errors import CheckpointError
from lf_ref.files import locate
from oracles.tf_writer import write_tf
from oracles.weights import SMALL, ragged_batch, state_of

MODEL = "tf_longformer_model"


@pytest.fixture
def folder(tmp_path):
    """A folder with the config and h5 file of a head, and its weights."""

    def make(head, **options):
        state = state_of(HEADS[head], SMALL, seed=4)
        write_tf(tmp_path / "tf_model.h5", state, MODEL, **options)
        fields = {"model_type": "longformer", "architectures": [HEADS[head]], **SMALL}
        (tmp_path / "config.json").write_text(json.dumps(fields))
        return tmp_path, state

    return make


@pytest.mark.parametrize("head", [head for head in HEADS if head != "encoder"])
def test_every_weight_is_that_of_the_torch_model(folder, head):
    path, state = folder(head)
    config = LongformerConfig(**SMALL)
    expected = bind(state, config, head)
    got = bind(open_tensors(locate(path)), config, head, strict=True)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, err_msg=name)


def test_from_pretrained_reads_it_where_there_is_nothing_else(folder, tmp_path):
    path, state = folder("masked_lm")
    inputs = ragged_batch(SMALL, seed=1)
    model = lf_ref.LongformerForMaskedLM.from_pretrained(path, backend="numpy")
    expected = lf_ref.LongformerForMaskedLM(LongformerConfig(**SMALL), state, backend="numpy")
    np.testing.assert_array_equal(model(**inputs).logits, expected(**inputs).logits)
    other = {name: values + 1 for name, values in state.items()}
    lf_ref.LongformerForMaskedLM(LongformerConfig(**SMALL), other).save_pretrained(path)
    again = lf_ref.LongformerForMaskedLM.from_pretrained(path, backend="numpy")
    np.testing.assert_array_equal(again.weights["lm_head.bias"], other["lm_head.bias"])


def test_only_the_format_changes(folder, tmp_path):
    path, state = folder("masked_lm")
    lf_ref.to_safetensors(path, tmp_path / "out")
    written = open_tensors(locate(tmp_path / "out"))
    assert written.origin.endswith("model.safetensors")
    assert written.keys() == {name for name in state if not name.startswith("lm_head.decoder.")}
    for name, tensor in written.items():
        np.testing.assert_array_equal(tensor.data, state[name], err_msg=name)


def test_without_h5py_the_error_says_how_to_get_it(folder, monkeypatch):
    path, _ = folder("masked_lm")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(CheckpointError, match=r"tf_model\.h5: .*needs h5py: pip install 'lf-ref\[h5\]'"):
        open_tensors(locate(path))


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"chunks": True}], ids=["compressed", "chunks"])
def test_what_keras_does_not_write_is_refused(folder, options):
    path, _ = folder("model", **options)
    with pytest.raises(CheckpointError, match="is not stored in one piece, as Keras does"):
        open_tensors(locate(path))


def test_values_of_another_file_are_refused(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(400))
    with h5py.File(tmp_path / "outer.h5", "w") as file:
        file.create_dataset("a/b/weight:0", (10, 10), "f4", external=[(str(tmp_path / "secret"), 0, 400)])
    with pytest.raises(CheckpointError, match="is not stored in one piece"):
        read_tf(tmp_path / "outer.h5")
    layout = h5py.VirtualLayout((10, 10), "f4")
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (10, 10))
        file.create_virtual_dataset("a/b/weight:0", layout)
    with pytest.raises(CheckpointError, match="is not stored in one piece"):
        read_tf(tmp_path / "virtual.h5")
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["a"] = h5py.ExternalLink("virtual.h5", "a")
        file["b"] = h5py.SoftLink("/a")
    with pytest.raises(CheckpointError, match="holds no tensors"):
        read_tf(tmp_path / "links.h5")


@pytest.mark.parametrize("dtype", [">f4", "c8", "S3", "?"])
def test_other_dtypes_are_refused(tmp_path, dtype):
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        file.create_dataset("a/b/weight:0", data=np.zeros((3, 2), dtype))
    with pytest.raises(CheckpointError, match=r"weight:0 has dtype .*wanted little-endian numbers"):
        read_tf(tmp_path / "tf_model.h5")


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_the_dtype_is_that_of_the_file(tmp_path, dtype):
    values = np.arange(6, dtype=dtype).reshape(3, 2)
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        file.create_dataset("a/b/dense/kernel:0", data=values)
        file.create_dataset("a/b/step:0", data=np.zeros((), "i8"))
    tensors = read_tf(tmp_path / "tf_model.h5")
    assert tensors["dense.weight"].dtype == np.dtype(dtype).name
    np.testing.assert_array_equal(tensors["dense.weight"].data, values.T)


@pytest.mark.parametrize("shape", [(2, 2), (2, 3)])
def test_two_tensors_of_one_name_must_be_equal(tmp_path, shape):
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        file["a/b/dense/kernel:0"] = np.zeros((2, 2), "f4")
        file["c/d/dense/kernel:0"] = np.ones(shape, "f4")
    with pytest.raises(CheckpointError, match=r"there are two tensors for dense\.weight, which differ"):
        read_tf(tmp_path / "tf_model.h5")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path, places):
    path = tmp_path / "tf_model.h5"
    state = state_of("LongformerForMaskedLM", SMALL, seed=4)
    write_tf(path, {name: values for name, values in state.items() if "lm_head" in name}, MODEL)
    content = bytearray(path.read_bytes())
    for where, value in places:
        content[int(where * (len(content) - 1))] = value
    path.write_bytes(content)
    with suppress(CheckpointError):
        for tensor in read_tf(path).values():
            assert tensor.array("float64").shape == tensor.shape


@pytest.mark.parametrize("beyond", [-8, 0, 2**40, 2**63 - 9])
def test_values_outside_of_the_file_are_refused(tmp_path, beyond):
    path = tmp_path / "tf_model.h5"
    with h5py.File(path, "w") as file:
        file["a/b/weight:0"] = np.arange(50, dtype="f4")
        start = file["a/b/weight:0"].id.get_offset()
    content = path.read_bytes()
    place, size = start.to_bytes(8, "little"), (200).to_bytes(8, "little")
    assert content.count(place + size) == 1
    end = (len(content) + beyond) % 2**63
    path.write_bytes(content.replace(place + size, end.to_bytes(8, "little") + size))
    with pytest.raises(CheckpointError, match="is not a whole HDF5 file"):
        read_tf(path)


def test_a_file_that_is_cut_off_or_no_hdf5_is_refused(folder):
    path, _ = folder("model")
    whole = (path / "tf_model.h5").read_bytes()
    for content in (whole[: len(whole) // 2], whole[:600], b"\x89HDF\r\n\x1a\n", b"text" * 40):
        (path / "tf_model.h5").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"tf_model\.h5"):
            open_tensors(locate(path))
