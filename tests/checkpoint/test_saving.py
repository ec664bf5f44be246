"""Saving: what is written comes back the same, and never half."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from safetensors import safe_open

from lf_ref.checkpoint import HEADS, bind, open_tensors, save
from lf_ref.config import LongformerConfig
from lf_ref.files import locate
from oracles.weights import SMALL, state_of

FIELDS = {**SMALL, "num_labels": 5}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("head", HEADS)
def test_a_saved_model_comes_back_the_same(tmp_path, head, dtype, tied):
    config = LongformerConfig(**FIELDS, tie_word_embeddings=tied)
    weights = state_of(HEADS[head], FIELDS, 5, pooled=head != "encoder")
    if head == "masked_lm" and not tied:
        weights["lm_head.decoder.weight"] = weights["lm_head.decoder.weight"] + 1
    parameters = bind(weights, config, head, dtype)
    save(tmp_path / "new" / "folder", parameters, config, head)
    source = locate(tmp_path / "new" / "folder")
    again = LongformerConfig.from_json_file(source.require("config.json"))
    assert again.architectures == [HEADS[head]]
    assert again.tie_word_embeddings is tied
    assert config.architectures is None
    tensors = open_tensors(source)
    expected = {name for name in weights if name != "lm_head.decoder.bias"}
    assert tensors.keys() == expected - ({"lm_head.decoder.weight"} if tied else set())
    assert {tensor.dtype for tensor in tensors.values()} == {dtype}
    for name, values in bind(tensors, again, head, dtype).items():
        np.testing.assert_array_equal(values, parameters[name])
    with safe_open(source.require("model.safetensors"), framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}


def test_saving_over_the_file_that_the_parameters_are_views_of(tmp_path):
    config = LongformerConfig(**FIELDS)
    save(tmp_path, bind(state_of("LongformerModel", FIELDS, 5), config, "model"), config, "model")
    parameters = bind(open_tensors(locate(tmp_path)), config, "model")
    before = {name: values.copy() for name, values in parameters.items()}
    save(tmp_path, parameters, config, "model")
    again = bind(open_tensors(locate(tmp_path)), config, "model")
    for name, values in before.items():
        np.testing.assert_array_equal(parameters[name], values)
        np.testing.assert_array_equal(again[name], values)


def test_a_save_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    config = LongformerConfig(**FIELDS)
    parameters = bind(state_of("LongformerModel", FIELDS, 5), config, "model")
    save(tmp_path, parameters, config, "model")
    before = (tmp_path / "model.safetensors").read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lf_ref.checkpoint.saving.write_safetensors", fail)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, parameters, config, "model")
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_files_have_the_mode_that_the_umask_leaves(tmp_path, umask, mode):
    config = LongformerConfig(**FIELDS)
    before = os.umask(umask)
    try:
        save(tmp_path, bind(state_of("LongformerModel", FIELDS, 5), config, "model"), config, "model")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {mode}
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "longformer"
