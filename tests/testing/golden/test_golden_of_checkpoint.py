"""Golden files of a checkpoint: identified by hashes, with samples of large tensors."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from testing.building import answer as own
from testing.building import array, changed

import lf_ref
from lf_ref import CheckpointError, InputError, testing
from lf_ref.checkpoint.saving import write_checkpoint
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.testing import generator
from oracles import golden_page
from oracles.compare import assert_close
from oracles.tolerances import FLOAT64

WIDE = {
    "vocab_size": 67,
    "hidden_size": 72,
    "num_attention_heads": 3,
    "num_hidden_layers": 1,
    "intermediate_size": 5,
    "attention_window": 40,
    "max_position_embeddings": 120,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model whose tensors are too large to be stored whole."""
    folder = tmp_path_factory.mktemp("checkpoint")
    config = lf_ref.LongformerConfig(**WIDE)
    weights = generator.weights(config, "masked_lm", 3)
    stored = {name: StoredTensor("float32", values) for name, values in weights.items()}
    write_checkpoint(folder, stored, {**config.to_dict(), "architectures": ["LongformerForMaskedLM"]})
    return folder


@pytest.fixture(scope="module")
def of_checkpoint(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("golden") / "golden.safetensors"
    return testing.make_golden(path, ["two-windows", "one-token", "ragged-globals"], model=checkpoint)


# The names of the weights without prefix, and as they are stored: there is no pooler, and no decoder, which is tied.
STORED = {
    name.removeprefix("longformer."): name
    for name in generator.weights(lf_ref.LongformerConfig(**WIDE), "masked_lm", 3)
}


def output_arrays(checkpoint, golden):
    model = lf_ref.LongformerForMaskedLM.from_pretrained(checkpoint, backend="numpy")
    return {f"{case.name}/logits": model(**case.inputs).logits for case in golden.cases}


def test_a_checkpoint_is_known_by_its_hash(checkpoint, of_checkpoint):
    facts = of_checkpoint.manifest["checkpoint"]
    assert facts["name"] == str(checkpoint)
    assert facts["sha256"] == {
        name: hashlib.sha256((checkpoint / name).read_bytes()).hexdigest()
        for name in ("config.json", "model.safetensors")
    }
    assert all(case.seed is None for case in of_checkpoint.cases)
    with pytest.raises(InputError, match="those of a checkpoint"):
        testing.check_golden(of_checkpoint, own)


def test_every_file_of_a_sharded_checkpoint_is_hashed(checkpoint, tmp_path):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(checkpoint / "model.safetensors")
    index = {"weight_map": {}}
    for number, names in enumerate((sorted(tensors)[:7], sorted(tensors)[7:])):
        save_file({name: tensors[name] for name in names}, tmp_path / f"part-{number}.safetensors", {"format": "pt"})
        index["weight_map"] |= dict.fromkeys(names, f"part-{number}.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    golden = testing.make_golden(tmp_path / "golden.safetensors", ["one-token"], model=tmp_path)
    assert list(golden.manifest["checkpoint"]["sha256"]) == [
        "config.json", "model.safetensors.index.json", "part-0.safetensors", "part-1.safetensors",
    ]  # fmt: skip


def test_large_tensors_are_stored_as_samples(checkpoint, of_checkpoint):
    page = golden_page.read(of_checkpoint.path)
    full = lf_ref.LongformerForMaskedLM.from_pretrained(checkpoint, dtype="float64", backend="numpy")
    by_name = {entry["name"]: entry for entry in page.manifest["cases"]}
    entry = by_name["two-windows"]
    [logits] = [tensor for tensor in entry["expected"] if tensor["name"] == "logits"]
    assert logits["shape"] == [3, 80, 67]
    rows, tokens, columns = logits["indices"]
    assert rows is None
    assert tokens == entry["tokens"]
    assert {0, 19, 20, 39, 40, 59, 60, 79} <= set(tokens)
    assert len(columns) == 32
    case = next(case for case in of_checkpoint.cases if case.name == "two-windows")
    expected = full(**case.inputs).logits[np.ix_(range(3), tokens, columns)]
    assert_close(array(page, "expected/two-windows/logits"), expected, FLOAT64, "logits")
    assert by_name["one-token"]["tokens"] is None
    [small] = [tensor for tensor in by_name["one-token"]["expected"] if tensor["name"] == "logits"]
    assert small["indices"][:2] == [None, None]


def test_candidates_of_large_models(checkpoint, of_checkpoint):
    outputs = output_arrays(checkpoint, of_checkpoint)
    assert testing.check_golden(of_checkpoint, outputs).passed
    kept = [t for entry in of_checkpoint.manifest["cases"] for t in entry["expected"] if entry["name"] == "two-windows"]
    _, tokens, columns = next(tensor["indices"] for tensor in kept if tensor["name"] == "logits")

    def change(value):
        value[2, tokens[5], columns[7]] += 1

    [failure] = testing.check_golden(of_checkpoint, changed(outputs, "two-windows/logits", change)).failures
    assert f"worst at {[2, tokens[5], columns[7]]}" in failure.problem
    outputs["two-windows/logits"] = outputs["two-windows/logits"][:, tokens]
    [failure] = testing.check_golden(of_checkpoint, outputs).failures
    assert failure.problem == f"logits has shape (3, {len(tokens)}, 67), expected (3, 80, 67)"
    assert testing.check_golden(of_checkpoint, output_arrays(checkpoint, of_checkpoint), ignore_padding=True).passed


def test_the_class_of_a_checkpoint(checkpoint, tmp_path):
    config = json.loads((checkpoint / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes((checkpoint / "model.safetensors").read_bytes())
    for said, expected in (
        (["LongformerModel"], "LongformerModel"),
        (["Longformer4"], "LongformerForMaskedLM"),
        (None, "LongformerForMaskedLM"),
        (["LongformerForQuestionAnswering"], "LongformerForMaskedLM"),  # the weights are not there
    ):
        (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": said}))
        golden = testing.make_golden(tmp_path / "golden.safetensors", ["one-token"], model=tmp_path)
        assert golden.cases[0].class_name == expected
        assert golden.manifest["cases"][0]["parameters"].keys() == {
            name if expected == "LongformerModel" else STORED[name]
            for name in STORED
            if expected != "LongformerModel" or not name.startswith("lm_head")
        }
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_size": 75}))
    with pytest.raises(CheckpointError, match="do not fit the config of the checkpoint"):
        testing.make_golden(tmp_path / "golden.safetensors", ["one-token"], model=tmp_path)
