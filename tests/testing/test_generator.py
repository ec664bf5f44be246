"""The generator of weights against its definition in plain Python, and against published test vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lf_ref
from lf_ref.checkpoint import expected_shapes
from lf_ref.testing import generator
from oracles import golden_page

FEW = settings(max_examples=30, deadline=None, derandomize=True, database=None)
CONFIG = lf_ref.LongformerConfig(
    vocab_size=11,
    hidden_size=6,
    num_attention_heads=3,
    num_hidden_layers=1,
    intermediate_size=17,
    attention_window=4,
    max_position_embeddings=13,
)


def test_mix_is_that_of_splitmix64():
    """The first words of SplitMix64 from 0, as every implementation has them."""
    state = np.array([golden_page.GAMMA * i & golden_page.MASK for i in (1, 2, 3)], np.uint64)
    generator._mix(state)
    assert [int(word) for word in state] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_fnv_has_the_published_values():
    assert golden_page.fnv("") == 0xCBF29CE484222325
    assert golden_page.fnv("a") == 0xAF63DC4C8601EC8C
    assert golden_page.fnv("foobar") == 0x85944171F73967E8


@FEW
@given(st.integers(0, 2**64 - 1), st.text(max_size=20), st.integers(0, 50), st.integers(0, 2**40))
def test_words_are_those_of_the_oracle(seed, name, count, first):
    got = generator.words(seed, name, count, first)
    assert got.dtype == np.uint64
    assert got.tolist() == [golden_page.word(seed, name, first + i) for i in range(count)]


def test_a_long_stream_is_made_of_its_parts():
    whole = generator.words(3, "name", 200_003)
    np.testing.assert_array_equal(whole[131_000:131_100], generator.words(3, "name", 100, 131_000))
    long = generator.values(3, "name", (200_003,))
    np.testing.assert_array_equal(long, ((whole >> np.uint64(48)).astype(float) - 32768) / 2**15)


@pytest.mark.parametrize("head", ["model", "masked_lm", "sequence_classification", "question_answering"])
def test_weights_are_those_of_the_oracle_to_the_bit(head):
    made = generator.weights(CONFIG, head, 2**63 + 7)
    shapes = expected_shapes(CONFIG, head)
    for name, array in made.items():
        parameter = name.removeprefix("longformer.")
        assert array.dtype == np.float32
        assert array.shape == shapes[parameter]
        # Python's floats are float64: equal means that float32 holds the number exactly.
        assert array.ravel().tolist() == golden_page.weight(2**63 + 7, parameter, array.shape), name


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_takes_the_weights_with_nothing_missing_or_left_over(tied):
    config = CONFIG.replaced(tie_word_embeddings=tied)
    made = generator.weights(config, "masked_lm", 1)
    assert ("lm_head.decoder.weight" in made) is not tied
    lf_ref.LongformerForMaskedLM(config, made, backend="numpy")
    del made["lm_head.dense.bias"]
    with pytest.raises(lf_ref.CheckpointError, match="missing"):
        lf_ref.LongformerForMaskedLM(config, made, backend="numpy")


def test_the_encoder_does_not_depend_on_the_head():
    bare, headed = (generator.weights(CONFIG, head, 9) for head in ("model", "token_classification"))
    name = "encoder.layer.0.attention.self.key_global.weight"
    np.testing.assert_array_equal(bare[name], headed[f"longformer.{name}"])


@pytest.mark.parametrize("inputs", [4, 5, 15, 16, 63, 64, 255, 256, 768, 3072])
def test_matrices_keep_the_variance_between_the_stated_bounds(inputs):
    _, shift = generator.rule("encoder.layer.0.output.dense.weight", (3, inputs))
    variance = inputs * (2.0 ** (15 - shift)) ** 2 / 3
    assert 4 / 3 <= variance <= 16 / 3
    numbers = generator.tensor(1, "x", (4096, inputs))
    assert float((numbers.astype(float) ** 2).sum(axis=1).mean()) == pytest.approx(variance, rel=0.02)


def test_each_rule():
    assert generator.rule("embeddings.word_embeddings.weight", (50265, 768)) == (0, 15)
    assert generator.rule("embeddings.LayerNorm.weight", (768,)) == (1, 16)
    assert generator.rule("lm_head.layer_norm.weight", (768,)) == (1, 16)
    assert generator.rule("lm_head.layer_norm.bias", (768,)) == (0, 16)
    assert generator.rule("lm_head.bias", (50265,)) == (0, 16)
    assert generator.rule("pooler.dense.weight", (768, 1)) == (0, 15)


@FEW
@given(st.integers(0, 2**32), st.integers(1, 2**31))
def test_integers_are_the_upper_half_of_the_words_scaled(seed, below):
    got = generator.integers(seed, "ids", 40, below)
    expected = [(golden_page.word(seed, "ids", i) >> 32) * below >> 32 for i in range(40)]
    assert got.dtype == np.int64
    assert got.tolist() == expected
    assert 0 <= got.min() <= got.max() < below


def test_streams_of_different_names_and_seeds_have_nothing_in_common():
    streams = [generator.words(seed, name, 500) for seed in (0, 1, 2**63) for name in ("a", "b", "a.weight")]
    assert len(set(np.concatenate(streams).tolist())) == 500 * 9


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", None, True])
def test_a_seed_that_is_none(seed):
    with pytest.raises(lf_ref.InputError, match=r"a seed must be an integer from 0 to 2\^64 - 1"):
        generator.words(seed, "name", 1)
