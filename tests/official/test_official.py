"""The published values of the official weights, through the public API; downloads 1.2 GB once (`pytest -m official`).

The values are those that AllenAI and HF published for `allenai/longformer-base-4096`, in float32 on other machines, so
they hold to the digits that were printed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.official

BASE = "allenai/longformer-base-4096"
HELLO_WORLD = [20920, 232, 328, 1437]  # " Hello world! "


def long_input() -> dict[str, Any]:
    """4002 tokens with global attention on three of them."""
    input_ids = np.array([[0, *HELLO_WORLD * 1000, 2]])
    global_mask = np.zeros_like(input_ids)
    global_mask[:, [1, 4, 21]] = 1
    return {"input_ids": input_ids, "global_attention_mask": global_mask}


@pytest.fixture(scope="module", params=["numba", "numpy"])
def encoder(request):
    from lf_ref import LongformerModel

    return LongformerModel.from_pretrained(BASE, backend=request.param)


def test_hidden_state_of_a_short_text(encoder):
    output = encoder([[0, *HELLO_WORLD, 2]], attention_mask=[[1] * 6])
    assert output.last_hidden_state.shape == (1, 6, 768)
    expected = [0.0549, 0.1087, -0.1119, -0.0368, 0.0250]
    np.testing.assert_allclose(output.last_hidden_state[0, 0, -5:], expected, rtol=0, atol=1e-4)


def test_hidden_states_of_a_long_text_with_global_attention(encoder):
    hidden = encoder(**long_input()).last_hidden_state
    assert hidden.sum(dtype=np.float64) == pytest.approx(74585.8594, rel=1e-5)
    assert hidden.mean(dtype=np.float64) == pytest.approx(0.0243, abs=1e-4)


def test_masked_lm_of_a_long_text():
    from lf_ref import LongformerForMaskedLM

    inputs = long_input()
    output = LongformerForMaskedLM.from_pretrained(BASE)(inputs["input_ids"], labels=inputs["input_ids"])
    assert float(output.loss) == pytest.approx(0.0074, abs=1e-4)
    assert output.logits.sum(dtype=np.float64) == pytest.approx(-6.1048e08, rel=1e-4)
    assert output.logits.mean(dtype=np.float64) == pytest.approx(-3.0348, rel=1e-4)


def test_fill_mask_in_a_long_text():
    from lf_ref import pipeline

    text = "My friends are <mask> but they eat too many carbs." + " That's why I decide not to eat with them." * 300
    answers = pipeline("fill-mask", model=BASE)(text, top_k=5)
    assert [answer["token_str"].strip() for answer in answers] == ["healthy", "skinny", "thin", "good", "vegetarian"]


def test_safetensors_of_a_pull_request_hold_the_weights_of_the_torch_file(encoder):
    from lf_ref import LongformerModel

    converted = LongformerModel.from_pretrained(BASE, revision="refs/pr/7", backend=encoder.backend)
    assert converted.weights.keys() == encoder.weights.keys()
    for name, values in encoder.weights.items():
        np.testing.assert_array_equal(converted.weights[name], values, err_msg=name)


def test_the_second_time_needs_no_network(encoder, monkeypatch):
    import socket

    from lf_ref import LongformerModel, LongformerTokenizer

    LongformerTokenizer.from_pretrained(BASE)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a request was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    LongformerModel.from_pretrained(BASE, backend=encoder.backend)
    tokens = LongformerTokenizer.from_pretrained(BASE)(" Hello world! ")["input_ids"]
    assert list(tokens) == [0, *HELLO_WORLD, 2]
