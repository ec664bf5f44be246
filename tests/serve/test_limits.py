"""What is refused, and how: bodies, texts, keys, a full queue, errors of the model; and what the log has of it."""

from __future__ import annotations

import json
import logging
import re
import threading

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from serve.running import SOON, Gate, embedding, held_back, prediction, serving, until, waiting

from lf_ref import CheckpointError
from lf_ref.serve import service as serve_service
from lf_ref.serve import work

JSON = {"Content-Type": "application/json"}
SECRET = "Rosebud"


def refused(got, status, kind="Validation"):
    assert got.status_code == status, got.text
    assert got.json().keys() == {"error", "error_type"}
    assert got.json()["error_type"] == kind
    return got.json()["error"]


def test_a_body_that_is_too_long(encoder):
    with serving(embedding(encoder), body=200) as running:
        content = json.dumps({"inputs": "a" * 300})
        announced = running.client.post("/embed", content=content, headers=JSON)
        chunked = running.client.post(
            "/embed", content=iter([content[:150].encode(), content[150:].encode()]), headers=JSON
        )
        for got in (announced, chunked):
            assert "more than the 200 bytes that --max-body-bytes allows" in refused(got, 413)
        assert running.client.post("/embed", content='{"inputs": "a"}'.ljust(200), headers=JSON).status_code == 200
        got = running.client.post("/v1/embeddings", content=content, headers=JSON)
        assert (got.status_code, got.json()["error"]["type"]) == (413, "invalid_request_error")


def test_too_many_texts_and_one_that_is_too_long(encoder):
    with serving(embedding(encoder), texts=3, chars=9) as running:
        post = running.client.post
        assert post("/embed", json={"inputs": ["123456789"] * 3}).status_code == 200
        assert "4 texts, and --max-texts allows 3" in refused(post("/embed", json={"inputs": ["a"] * 4}), 413)
        too_long = post("/embed", json={"inputs": ["a", "1234567890"]})
        assert "text 1 has 10 characters, and --max-text-chars allows 9" in refused(too_long, 413)
        assert "the text has 10 characters" in refused(post("/embed", json={"inputs": "1234567890"}), 413)


@pytest.mark.parametrize("labels", [["a"] * 9, "a,b,c,d,e,f,g,h,i"], ids=["list", "text"])
def test_too_many_labels(pipes, labels, monkeypatch):
    monkeypatch.setattr(work, "MOST_ROWS", 8)
    with serving(prediction(pipes("zero-shot-classification"))) as running:
        body = {"inputs": "a", "parameters": {"candidate_labels": labels}}
        got = running.client.post("/", json=body)
        assert "a text has 9 labels, choices or windows, and may have 8" in refused(got, 413)


def test_too_many_choices_and_windows(pipes, monkeypatch):
    monkeypatch.setattr(work, "MOST_ROWS", 3)
    with serving(prediction(pipes("multiple-choice"))) as running:
        body = {"inputs": {"question": "a", "choices": ["b"] * 4}}
        assert "a text has 4 labels" in refused(running.client.post("/", json=body), 413)
    with serving(prediction(pipes("text-classification"))) as running:
        body = {"inputs": "word " * 400, "parameters": {"stride": 3, "max_length": 20}}
        assert "labels, choices or windows, and may have 3" in refused(running.client.post("/", json=body), 413)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"inputs=a",
        b'{"inputs": "a"',
        b"\xff",
        b"[" * 100_000,
        b'{"inputs": ' + b"1" * 5000 + b"}",
        b'["a"]',
        b"3",
    ],
    ids=range(8),
)
def test_a_body_that_is_no_json_object(embed, body):
    refused(embed.client.post("/embed", content=body, headers=JSON), 400)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type(embed, kind):
    got = embed.client.post("/embed", content=b'{"inputs": "a"}', headers={"Content-Type": kind} if kind else {})
    assert "Content-Type: application/json" in refused(got, 415)
    good = embed.client.post(
        "/embed", content=b'{"inputs": "a"}', headers={"Content-Type": "Application/JSON; charset=utf-8"}
    )
    assert good.status_code == 200


def test_routes_that_there_are_not(embed):
    words = "with --task embed: there are POST /, /embed, /similarity, /v1/embeddings, GET /info, /health and /metrics"
    assert refused(embed.client.post("/predict", json={"inputs": "a"}), 404) == f"no POST /predict {words}"
    assert refused(embed.client.get("/embed"), 405) == f"no GET /embed {words}"
    got = embed.client.post("/v1/chat/completions", json={})
    assert (got.status_code, got.json()["error"]["message"]) == (404, f"no POST /v1/chat/completions {words}")


def test_the_key(encoder):
    key = "schlüssel 1"
    with serving(embedding(encoder), key=key) as running:
        for value in (None, "Bearer", "Bearer schlüssel", f"Bearer {key}x", f"Basic {key}", key):
            headers = JSON if value is None else {**JSON, "Authorization": value.encode()}
            got = running.client.post("/embed", content=b'{"inputs": "a"}', headers=headers)
            assert "Authorization: Bearer KEY" in refused(got, 401, "Unauthorized")
            assert got.headers["www-authenticate"] == "Bearer"
        assert running.client.get("/info").status_code == 401
        for word in ("Bearer", "bearer"):
            headers = {"Authorization": f"{word} {key}".encode()}
            assert running.client.get("/info", headers=headers).status_code == 200
        for path in ("/health", "/metrics"):  # probes have no key
            assert running.client.get(path).status_code == 200


