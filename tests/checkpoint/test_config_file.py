"""Configs that need their weights to be understood, RoBERTas with Longformer's attention, and encoder-decoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lf_ref
from lf_ref.checkpoint import open_tensors, quantize
from lf_ref.checkpoint.safetensors_file import write_safetensors
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.errors import CheckpointError, ConfigError, LfRefError
from lf_ref.files import locate
from oracles.compare import assert_identical
from oracles.torch_writer import write_state
from oracles.weights import SMALL, ragged_batch, state_of

ALLENAI = {"attention_dilation": [1, 1], "autoregressive": False, "attention_mode": "sliding_chunks"}
INPUTS = ragged_batch(SMALL, seed=411)


def write(folder: Path, fields: dict[str, Any], state: dict[str, np.ndarray]) -> None:
    (folder / "config.json").write_text(json.dumps(fields))
    tensors = {name: StoredTensor("float32", array) for name, array in state.items()}
    write_safetensors(folder / "model.safetensors", tensors)


def named(state: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The weights with another prefix of the encoder's than `longformer.`; a tied tensor once."""
    tied = ("lm_head.decoder.weight", "lm_head.decoder.bias")
    return {name.replace("longformer.", prefix, 1): array for name, array in state.items() if name not in tied}


def logits(model: Any) -> np.ndarray:
    return model(**INPUTS).logits


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    return state_of("LongformerForMaskedLM", SMALL, seed=412)


@pytest.fixture
def expected(weights):
    """The logits with windows twice as wide as in the file, and as wide."""
    return {
        factor: logits(
            lf_ref.LongformerForMaskedLM(
                lf_ref.LongformerConfig(**{**SMALL, "attention_window": [4 * factor, 6 * factor]}), weights
            )
        )
        for factor in (1, 2)
    }


# --- AllenAI's fields ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model_type", "prefix", "factor"),
    [
        ("longformer", "longformer.", 1),
        ("longformer", "", 1),
        ("longformer", "roberta.", 2),
        ("longformer", "module.longformer.", 1),
        ("longformer", "module.roberta.", 2),
        ("roberta", "longformer.", 2),
        ("roberta", "roberta.", 2),
        (None, "roberta.", 2),
        (None, "", 2),
    ],
)
def test_model_type_and_the_names_of_the_weights_decide_whose_fields_they_are(
    model_type, prefix, factor, weights, expected, tmp_path
):
    fields = {**SMALL, **ALLENAI, **({"model_type": model_type} if model_type else {})}
    state = named(weights, prefix)
    if prefix.startswith("module."):
        state = {name if name.startswith("module.") else "module." + name: array for name, array in state.items()}
    write(tmp_path, fields, state)
    model = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path)
    assert model.config.windows == (4 * factor, 6 * factor)
    assert_identical(logits(model), expected[factor], "logits")
    replaced = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, attention_window=10)
    assert replaced.config.windows == (10, 10)
    model.save_pretrained(tmp_path / "again")
    assert_identical(
        logits(lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path / "again")), expected[factor], "again"
    )
    quantize(locate(tmp_path), tmp_path / "quantized")
    assert lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path / "quantized").config.windows == model.config.windows


def test_odd_one_sided_windows_may_say_longformer_too(weights, tmp_path):
    fields = {**SMALL, **ALLENAI, "model_type": "longformer", "attention_window": [3, 5]}
    write(tmp_path, fields, named(weights, "roberta."))
    assert lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path).config.windows == (6, 10)


@pytest.mark.parametrize("form", ["torch", "shards", "variant"])
def test_the_names_are_read_whatever_form_the_weights_have(form, weights, tmp_path):
    state = named(weights, "roberta.")
    write(tmp_path, {**SMALL, **ALLENAI, "model_type": "longformer"}, state)
    options = {}
    if form == "torch":
        (tmp_path / "model.safetensors").unlink()
        write_state(tmp_path / "pytorch_model.bin", state)
    elif form == "shards":
        (tmp_path / "model.safetensors").rename(tmp_path / "all.safetensors")
        index = {"weight_map": dict.fromkeys(state, "all.safetensors")}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    else:
        (tmp_path / "model.safetensors").rename(tmp_path / "model.fp16.safetensors")
        options = {"variant": "fp16"}
    model = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, **options)
    assert model.config.windows == (8, 12)


