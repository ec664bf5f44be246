"""The bundled demo model: HF transformers and we read the same files and give the same answers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import lf_ref
from oracles.compare import assert_close
from oracles.tolerances import DEMO_SCORE, FLOAT32, FLOAT64
from parity.peers import call_peer, peer_modules

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]

DEMO = Path(lf_ref.__file__).parent / "demo"
LONG = "The gardener walked along the river and looked at the old bridge. " * 40
SENTENCES = [
    "Plants are among the most <mask> and essential life forms on Earth.",
    "She opened the <mask> and went into the garden.",
    "He was one of the first <mask> to see the new country.",
    "<mask> is the capital of France.",
    "The water was so cold that nobody wanted to <mask>",
    LONG + "The <mask> was very old.",
]
SEVERAL = "The <mask> of the king was a <mask> for all."


@pytest.fixture(scope="module")
def theirs(peer):
    """HF's demo model in float32 with its fast tokenizer."""
    _, transformers = peer_modules()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = transformers.LongformerTokenizerFast.from_pretrained(DEMO)
        model = transformers.LongformerForMaskedLM.from_pretrained(DEMO).eval()
    return tokenizer, model


@pytest.fixture(scope="module", params=["numba", "numpy"])
def ours(request):
    return lf_ref.LongformerForMaskedLM.from_pretrained(backend=request.param)


@pytest.mark.parametrize("sentence", SENTENCES, ids=range(len(SENTENCES)))
def test_same_scores_at_the_mask(sentence, theirs, ours):
    tokenizer, model = theirs
    ids = np.array([tokenizer(sentence)["input_ids"]])
    place = int(np.flatnonzero(ids[0] == tokenizer.mask_token_id)[0])
    expected = call_peer(model, {"input_ids": ids})["logits"][0, place]
    got = ours(ids).logits[0, place]
    assert_close(got, expected, FLOAT32, "logits at the mask")
    assert np.argsort(-got)[:5].tolist() == np.argsort(-expected)[:5].tolist()


def test_same_logits_everywhere_in_float64_with_global_attention(theirs):
    import torch

    tokenizer, model = theirs
    batch = tokenizer(SENTENCES[:5], padding=True, return_tensors="np")
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    inputs["global_attention_mask"] = np.zeros_like(batch["input_ids"])
    inputs["global_attention_mask"][:, 0] = 1
    inputs["global_attention_mask"][2, 4:6] = 1
    try:
        expected = call_peer(model.to(torch.float64), inputs)["logits"]
    finally:
        model.to(torch.float32)
    for backend in ("numpy", "numba"):
        got = lf_ref.LongformerForMaskedLM.from_pretrained("demo", dtype="float64", backend=backend)(**inputs).logits
        assert_close(got, expected, FLOAT64, f"logits of {backend}")


def assert_same_answers(got, expected):
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        if isinstance(other, list):
            assert_same_answers(one, other)
            continue
        assert sorted(one) == sorted(other)
        assert abs(one["score"] - other["score"]) <= DEMO_SCORE * other["score"], (one, other)
        for name in ("token", "token_str", "sequence"):
            assert one[name] == other[name], (one, other)


@pytest.mark.parametrize("top_k", [1, 5, 17])
def test_same_fill_mask_pipeline(top_k, theirs):
    _, transformers = peer_modules()
    tokenizer, model = theirs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        their_pipeline = transformers.pipeline("fill-mask", model=model, tokenizer=tokenizer, device="cpu")
    our_pipeline = lf_ref.pipeline("fill-mask")
    for text in (*SENTENCES, SEVERAL):
        assert_same_answers(our_pipeline(text, top_k=top_k), their_pipeline(text, top_k=top_k))
    texts = [*SENTENCES[:3], SEVERAL]
    for got, expected in zip(our_pipeline(texts, top_k=top_k), their_pipeline(texts, top_k=top_k), strict=True):
        assert_same_answers(got, expected)
