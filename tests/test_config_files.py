"""The configuration in files: what is written, what comes back, and files that are refused."""

from __future__ import annotations

import json
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref import ConfigError, LongformerConfig

SMALL = {"hidden_size": 21, "num_attention_heads": 3, "num_hidden_layers": 2, "vocab_size": 53}
UNKNOWN = {
    "attention_mode": "longformer",
    "ignore_attention_mask": False,
    "gradient_checkpointing": True,
    "onnx_export": False,
    "something_new": {"deep": [1, 2, None]},
    "_name_or_path": "somewhere",
    "transformers_version": "4.0.0",
    "max_length": 20,
}


def test_unknown_keys_are_stored_and_written_back():
    config = LongformerConfig.from_dict({**SMALL, **UNKNOWN})
    for written in (config.to_dict(), json.loads(config.to_json_string())):
        for key, value in UNKNOWN.items():
            assert written[key] == value, key


def test_from_dict_leaves_its_argument_alone():
    fields = {**SMALL, **UNKNOWN, "model_type": "longformer", "id2label": {"0": "a"}, "torch_dtype": None}
    kept = json.loads(json.dumps(fields))
    LongformerConfig.from_dict(fields)
    assert fields == kept


def test_null_stands_for_the_default():
    fields = dict.fromkeys(["pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id", "problem_type", "id2label"])
    config = LongformerConfig.from_dict(fields)
    assert config == LongformerConfig()


def test_json_is_plain():
    written = json.loads(LongformerConfig(**SMALL, attention_window=(4, 6), num_labels=3).to_json_string())
    assert written["model_type"] == "longformer"
    assert written["attention_window"] == [4, 6]
    assert written["id2label"] == {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
    assert written["label2id"] == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(
    layers=st.integers(1, 4),
    heads=st.integers(1, 5),
    head_dim=st.integers(1, 9),
    data=st.data(),
    labels=st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True),
    extra=st.dictionaries(st.sampled_from(sorted(UNKNOWN)[2:]), st.none() | st.booleans() | st.text(max_size=5)),
)
def test_round_trip_through_dict_and_file(tmp_path_factory, layers, heads, head_dim, data, labels, extra):
    even = st.integers(1, 300).map(lambda half: 2 * half)
    config = LongformerConfig(
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_size=heads * head_dim,
        attention_window=data.draw(even | st.lists(even, min_size=layers, max_size=layers), label="window"),
        id2label=dict(enumerate(labels)),
        layer_norm_eps=data.draw(st.sampled_from([1e-5, 1e-12]), label="eps"),
        **extra,
    )
    assert LongformerConfig.from_dict(config.to_dict()) == config
    folder = tmp_path_factory.mktemp("config")
    config.save_pretrained(folder)
    again = LongformerConfig.from_pretrained(folder)
    assert again == config
    assert again.windows == config.windows
    assert again.id2label == config.id2label
    assert again.to_json_string() == config.to_json_string()


def test_equality_and_text():
    config = LongformerConfig(**SMALL)
    assert config == LongformerConfig(**SMALL)
    assert config != LongformerConfig(**SMALL, num_labels=3)
    assert config != LongformerConfig(**SMALL, something_new=1)
    assert config != SMALL
    assert '"hidden_size": 21' in repr(config)
    with pytest.raises(TypeError, match="unhashable"):
        hash(config)


def test_save_makes_the_folder_and_leaves_nothing_else(tmp_path):
    folder = tmp_path / "a" / "b"
    LongformerConfig(**SMALL).save_pretrained(folder)
    LongformerConfig(**SMALL, num_labels=3).save_pretrained(str(folder))
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert LongformerConfig.from_pretrained(folder).num_labels == 3
    assert stat.S_IMODE((folder / "config.json").stat().st_mode) & 0o444 == 0o444


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"[1, 2]", "JSON object.*list"),
        (b"null", "JSON object.*NoneType"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b'{"vocab_size": -1}', "vocab_size.*-1"),
        (b'{"model_type": "bert"}', "'bert'"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_files_that_are_no_config_are_named(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as raised:
        LongformerConfig.from_json_file(path)
    assert str(path) in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "config.json"
    with pytest.raises(OSError, match="cannot be read") as raised:
        LongformerConfig.from_json_file(path)
    assert str(path) in str(raised.value)


def test_demo_is_the_default():
    config = LongformerConfig.from_pretrained()
    assert config == LongformerConfig.from_pretrained("demo")
    assert len(config.windows) == config.num_hidden_layers
    assert config.max_tokens >= 512
