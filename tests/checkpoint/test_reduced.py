"""Weights of reduced precision: how they are made, what they weigh, and the checkpoints that hold them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lf_ref.checkpoint import HEADS, bind, is_quantized, open_tensors, quantize, reduce, save
from lf_ref.checkpoint.reduced import Int8Weight
from lf_ref.checkpoint.safetensors_file import read_safetensors, write_safetensors
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.config import LongformerConfig
from lf_ref.errors import CheckpointError
from lf_ref.files import locate
from oracles.memory import peak_growth
from oracles.reduced import bfloat16, int8_row
from oracles.weights import SMALL, state_of

KINDS = ["bfloat16", "int8"]
WEIGHT = "encoder.layer.0.output.dense.weight"


def values_of(rows: int, columns: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((rows, columns)) * 2.0 ** rng.integers(-9, 9, (rows, 1))).astype(np.float32)


@pytest.mark.parametrize("columns", [1, 2, 7, 12])
def test_bfloat16_is_the_nearest(columns):
    values = values_of(11, columns)
    weight = reduce(StoredTensor.of(values), "bfloat16")
    np.testing.assert_array_equal(np.asarray(weight), bfloat16(values))
    assert weight.shape == values.shape
    assert len(weight) == 11


@pytest.mark.parametrize("columns", [1, 2, 7, 12])
def test_int8_is_the_nearest_multiple_of_the_rows_scale(columns):
    values = values_of(11, columns)
    values[5] = 0
    weight = reduce(StoredTensor.of(values), "int8")
    for row, line in enumerate(values):
        numbers, scale = int8_row(line)
        assert weight.scales[row] == scale
        # Division rounds to float32 here and not there, which decides near a half.
        assert np.abs(weight.elements[row] - line.astype(np.float64) / float(scale)).max() <= 0.5 + 1e-5
        assert np.abs(weight.elements[row] - np.array(numbers)).max() <= 1
        assert weight.row_sums[row] == weight.elements[row].sum(dtype=np.int64)
    np.testing.assert_array_equal(np.asarray(weight), weight.elements * weight.scales[:, None])
    assert not np.asarray(weight)[5].any()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_as_of_a_matrix(kind):
    weight = reduce(StoredTensor.of(values_of(13, 5)), kind)
    whole = np.asarray(weight)
    assert whole.dtype == np.float32
    for rows in (np.array([3, 12, 3]), np.array([[0, 1], [2, 4]]), slice(2, 9), 7):
        np.testing.assert_array_equal(weight[rows], whole[rows])
        assert weight[rows].dtype == np.float32
    assert np.asarray(weight, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="no float32 array that could be shared"):
        weight.__array__(copy=False)
    with pytest.raises(ValueError, match="read-only"):
        weight.words[0] = 0


@pytest.mark.parametrize("kind", KINDS)
def test_large_matrices_are_made_in_parts(kind):
    values = values_of(1501, 1009)  # more than is converted at a time
    weight = reduce(StoredTensor.of(values), kind)
    for row in (0, 1038, 1039, 1040, 1500):
        alone = reduce(StoredTensor.of(values[row : row + 1]), kind)
        np.testing.assert_array_equal(weight[row], alone[0])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite(kind):
    values = values_of(4, 6)
    values[1, 2], values[2, 0] = np.nan, -np.inf
    got = np.asarray(reduce(StoredTensor.of(values), kind))
    assert np.isfinite(got[[0, 3]]).all()
    assert np.isnan(got[1, 2])
    assert not np.isfinite(got[2, 0])


def test_finite_values_do_not_become_infinite():
    values = np.full((2, 3), np.finfo(np.float32).max)
    with pytest.raises(CheckpointError, match="too large for bfloat16; load with dtype='float32'"):
        reduce(StoredTensor.of(values), "bfloat16")
    assert np.isfinite(np.asarray(reduce(StoredTensor.of(values / 2), "int8"))).all()


def test_rows_whose_sums_would_not_fit_are_refused():
    scales = np.ones(1, np.float32)
    longest = (2**31 - 1) // 127**2
    Int8Weight(np.zeros((1, longest), np.int8), scales)
    with pytest.raises(CheckpointError, match=f"at most {longest} elements, got {longest + 1}"):
        Int8Weight(np.zeros((1, longest + 1), np.int8), scales)


# --- models -----------------------------------------------------------------------------------------------------------


def is_reduced(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and "position_embeddings" not in name and "token_type_embeddings" not in name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", HEADS)
def test_which_parameters_are_reduced(kind, head):
    config = LongformerConfig(**SMALL)
    weights = state_of(HEADS[head], SMALL, 5, pooled=head != "encoder")
    exact, found = bind(weights, config, head), bind(weights, config, head, kind)
    assert exact.keys() == found.keys()
    for name, values in found.items():
        if is_reduced(name, values.shape):
            assert values.kind == kind, name
        else:
            np.testing.assert_array_equal(values, exact[name])
            assert isinstance(values, np.ndarray), name
    if head == "masked_lm":
        assert found["lm_head.decoder.weight"] is found["embeddings.word_embeddings.weight"]


@pytest.mark.parametrize(("kind", "share"), [("bfloat16", 0.5), ("int8", 0.25)])
def test_memory_of_the_weights(kind, share):
    fields = {**SMALL, "hidden_size": 192, "intermediate_size": 768, "vocab_size": 1009}
    weights = state_of("LongformerModel", fields, 6)
    config = LongformerConfig(**fields)
    exact, found = bind(weights, config, "model"), bind(weights, config, "model", kind)
    names = [name for name, values in exact.items() if is_reduced(name, values.shape)]
    assert sum(exact[name].size for name in names) > 0.95 * sum(values.size for values in exact.values())
    ratio = sum(found[name].nbytes for name in names) / sum(exact[name].nbytes for name in names)
    overhead = 8 / (4 * 192) if kind == "int8" else 0  # a scale and a sum for each row
    assert share <= ratio <= share + overhead


def bfloat16_file(path, tensors):
    """A checkpoint in bfloat16, from values that bfloat16 holds exactly."""
    stored = {
        name: StoredTensor("bfloat16", (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16))
        for name, values in tensors.items()
    }
    write_safetensors(path, stored)


def test_a_bfloat16_file_is_not_copied(tmp_path):
    values = bfloat16(values_of(7, 10)).astype(np.float32)
    bfloat16_file(tmp_path / "file", {"x": values})
    tensor = read_safetensors(tmp_path / "file")["x"]
    weight = reduce(tensor, "bfloat16")
    assert np.shares_memory(weight.words, tensor.data)
    np.testing.assert_array_equal(np.asarray(weight), values)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_values_in_any_stored_dtype_load_the_same(tmp_path, kind):
    """Values of few digits, which float16 and bfloat16 both hold."""
    rng = np.random.default_rng(8)
    values = (rng.integers(-127, 128, (17, 6)) / 64).astype(np.float32)
    bfloat16_file(tmp_path / "bfloat16", {"x": values})
    for dtype in ("float16", "float32", "float64"):
        save_file({"x": values.astype(dtype)}, tmp_path / dtype)
    expected = reduce(StoredTensor.of(values), kind)
    for dtype in ("bfloat16", "float16", "float32", "float64"):
        found = reduce(read_safetensors(tmp_path / dtype)["x"], kind)
        np.testing.assert_array_equal(found.elements, expected.elements, err_msg=dtype)
        np.testing.assert_array_equal(found.scales, expected.scales, err_msg=dtype)


SETUP = """
import sys
from pathlib import Path
from lf_ref.checkpoint import reduce
from lf_ref.checkpoint.safetensors_file import read_safetensors
tensor = read_safetensors(Path(sys.argv[1]))["x"]
"""


@pytest.mark.parametrize(("kind", "share"), [("bfloat16", 0.5), ("int8", 0.25)])
def test_loading_holds_neither_the_file_nor_its_float32_form(tmp_path, kind, share):
    values = np.ones((12000, 2000), np.float32)
    save_file({"x": values}, tmp_path / "file")
    grown = peak_growth(SETUP, "weight = reduce(tensor, sys.argv[2])", tmp_path / "file", kind)
    assert grown < share * values.nbytes / 2**20 + 40  # MB for the million values in progress


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", HEADS)
def test_a_saved_model_comes_back_the_same(tmp_path, kind, head):
    config = LongformerConfig(**SMALL)
    weights = state_of(HEADS[head], SMALL, 9, pooled=head != "encoder")
    parameters = bind(weights, config, head, kind)
    save(tmp_path, parameters, config, head)
    source = locate(tmp_path)
    again = LongformerConfig.from_json_file(source.require("config.json"))
    assert is_quantized(again) is (kind == "int8")
    for name, values in bind(open_tensors(source), again, head, kind).items():
        np.testing.assert_array_equal(np.asarray(values), np.asarray(parameters[name]), err_msg=name)
    # Saved as floats it is an ordinary checkpoint again.
    save(tmp_path / "floats", bind(open_tensors(source), again, head), again, head)
    assert "quantization_config" not in json.loads((tmp_path / "floats" / "config.json").read_text())
    assert {values.dtype.name for values in load_file(tmp_path / "floats" / "model.safetensors").values()} == {
        "float32"
    }


@pytest.fixture
def checkpoint(tmp_path):
    """A folder with a masked-LM model that also has a pooler and the tied decoder, and files of a tokenizer."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    weights = state_of("LongformerForMaskedLM", SMALL, 10)
    pooler = state_of("LongformerModel", SMALL, 11)
    weights |= {f"longformer.{name}": values for name, values in pooler.items() if name.startswith("pooler.")}
    weights["lm_head.decoder.weight"] = weights["longformer.embeddings.word_embeddings.weight"].copy()
    save_file(weights, folder / "model.safetensors")
    LongformerConfig(**SMALL, architectures=["LongformerForMaskedLM"]).save_pretrained(folder)
    (folder / "vocab.json").write_text("{}")
    (folder / "tokenizer.json").write_text("[]")
    return folder


