"""What the service counts, by the names of text-embeddings-inference, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
_TOKENS = tuple(2**power for power in range(3, 16))
_TEXTS = tuple(2**power for power in range(12))


class Metrics:
    """The counters and histograms of one service. No text, nor any part of one, is a label."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("te_request_count", "Requests for results", ["method"], registry=registry)
        self.successes = Counter("te_request_success", "Requests that got results", ["method"], registry=registry)
        self.failures = Counter(
            "te_request_failure", "Requests that got none, by status; 499: the client left", ["err"], registry=registry
        )
        self.duration = self._histogram("te_request_duration", "Seconds from body to results", _SECONDS)
        self.preparation = self._histogram("te_request_tokenization_duration", "Seconds to check, tokenize", _SECONDS)
        self.queueing = self._histogram("te_request_queue_duration", "Seconds until the model starts", _SECONDS)
        self.inference = self._histogram("te_request_inference_duration", "Seconds from then to the end", _SECONDS)
        self.length = self._histogram("te_request_input_length", "Tokens of a text", _TOKENS)
        self.batch_size = self._histogram("te_batch_next_size", "Texts of a batch", _TEXTS)
        self.batch_tokens = self._histogram("te_batch_next_tokens", "Tokens of a batch", _TOKENS)
        self.waiting = Gauge("te_queue_size", "Texts that wait for the model", registry=registry)

    def text(self) -> bytes:
        """All values, in version 0.0.4 of the format."""
        return generate_latest(self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, meaning, buckets=buckets, registry=self.registry)
