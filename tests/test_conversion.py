"""`convert` and `to_safetensors`: what they write, what they refuse, and the measurement of the guide."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from tokenizer.vocabularies import vocabulary

import lf_ref
from lf_ref import CheckpointError, ConfigError, InputError
from lf_ref.checkpoint import open_tensors, quantize
from lf_ref.files import locate
from oracles.documents import blocks, read
from oracles.robertas import SOURCE_TOKENS, roberta_fields, roberta_state, save_roberta
from oracles.weights import SMALL, ragged_batch, state_of

GUIDE = Path(lf_ref.__file__).parent / "guides" / "longer_texts.md"
POSITIONS = "longformer.embeddings.position_embeddings.weight"
LONG = SMALL["max_position_embeddings"] - SMALL["pad_token_id"] - 1


@pytest.fixture
def roberta(tmp_path):
    """Save a small RoBERTa whose config has some fields changed, None to leave one out; return its folder and state."""

    def make(**changes):
        gone = {name for name, value in changes.items() if value is None}
        fields = roberta_fields(**{name: value for name, value in changes.items() if value is not None})
        state = roberta_state(fields)
        kept = {name: value for name, value in fields.items() if name not in gone}
        return save_roberta(tmp_path / "source", kept, state), state

    return make


@pytest.fixture
def longformer(tmp_path):
    """A small Longformer for masked language modelling, saved."""
    model = lf_ref.LongformerForMaskedLM(
        lf_ref.LongformerConfig(**SMALL), state_of("LongformerForMaskedLM", SMALL, seed=6), backend="numpy"
    )
    model.save_pretrained(tmp_path / "longformer")
    return model, tmp_path / "longformer"


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def change(folder, **fields):
    (folder / "config.json").write_text(json.dumps(config_of(folder) | fields))


# --- what is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pad", [0, 1, 3])
@pytest.mark.parametrize("tokens", [19, 20, 38, 47])
def test_every_weight_is_where_it_belongs(roberta, tmp_path, pad, tokens):
    source, state = roberta(pad_token_id=pad)
    lf_ref.convert(source, tmp_path / "out", max_tokens=tokens, window=6)
    got = load_file(tmp_path / "out" / "model.safetensors")
    for name, values in state.items():
        wanted = values
        if "position" in name:
            block = values[pad + 1 :]
            wanted = np.concatenate([values[: pad + 1], *[block] * 3])[: tokens + pad + 1]
        name = name.replace("roberta.", "longformer.")
        np.testing.assert_array_equal(got.pop(name), wanted, err_msg=name)
        if re.search(r"\.self\.(query|key|value)\.", name):
            twin = re.sub(r"(query|key|value)\.", r"\1_global.", name)
            np.testing.assert_array_equal(got.pop(twin), wanted, err_msg=twin)
    assert not got


def test_the_config_is_that_of_a_longformer(roberta, tmp_path):
    labels = {"0": "bad", "1": "middling", "2": "good"}
    source, _ = roberta(
        architectures=["RobertaForSequenceClassification"],
        num_labels=3,
        id2label=labels,
        eos_token_id=5,
        position_embedding_type="absolute",
        use_cache=True,
        is_decoder=False,
        problem_type="single_label_classification",
    )
    lf_ref.convert(source, tmp_path / "out", max_tokens=40)
    fields = config_of(tmp_path / "out")
    assert fields["model_type"] == "longformer"
    assert fields["architectures"] == ["LongformerForSequenceClassification"]
    assert fields["attention_window"] == [512] * SMALL["num_hidden_layers"]
    assert fields["max_position_embeddings"] == 42
    assert fields["sep_token_id"] == 5
    assert fields["id2label"] == labels
    assert fields["label2id"] == {"bad": 0, "middling": 1, "good": 2}
    assert fields["problem_type"] == "single_label_classification"
    assert fields["dtype"] == "float32"
    assert not {"position_embedding_type", "use_cache", "is_decoder"} & fields.keys()
    assert lf_ref.LongformerConfig.from_pretrained(tmp_path / "out").num_labels == 3


def test_the_default_is_4096_tokens_and_a_window_of_512(roberta, tmp_path):
    source, _ = roberta()
    made = lf_ref.convert(source, tmp_path / "out")
    assert (made.config.max_tokens, set(made.config.windows)) == (4096, {512})
    assert (made.source_tokens, made.equal_tokens) == (SOURCE_TOKENS, SOURCE_TOKENS)


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_the_decoder_is_dropped_only_if_tied_and_equal(roberta, tmp_path, tied, equal):
    source, state = roberta(tie_word_embeddings=tied)
    decoder = state["roberta.embeddings.word_embeddings.weight"] + (0 if equal else 1)
    save_file({**state, "lm_head.decoder.weight": decoder}, source / "model.safetensors")
    lf_ref.convert(source, tmp_path / "out")
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert ("lm_head.decoder.weight" not in written) is (tied and equal)


def test_global_weights_of_the_source_stay_and_the_missing_ones_are_copied(longformer, tmp_path):
    _, folder = longformer
    state = load_file(folder / "model.safetensors")
    lost = "longformer.encoder.layer.1.attention.self.key"
    for part in ("weight", "bias"):
        del state[f"{lost}_global.{part}"]
    save_file(state, folder / "model.safetensors")
    lf_ref.convert(folder, tmp_path / "out")
    written = load_file(tmp_path / "out" / "model.safetensors")
    np.testing.assert_array_equal(written[f"{lost}_global.weight"], state[f"{lost}.weight"])
    kept = "longformer.encoder.layer.0.attention.self.key_global.weight"
    np.testing.assert_array_equal(written[kept], state[kept])


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_lengthened_model_is_bit_identical_on_old_lengths(longformer, tmp_path, backend):
    model, folder = longformer
    made = lf_ref.convert(folder, tmp_path / "out", max_tokens=3 * LONG - 5)
    assert made.equal_tokens == made.source_tokens == LONG
    assert made.config.windows == model.config.windows
    before, after = (
        lf_ref.LongformerForMaskedLM.from_pretrained(f, backend=backend) for f in (folder, made.config.name_or_path)
    )
    ids = np.random.default_rng(1).integers(4, SMALL["vocab_size"], (2, LONG))
    mask = np.zeros_like(ids)
    mask[0, [0, 30]] = 1
    one, other = (model(ids, global_attention_mask=mask).logits for model in (before, after))
    np.testing.assert_array_equal(one, other)
    longer = np.concatenate([ids, ids], axis=1)
    assert np.isfinite(after(longer).logits).all()
    with pytest.raises(InputError, match=f"{LONG}"):
        before(longer)


def test_a_folder_of_allenais_own_code_becomes_one_of_hfs(longformer, tmp_path):
    model, folder = longformer
    state = load_file(folder / "model.safetensors")
    under = {name.replace("longformer.", "roberta.", 1): values for name, values in state.items()}
    save_file(under, folder / "model.safetensors")
    one_sided = [window // 2 for window in SMALL["attention_window"]]
    change(folder, model_type="roberta", attention_mode="sliding_chunks", attention_window=one_sided)
    made = lf_ref.convert(folder, tmp_path / "out", max_tokens=LONG)
    assert made.config.windows == model.config.windows
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert written.keys() == state.keys()
    for name, values in state.items():
        np.testing.assert_array_equal(written[name], values, err_msg=name)
    assert "attention_mode" not in config_of(tmp_path / "out")


def test_another_window_for_a_longformer(longformer, tmp_path):
    model, folder = longformer
    made = lf_ref.convert(folder, tmp_path / "out", window=6)  # the layers had 4 and 6
    assert made.config.windows == (6, 6)
    assert made.equal_tokens == 3
    after = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path / "out", backend="numpy")
    for length, equal in ((3, True), (4, False)):
        ids = np.random.default_rng(2).integers(4, SMALL["vocab_size"], (1, length))
        difference = np.abs(model(ids).logits - after(ids).logits).max()
        assert bool(difference < 1e-4) is equal, difference


def test_a_shorter_model(longformer, tmp_path):
    model, folder = longformer
    made = lf_ref.convert(folder, tmp_path / "out", max_tokens=29, shorten=True)
    assert (made.equal_tokens, made.config.max_tokens) == (29, 29)
    inputs = ragged_batch(SMALL, seed=3)
    after = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path / "out", backend="numpy")
    np.testing.assert_array_equal(after(**inputs).logits, model(**inputs).logits)


@settings(max_examples=12, deadline=None)
@given(tokens=st.integers(LONG, 300), window=st.sampled_from([None, 2, 14]))
def test_conversion_twice_is_conversion_once(tmp_path_factory, tokens, window):
    folder = tmp_path_factory.mktemp("twice")
    fields = roberta_fields()
    save_roberta(folder / "source", fields, roberta_state(fields))
    lf_ref.convert(folder / "source", folder / "once", max_tokens=tokens, window=window)
    blocks_ = SOURCE_TOKENS * (1 + tokens // SOURCE_TOKENS // 2)  # a whole number of blocks of the source
    lf_ref.convert(folder / "source", folder / "half", max_tokens=blocks_, window=window)
    lf_ref.convert(folder / "half", folder / "twice", max_tokens=max(tokens, blocks_))
    if tokens >= blocks_:
        one, other = ((folder / name / "model.safetensors").read_bytes() for name in ("once", "twice"))
        assert one == other


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_the_dtype_is_kept(roberta, tmp_path, dtype):
    source, state = roberta()
    save_file({name: values.astype(dtype) for name, values in state.items()}, source / "model.safetensors")
    lf_ref.convert(source, tmp_path / "out")
    assert {tensor.dtype for tensor in open_tensors(locate(tmp_path / "out")).values()} == {dtype}
    assert config_of(tmp_path / "out")["dtype"] == dtype


def test_a_quantized_longformer_is_lengthened_as_it_is(longformer, tmp_path):
    _, folder = longformer
    quantize(locate(folder), tmp_path / "int8")
    lf_ref.convert(tmp_path / "int8", tmp_path / "out", max_tokens=100)
    lf_ref.convert(folder, tmp_path / "long", max_tokens=100)
    quantize(locate(tmp_path / "long"), tmp_path / "wanted")
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("out", "wanted"))
    assert one == other


def test_weights_in_several_files(longformer, tmp_path, monkeypatch):
    model, folder = longformer
    lf_ref.convert(folder, tmp_path / "out")
    monkeypatch.setattr("lf_ref.checkpoint.saving.SHARD", 5000)
    lf_ref.convert(folder, tmp_path / "out")  # over the one file, which would be read in their place
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    shards = [name for name in names if re.fullmatch(r"model-\d{5}-of-\d{5}\.safetensors", name)]
    assert names == ["config.json", *shards, "model.safetensors.index.json"]
    held = [load_file(tmp_path / "out" / name) for name in shards]
    sizes = [sum(tensor.nbytes for tensor in tensors.values()) for tensors in held]
    assert len(shards) > 3
    assert all(size <= 5000 or len(tensors) == 1 for size, tensors in zip(sizes, held, strict=True))
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(sizes)
    again = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path / "out", backend="numpy")
    inputs = ragged_batch(SMALL, seed=3)
    np.testing.assert_array_equal(again(**inputs).logits, model(**inputs).logits)
    monkeypatch.undo()
    lf_ref.convert(folder, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("architectures", [["RobertaModel"], None, []])
def test_an_encoder_without_a_head(tmp_path, architectures):
    fields = roberta_fields(architectures=["RobertaModel"])
    state = {name.removeprefix("roberta."): values for name, values in roberta_state(fields).items()}
    save_roberta(tmp_path / "source", fields | {"architectures": architectures}, state)
    lf_ref.convert(tmp_path / "source", tmp_path / "out", window=10)
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert {"pooler.dense.weight", "embeddings.word_embeddings.weight"} <= written.keys()
    model = lf_ref.LongformerModel.from_pretrained(tmp_path / "out", backend="numpy", strict=True)
    assert model(np.arange(4, 15)[None]).pooler_output.shape == (1, SMALL["hidden_size"])


def test_weights_that_no_class_uses_are_named(roberta, tmp_path):
    source, state = roberta()
    save_file({**state, "adapter.down.weight": np.ones((2, 3), "f4")}, source / "model.safetensors")
    with pytest.warns(
        UserWarning, match=r"no class uses 1 of the weights, which are left out \(adapter\.down\.weight\)"
    ):
        lf_ref.convert(source, tmp_path / "out")
    assert "adapter.down.weight" not in load_file(tmp_path / "out" / "model.safetensors")


def test_nothing_of_the_source_changes(roberta, tmp_path):
    source, _ = roberta()
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    lf_ref.convert(source, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


# --- the tokenizer ----------------------------------------------------------------------------------------------------


def test_the_tokenizer_comes_along_with_its_new_length(roberta, tmp_path):
    source, _ = roberta()
    lf_ref.LongformerTokenizer.from_pretrained("demo").save_pretrained(source)
    settings_ = json.loads((source / "tokenizer_config.json").read_text())
    (source / "tokenizer_config.json").write_text(
        json.dumps(settings_ | {"tokenizer_class": "RobertaTokenizer", "model_max_length": 19, "mine": "é"})
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "added_tokens.json").write_text('{"stale": 8192}')
    lf_ref.convert(source, tmp_path / "out", max_tokens=77)
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.model_max_length == 77
    written = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert (written["tokenizer_class"], written["mine"]) == ("LongformerTokenizer", "é")
    assert not (tmp_path / "out" / "added_tokens.json").exists()
    for name in ("tokenizer.json", "special_tokens_map.json"):
        assert (tmp_path / "out" / name).read_bytes() == (source / name).read_bytes()


def test_a_vocabulary_without_settings_gets_a_length_too(roberta, tmp_path):
    source, _ = roberta()
    for name in ("vocab.json", "merges.txt"):
        (source / name).write_bytes((vocabulary("demo") / name).read_bytes())
    lf_ref.convert(source, tmp_path / "out", max_tokens=77)
    assert lf_ref.LongformerTokenizer.from_pretrained(tmp_path / "out").model_max_length == 77


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sentencepiece.bpe.model", "x"),
        ("spiece.model", "x"),
        ("vocab.txt", "[PAD]"),
        ("tokenizer.json", '{"model": {"type": "Unigram", "vocab": [["<s>", 0.0]]}}'),
        ("tokenizer.json", '{"model": {"type": "WordPiece", "vocab": {"a": 0}}}'),
        ("vocab.json", '{"a": 0}'),
    ],
)
def test_another_tokenizer_is_refused_unless_it_is_left_out(roberta, tmp_path, name, content):
    source, _ = roberta(model_type="xlm-roberta")
    (source / name).write_text(content)
    with pytest.raises(CheckpointError, match=rf"{re.escape(name)}.*without_tokenizer=True") as error:
        lf_ref.convert(source, tmp_path / "out")
    assert not (tmp_path / "out").exists(), error
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "vocab.json").write_text("mine")
    lf_ref.convert(source, tmp_path / "out", without_tokenizer=True)
    held = {path.name for path in (tmp_path / "out").iterdir()}
    assert held == {"config.json", "model.safetensors", "vocab.json"}
    assert (tmp_path / "out" / "vocab.json").read_text() == "mine"


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED = [
    ({"model_type": "bert"}, {}, ConfigError, "model_type 'bert' cannot be converted; a BERT has a WordPiece"),
    ({"model_type": "gpt2"}, {}, ConfigError, "model_type 'gpt2' cannot be converted; those that can are roberta"),
    ({"model_type": 3}, {}, ConfigError, "model_type 3 cannot be converted"),
    ({"position_embedding_type": "relative_key"}, {}, ConfigError, "'relative_key' is not supported: Longformer's are"),
    ({"is_decoder": True}, {}, ConfigError, "is_decoder is set: this is a decoder, and a Longformer attends to both"),
    ({"add_cross_attention": True}, {}, ConfigError, "add_cross_attention is set: this is a decoder"),
    ({"is_encoder_decoder": True}, {}, ConfigError, "encoder-decoder"),
    ({"pad_token_id": None}, {}, ConfigError, "config.json has no pad_token_id, after which positions are counted; wr"),
    ({"architectures": ["RobertaForCausalLM"]}, {}, ConfigError, "'RobertaForCausalLM' (architectures) has no"),
    ({"num_hidden_layers": 3}, {}, CheckpointError, "There are 2 layers; num_hidden_layers of the config is 3"),
    ({"max_position_embeddings": 33}, {}, CheckpointError, "wanted (33, 21) (max_position_embeddings of the config)"),
    ({"attention_window": [3, 4]}, {}, ConfigError, "attention_window[0] must be an even number"),
    ({}, {"window": 33}, InputError, "window= must be an even number of tokens (both sides together) of at "),
    ({}, {"window": 0}, InputError, "of at least 2, got 0"),
    ({}, {"window": True}, InputError, "of at least 2, got True"),
    ({}, {"window": "32"}, InputError, "of at least 2, got '32'"),
    ({}, {"max_tokens": 0}, InputError, "max_tokens= must be a number of tokens of at least 1, got 0"),
    ({}, {"max_tokens": 18}, InputError, "max_tokens=18 is less than the 19 tokens that "),
    ({}, {"max_tokens": 18}, InputError, "; give shorten=True to drop its last positions"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "options", "kind", "message"), REFUSED, ids=[entry[3][:40] for entry in REFUSED])
def test_what_cannot_be_converted_is_refused(roberta, tmp_path, fields, options, kind, message):
    source, _ = roberta()
    change(source, **fields)
    with pytest.raises(kind) as error:
        lf_ref.convert(source, tmp_path / "out", **options)
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_is_not_written_over_itself(roberta):
    source, _ = roberta()
    for call in (lf_ref.convert, lf_ref.to_safetensors):
        with pytest.raises(CheckpointError, match="holds the checkpoint that is read; name another folder to write to"):
            call(source, source / ".." / "source")


def test_two_values_of_one_weight_are_refused(roberta, tmp_path):
    source, state = roberta()
    save_file({**state, "lm_head.decoder.bias": state["lm_head.bias"] + 1}, source / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"two values of lm_head\.bias differ, of which lm_head\."):
        lf_ref.convert(source, tmp_path / "out")


# --- the format alone -------------------------------------------------------------------------------------------------


def test_only_the_format_changes(roberta, tmp_path):
    source, state = roberta(mine=5)
    (source / "vocab.txt").write_text("[PAD]")
    lf_ref.LongformerTokenizer.from_pretrained("demo").save_pretrained(source)
    save_file({f"module.{name}": values for name, values in state.items()}, source / "model.safetensors")
    lf_ref.to_safetensors(source, tmp_path / "out")
    assert load_file(tmp_path / "out" / "model.safetensors").keys() == state.keys()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (source / name).read_bytes()
    change(source, model_type="bart")  # whose names begin with model.
    save_file({"model.encoder.layers.0.fc1.weight": np.ones((2, 3), "f4")}, source / "model.safetensors")
    lf_ref.to_safetensors(source, tmp_path / "bare", without_tokenizer=True)
    assert load_file(tmp_path / "bare" / "model.safetensors").keys() == {"model.encoder.layers.0.fc1.weight"}
    assert {path.name for path in (tmp_path / "bare").iterdir()} == {"config.json", "model.safetensors"}


# --- the guide --------------------------------------------------------------------------------------------------------


@pytest.mark.jit
def test_repeated_positions_keep_the_loss_and_random_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = [text for kind, text in blocks(read(GUIDE)) if kind == "python" and "loss_by_quarter" in text]
    space = {}
    exec(code, space)
    losses = space["losses"]
    assert np.ptp(losses["repeated"]) < 0.15
    assert min(losses["random"][1:]) > 5
    for name, quarters in losses.items():
        (row,) = re.findall(rf"^\| {name} \| (.+) \|$", read(GUIDE), re.M)
        np.testing.assert_allclose([float(value) for value in row.split(" | ")], quarters, rtol=0, atol=0.02)
