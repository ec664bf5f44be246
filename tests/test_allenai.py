"""AllenAI's own configs count one side of the window, HF's count both, whatever fields they keep."""

from __future__ import annotations

import json

import pytest

from lf_ref.config import LongformerConfig
from lf_ref.errors import ConfigError
from oracles.weights import SMALL

# The fields that AllenAI's LongformerConfig adds to RoBERTa's.
ALLENAI = {"attention_dilation": [1, 1], "autoregressive": False}


def read(**changes: object) -> LongformerConfig:
    return LongformerConfig.from_dict({**SMALL, **changes})


@pytest.mark.parametrize("mode", ["tvm", "sliding_chunks", "sliding_chunks3"])
def test_windows_double_and_a_second_time_they_do_not(mode, tmp_path):
    given = {**SMALL, **ALLENAI, "attention_mode": mode, "model_type": "roberta"}
    kept = dict(given)
    config = LongformerConfig.from_dict(given)
    assert given == kept
    assert config.windows == (8, 12)
    assert config.extra == {}
    config.save_pretrained(tmp_path)
    assert LongformerConfig.from_pretrained(tmp_path) == config


def test_one_sided_windows_may_be_odd_or_one_number():
    assert read(**ALLENAI, attention_window=[3, 5]).windows == (6, 10)
    assert read(**ALLENAI, attention_window=3).windows == (6, 6)
    with pytest.raises(ConfigError, match=r"attention_window.*2\.5"):
        read(**ALLENAI, attention_window=2.5)


def test_the_mode_may_be_missing():
    assert read(**ALLENAI).windows == (8, 12)
    assert read(attention_dilation=[1, 1]).windows == (8, 12)


@pytest.mark.parametrize("extra", [{}, {"attention_mode": "longformer"}, {"attention_mode": "longformer", **ALLENAI}])
def test_converted_configs_stay_as_they_are(extra):
    assert read(**extra).windows == (4, 6)
    assert read(**extra).dilations == ((1,) * 3,) * 2
    assert read(**extra).extra.get("attention_mode") == extra.get("attention_mode")


@pytest.mark.parametrize(
    "extra",
    [ALLENAI, {"attention_mode": "tvm"}, {"attention_mode": "sliding_chunks", **ALLENAI}, {"attention_dilation": None}],
)
def test_windows_count_both_sides_in_what_hf_has_saved(extra, tmp_path):
    config = read(model_type="longformer", **extra)
    assert config.windows == (4, 6)
    assert config.dilations == ((1,) * 3,) * 2
    assert not config.autoregressive
    assert config.extra == {name: value for name, value in extra.items() if name == "attention_mode"}
    assert config.replaced(attention_window=8).windows == (8, 8)
    config.save_pretrained(tmp_path)
    assert LongformerConfig.from_pretrained(tmp_path) == config


def test_windows_that_replace_those_of_the_file_count_both_sides():
    assert LongformerConfig.from_dict({**SMALL, **ALLENAI, "model_type": "roberta"}, attention_window=10).windows == (
        10,
        10,
    )


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"attention_mode": "n2"}, "'n2' is another kind"),
        ({"attention_mode": "sliding_chunks_no_overlap"}, "another kind"),
        ({**ALLENAI, "attention_dilation": [1, 2.5]}, r"attention_dilation\[1\] must be an integer from 1.*2\.5"),
        ({**ALLENAI, "autoregressive": "yes"}, "autoregressive must be true or false, got 'yes'"),
    ],
)
def test_other_attention_is_refused(extra, message):
    with pytest.raises(ConfigError, match=message):
        read(**extra)


@pytest.mark.parametrize("model_type", ["longformer", "roberta", None])
@pytest.mark.parametrize("mode", [{}, {"attention_mode": "tvm"}, {"attention_mode": "sliding_chunks"}])
def test_dilation_and_causality_mean_the_same_in_every_config(model_type, mode, tmp_path):
    """Where HF's code ignores them too: a field is used or refused."""
    fields = {**mode, "attention_dilation": [1, 3], "autoregressive": True}
    config = read(**fields, **({"model_type": model_type} if model_type else {}))
    assert config.windows == ((4, 6) if model_type == "longformer" else (8, 12))
    assert config.dilations == ((1,) * 3, (3,) * 3)
    assert config.autoregressive
    config.save_pretrained(tmp_path)
    again = LongformerConfig.from_pretrained(tmp_path)
    assert again == config
    assert (again.windows, again.dilations, again.autoregressive) == (config.windows, config.dilations, True)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["attention_dilation"] == [1, 3]
    assert written["autoregressive"] is True
    assert written["model_type"] == "longformer"
