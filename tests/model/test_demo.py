"""The bundled model, loaded as a user loads it, against the naive oracle on the same file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import lf_ref
from model.building import ENGINES
from oracles.compare import assert_close
from oracles.heads import run
from oracles.tolerances import FLOAT32_AGAINST_FLOAT64, FLOAT64

DEMO = Path(lf_ref.__file__).parent / "demo"


@pytest.fixture(scope="module")
def case():
    """A ragged batch with a global token, and what the oracle makes of it."""
    fields = lf_ref.LongformerConfig.from_json_file(DEMO / "config.json").to_dict()
    rng = np.random.default_rng(161)
    ids = np.full((2, 71), fields["pad_token_id"])
    for row, length in enumerate((71, 40)):
        ids[row, :length] = [0, *rng.integers(5, fields["vocab_size"], size=length - 2), 2]
    inputs = {"input_ids": ids, "attention_mask": (ids != fields["pad_token_id"]).astype(int)}
    inputs["global_attention_mask"] = np.zeros_like(ids)
    inputs["global_attention_mask"][0, 0] = 1
    state = load_file(DEMO / "model.safetensors")
    return inputs, run("LongformerForMaskedLM", fields, state, inputs)["logits"]


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_logits_of_the_bundled_model(case, backend, dtype):
    inputs, expected = case
    model = lf_ref.LongformerForMaskedLM.from_pretrained(backend=backend, dtype=dtype)
    tolerance = FLOAT64 if dtype == "float64" else FLOAT32_AGAINST_FLOAT64
    assert_close(model(**inputs).logits, expected, tolerance, "logits")
