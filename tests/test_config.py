"""The configuration: HF's fields and defaults, and every rule with its message."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from lf_ref import ConfigError, InputError, LongformerConfig

SMALL = {"hidden_size": 21, "num_attention_heads": 3, "num_hidden_layers": 2, "vocab_size": 53}


# --- what a config says ---------------------------------------------------------------------------------------------


def test_defaults_are_those_of_the_documentation():
    config = LongformerConfig()
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (30522, 768, 12)
    assert (config.num_attention_heads, config.intermediate_size, config.hidden_act) == (12, 3072, "gelu")
    assert (config.max_position_embeddings, config.type_vocab_size, config.layer_norm_eps) == (512, 2, 1e-12)
    assert config.attention_window == 512
    assert (config.bos_token_id, config.pad_token_id, config.eos_token_id, config.sep_token_id) == (0, 1, 2, 2)
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert config.label2id == {"LABEL_0": 0, "LABEL_1": 1}
    assert config.problem_type is None
    assert (config.output_attentions, config.output_hidden_states, config.return_dict) == (False, False, True)


@pytest.mark.parity
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"num_labels": 5},
        {"id2label": {"0": "no", "1": "yes", "2": "perhaps"}, "label2id": {"no": 0, "yes": 1, "perhaps": 2}},
        {"attention_window": [4, 8], "num_hidden_layers": 2, "problem_type": "regression", "num_labels": 1},
    ],
)
def test_fields_equal_those_of_hf(fields):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        theirs = transformers.LongformerConfig(**fields)
    ours = LongformerConfig(**fields)
    names = [name for name in vars(ours) if name != "extra"]
    assert len(names) > 20
    for name in (*names, "label2id", "num_labels", "model_type"):
        assert getattr(ours, name, None) == getattr(theirs, name, None), name
    # Fields that no Longformer uses can be read with HF's values.
    for name, value in vars(theirs).items():
        if not name.startswith("_") and name != "transformers_version":
            assert getattr(ours, name) == value, name
    # The whole of HF's config, as older versions wrote it to the file: everything comes back.
    stored = json.loads(theirs.to_json_string(use_diff=False))
    written = LongformerConfig.from_dict(stored).to_dict()
    for name, value in stored.items():
        assert written.get(name) == value, name
    assert transformers.LongformerConfig(**written).to_dict() == theirs.to_dict()


def test_windows_are_one_for_each_layer_and_the_field_stays_as_given():
    for window, expected in ((6, (6, 6)), ([4, 6], (4, 6)), ((4, 6), (4, 6))):
        config = LongformerConfig(**SMALL, attention_window=window)
        assert config.windows == expected
        assert config.attention_window == (window if isinstance(window, int) else list(window))


def test_window_list_of_the_caller_is_neither_stored_nor_changed():
    windows = [4, 6]
    config = LongformerConfig(**SMALL, attention_window=windows)
    windows[0] = 3
    assert config.windows == (4, 6)


def test_what_follows_from_the_fields():
    config = LongformerConfig(**SMALL, max_position_embeddings=4098)
    assert config.head_dim == 7
    assert config.max_tokens == 4096
    assert LongformerConfig(**SMALL, max_position_embeddings=4098, pad_token_id=0).max_tokens == 4097


@pytest.mark.parity
@pytest.mark.parametrize(
    "options",
    [{}, {"num_labels": 3}, {"num_labels": 3, "foo": 1}, {"max_length": 7, "bar": None}, {"attention_window": 8}],
)
def test_unused_keywords_are_returned_as_by_hf(options, tmp_path):
    import transformers

    LongformerConfig(**SMALL).save_pretrained(tmp_path)
    theirs, their_unused = transformers.LongformerConfig.from_pretrained(tmp_path, return_unused_kwargs=True, **options)
    ours, unused = LongformerConfig.from_pretrained(tmp_path, return_unused_kwargs=True, **options)
    assert unused == their_unused
    for name in options.keys() - unused.keys():
        assert getattr(ours, name) == getattr(theirs, name)
    again, unused = LongformerConfig.from_dict(ours.to_dict(), return_unused_kwargs=True, **options)
    assert (again, unused) == (ours, their_unused)


@pytest.mark.parity
@pytest.mark.parametrize("labels", [{"0": 0}, {"0": 0, "1": 1.5, "2": "two"}, {"0": "0", "1": True}])
def test_labels_that_are_numbers_stay_numbers_as_in_hf(labels, tmp_path):
    import transformers

    text = json.dumps({"model_type": "longformer", **SMALL, "id2label": labels})
    (tmp_path / "config.json").write_text(text)
    theirs = transformers.LongformerConfig.from_pretrained(tmp_path)
    ours = LongformerConfig.from_pretrained(tmp_path)
    assert ours.id2label == theirs.id2label
    assert [type(label) for label in ours.id2label.values()] == [type(label) for label in theirs.id2label.values()]
    ours.save_pretrained(tmp_path / "again")
    assert LongformerConfig.from_pretrained(tmp_path / "again").id2label == theirs.id2label


def test_numpy_scalars_are_numbers_everywhere():
    plain = LongformerConfig(**SMALL, attention_window=[4, 6], num_labels=3, layer_norm_eps=0.25, foo=[1, 2])
    numpy = LongformerConfig(
        **{name: np.int32(value) for name, value in SMALL.items()},
        attention_window=np.array([4, 6]),
        num_labels=np.uint8(3),
        layer_norm_eps=np.float32(0.25),
        output_attentions=np.bool_(False),
        foo=np.array([1, 2]),
    )
    assert numpy.to_json_string() == plain.to_json_string()
    labels = LongformerConfig(id2label={np.int64(0): np.int64(7), 1: np.float32(0.5), 2: np.str_("x")})
    assert json.loads(labels.to_json_string())["id2label"] == {"0": 7, "1": 0.5, "2": "x"}
    plain.attention_window = np.int64(8)
    plain.num_labels = np.int64(5)
    assert (plain.windows, plain.num_labels) == ((8, 8), 5)
    assert json.loads(plain.to_json_string())["attention_window"] == 8
    assert numpy.replaced(pad_token_id=np.int16(0), num_labels=np.int16(2)).num_labels == 2


def test_labels_can_be_set_after():
    config = LongformerConfig(**SMALL)
    config.id2label = {"0": "no", "1": "yes", "2": "perhaps"}
    assert (config.num_labels, config.label2id["perhaps"]) == (3, 2)
    config.label2id = {"one": 1, "zero": "0"}
    assert config.id2label == {0: "zero", 1: "one"}
    with pytest.raises(ConfigError, match=r"id2label\[0\] must be a string or a number, got \['a'\]"):
        config.id2label = {0: ["a"]}
    with pytest.raises(ConfigError, match="id2label"):
        config.id2label = ["a"]
    config.update({"hidden_act": "relu", "num_labels": 5})
    assert (config.hidden_act, config.num_labels) == ("relu", 5)


def test_an_unknown_attribute_names_the_nearest():
    with pytest.raises(InputError, match="'atention_window': the nearest is 'attention_window'") as error:
        LongformerConfig().atention_window  # noqa: B018
    assert isinstance(error.value, AttributeError)
    assert not hasattr(LongformerConfig(), "to_diff_dict")


# --- labels ---------------------------------------------------------------------------------------------------------


def test_labels_from_their_number():
    config = LongformerConfig(num_labels=3)
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert config.num_labels == 3


def test_id2label_wins_over_a_contradicting_label2id():
    config = LongformerConfig(id2label={"1": "yes", "0": "no"}, label2id={"yes": 0, "maybe": 5})
    assert config.id2label == {0: "no", 1: "yes"}
    assert list(config.id2label) == [0, 1]
    assert config.label2id == {"no": 0, "yes": 1}
    assert config.num_labels == 2


def test_label2id_alone_with_numbers_as_text():
    config = LongformerConfig(label2id={"yes": "1", "no": "0", "maybe": 2})
    assert config.id2label == {0: "no", 1: "yes", 2: "maybe"}


@pytest.mark.parametrize(
    "labels",
    [{0: "a", 2: "b"}, {1: "a"}, {}, {"zero": "a"}, ["a", "b"], {None: "a"}, 7],
)
def test_labels_that_do_not_number_themselves(labels):
    with pytest.raises(ConfigError, match="id2label"):
        LongformerConfig(id2label=labels)


@pytest.mark.parametrize("count", [0, -1, 2.0, "3", True])
def test_number_of_labels_that_is_none(count):
    with pytest.raises(ConfigError, match=f"num_labels.*{count!r}"):
        LongformerConfig(num_labels=count)


# --- rules ----------------------------------------------------------------------------------------------------------

SIZES = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
]


@pytest.mark.parametrize("value", [0, -3, 12.0, "12", None, True, [12]])
@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_positive_integers(name, value):
    with pytest.raises(ConfigError) as raised:
        LongformerConfig(**{name: value})
    assert str(raised.value).startswith(f"{name} must be a positive integer, got {value!r}")


@pytest.mark.parametrize("name", ["pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id"])
@pytest.mark.parametrize("value", [-1, 1.0, "1", False])
def test_token_ids_are_integers_from_0(name, value):
    with pytest.raises(ConfigError, match=f"{name}.*{value!r}"):
        LongformerConfig(**{name: value})


WRONG = {
    "heads that do not divide the width": ({"hidden_size": 22, "num_attention_heads": 3}, "multiple.*22 and 3"),
    "padding past the vocabulary": ({"vocab_size": 53, "pad_token_id": 53}, "pad_token_id.*53.*53"),
    "no place for a token": ({"max_position_embeddings": 2}, "pad_token_id \\+ 2 = 3.*2"),
    "an odd window": ({"attention_window": 511}, "attention_window must be an even.*511"),
    "no window": ({"attention_window": 0}, "attention_window.*0"),
    "a negative window": ({"attention_window": -4}, "attention_window.*-4"),
    "a window that is not whole": ({"attention_window": 4.0}, r"attention_window.*4\.0"),
    "a window of text": ({"attention_window": "512"}, "attention_window.*'512'"),
    "a window of True": ({"attention_window": True}, "attention_window.*True"),
    "one odd window": ({"num_hidden_layers": 2, "attention_window": [4, 5]}, r"attention_window\[1\].*5"),
    "a boolean window": ({"num_hidden_layers": 2, "attention_window": [True, 4]}, r"attention_window\[0\].*True"),
    "too few windows": ({"num_hidden_layers": 3, "attention_window": [4, 6]}, "3 layers.*got 2"),
    "too many windows": ({"num_hidden_layers": 1, "attention_window": [4, 6]}, "1 layers.*got 2"),
    "no windows": ({"num_hidden_layers": 1, "attention_window": []}, "attention_window.*got 0"),
    "an unknown activation": ({"hidden_act": "swoosh"}, "hidden_act.*gelu.*tanh.*'swoosh'"),
    "an activation that is no name": ({"hidden_act": ["gelu"]}, "hidden_act.*gelu"),
    "eps of 0": ({"layer_norm_eps": 0}, "layer_norm_eps.*0"),
    "a negative eps": ({"layer_norm_eps": -1e-5}, "layer_norm_eps.*-1e-05"),
    "eps that is no number": ({"layer_norm_eps": float("nan")}, "layer_norm_eps.*nan"),
    "eps of text": ({"layer_norm_eps": "1e-5"}, "layer_norm_eps.*'1e-5'"),
    "an unknown problem": ({"problem_type": "guessing"}, "problem_type.*regression.*'guessing'"),
    "relative positions": ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_rules(case):
    fields, message = WRONG[case]
    with pytest.raises(ConfigError, match=message) as raised:
        LongformerConfig(**fields)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    "name", ["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python", "relu", "silu", "swish", "tanh"]
)
def test_activations_that_are_known(name):
    assert LongformerConfig(hidden_act=name).hidden_act == name


# --- other models ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["roberta", "bert", "bigbird", "", 7])
def test_other_models_are_refused_by_name(kind):
    with pytest.raises(ConfigError, match=f"model_type must be 'longformer', got {kind!r}"):
        LongformerConfig.from_dict({"model_type": kind})


def test_longcoder_is_refused_although_its_model_type_is_longformer():
    with pytest.raises(ConfigError, match="LongCoder"):
        LongformerConfig.from_dict({"model_type": "longformer", "is_decoder_only": True})
    assert LongformerConfig.from_dict({"is_decoder_only": False}).extra == {"is_decoder_only": False}


def test_without_model_type_it_is_a_longformer():
    assert LongformerConfig.from_dict({"vocab_size": 53, "model_type": None}).vocab_size == 53
    assert LongformerConfig.from_dict({"vocab_size": 53}).vocab_size == 53


def test_fields_of_a_published_config():
    """The config of allenai/longformer-base-4096, as its repository has it."""
    config = LongformerConfig.from_dict(
        {
            "attention_mode": "longformer",
            "attention_probs_dropout_prob": 0.1,
            "attention_window": [512] * 12,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "gradient_checkpointing": False,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "hidden_size": 768,
            "ignore_attention_mask": False,
            "initializer_range": 0.02,
            "intermediate_size": 3072,
            "layer_norm_eps": 1e-05,
            "max_position_embeddings": 4098,
            "model_type": "longformer",
            "num_attention_heads": 12,
            "num_hidden_layers": 12,
            "pad_token_id": 1,
            "sep_token_id": 2,
            "type_vocab_size": 1,
            "vocab_size": 50265,
        }
    )
    assert config.max_tokens == 4096
    assert config.windows == (512,) * 12
    assert sorted(config.extra) == ["attention_mode", "gradient_checkpointing", "ignore_attention_mask"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_labels": 10**9}, "num_labels"),
        ({"attention_window": 2**64 - 2}, "attention_window"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"tie_word_embeddings": "false"}, "tie_word_embeddings"),
        ({"output_attentions": "no"}, "output_attentions"),
    ],
)
def test_what_would_fill_the_memory_or_mean_something_else_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        LongformerConfig.from_dict(fields)


def test_setting_the_number_of_labels_gives_them_new_names():
    config = LongformerConfig(id2label={0: "no", 1: "yes"})
    config.num_labels = 2
    assert config.id2label == {0: "no", 1: "yes"}
    config.num_labels = 3
    assert config.label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}


class Subclass(LongformerConfig):
    model_type = "mine"


def test_a_subclass_stays_one(tmp_path):
    config = Subclass(num_labels=3, attention_mode="sliding_chunks")
    again = config.replaced(num_labels=5)
    assert (type(again), again.model_type, again.attention_window) == (Subclass, "mine", 512)
    LongformerConfig(num_labels=3).save_pretrained(tmp_path)
    assert type(Subclass.from_pretrained(tmp_path)) is Subclass


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32"), "torch.float32", "float", "float32"])
def test_dtypes_are_stored_by_name(dtype):
    assert LongformerConfig(dtype=dtype).dtype == LongformerConfig(torch_dtype=dtype).torch_dtype == "float32"


def test_values_that_json_does_not_have():
    assert json.loads(LongformerConfig(more={"a": [np.int64(3)]}).to_json_string())["more"] == {"a": [3]}
    with pytest.raises(ConfigError, match="cannot be written"):
        LongformerConfig(more=object()).to_json_string()
    with pytest.raises(InputError, match="config_dict must be a mapping"):
        LongformerConfig().update([("vocab_size", 3)])