def test_a_key_is_compared_in_constant_time(encoder, monkeypatch):
    compared = []
    monkeypatch.setattr(serve_service.hmac, "compare_digest", lambda *both: compared.append(both))
    with serving(embedding(encoder), key="a key") as running:
        running.client.get("/info", headers={"Authorization": "Bearer a key"})
    assert compared == [(b"a key", b"a key")]


def test_a_full_queue(encoder):
    with held_back(encoder, queue=3) as (running, gate):
        answers = []

        def ask(texts):
            answers.append(httpx.post(f"{running.url}/embed", json={"inputs": texts}, timeout=SOON, trust_env=False))

        threads = [threading.Thread(target=ask, args=(["running"],))]
        threads[0].start()
        assert gate.entered.wait(SOON)
        threads.append(threading.Thread(target=ask, args=(["a", "b"],)))
        threads[1].start()
        until(lambda: waiting(running) == 2)
        got = running.client.post("/embed", json={"inputs": ["c", "d"]})
        assert "4 texts would wait, and --max-queue allows 3: try again in 1 s" in refused(got, 429, "Overloaded")
        assert got.headers["retry-after"] == "1"
        limited = running.client.post("/v1/embeddings", json={"input": ["c", "d"], "model": "any"})
        assert limited.json()["error"]["type"] == "rate_limit_error"
        threads.append(threading.Thread(target=ask, args=("c",)))
        threads[2].start()
        until(lambda: waiting(running) == 3)
        assert running.client.post("/embed", json={"inputs": "d"}).status_code == 429
        assert running.client.get("/health").status_code == 200
        gate.open.set()
        for thread in threads:
            thread.join(SOON)
        assert [answer.status_code for answer in answers] == [200] * 3
        # More texts than may wait are taken when none do.
        assert running.client.post("/embed", json={"inputs": ["a"] * 5}).status_code == 200


def failing(encoder, error):
    """A task whose model raises an error that has the text."""
    gate = Gate()
    gate.open.set()
    task = embedding(encoder)
    task._sides.own = gate.before(encoder.pipeline)

    def fail(batch, options):
        raise error(f"{SECRET} {batch.input_ids}")

    task._sides.own._run = fail
    return task


def test_errors_of_the_model_and_of_ours(encoder, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        with serving(failing(encoder, CheckpointError)) as running:
            assert SECRET in refused(running.client.post("/embed", json={"inputs": SECRET}), 500, "Backend")
        assert not caplog.records or SECRET not in caplog.text
        with serving(failing(encoder, ZeroDivisionError)) as running:
            words = refused(running.client.post("/embed", json={"inputs": [SECRET, "a"]}), 500, "Backend")
            assert words == "the service failed with ZeroDivisionError; its log has the traceback"
            assert running.client.get("/health").status_code == 200
    assert "ZeroDivisionError" in caplog.text
    assert "in fail" in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in "".join(capfd.readouterr())


def test_texts_are_in_no_log(encoder, caplog, capfd):
    with caplog.at_level(logging.DEBUG), serving(embedding(encoder), chars=60) as running:
        post = running.client.post
        for content, status in [
            ({"inputs": SECRET}, 200),
            ({"inputs": [SECRET, 3]}, 422),
            ({"inputs": "a", SECRET: 1}, 422),
            ({"inputs": SECRET * 10}, 413),
            ({"inputs": f"{SECRET}", "prompt_name": SECRET}, 422),
        ]:
            assert post("/embed", json=content).status_code == status
        assert post("/embed", content=SECRET, headers=JSON).status_code == 400
        assert running.client.get("/metrics").status_code == 200
        assert SECRET not in running.client.get("/metrics").text
        with httpx.Client(base_url=running.url, trust_env=False) as other:
            assert other.get(f"/health?{SECRET}").status_code == 200
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not any(SECRET in message for message in logged)
    assert SECRET not in "".join(capfd.readouterr())


def test_metrics(encoder):
    with serving(embedding(encoder)) as running:
        post = running.client.post
        post("/embed", json={"inputs": "a"})
        post("/embed", json={"inputs": ["a", "b c"]})
        post("/embed", json={"inputs": 3})
        got = running.client.get("/metrics")
    assert re.fullmatch(r"text/plain; version=0\.0\.4; charset=utf-8", got.headers["content-type"])
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(got.text)
        for sample in family.samples
    }
    tokens = sum(len(encoder.tokenizer(text)["input_ids"]) for text in ("a", "a", "b c"))
    expected = {
        ("te_request_count_total", "single"): 1,
        ("te_request_count_total", "batch"): 1,
        ("te_request_success_total", "batch"): 1,
        ("te_request_failure_total", "422"): 1,
        ("te_request_input_length_sum",): tokens,
        ("te_batch_next_tokens_sum",): tokens,
        ("te_batch_next_size_sum",): 3,
        ("te_request_duration_count",): 2,
        ("te_queue_size",): 0,
    }
    assert {name: samples[name] for name in expected} == expected
