"""The texts of all requests in batches for one model thread, while the event loop stays free."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from ..pipelines.call import Call
from ..pipelines.rows import Prepared
from .metrics import Metrics

_LONGEST_RETRY = 60  # seconds; the openai client ignores a Retry-After beyond it


class QueueFullError(Exception):
    """Too many texts wait; seconds: until they are expected to be done."""

    def __init__(self, waiting: int, most: int, seconds: int) -> None:
        super().__init__(f"{waiting} texts would wait, and --max-queue allows {most}: try again in {seconds} s")
        self.seconds = seconds


@dataclass(eq=False)
class _Job:
    """A request in progress: its texts and their tokens, the next text to run, and the results so far."""

    call: Call
    texts: list[Prepared]
    done: asyncio.Future[list[Any]]
    came: float
    started: float | None = None
    next: int = 0
    left: int = 0
    results: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tokens = [tokens_of(text) for text in self.texts]
        self.left = len(self.texts)
        self.results = [None] * self.left

    @property
    def waiting(self) -> int:
        """How many texts no batch has taken yet."""
        return len(self.texts) - self.next


class Batcher:
    """Takes the texts of requests into batches, and gives each request its results.

    A batch starts when `max_batch_tokens` are waiting, or its oldest text has waited `max_delay` seconds. Requests take
    turns text by text, so that a large one does not keep a small one waiting. A text's result does not depend on its
    batch; where a batch fails, its texts are run one by one, so that the one at fault fails alone.
    """

    def __init__(self, max_batch_tokens: int, max_delay: float, max_queue: int, metrics: Metrics) -> None:
        self.max_batch_tokens, self.max_delay, self.max_queue = max_batch_tokens, max_delay, max_queue
        self.metrics = metrics
        self._jobs: deque[_Job] = deque()
        self._came = asyncio.Event()
        self._rate = 0.0  # tokens a second, of the latest batches

    @property
    def waiting(self) -> int:
        """How many texts wait for the model."""
        return sum(job.waiting for job in self._jobs)

    def check_room(self, others: int, texts: int) -> None:
        """Check that more texts may wait; those of one request may when nothing else does, however many they are.

        others: how many are on their way, beside those that wait; texts: how many more come.

        Raises:
            QueueFullError: they may not.
        """
        before = self.waiting + others
        if before and before + texts > self.max_queue:
            tokens = sum(sum(job.tokens[job.next :]) for job in self._jobs)
            seconds = ceil(tokens / self._rate) if self._rate else 1
            raise QueueFullError(before + texts, self.max_queue, min(max(seconds, 1), _LONGEST_RETRY))

    async def answer(self, call: Call, texts: list[Prepared]) -> list[Any]:
        """The results of the texts; those that no batch has taken are dropped if this is cancelled.

        Raises:
            QueueFullError: too many texts wait already.
            Exception: what the pipeline raised for one of the texts.
        """
        self.check_room(0, len(texts))
        job = _Job(call, texts, asyncio.get_running_loop().create_future(), time.perf_counter())
        self._jobs.append(job)
        self._came.set()
        self._observe()
        try:
            return await job.done
        finally:
            self._drop(job)

    async def run(self) -> None:
        """Run batches until this is cancelled; the batch that runs then is finished first."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "lf_ref-model") as thread:
            while True:
                await self._until_due()
                batch = self._take()
                call, texts = batch[0][0].call, [job.texts[index] for job, index in batch]
                start = time.perf_counter()
                try:
                    answers = await loop.run_in_executor(thread, _answers, call, texts)
                except Exception as error:  # the thread cannot be started
                    answers = [error] * len(texts)
                self._note_rate(sum(map(tokens_of, texts)) / (time.perf_counter() - start))
                for (job, index), answer in zip(batch, answers, strict=True):
                    self._settle(job, index, answer)

    async def _until_due(self) -> None:
        """Wait until there is a batch to run."""
        while True:
            self._came.clear()
            if not self._jobs:
                await self._came.wait()
                continue
            first = self._jobs[0]
            tokens = sum(sum(job.tokens[job.next :]) for job in self._jobs if job.call == first.call)
            left = min(job.came for job in self._jobs) + self.max_delay - time.perf_counter()
            if tokens >= self.max_batch_tokens or left <= 0:
                return
            with suppress(asyncio.TimeoutError):  # the builtin one only from Python 3.11 on
                await asyncio.wait_for(self._came.wait(), left)

    def _take(self) -> list[tuple[_Job, int]]:
        """The texts of the next batch, each as its job and index: of the first job, and of those that may go along."""
        first = self._jobs[0]
        turns = deque(job for job in self._jobs if job.call == first.call)
        taken: list[tuple[_Job, int]] = []
        tokens, now = 0, time.perf_counter()
        while turns:
            job = turns.popleft()
            size = job.tokens[job.next]
            if taken and tokens + size > self.max_batch_tokens:
                continue  # a shorter text of another job may still fit
            if job.started is None:
                job.started = now
                self.metrics.queueing.observe(now - job.came)
            taken.append((job, job.next))
            tokens += size
            job.next += 1
            if job.waiting:
                turns.append(job)
        served = {job for job, _ in taken}
        rest = [job for job in self._jobs if job not in served]
        self._jobs = deque([*rest, *(job for job in self._jobs if job in served and job.waiting)])
        self.metrics.batch_size.observe(len(taken))
        self.metrics.batch_tokens.observe(tokens)
        self._observe()
        return taken

    def _settle(self, job: _Job, index: int, answer: Any) -> None:
        """Give a job the result of one of its texts, or its error."""
        if job.done.done():
            return
        if isinstance(answer, Exception):
            job.done.set_exception(answer)
            self._drop(job)
            return
        job.results[index] = answer
        job.left -= 1
        if not job.left:
            self.metrics.inference.observe(time.perf_counter() - (job.started or job.came))
            job.done.set_result(job.results)

    def _drop(self, job: _Job) -> None:
        if job in self._jobs:
            self._jobs.remove(job)
            self._observe()

    def _note_rate(self, rate: float) -> None:
        self._rate = 0.8 * self._rate + 0.2 * rate if self._rate else rate

    def _observe(self) -> None:
        self.metrics.waiting.set(self.waiting)


def tokens_of(text: Prepared) -> int:
    """How many tokens of the model's input a text has, special ones included."""
    return sum(map(len, text.rows))


def _answers(call: Call, texts: Sequence[Prepared]) -> list[Any]:
    """The result of each text, or its exception."""
    try:
        return call.answer(texts)
    except Exception as error:
        if len(texts) == 1:
            return [error]
    return [answer for text in texts for answer in _answers(call, [text])]
