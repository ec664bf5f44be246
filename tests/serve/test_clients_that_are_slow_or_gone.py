"""Clients that disconnect cost nothing more, slow ones hold nobody up, and a stop finishes what was taken."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest
from serve.running import SOON, embedding, held_back, serving, until, waiting

from lf_ref.serve import service as serve_service


def connected(running):
    """A plain connection to a service."""
    parts = urlsplit(running.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=SOON)


def request(texts, path="/embed"):
    """The head and the body of a request."""
    body = json.dumps({"inputs": texts}).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode(), body


def with_large_responses(encoder):
    """A task with a route whose responses are larger than what the system buffers."""
    task = embedding(encoder)
    work = replace(task.embed({"inputs": "a"}), respond=lambda results, tokens: "x" * 30_000_000)
    task.readers = {**task.readers, "/large": lambda given: work}
    return task


def asked_for_much(running):
    """A connection whose client does not read the large response that is sent."""
    connection = connected(running)
    connection.sendall(b"".join(request("a", "/large")))
    until(lambda: running.service.metrics.successes.labels("single")._value.get() > 0)
    return connection


def failures(running):
    return {
        sample.labels["err"]: sample.value
        for family in running.service.metrics.failures.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def test_texts_of_a_client_that_left_are_dropped(encoder):
    with held_back(encoder, tokens=64) as (running, gate):
        with connected(running) as runs:
            runs.sendall(b"".join(request(["running"])))
            assert gate.entered.wait(SOON)
            with connected(running) as waits:
                waits.sendall(b"".join(request(["a text"] * 500)))
                until(lambda: waiting(running) == 500)
            until(lambda: waiting(running) == 0)
        until(lambda: failures(running) == {"499": 2})
        gate.open.set()
        got = running.client.post("/embed", json={"inputs": "a"})
        assert got.status_code == 200
    assert gate.rows == [1, 1]  # nothing of the 500
    assert running.service.taken == 0


def test_responses_are_sent_at_once(encoder):
    """Without TCP_NODELAY the body of a response waits for the client to confirm its head, 40 ms on Linux."""
    with serving(embedding(encoder)) as running, connected(running) as connection:
        connection.sendall(b"".join(request(["a"])))
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
        [served] = running.server.server_state.connections
        options = served.transport.get_extra_info("socket")
        assert options.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_a_slow_upload_holds_nobody_up(encoder):
    with serving(embedding(encoder)) as running:
        slow = [connected(running) for _ in range(20)]
        try:
            head, body = request(["a slow text"])
            for connection in slow:
                connection.sendall(head + body[:5])
            start = time.monotonic()
            assert running.client.post("/embed", json={"inputs": "a"}).status_code == 200
            assert time.monotonic() - start < SOON
            for connection in slow:
                connection.sendall(body[5:])
                assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
        finally:
            for connection in slow:
                connection.close()


def test_an_upload_that_takes_too_long_ends(encoder, monkeypatch):
    monkeypatch.setattr(serve_service, "_BODY_SECONDS", 0.2)
    with serving(embedding(encoder)) as running, connected(running) as connection:
        head, body = request(["a"])
        connection.sendall(head + body[:5])
        answer = connection.makefile("rb").read()  # to the end: the connection is closed
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"the body did not arrive within 0.2 s" in answer


def unsent(running):
    """How many bytes of responses the service holds for clients that do not read them."""
    return sum(connection.transport.get_write_buffer_size() for connection in running.server.server_state.connections)


def test_a_slow_reader_holds_nobody_up(encoder):
    with serving(with_large_responses(encoder)) as running, asked_for_much(running) as slow:
        assert running.client.post("/embed", json={"inputs": "a"}).status_code == 200
        assert unsent(running) > 0
        assert slow.makefile("rb").read(1000).startswith(b"HTTP/1.1 200 OK")


def test_the_event_loop_is_free_while_the_model_works(encoder):
    with held_back(encoder) as (running, gate), connected(running) as connection:
        connection.sendall(b"".join(request(["a"])))
        assert gate.entered.wait(SOON)
        for path in ("/health", "/info", "/metrics"):
            assert running.client.get(path).status_code == 200
        refused = running.client.post("/embed", json={"inputs": 3})  # tokens are made meanwhile too
        assert refused.status_code == 422
        gate.open.set()
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_stop_finishes_what_was_taken(encoder, seconds):
    with held_back(encoder) as (running, gate):
        answers = []

        def ask(texts):
            answers.append(httpx.post(f"{running.url}/embed", json={"inputs": texts}, timeout=SOON, trust_env=False))

        threads = [threading.Thread(target=ask, args=(texts,)) for texts in (["a"], ["b"] * 100)]
        for thread in threads:
            thread.start()
        assert gate.entered.wait(SOON)
        until(lambda: running.service.taken == 2)
        idle, late = connected(running), connected(running)
        head, body = request(["c"])
        late.sendall(head + body[:5])
        time.sleep(0.1)  # so that its head is read
        running.server.should_exit = True
        until(lambda: running.service.stopping)
        late.sendall(body[5:])  # it is too late: this was not taken
        assert late.recv(100).startswith(b"HTTP/1.1 503")
        with pytest.raises(OSError):
            connected(running).close()
        time.sleep(seconds)
        assert running.thread.is_alive()
        gate.open.set()
        for thread in threads:
            thread.join(SOON)
        running.thread.join(SOON)
        assert not running.thread.is_alive()
        assert [len(answer.json()) for answer in answers if answer.status_code == 200] in ([1, 100], [100, 1])
        idle.close()
        late.close()


def test_a_slow_reader_does_not_keep_the_service_from_stopping(encoder, monkeypatch):
    monkeypatch.setattr("lf_ref.serve.server._GRACE", 0.5)
    with serving(with_large_responses(encoder)) as running, asked_for_much(running):
        until(lambda: unsent(running) > 0)
        running.server.should_exit = True
        running.thread.join(SOON)
        assert not running.thread.is_alive()


def test_a_stop_at_once_refuses_what_waits(encoder, caplog):
    with held_back(encoder) as (running, gate), connected(running) as waits, connected(running) as uploads:
        waits.sendall(b"".join(request(["a", "b"])))
        assert gate.entered.wait(SOON)
        uploads.sendall(request(["a"])[0])
        until(lambda: len(running.server.server_state.tasks) == 2)
        running.server.handle_exit(signal.SIGINT, None)
        until(lambda: running.service.stopping)
        running.server.handle_exit(signal.SIGINT, None)
        assert waits.recv(1000).startswith(b"HTTP/1.1 503")
        gate.open.set()  # the batch that runs is finished
        running.thread.join(SOON)
        assert not running.thread.is_alive()
    assert caplog.text == ""
