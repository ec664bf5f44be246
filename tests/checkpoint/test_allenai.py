"""AllenAI's own configs count one side of the window."""

from __future__ import annotations

import pytest

from lf_ref.checkpoint import adapt_config
from lf_ref.config import LongformerConfig
from lf_ref.errors import ConfigError
from oracles.weights import SMALL

# The fields that AllenAI's LongformerConfig adds to RoBERTa's.
ALLENAI = {"attention_dilation": [1, 1], "autoregressive": False}


def config(**changes: object) -> LongformerConfig:
    return LongformerConfig(**{**SMALL, **changes})


@pytest.mark.parametrize("mode", ["tvm", "sliding_chunks"])
def test_windows_double_and_a_second_time_they_do_not(mode):
    given = config(**ALLENAI, attention_mode=mode)
    adapted = adapt_config(given)
    assert adapted.windows == (8, 12)
    assert given.windows == (4, 6)
    assert adapted.extra == {"attention_mode": "longformer"}
    assert adapt_config(adapted) == adapted
    assert adapt_config(LongformerConfig.from_dict(adapted.to_dict())).windows == (8, 12)
    assert adapted.vocab_size == given.vocab_size


def test_the_mode_may_be_missing():
    assert adapt_config(config(**ALLENAI)).windows == (8, 12)
    assert adapt_config(config(attention_dilation=[1, 1])).windows == (8, 12)


@pytest.mark.parametrize("extra", [{}, {"attention_mode": "longformer"}, {"attention_mode": "longformer", **ALLENAI}])
def test_configs_of_hf_stay_as_they_are(extra):
    given = config(**extra)
    assert adapt_config(given) is given


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
        adapt_config(config(**extra))