def test_given_weights_decide_it_if_the_folder_has_none(weights, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({**SMALL, **ALLENAI, "model_type": "longformer"}))
    for prefix, windows in (("roberta.", (8, 12)), ("longformer.", (4, 6))):
        model = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, state_dict=named(weights, prefix))
        assert model.config.windows == windows
    write(tmp_path, {**SMALL, **ALLENAI, "model_type": "longformer"}, named(weights, "roberta."))
    model = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, state_dict=named(weights, "longformer."))
    assert model.config.windows == (8, 12), "the folder's weights tell what its config means"


def test_a_config_in_doubt_is_refused_beside_allenais_weights(weights, tmp_path):
    """The config alone does not decide; with these weights its windows would be half of what they are."""
    write(tmp_path, {**SMALL, **ALLENAI, "model_type": "longformer"}, named(weights, "roberta."))
    config = lf_ref.LongformerConfig.from_pretrained(tmp_path)
    assert config.windows == (4, 6)
    for make in (
        lambda: lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, config=config),
        lambda: lf_ref.LongformerForMaskedLM(config, named(weights, "roberta.")),
    ):
        with pytest.raises(ConfigError, match="count one side"):
            make()
    config.attention_mode = "longformer"
    assert lf_ref.LongformerForMaskedLM(config, named(weights, "roberta.")).config.windows == (4, 6)
    assert lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, config=config).config.windows == (4, 6)


def test_dilated_and_causal_models_of_allenai(weights, tmp_path):
    fields = {**SMALL, **ALLENAI, "model_type": "longformer", "attention_dilation": [1, 2], "autoregressive": True}
    found = []
    for prefix, windows in (("roberta.", (8, 12)), ("longformer.", (4, 6))):
        write(tmp_path, fields, named(weights, prefix))
        model = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path)
        assert (model.config.windows, model.config.autoregressive) == (windows, True)
        assert model.config.dilations == ((1,) * 3, (2,) * 3)
        found.append(logits(model))
        model.save_pretrained(tmp_path / "again")
        again = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path / "again")
        assert again.config.dilations == model.config.dilations
        assert_identical(logits(again), found[-1], "again")
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_other_attention_is_refused_beside_allenais_weights(weights, tmp_path):
    fields = {**SMALL, **ALLENAI, "model_type": "longformer", "attention_mode": "n2"}
    write(tmp_path, fields, named(weights, "roberta."))
    with pytest.raises(ConfigError, match=r"config\.json: attention_mode 'n2' is another kind"):
        lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path)
    write(tmp_path, fields, named(weights, "longformer."))
    assert lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path).config.windows == (4, 6)


# --- RoBERTas with Longformer's attention ----------------------------------------------------------------------------


@pytest.mark.parametrize("model_type", ["roberta", "xlm-roberta", "camembert"])
@pytest.mark.parametrize("architecture", ["RobertaForMaskedLM", "RobertaLongForMaskedLM"])
def test_a_roberta_with_longformers_attention_is_one(model_type, architecture, weights, expected, tmp_path):
    fields = {**SMALL, "model_type": model_type, "architectures": [architecture], "position_embedding_type": "absolute"}
    del fields["sep_token_id"]
    state = named(weights, "roberta.") | {
        "roberta.embeddings.position_ids": np.arange(83, dtype=np.float32)[None],
        "lm_head.decoder.bias": weights["lm_head.bias"],
        "lm_head.decoder.weight": weights["lm_head.decoder.weight"],
    }
    write(tmp_path, fields, state)
    model = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path)
    assert model.config.windows == (4, 6)
    assert_identical(logits(model), expected[1], "logits")
    assert lf_ref.LongformerConfig.from_pretrained(tmp_path) == model.config
    assert lf_ref.LongformerModel.from_pretrained(tmp_path).head == "encoder"


