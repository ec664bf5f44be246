"""Services in this process, each in a thread of its own, and pipelines that wait for the test."""

from __future__ import annotations

import copy
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import httpx

from lf_ref.serve.batching import Batcher
from lf_ref.serve.embedding import Embedding
from lf_ref.serve.metrics import Metrics
from lf_ref.serve.prediction import Prediction
from lf_ref.serve.server import Server, bind, url_of
from lf_ref.serve.service import Service
from lf_ref.serve.work import Limits

SOON = 60.0  # seconds that nothing here takes, unless it hangs


@contextmanager
def serving(task, *, tokens=4096, delay=0.0, queue=8192, body=4_000_000, texts=2048, chars=400_000, key=None):
    """A running service: its url, a client for it, and its parts."""
    service = Service(task, "tiny", Batcher(tokens, delay, queue, Metrics()), Limits(body, texts, chars), key)
    ready = threading.Event()
    with bind("127.0.0.1", 0) as bound:
        url = url_of(bound)
        server = Server(service, ready.set)
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        try:
            assert ready.wait(SOON)
            with httpx.Client(base_url=url, timeout=SOON, trust_env=False) as client:
                yield SimpleNamespace(url=url, client=client, service=service, server=server, thread=thread)
        finally:
            server.should_exit = True
            thread.join(SOON)
            assert not thread.is_alive()


def embedding(encoder):
    return Embedding(encoder, "tiny")


def prediction(pipe):
    return Prediction(pipe)


def until(condition):
    """Wait until it holds."""
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def waiting(running):
    """How many texts of a service wait, for another thread than its own."""
    return running.service.metrics.waiting._value.get()


class Gate:
    """Holds a pipeline back: each run of a batch waits until the gate is open.

    rows: how many rows each batch had.
    """

    def __init__(self):
        self.open, self.entered, self.rows = threading.Event(), threading.Event(), []

    def before(self, pipe):
        """A copy of the pipeline that waits."""
        held, run = copy.copy(pipe), pipe._run

        def wait(batch, options):
            self.rows.append(len(batch.indices))
            self.entered.set()
            assert self.open.wait(SOON)
            return run(batch, options)

        held._run = wait
        return held


@contextmanager
def held_back(encoder, **limits):
    """A running service of embeddings behind a `Gate`, which opens at the end."""
    gate = Gate()
    held = copy.copy(encoder)
    held.pipeline = gate.before(encoder.pipeline)
    try:
        with serving(embedding(held), **limits) as running:
            try:
                yield running, gate
            finally:
                gate.open.set()
    finally:
        gate.open.set()