def test_quantize_writes_what_loading_would_make(checkpoint, tmp_path):
    quantize(locate(checkpoint), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "vocab.json",
    ]
    before, after = LongformerConfig.from_json_file(checkpoint / "config.json"), locate(tmp_path / "out")
    config = LongformerConfig.from_json_file(after.require("config.json"))
    fields = config.to_dict()
    assert fields.pop("quantization_config") == {"quant_method": "lf_ref_int8"}
    assert fields.pop("dtype") == "float32"
    assert fields == before.to_dict()
    assert is_quantized(config)
    assert not is_quantized(before)
    for head in ("masked_lm", "model", "encoder"):
        expected = bind(open_tensors(locate(checkpoint)), before, head, "int8")
        for name, values in bind(open_tensors(after), config, head, "int8").items():
            np.testing.assert_array_equal(np.asarray(values), np.asarray(expected[name]), err_msg=name)


def test_the_names_and_bytes_in_a_quantized_file(checkpoint, tmp_path):
    quantize(locate(checkpoint), tmp_path / "out")
    plain, stored = load_file(checkpoint / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    for name, values in plain.items():
        if name == "lm_head.decoder.weight":  # tied, so it is there once
            assert not any(other.startswith(name) for other in stored)
        elif is_reduced(name, values.shape):
            numbers, scales = stored.pop(f"{name}_int8"), stored.pop(f"{name}_scale")
            assert (numbers.dtype, numbers.shape) == (np.int8, values.shape)
            assert (scales.dtype, scales.shape) == (np.float32, values.shape[:1])
            assert np.abs(numbers * scales[:, None] - values).max() <= np.abs(values).max() / 253
        else:
            np.testing.assert_array_equal(stored.pop(name), values)
    assert not stored
    tensors = open_tensors(locate(tmp_path / "out"))
    assert tensors[f"longformer.{WEIGHT}"].nbytes == math.prod(plain[f"longformer.{WEIGHT}"].shape) + 4 * 21


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_quantized_checkpoint_gives_floats_too(checkpoint, tmp_path, dtype):
    quantize(locate(checkpoint), tmp_path / "out")
    tensors = open_tensors(locate(tmp_path / "out"))
    config = LongformerConfig(**SMALL)
    reduced, floats = bind(tensors, config, "masked_lm", "int8"), bind(tensors, config, "masked_lm", dtype)
    for name, values in floats.items():
        assert values.dtype == dtype
        np.testing.assert_array_equal(values, np.asarray(reduced[name]), err_msg=name)


def test_quantize_refuses(checkpoint, tmp_path):
    quantize(locate(checkpoint), tmp_path / "out")
    with pytest.raises(CheckpointError, match="is quantized already"):
        quantize(locate(tmp_path / "out"), tmp_path / "again")
    with pytest.raises(CheckpointError, match="holds the checkpoint that is read"):
        quantize(locate(checkpoint), checkpoint / ".." / "checkpoint")
    weights = load_file(checkpoint / "model.safetensors")
    del weights["longformer.encoder.layer.1.output.dense.bias"]
    save_file(weights, checkpoint / "model.safetensors")
    with pytest.raises(CheckpointError, match="fit none of the classes"):
        quantize(locate(checkpoint), tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_decoder_that_differs_is_not_dropped(checkpoint, tmp_path):
    weights = load_file(checkpoint / "model.safetensors")
    weights["lm_head.decoder.weight"][3, 4] += 1
    save_file(weights, checkpoint / "model.safetensors")
    quantize(locate(checkpoint), tmp_path / "out")
    with pytest.raises(CheckpointError, match="must be equal"):
        bind(open_tensors(locate(tmp_path / "out")), LongformerConfig(**SMALL), "masked_lm", "int8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stored, name: stored.pop(f"{name}_scale"), "_scale is missing; quantize the checkpoint again"),
        (lambda stored, name: stored.update({name: np.zeros((21, 29), np.float32)}), "is there as well"),
        (
            lambda stored, name: stored.update({f"{name}_scale": np.zeros(20, np.float32)}),
            r"needs float32 scales of shape \(21,\), got float32 of shape \(20,\)",
        ),
        (
            lambda stored, name: stored.update({f"{name}_scale": np.zeros(21, np.float64)}),
            r"needs float32 scales of shape \(21,\), got float64",
        ),
        (
            lambda stored, name: stored.update({f"{name}_int8": np.zeros((21, 29), np.int16)}),
            r"must be int8 \(rows, columns\), got int16 of shape \(21, 29\)",
        ),
        (
            lambda stored, name: stored.update({f"{name}_int8": np.zeros(21, np.int8)}),
            r"must be int8 \(rows, columns\), got int8 of shape \(21,\)",
        ),
    ],
)
def test_broken_pairs_of_integers_and_scales(checkpoint, tmp_path, change, message):
    quantize(locate(checkpoint), tmp_path / "out")
    path = tmp_path / "out" / "model.safetensors"
    stored = load_file(path)
    change(stored, f"longformer.{WEIGHT}")
    save_file(stored, path)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_tensors(locate(tmp_path / "out"))
    assert str(path) in str(caught.value)
    assert WEIGHT in str(caught.value)
