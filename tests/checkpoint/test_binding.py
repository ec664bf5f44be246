"""From stored names to parameters: prefixes, old names, ties, and one error that lists everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lf_ref.checkpoint import HEADS, StoredTensor, StoredTensors, bind, expected_shapes
from lf_ref.config import LongformerConfig
from lf_ref.errors import CheckpointError, ConfigError
from oracles.weights import SMALL, state_of

FIELDS = {**SMALL, "num_labels": 5}
CONFIG = LongformerConfig(**FIELDS)
WORDS = "longformer.embeddings.word_embeddings.weight"


def state(head: str, seed: int = 3) -> dict[str, np.ndarray]:
    return state_of(HEADS[head], FIELDS, seed, pooled=head != "encoder")


def error_of(weights: dict[str, np.ndarray], head: str, config: LongformerConfig = CONFIG, strict: bool = False) -> str:
    with pytest.raises(CheckpointError) as caught:
        bind(weights, config, head, strict=strict)
    return str(caught.value)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_gets_hf_names_without_the_prefix(head):
    weights = state(head)
    bound = bind(weights, CONFIG, head)
    expected = {name.removeprefix("longformer."): array for name, array in weights.items()}
    expected.pop("lm_head.decoder.bias", None)
    assert bound.keys() == expected.keys() == expected_shapes(CONFIG, head).keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(bound[name], array)
        assert bound[name].shape == expected_shapes(CONFIG, head)[name]


def test_an_unknown_head_is_named():
    with pytest.raises(ConfigError, match=r"head must be one of encoder, .*got 'lm'"):
        expected_shapes(CONFIG, "lm")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("prefix", ["", "longformer.", "roberta."])
def test_prefixes_mean_nothing(head, prefix):
    weights = state(head)
    plain = {name.removeprefix("longformer."): array for name, array in weights.items()}
    inner = ("embeddings.", "encoder.", "pooler.")
    renamed = {(prefix if name.startswith(inner) else "") + name: array for name, array in plain.items()}
    for name, array in bind(renamed, CONFIG, head).items():
        np.testing.assert_array_equal(array, plain[name])


def test_old_names_of_layer_norms_and_position_ids():
    weights = {}
    for name, array in state("masked_lm").items():
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        weights[old] = array
    weights["longformer.embeddings.position_ids"] = np.arange(83)[None]
    bound = bind(weights, CONFIG, "masked_lm")
    np.testing.assert_array_equal(
        bound["encoder.layer.1.output.LayerNorm.bias"], weights["longformer.encoder.layer.1.output.LayerNorm.beta"]
    )


# --- nothing is copied, changed or writable --------------------------------------------------------------------------


def test_the_callers_arrays_are_used_as_they_are_and_stay_the_callers():
    weights = state("masked_lm")
    before = {name: array.copy() for name, array in weights.items()}
    bound = bind(weights, CONFIG, "masked_lm")
    assert np.shares_memory(bound["lm_head.dense.weight"], weights["lm_head.dense.weight"])
    assert all(not array.flags.writeable for array in bound.values())
    assert all(array.flags.writeable for array in weights.values())
    assert weights.keys() == before.keys()
    assert all(np.array_equal(array, before[name]) for name, array in weights.items())


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float64, np.dtype("float32")])
def test_all_parameters_have_the_requested_dtype(dtype):
    weights = {name: array.astype(np.float16) for name, array in state("question_answering").items()}
    bound = bind(weights, CONFIG, "question_answering", dtype)
    assert {array.dtype for array in bound.values()} == {np.dtype(dtype)}
    assert all(array.flags.c_contiguous for array in bound.values())


def test_arrays_of_other_layouts_are_made_contiguous():
    weights = {name: np.asfortranarray(array) for name, array in state("encoder").items()}
    weights["embeddings.LayerNorm.bias"] = np.repeat(weights["embeddings.LayerNorm.bias"], 2)[::2]
    swapped = weights["embeddings.LayerNorm.weight"]
    weights["embeddings.LayerNorm.weight"] = swapped.astype(swapped.dtype.newbyteorder())
    for name, array in bind(weights, CONFIG, "encoder").items():
        assert array.flags.c_contiguous
        assert array.dtype.isnative
        np.testing.assert_array_equal(array, weights[name])


@pytest.mark.parametrize("value", ["text", None, [[1, 2], [3]], np.array(["a"]), np.ones(3, np.complex64), object()])
def test_values_that_are_not_numeric_arrays_are_named(value):
    weights = {**state("encoder"), "embeddings.LayerNorm.bias": value}
    assert "embeddings.LayerNorm.bias: got" in error_of(weights, "encoder")
    assert "names of weights are strings, got int" in error_of({**state("encoder"), 3: np.ones(2)}, "encoder")


def test_nan_passes():
    weights = state("encoder")
    weights["embeddings.LayerNorm.bias"][4] = np.nan
    assert np.isnan(bind(weights, CONFIG, "encoder")["embeddings.LayerNorm.bias"][4])


# --- ties ------------------------------------------------------------------------------------------------------------


@given(
    st.sets(st.sampled_from([WORDS, "lm_head.decoder.weight"]), min_size=1),
    st.sets(st.sampled_from(["lm_head.bias", "lm_head.decoder.bias"]), min_size=1),
)
def test_any_subset_that_determines_all_will_do(words, biases):
    weights = state("masked_lm")
    tied = {WORDS, "lm_head.decoder.weight", "lm_head.bias", "lm_head.decoder.bias"}
    kept = {name: array for name, array in weights.items() if name not in tied or name in words | biases}
    bound = bind(kept, CONFIG, "masked_lm")
    assert bound["lm_head.decoder.weight"] is bound["embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(bound["lm_head.decoder.weight"], weights[WORDS])
    np.testing.assert_array_equal(bound["lm_head.bias"], weights["lm_head.bias"])


def test_the_decoder_stands_in_for_the_words_of_the_bare_encoder_too():
    weights = state("masked_lm")
    words = weights.pop(WORDS)
    np.testing.assert_array_equal(bind(weights, CONFIG, "encoder")["embeddings.word_embeddings.weight"], words)


@pytest.mark.parametrize("pair", [(WORDS, "lm_head.decoder.weight"), ("lm_head.bias", "lm_head.decoder.bias")])
def test_two_that_must_be_equal_but_differ_are_an_error(pair):
    weights = state("masked_lm")
    weights[pair[1]] = weights[pair[1]].copy()
    bind(weights, CONFIG, "masked_lm")
    weights[pair[1]].flat[7] += 1
    message = error_of(weights, "masked_lm")
    assert all(name in message for name in pair)
    assert ("tie_word_embeddings" in message) == (pair[0] == WORDS)
    bind(weights, CONFIG, "encoder")  # which does not use them


def test_ties_hold_across_dtypes_and_nan():
    weights = {name: array.astype(np.float16) for name, array in state("masked_lm").items()}
    weights["lm_head.bias"][2] = np.nan
    weights["lm_head.decoder.bias"] = weights["lm_head.bias"].astype(np.float64)
    assert np.isnan(bind(weights, CONFIG, "masked_lm")["lm_head.bias"][2])


def test_ties_hold_across_the_dtypes_of_files():
    weights = state("masked_lm")
    bits = np.arange(53, dtype=np.uint16) + 0x3F80
    bits[2] = 0x7FC0  # NaN
    values = (bits.astype(np.uint32) << 16).view(np.float32)
    weights["lm_head.bias"] = StoredTensor("bfloat16", bits)
    weights["lm_head.decoder.bias"] = StoredTensor("float32", values)
    np.testing.assert_array_equal(bind(weights, CONFIG, "masked_lm")["lm_head.bias"], values)
    weights["lm_head.decoder.bias"] = StoredTensor("float32", values + 1)
    assert "must be equal" in error_of(weights, "masked_lm")


def test_one_name_with_two_prefixes_must_agree():
    weights = state("encoder")
    weights["longformer.embeddings.LayerNorm.bias"] = weights["embeddings.LayerNorm.bias"].copy()
    bind(weights, CONFIG, "encoder")
    weights["longformer.embeddings.LayerNorm.bias"][0] += 1
    assert "must be equal" in error_of(weights, "encoder")


def test_an_untied_decoder_is_its_own():
    untied = LongformerConfig(**FIELDS, tie_word_embeddings=False)
    weights = state("masked_lm")
    weights["lm_head.decoder.weight"] = weights["lm_head.decoder.weight"] + 1
    bound = bind(weights, untied, "masked_lm")
    np.testing.assert_array_equal(bound["lm_head.decoder.weight"], weights["lm_head.decoder.weight"])
    np.testing.assert_array_equal(bound["embeddings.word_embeddings.weight"], weights[WORDS])
    del weights["lm_head.decoder.weight"]
    assert "missing (1): lm_head.decoder.weight" in error_of(weights, "masked_lm", untied)


# --- strict ----------------------------------------------------------------------------------------------------------


def test_one_error_lists_all_that_is_missing_unexpected_and_misshapen():
    weights = state("token_classification")
    missing = ["longformer.encoder.layer.1.attention.self.key_global.bias", "classifier.bias"]
    for name in missing:
        del weights[name]
    weights["longformer.encoder.layer.2.output.dense.bias"] = np.ones(21, np.float32)
    weights["longformer.encoder.layer.1.attention.self.key_golbal.bias"] = np.ones(21, np.float32)
    weights["classifier.weight"] = weights["classifier.weight"][:3]
    weights["longformer.embeddings.position_embeddings.weight"] = np.ones((79, 21), np.float32)
    message = error_of(weights, "token_classification")
    assert message.startswith("the state dict: the weights do not fit LongformerForTokenClassification")
    assert f"missing (2): {missing[0]}, {missing[1]}" in message
    assert "unexpected (2): longformer.encoder.layer.2.output.dense.bias, " in message
    assert "key_golbal.bias" in message
    assert "wrong shape (2)" in message
    assert "classifier.weight: got (3, 21), wanted (5, 21) (num_labels (id2label) of the config)" in message
    assert "got (79, 21), wanted (83, 21) (max_position_embeddings of the config)" in message
    assert "at random" in message


@given(st.sampled_from(list(HEADS)), st.data())
def test_any_one_missing_or_misshapen_weight_is_found(head, data):
    weights = state(head)
    tied = {WORDS, "lm_head.decoder.weight", "lm_head.bias", "lm_head.decoder.bias"} if head == "masked_lm" else set()
    name = data.draw(st.sampled_from(sorted(weights.keys() - tied)))
    array = weights.pop(name)
    assert f"missing (1): {name}" in error_of(weights, head)
    weights[name] = array[..., None]
    assert f"wrong shape (1): {name}: got {(*array.shape, 1)}, wanted {array.shape}" in error_of(weights, head)


@pytest.mark.parametrize(
    "name",
    [
        "lm_head.weight",
        "longformer.lm_head.bias",
        "classifier.out_proj.gamma",
        "encoder.layers.0.x",
        "module.norm.bias",
        "",
    ],
)
def test_names_that_no_longformer_has_are_unexpected(name):
    assert f"unexpected (1): {name}" in error_of({**state("masked_lm"), name: np.ones(1)}, "masked_lm", strict=True)


@pytest.mark.parametrize("head", HEADS)
def test_parts_that_a_class_does_without_may_be_left_over(head):
    needed = state(head)
    for other in HEADS:
        left_over = {
            name: array
            for name, array in state(other).items()
            if name.startswith(("lm_head", "classifier", "qa_outputs", "longformer.pooler")) and name not in needed
        }
        bound = bind({**left_over, **needed}, CONFIG, head)
        assert bound.keys() == expected_shapes(CONFIG, head).keys()


def test_an_error_for_missing_head_weights_names_the_classes_that_fit():
    config = LongformerConfig(**FIELDS, architectures=["LongformerForMaskedLM"])
    message = error_of(StoredTensors("folder/model.safetensors", state("masked_lm")), "question_answering", config)
    assert message.startswith("folder/model.safetensors: ")
    assert "missing (2): qa_outputs.weight, qa_outputs.bias" in message
    assert "at random" in message
    assert "do fit LongformerModel(add_pooling_layer=False), LongformerForMaskedLM." in message
    assert "saved from LongformerForMaskedLM" in message


def test_a_hostile_number_of_layers_makes_no_message_without_end():
    config = LongformerConfig(**{**FIELDS, "attention_window": 4, "num_hidden_layers": 10**4})
    message = error_of(state("encoder"), "encoder", config)
    assert "There are 2 layers; num_hidden_layers of the config is 10000." in message
    assert len(message) < 2000


def test_a_mapping_of_the_callers_is_left_alone(tmp_path):
    """Pages of files that we mapped are let go once copied; those of the caller may hold what is nowhere else."""
    stored = state("encoder")
    name = next(name for name, array in stored.items() if array.size > 100)
    path = tmp_path / "weights"
    np.zeros(stored[name].shape, np.float16).tofile(path)
    mapped = np.memmap(path, np.float16, mode="c", shape=stored[name].shape)
    mapped[:] = 0.5
    bind({**stored, name: mapped}, CONFIG, "encoder", "float32")
    assert (mapped == 0.5).all()
