"""A golden file from a stranger is checked before anything of it is used."""

from __future__ import annotations

import copy
import json
import zipfile

import numpy as np
import pytest

from lf_ref import CheckpointError, InputError, testing
from lf_ref.checkpoint.safetensors_file import write_safetensors
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.testing.golden.format import ENTRY
from oracles import golden_page

CASE = "large-scores"
QUERY = "encoder.layer.0.attention.self.query.weight"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Manifest and tensors of a file of two cases."""
    path = tmp_path_factory.mktemp("golden") / "golden.safetensors"
    testing.make_golden(path, [CASE, "one-token"])
    page = golden_page.read(path)
    dtypes = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "U8": np.uint8}
    tensors = {
        name: np.array(numbers, dtypes[dtype]).reshape(shape) for name, (dtype, shape, numbers) in page.tensors.items()
    }
    return page.manifest, tensors


def write(path, manifest, tensors, entry=ENTRY):
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    stored = {name: StoredTensor(array.dtype.name, array) for name, array in tensors.items()}
    write_safetensors(path, stored, {entry: text})
    return path


def test_the_file_is_sound_before_it_is_changed(sound, tmp_path):
    golden = testing.load_golden(write(tmp_path / "g.safetensors", *sound))
    assert [case.name for case in golden.cases] == [CASE, "one-token"]
    assert QUERY in golden.cases[0].changes


def test_a_file_of_format_2_is_read(sound, tmp_path):
    """It has neither parameters nor the number of labels nor the leeway."""
    manifest = copy.deepcopy(sound[0])
    manifest["format"] = 2
    for entry in manifest["cases"]:
        for name in ("parameters", "num_labels", "leeway"):
            del entry[name]
    golden = testing.load_golden(write(tmp_path / "g.safetensors", manifest, sound[1]))
    outputs = {case.name: case.model("float32")(**case.inputs) for case in golden.cases}
    assert testing.check_golden(golden, outputs).passed


def set_to(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(manifest, tensors):
        for key in keys:
            manifest = manifest[key]
        manifest[last] = value

    return change


def tensor(name, array):
    return lambda manifest, tensors: tensors.__setitem__(name, array)


def without(name):
    return lambda manifest, tensors: tensors.pop(name)


EXPECTED = f"expected/{CASE}/last_hidden_state"
LAST = ("cases", 0, "expected", -1)
CHANGES = {
    "another format": (set_to("format", 4), "its format is 4, but this lf_ref reads 2 and 3; make the file again"),
    "parameters of another model": (
        set_to("cases", 0, "parameters", "pooler.dense.bias", [23]),
        "its parameters are not those of its class and config",
    ),
    "no parameters": (set_to("cases", 0, "parameters", None), "'parameters' is missing, or not of type dict"),
    "labels of another model": (set_to("cases", 0, "num_labels", 3), "num_labels is not that of its config"),
    "no leeway": (set_to("cases", 0, "leeway", 0.0), "leeway must be a float above 0, got 0.0"),
    "a leeway without end": (set_to("cases", 0, "leeway", float("inf")), "leeway must be a float above 0, got inf"),
    "a format that is none": (set_to("format", True), "'format' is missing, or not of type int"),
    "no cases": (set_to("cases", []), "it must have cases"),
    "cases that are no list": (set_to("cases", {"a": 1}), "'cases' is missing, or not of type list"),
    "a case that is no object": (set_to("cases", 0, 7), "'name' is missing"),
    "a name that climbs": (
        set_to("cases", 0, "name", "../../etc"),
        "of letters, digits, ., _ and -, got '../../etc'",
    ),
    "a name of two cases": (set_to("cases", 0, "name", "one-token"), "one-token"),
    "a name without tensors": (set_to("cases", 0, "name", "other"), "other"),
    "a class of another model": (set_to("cases", 0, "class", "BertModel"), "class must be one of LongformerModel, "),
    "a config of another model": (
        set_to("cases", 0, "config", "model_type", "bert"),
        "model_type must be 'longformer'",
    ),
    "a config that cannot be": (set_to("cases", 0, "config", "attention_window", 7), "must be an even number"),
    "a config of giants": (
        set_to("cases", 0, "config", "vocab_size", 10**12),
        "needs .* weights, more than",
    ),
    "a seed that is none": (set_to("cases", 0, "seed", -1), r"seed must be an integer from 0 to 2\^64 - 1, got -1"),
    "a seed that is a flag": (set_to("cases", 0, "seed", True), "got True"),
    "tokens outside": (set_to("cases", 0, "tokens", [0, 19]), "expected a list of indices from 0 to 18"),
    "tokens that are not those of the tensors": (
        set_to("cases", 0, "tokens", [0, 1]),
        r"embeddings.LayerNorm is float64 \(3, 19, 24\), which does not fit masks of 2 tokens",
    ),
    "tokens that are none": (set_to("cases", 0, "tokens", "all"), "expected a list of indices from 0 to 18, got all"),
    "expected that are no list": (set_to("cases", 0, "expected", None), "'expected' is missing"),
    "a tensor twice": (
        lambda manifest, tensors: manifest["cases"][0]["expected"].append(manifest["cases"][0]["expected"][0]),
        "embeddings.LayerNorm is listed twice",
    ),
    "a tensor that is not there": (without(EXPECTED), "last_hidden_state"),
    "a tensor of another shape": (tensor(EXPECTED, np.zeros((3, 2))), "the manifest lists float64"),
    "a tensor of another dtype": (tensor(EXPECTED, np.zeros((3, 19, 24), np.float32)), "is float32 "),
    "a shape that is none": (set_to(*LAST, "shape", [1.5, 24]), "shape must be a list of integers"),
    "a shape of few axes": (set_to(*LAST, "shape", []), "the manifest lists float64"),
    "an index outside": (set_to(*LAST, "indices", [None, [9**9]]), "indices: expected a list of indices from 0 to"),
    "indices of too few axes": (set_to(*LAST, "indices", [None]), "is invalid"),
    "an error that is no number": (set_to(*LAST, "error", {"float32": {"rms": "1"}}), "has the fields rms, largest"),
    "an error that is infinite": (
        set_to(*LAST, "error", "float32", "rms", float("inf")),
        "the fields of an expected error must be finite and not negative, effective_count positive, got",
    ),
    "an error of no elements": (
        set_to(*LAST, "error", "float32", "effective_count", 0.0),
        "the fields of an expected error must be finite and not negative, effective_count positive, got",
    ),
    "an error that is negative": (
        set_to(*LAST, "error", "float32", "proportional_std", -1.0),
        "the fields of an expected error must be finite and not negative, effective_count positive, got",
    ),
    "a config of another depth": (
        set_to("cases", 0, "config", "num_hidden_layers", 12),
        "last_hidden_state is listed as encoder.layer.1.output.LayerNorm, but equals last_hidden_state",
    ),
    "a text that is no Unicode": (
        set_to("cases", 0, "config", "initializer_range", "\ud800"),
        "surrogates not allowed",
    ),
    "an output that is none": (set_to("cases", 0, "outputs", ["logits"]), "its outputs are not among the expected"),
    "outputs that are no names": (set_to("cases", 0, "outputs", [["logits"]]), "is invalid"),
    "a mask of other values": (
        tensor(f"mask/{CASE}/visible", np.full((3, 19), 2, np.uint8)),
        "must hold 0 and 1 as uint8",
    ),
    "a mask of another shape": (tensor(f"mask/{CASE}/visible", np.ones((3, 18), np.uint8)), "its masks are of shapes"),
    "a mask with one axis": (tensor(f"mask/{CASE}/visible", np.ones(3, np.uint8)), "its masks are of shapes"),
    "a mask that is not there": (without(f"mask/{CASE}/is_global"), "is_global"),
    "an input that no class takes": (tensor(f"input/{CASE}/stream", np.zeros(3, np.int64)), "no class takes stream"),
    "an input of floats": (tensor(f"input/{CASE}/input_ids", np.zeros((3, 19))), "no class takes input_ids as float64"),
    "no ids": (without(f"input/{CASE}/input_ids"), "has neither input_ids nor inputs_embeds"),
    "a tensor of no case": (tensor("expected/else/logits", np.zeros(1)), "expected/else/logits belongs to no case"),
    "a tensor of no kind": (tensor(f"code/{CASE}/run", np.zeros(1)), "belongs to no case"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_cannot_be_right_is_refused(name, sound, tmp_path):
    change, message = CHANGES[name]
    manifest, tensors = copy.deepcopy(sound[0]), dict(sound[1])
    change(manifest, tensors)
    path = write(tmp_path / "g.safetensors", manifest, tensors)
    with pytest.raises(CheckpointError, match=message) as caught:
        testing.load_golden(path)
    assert str(path) in str(caught.value)


def test_a_file_without_a_manifest(sound, tmp_path):
    path = write(tmp_path / "g.safetensors", *sound, entry="other")
    with pytest.raises(CheckpointError, match="is not a golden file, as `lf-ref oracle make` writes it"):
        testing.load_golden(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"format": 2, "cases": [' + "[" * 5000])
def test_a_manifest_that_is_no_object(text, sound, tmp_path):
    with pytest.raises(CheckpointError):
        testing.load_golden(write(tmp_path / "g.safetensors", text, sound[1]))


def test_a_file_cut_off_anywhere_is_refused(sound, tmp_path):
    path = write(tmp_path / "g.safetensors", *sound)
    content = path.read_bytes()
    for length in (0, 7, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            testing.load_golden(path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        testing.load_golden(tmp_path / "missing.safetensors")


def test_errors_of_a_precision_that_was_not_measured(sound, tmp_path):
    manifest, tensors = copy.deepcopy(sound[0]), dict(sound[1])
    for facts in manifest["cases"][0]["expected"]:
        del facts["error"]["bfloat16"]
    golden = testing.load_golden(write(tmp_path / "g.safetensors", manifest, tensors))
    outputs = {f"{CASE}/last_hidden_state": np.asarray(tensors[EXPECTED])}
    with pytest.raises(InputError, match="has no expected errors of bfloat16; pass"):
        testing.check_golden(golden, outputs, precision="bfloat16", cases=[CASE])
    assert testing.check_golden(golden, outputs, precision="bfloat16", tolerance="fixed", cases=[CASE]).passed


def test_candidates_that_are_damaged(sound, tmp_path):
    golden = testing.load_golden(write(tmp_path / "g.safetensors", *sound))
    np.savez(tmp_path / "objects.npz", **{f"{CASE}/last_hidden_state": np.array([{}], dtype=object)})
    (tmp_path / "text.npz").write_text("no archive")
    header = (
        np.lib.format.magic(1, 0)
        + b"\x76\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }"
    )
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr(f"{CASE}/last_hidden_state.npy", header.ljust(127) + b"\n")
    for name in ("objects.npz", "text.npz", "bomb.npz", "missing.npz"):
        with pytest.raises(CheckpointError, match=name):
            testing.check_golden(golden, tmp_path / name)
