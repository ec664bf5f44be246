"""AllenAI's own configs count one side of the window, HF's count both, whatever fields they keep."""

from __future__ import annotations

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
    assert read(**extra).extra == extra


@pytest.mark.parametrize(
    "extra",
    [
        ALLENAI,
        {"attention_mode": "tvm"},
        {"attention_mode": "sliding_chunks", **ALLENAI},
        {"attention_mode": "n2", "attention_dilation": [1, 2], "autoregressive": True},
        {"attention_dilation": None},
    ],
)
def test_hf_ignores_the_fields_in_what_it_has_saved(extra, tmp_path):
    config = read(model_type="longformer", **extra)
    assert config.windows == (4, 6)
    assert config.extra == extra
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
        ({**ALLENAI, "attention_dilation": [1, 2]}, "attention_dilation other than 1"),
        ({**ALLENAI, "autoregressive": True}, "autoregressive"),
    ],
)
def test_other_attention_is_refused(extra, message):
    with pytest.raises(ConfigError, match=message):
        read(**extra)