def test_a_plain_roberta_is_refused_as_what_it_is(weights, tmp_path):
    plain = {name: array for name, array in named(weights, "roberta.").items() if "_global." not in name}
    fields = {name: value for name, value in SMALL.items() if name != "attention_window"}
    write(tmp_path, {**fields, "model_type": "roberta"}, plain)
    with pytest.raises(ConfigError, match="'roberta' without an attention_window: this is another kind of model"):
        lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path)
    write(tmp_path, {**SMALL, "model_type": "roberta"}, plain)
    with pytest.raises(CheckpointError, match="Only global attention lacks its weights: this may be a RoBERTa"):
        lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path)


# --- encoder-decoders ------------------------------------------------------------------------------------------------

ENCODER_DECODERS = {
    "led": ({"model_type": "led", "is_encoder_decoder": True}, "LEDForConditionalGeneration"),
    "type alone": ({"model_type": "bart"}, "AutoModelForSeq2SeqLM"),
    "flag alone": ({"model_type": "newest", "is_encoder_decoder": True}, "AutoModelForSeq2SeqLM"),
    "says longformer": ({"model_type": "longformer", "is_encoder_decoder": True}, "AutoModelForSeq2SeqLM"),
    "t5": ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "use T5ForConditionalGeneration"),
    "fields": ({"model_type": "newest", "encoder_layers": 6, "decoder_layers": 6}, "encoder-decoder"),
    "nested": ({"model_type": "encoder-decoder", "encoder": {}, "decoder": {}}, "AutoModelForSeq2SeqLM"),
    "allenai": (
        {
            "model_type": "bart",
            "architectures": ["LongformerEncoderDecoderForConditionalGeneration"],
            "attention_dilation": [2, 2],
            "autoregressive": False,
            "attention_mode": "n2",
            "attention_window": [2.5],
            "is_encoder_decoder": True,
        },
        "use LEDForConditionalGeneration",
    ),
    "allenai without a type": ({**ALLENAI, "architectures": ["LongformerEncoderDecoderForX"]}, "LEDForConditional"),
}


@pytest.mark.parametrize(("fields", "wanted"), ENCODER_DECODERS.values(), ids=ENCODER_DECODERS)
def test_encoder_decoders_are_refused_before_anything_else_is_read(fields, wanted, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(fields))
    for load in (lf_ref.LongformerModel.from_pretrained, lf_ref.LongformerConfig.from_pretrained):
        with pytest.raises(LfRefError, match="this is an encoder-decoder, which generates text") as caught:
            load(tmp_path)
        assert wanted in str(caught.value)


@pytest.mark.parametrize("layer", ["model.{}.layers.0.fc1.weight", "{}.block.0.layer.0.x", "{}.bert.layer.0.x.weight"])
def test_weights_of_an_encoder_decoder_are_known_as_such(layer, tmp_path):
    state = {layer.format(part): np.ones((2, 3), np.float32) for part in ("encoder", "decoder")}
    write(tmp_path, {**SMALL, "model_type": "longformer"}, state)
    with pytest.raises(CheckpointError, match="has layers of a decoder: this is an encoder-decoder"):
        lf_ref.LongformerModel.from_pretrained(tmp_path)


def test_a_decoder_beside_a_complete_longformer_is_left_over(weights, tmp_path):
    write(tmp_path, {**SMALL, "model_type": "longformer"}, {**weights, "decoder.layers.0.x": np.ones(3, np.float32)})
    with pytest.warns(UserWarning, match=r"does not use 1 of the weights \(decoder\.layers\.0\.x\)"):
        lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path)
    assert "decoder.layers.0.x" in open_tensors(locate(tmp_path))
