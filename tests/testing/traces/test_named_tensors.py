"""Tensors by name: prefixes, tuples of records, and names that collide."""

from __future__ import annotations

import numpy as np
import pytest

from lf_ref import InputError
from lf_ref.testing.traces.named_tensors import NamedTensors
from oracles.compare import assert_identical

VALUES = np.random.default_rng(3).standard_normal((5, 7)).astype(np.float32)


def test_prefixes_nones_and_tuples_of_records():
    states, maps = (VALUES, VALUES + 1, VALUES + 2), (VALUES + 3, VALUES + 4)
    found = NamedTensors(
        {
            "longformer.pooler.dense": VALUES,
            "loss": None,
            "hidden_states": states,
            "attentions": maps,
            "global_attentions": list(maps),
        },
        "x",
    )
    assert list(found) == [
        "pooler.dense",
        "embeddings.LayerNorm",
        *(f"encoder.layer.{layer}.output.LayerNorm" for layer in range(2)),
        *(f"encoder.layer.{layer}.attention.self.probabilities" for layer in range(2)),
        *(f"encoder.layer.{layer}.attention.self.probabilities_global" for layer in range(2)),
    ]
    assert len(found) == 8
    assert_identical(found["encoder.layer.1.output.LayerNorm"], VALUES + 2, "hidden_states[2]")
    assert_identical(found["encoder.layer.1.attention.self.probabilities"], VALUES + 4, "attentions[1]")
    assert list(NamedTensors({"hidden_states": ()}, "x")) == []


@pytest.mark.parametrize("names", [("longformer.pooler", "pooler"), ("pooler", "roberta.pooler")])
def test_of_two_names_that_are_one_none_is_taken(names):
    """The last would win, and a fault under the other go unseen."""
    with pytest.raises(
        InputError, match=f"{names[1]} and {names[0]} are one tensor of the trace: leave out one of them"
    ):
        NamedTensors(dict.fromkeys(names, VALUES), "x")
