"""How a model is made: the config it keeps, the fields that replace those of the file, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import lf_ref
from lf_ref.errors import ConfigError, InputError
from model.building import build
from oracles.compare import assert_identical
from oracles.weights import fields_of, ragged_batch, state_of


def test_a_config_that_was_changed_is_checked_again():
    fields = fields_of(num_hidden_layers=2)
    state = state_of("LongformerModel", fields, seed=301)
    for name, value in (
        ("attention_window", [6]),
        ("attention_window", 7),
        ("attention_window", [4, 7]),
        ("hidden_act", "foo"),
    ):
        config = lf_ref.LongformerConfig(**fields)
        setattr(config, name, value)
        with pytest.raises(ConfigError, match=name):
            lf_ref.LongformerModel(config, state)


def test_a_window_set_after_loading_is_checked_when_it_is_used():
    fields = fields_of(num_hidden_layers=2)
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=302))
    inputs = ragged_batch(fields, seed=303)
    model.config.attention_window = [6]
    with pytest.raises(ConfigError, match="attention_window"):
        model(**inputs)


@pytest.mark.parametrize("config", [{"hidden_size": 8}, 7])
def test_what_is_no_config_is_refused(config):
    for make in (lf_ref.LongformerModel, lambda config, _: lf_ref.LongformerModel.from_pretrained(config=config)):
        with pytest.raises(InputError, match=f"config must be a LongformerConfig, got {type(config).__name__}"):
            make(config, {})


def test_the_model_keeps_a_config_of_its_own():
    fields = fields_of(attention_window=4)
    config = lf_ref.LongformerConfig(**fields)
    model = lf_ref.LongformerModel(config, state_of("LongformerModel", fields, seed=304))
    config.attention_window = 8
    assert model.config.windows == (4,) * config.num_hidden_layers


def test_fields_given_to_from_pretrained_replace_those_of_the_file():
    model = lf_ref.LongformerForMaskedLM.from_pretrained(attention_window=6, output_attentions=True)
    assert model.config.windows == (6, 6, 6, 6)
    assert model([[0, 9, 2]]).attentions[0].shape[-1] == 7
    config = lf_ref.LongformerConfig.from_pretrained(attention_window=6, output_attentions=True)
    again = lf_ref.LongformerForMaskedLM.from_pretrained(config=config)
    assert_identical(again([[0, 9, 2]]).logits, model([[0, 9, 2]]).logits, "logits")


def test_a_number_of_labels_replaces_their_names():
    config = lf_ref.LongformerConfig(id2label={0: "no", 1: "yes"})
    assert config.replaced(num_labels=3).id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert config.replaced(id2label={"0": "a"}).label2id == {"a": 0}
    assert config.replaced(hidden_act="relu").id2label == {0: "no", 1: "yes"}


@pytest.mark.parametrize(
    "load", [lf_ref.LongformerForMaskedLM.from_pretrained, lf_ref.LongformerConfig.from_pretrained]
)
def test_an_unknown_option_names_the_nearest(load):
    with pytest.raises(InputError, match=r"'atention_window': the nearest is 'attention_window'"):
        load(atention_window=4)


def test_weights_are_never_made_up():
    with pytest.raises(InputError, match=r"LongformerModel needs weights.*from_pretrained"):
        lf_ref.LongformerModel(lf_ref.LongformerConfig())


def test_only_the_first_three_arguments_are_positional():
    """HF 4 has head_mask fourth and HF 5 has not: a fourth by position would be misread by one of them."""
    fields = fields_of()
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=305))
    inputs = ragged_batch(fields, seed=306)
    ids, mask, marked = inputs["input_ids"], inputs["attention_mask"], inputs["global_attention_mask"]
    by_place = model(ids, mask, marked).last_hidden_state
    by_name = model(input_ids=ids, attention_mask=mask, global_attention_mask=marked).last_hidden_state
    assert_identical(by_place, by_name, "last_hidden_state")
    only = "by position only input_ids, attention_mask, global_attention_mask: give the other arguments by name"
    with pytest.raises(InputError, match=only):
        model(ids, mask, marked, None)


def test_unknown_keys_of_the_file_are_attributes():
    config = lf_ref.LongformerConfig.from_dict({"attention_mode": "longformer"})
    assert config.attention_mode == "longformer"
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = config.nothing_like_it


@pytest.mark.parametrize("name", [name for name in lf_ref.__all__ if name.startswith("Auto")])
def test_auto_classes_are_the_longformer_classes(name):
    assert getattr(lf_ref, name).__name__ == {
        "AutoConfig": "LongformerConfig",
        "AutoTokenizer": "LongformerTokenizer",
    }.get(name, name.replace("AutoModel", "Longformer") if name != "AutoModel" else "LongformerModel")


def test_weights_may_replace_those_of_the_files(tmp_path):
    fields = fields_of()
    state = state_of("LongformerForMaskedLM", fields, seed=307)
    config = lf_ref.LongformerConfig(**fields)
    config.save_pretrained(tmp_path)
    inputs = ragged_batch(fields, seed=308)
    expected = lf_ref.LongformerForMaskedLM(config, state)(**inputs).logits
    for options in ({"name": tmp_path}, {"config": config}, {"name": tmp_path, "config": config}):
        model = lf_ref.LongformerForMaskedLM.from_pretrained(**options, state_dict=state)
        assert_identical(model(**inputs).logits, expected, "logits")
    doubled = {name: array * 2 for name, array in model.state_dict().items()}
    changed = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, state_dict=doubled)(**inputs).logits
    assert_identical(changed, lf_ref.LongformerForMaskedLM(config, doubled)(**inputs).logits, "changed")
    with pytest.raises(InputError, match="state_dict must be a mapping of names to arrays, got ndarray"):
        lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, state_dict=np.ones(3))


@pytest.mark.parametrize("subfolder", ["inner", "inner/most"])
def test_config_and_weights_are_those_of_the_subfolder(subfolder, tmp_path):
    fields = fields_of(attention_window=8)
    lf_ref.LongformerModel(
        lf_ref.LongformerConfig(**fields), state_of("LongformerModel", fields, seed=309)
    ).save_pretrained(tmp_path / subfolder)
    model = lf_ref.LongformerModel.from_pretrained(tmp_path, subfolder=subfolder)
    assert model.config.windows == (8, 8)
    assert lf_ref.LongformerConfig.from_pretrained(tmp_path, subfolder=subfolder) == model.config
    with pytest.raises(OSError, match="has no folder outer"):
        lf_ref.LongformerModel.from_pretrained(tmp_path, subfolder="outer")
