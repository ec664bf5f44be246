"""The official clients talk to the service as they are: `openai`, and huggingface_hub's `InferenceClient`."""

from __future__ import annotations

import base64

import huggingface_hub
import numpy as np
import openai
import pytest
from embeddings.folders import TEXTS
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from pipelines.building import inputs_for
from serve.running import embedding, prediction, serving

KEY = "a secret key"


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No proxy, no key and no other setting of the user's; and connections are closed, which warnings ask for."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_API_KEY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_openai(embed, encoder):
    expected = encoder.encode(TEXTS, normalize=True)
    with openai.OpenAI(base_url=f"{embed.url}/v1", api_key="unused", max_retries=0) as client:
        for extra in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}, {"dimensions": 21}):
            got = client.embeddings.create(input=TEXTS, model="any", **extra)
            vectors = [entry.embedding for entry in got.data]
            if extra.get("encoding_format") == "base64":
                vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
            np.testing.assert_array_equal(np.array(vectors, np.float32), expected)
        ids = encoder.tokenizer(TEXTS[0], add_special_tokens=False)["input_ids"]
        for given in (ids, [ids]):
            [entry] = client.embeddings.create(input=given, model="any").data
            np.testing.assert_array_equal(np.array(entry.embedding, np.float32), expected[0])
        assert got.usage.total_tokens == got.usage.prompt_tokens > len(TEXTS)
        with pytest.raises(openai.UnprocessableEntityError, match="dimensions must be 21") as raised:
            client.embeddings.create(input="a", model="any", dimensions=5)
        assert raised.value.type == "invalid_request_error"


def test_openai_with_a_key(encoder):
    with serving(embedding(encoder), key=KEY) as running:
        for key in (KEY, "another"):
            with openai.OpenAI(base_url=f"{running.url}/v1", api_key=key, max_retries=0) as client:
                if key == KEY:
                    assert client.embeddings.create(input="a", model="any").data
                    continue
                with pytest.raises(openai.AuthenticationError, match="API key is missing or wrong"):
                    client.embeddings.create(input="a", model="any")


def test_inference_client_embeds(embed, encoder):
    expected = encoder.encode(TEXTS, normalize=True)
    for path in ("", "/embed"):
        client = InferenceClient(base_url=embed.url + path)
        np.testing.assert_array_equal(client.feature_extraction(TEXTS[0]), expected[:1])
        np.testing.assert_array_equal(client.feature_extraction(TEXTS), expected)
    got = client.feature_extraction(
        TEXTS[3], normalize=False, prompt_name="query", truncate=True, truncation_direction="Right"
    )
    np.testing.assert_array_equal(got[0], encoder.encode(TEXTS[3], prompt_name="query"))
    with pytest.raises(HfHubHTTPError, match="prompt_name must be one of query, document, long"):
        client.feature_extraction("a", prompt_name="passage")


def test_inference_client_compares_sentences(embed, encoder):
    got = InferenceClient(base_url=f"{embed.url}/similarity").sentence_similarity(TEXTS[0], other_sentences=TEXTS[1:])
    expected = encoder.similarity(encoder.encode(TEXTS[0]), encoder.encode(TEXTS[1:]))[0]
    np.testing.assert_array_equal(np.array(got, np.float32), expected)


def test_inference_client_with_a_key(encoder):
    with serving(embedding(encoder), key=KEY) as running:
        assert InferenceClient(base_url=running.url, api_key=KEY).feature_extraction("a").shape == (1, 21)
        with pytest.raises(HfHubHTTPError, match="401"):
            InferenceClient(base_url=running.url, api_key="another").feature_extraction("a")


def test_inference_client_classifies(classify, pipes):
    client, pipe, text = InferenceClient(base_url=classify.url), pipes("text-classification"), TEXTS[0]
    got = client.text_classification(text)
    assert [{"label": entry.label, "score": entry.score} for entry in got] == pipe(text, top_k=None)
    got = client.text_classification(text, top_k=2, function_to_apply="sigmoid")
    assert [(entry.label, entry.score) for entry in got] == [
        (entry["label"], entry["score"]) for entry in pipe(text, top_k=2, function_to_apply="sigmoid")
    ]
    best = InferenceClient(base_url=f"{classify.url}/predict").text_classification(text)
    assert best.score == pipe(text, top_k=None)[0]["score"]  # it takes the first of the list that TEI sends


CALLS = {
    "fill-mask": lambda client, text: client.fill_mask(text, top_k=2),
    "token-classification": lambda client, text: client.token_classification(text, aggregation_strategy="simple"),
    "question-answering": lambda client, item: client.question_answering(**item, top_k=1),
    "zero-shot-classification": lambda client, text: client.zero_shot_classification(text, ["a", "some b"]),
}
DIRECT = {
    "fill-mask": lambda pipe, text: pipe(text, top_k=2),
    "token-classification": lambda pipe, text: pipe(text, aggregation_strategy="simple"),
    "question-answering": lambda pipe, item: pipe(item),
    "zero-shot-classification": lambda pipe, text: [
        {"label": label, "score": score}
        for found in [pipe(text, ["a", "some b"])]
        for label, score in zip(found["labels"], found["scores"], strict=True)
    ],
}


OLD = pytest.mark.skipif(int(huggingface_hub.__version__.split(".")[0]) < 2, reason="that client expects other fields")


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=OLD if task == "zero-shot-classification" else []) for task in CALLS]
)
def test_inference_client_does_the_other_tasks(pipes, task):
    pipe, item = pipes(task), inputs_for(task)[0]
    with serving(prediction(pipe)) as running:
        got = CALLS[task](InferenceClient(base_url=running.url), item)
    expected = DIRECT[task](pipe, item)
    pairs = zip(got, expected, strict=True) if isinstance(expected, list) else [(got, expected)]
    for one, other in pairs:
        assert {name: getattr(one, name) for name in other} == other
