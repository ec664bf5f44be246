"""The wire formats of embeddings: results are those of direct calls, to the bit."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from embeddings.folders import TEXTS

from lf_ref import InputError
from lf_ref.pipelines.call import Call

LONG = "word " * 90


def post(running, path, content, status=200):
    body = json.dumps(content)  # in ASCII, so that it may have lone surrogates
    got = running.client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert got.status_code == status, got.text
    assert got.headers["content-type"] == "application/json"
    return got.json()


def same(got, expected):
    np.testing.assert_array_equal(np.array(got, np.float32), expected)
    assert expected.dtype == np.float32


@pytest.mark.parametrize("path", ["/embed", "/"])
@pytest.mark.parametrize("normalize", [None, True, False])
def test_embed(embed, encoder, path, normalize):
    given = {} if normalize is None else {"normalize": normalize}
    expected = encoder.encode(TEXTS, normalize=normalize is not False)
    same(post(embed, path, {"inputs": TEXTS, **given}), expected)
    same(post(embed, path, {"inputs": TEXTS[0], **given}), expected[:1])


def test_fields_of_embed(embed, encoder):
    for name in ("query", "long"):
        expected = encoder.encode(TEXTS, prompt_name=name, normalize=True)
        same(post(embed, "/embed", {"inputs": TEXTS, "prompt_name": name, "truncate": True}), expected)
    plain = post(embed, "/embed", {"inputs": TEXTS})
    nulls = dict.fromkeys(["truncate", "truncation_direction", "prompt_name", "normalize", "dimensions"])
    assert post(embed, "/embed", {"inputs": TEXTS, **nulls, "dimensions": 21}) == plain


def test_truncation(embed, encoder):
    words = [f"{number} word" for number in range(40)]
    text = " ".join(words)
    whole = post(embed, "/embed", {"inputs": text, "normalize": False})
    same(whole, encoder.encode([text]))
    ids = encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
    ends = {"Right": ids[:29], "left": ids[-29:]}
    assert len(ids) > 71
    for side, kept in ends.items():
        given = {"inputs": text, "normalize": False, "truncate": True, "truncation_direction": side}
        got = post(embed, "/embed", given)
        assert got == post(embed, "/embed", {"inputs": kept, "normalize": False})
        assert (got == whole) == (side == "Right")
    refused = post(embed, "/embed", {"inputs": " ".join(words[:15]), "truncate": False}, 422)
    assert "31" in refused["error"]
    assert encoder.tokenizer.truncation_side == "right"


def test_ids_stand_for_the_text_that_they_are_of(embed, encoder):
    texts = [text for text in TEXTS if text]
    plain = [encoder.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    special = [encoder.tokenizer(text)["input_ids"] for text in texts]
    expected = encoder.encode(texts, normalize=True)
    for ids in (plain, special):
        same(post(embed, "/embed", {"inputs": ids}), expected)
    same(post(embed, "/embed", {"inputs": plain[0]}), expected[:1])
    same(post(embed, "/embed", {"inputs": [plain[0], texts[1]]}), expected[:2])
    prompt = encoder.tokenizer("query: ", add_special_tokens=False)["input_ids"]
    states = encoder.model([[0, *prompt, *plain[0], 2]]).last_hidden_state[0]
    expected = encoder.modules.vector(states, len(prompt) + 1).astype(np.float32)
    same(post(embed, "/embed", {"inputs": plain[0], "prompt_name": "query", "normalize": False})[0], expected)


def test_similarity_is_that_of_the_checkpoint(embed, encoder):
    inputs = {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}
    expected = encoder.similarity(encoder.encode(TEXTS[0]), encoder.encode(TEXTS[1:]))[0]
    same(post(embed, "/similarity", {"inputs": inputs}), expected)
    assert (expected < 0).all()  # Euclidean distances
    prompted = encoder.encode(TEXTS, prompt_name="query")
    parameters = {"prompt_name": "query", "truncate": True, "truncation_direction": None}
    got = post(embed, "/similarity", {"inputs": inputs, "parameters": parameters})
    same(got, encoder.similarity(prompted[0], prompted[1:])[0])


@pytest.mark.parametrize("form", [None, "float", "base64"])
def test_openai(embed, encoder, form):
    expected = encoder.encode(TEXTS, normalize=True)
    got = post(embed, "/v1/embeddings", {"input": TEXTS, "model": "any", "encoding_format": form, "user": "me"})
    vectors = [entry.pop("embedding") for entry in got["data"]]
    if form == "base64":
        vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
    same(vectors, expected)
    tokens = sum(min(31, len(encoder.tokenizer(text)["input_ids"])) for text in TEXTS)
    assert got == {
        "object": "list",
        "model": "tiny",
        "data": [{"object": "embedding", "index": index} for index in range(len(TEXTS))],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    one = post(embed, "/v1/embeddings", {"input": TEXTS[0], "model": "any"})
    assert len(one["data"]) == 1


def direct(encoder, **arguments):
    with pytest.raises(InputError) as raised:
        encoder.encode(**arguments)
    return str(raised.value)


def test_refused_inputs_have_the_message_of_a_direct_call(embed, encoder):
    for content, arguments in [
        ({"inputs": "a", "prompt_name": "passage"}, {"texts": "a", "prompt_name": "passage"}),
        ({"inputs": ["a", 1.5]}, {"texts": ["a", 1.5]}),
        ({"inputs": ["a", None]}, {"texts": ["a", None]}),
        ({"inputs": ["a", "b\ud800"]}, {"texts": ["a", "b\ud800"]}),
    ]:
        refused = post(embed, "/embed", content, 422)
        assert refused == {"error": direct(encoder, **arguments), "error_type": "Validation"}


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("/embed", {}, "inputs is missing"),
        ("/embed", {"inputs": None}, "inputs is missing"),
        ("/embed", {"inputs": []}, "at least one text, got an empty list"),
        ("/embed", {"inputs": {"a": 1}}, "got dict"),
        ("/embed", {"inputs": "a", "normalise": True}, "unknown field 'normalise': the fields are inputs, truncate"),
        ("/embed", {"inputs": "a", "normalize": "yes"}, "normalize must be true or false, got 'yes'"),
        ("/embed", {"inputs": "a", "truncate": 1}, "truncate must be true or false"),
        ("/embed", {"inputs": "a", "truncation_direction": "up"}, '"Left" or "Right", got \'up\''),
        ("/embed", {"inputs": "a", "dimensions": 20}, "dimensions must be 21, the length of this model's vectors"),
        ("/embed", {"inputs": [0, 8192]}, "token 1 of the text must be an id of this model, an integer in 0 ... 8191"),
        ("/embed", {"inputs": [[5], [-1]]}, "token 0 of text 1 must be an id"),
        ("/embed", {"inputs": [[5], [True]]}, "token 0 of text 1 must be an id"),
        ("/similarity", {"inputs": "a"}, "an object with source_sentence and sentences"),
        ("/similarity", {"inputs": {"source_sentence": "a"}}, "sentences is missing"),
        ("/similarity", {"inputs": {"source_sentence": "a", "sentences": []}}, "at least one text"),
        (
            "/similarity",
            {"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": []},
            "must be an object",
        ),
        ("/v1/embeddings", {"input": "a", "model": "b", "dimensions": 8}, "dimensions must be 21"),
        ("/v1/embeddings", {"input": "a", "encoding_format": "hex"}, "float, base64, got 'hex'"),
        ("/v1/embeddings", {"model": "b"}, "input is missing"),
    ],
)
def test_fields_that_do_not_fit(embed, path, content, words):
    refused = post(embed, path, content, 422)["error"]
    if path == "/v1/embeddings":
        assert refused.keys() == {"message", "type", "param", "code"}
        assert refused["type"] == "invalid_request_error"
        refused = refused["message"]
    assert words in refused


def test_info(embed):
    info = embed.client.get("/info").json()
    assert info["model_id"] == "tiny"
    assert info["model_type"] == {"embedding": {"pooling": "mean"}}
    assert (info["max_input_length"], info["max_batch_tokens"], info["max_client_batch_size"]) == (31, 4096, 2048)
    assert (info["model_dtype"], info["auto_truncate"]) == ("float32", True)


def test_what_the_model_found_is_released_with_the_batch(encoder):
    call = Call.of(encoder.pipeline, return_tensors=True)
    prepared = call.prepare(TEXTS)
    np.testing.assert_array_equal(call.answer(prepared), encoder.encode(TEXTS))
    assert {found for text in prepared for found in text.findings} == {None}
