"""Batches: their budget, their deadline, turns, and what becomes of a request that is given up."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref.pipelines.rows import Prepared, Row
from lf_ref.serve.batching import Batcher, QueueFullError
from lf_ref.serve.metrics import Metrics


@dataclass(eq=False)
class FakeCall:
    """Answers with the items; a gate holds it back; batches has the items of each."""

    broken: tuple = ()
    gate: threading.Event = field(default_factory=threading.Event)
    batches: list = field(default_factory=list)

    def answer(self, texts):
        assert self.gate.wait(30)
        self.batches.append([text.item for text in texts])
        for text in texts:
            if text.item in self.broken:
                raise ZeroDivisionError(text.item)
        return [text.item.upper() for text in texts]


def text(item, tokens=1):
    return Prepared("", item, [Row(np.zeros(tokens, np.int64))], [None])


def running(test, tokens=8, delay=0.0, queue=100):
    """Run a test, a coroutine function of a batcher and an open call, beside the batcher."""

    async def run():
        batcher = Batcher(tokens, delay, queue, Metrics())
        task = asyncio.create_task(batcher.run())
        call = FakeCall()
        try:
            await asyncio.wait_for(test(batcher, call), 30)
        finally:
            call.gate.set()
            task.cancel()
            await asyncio.wait([task])
        assert batcher.waiting == 0

    asyncio.run(run())


async def held(batcher, call):
    """A request that occupies the model until the gate opens."""
    task = asyncio.create_task(batcher.answer(call, [text("first", 8)]))
    while not batcher.metrics.batch_size._sum.get():
        await asyncio.sleep(0)
    return task


def test_a_batch_has_at_most_its_tokens():
    async def test(batcher, call):
        first = await held(batcher, call)
        tasks = [
            asyncio.create_task(batcher.answer(call, [text(name, size)]))
            for name, size in [("a", 5), ("b", 4), ("c", 3), ("d", 20), ("e", 4)]
        ]
        while batcher.waiting < 5:
            await asyncio.sleep(0)
        call.gate.set()
        assert await first == ["FIRST"]
        assert [await task for task in tasks] == [["A"], ["B"], ["C"], ["D"], ["E"]]
        # The first one, and what fits beside it; a text beyond the budget has a batch of its own.
        assert call.batches == [["first"], ["a", "c"], ["b", "e"], ["d"]]

    running(test)


@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(st.tuples(st.booleans(), st.lists(st.integers(1, 11), min_size=1, max_size=7)), max_size=9),
    budget=st.integers(1, 23),
)
def test_every_text_is_run_once_within_the_budget(requests, budget):
    async def test(batcher, call):
        calls = (call, FakeCall(gate=call.gate))
        first = await held(batcher, call)
        tasks = [
            asyncio.create_task(
                batcher.answer(
                    calls[other], [text(f"t{number}-{index} {size}", size) for index, size in enumerate(sizes)]
                )
            )
            for number, (other, sizes) in enumerate(requests)
        ]
        await asyncio.sleep(0)
        call.gate.set()
        await first
        for number, (task, (_, sizes)) in enumerate(zip(tasks, requests, strict=True)):
            assert await task == [f"T{number}-{index} {size}" for index, size in enumerate(sizes)]
        batches = [batch for one in calls for batch in one.batches if batch != ["first"]]
        run = [item for batch in batches for item in batch]
        assert len(run) == len(set(run)) == sum(len(sizes) for _, sizes in requests)
        for batch in batches:
            assert len(batch) == 1 or sum(int(item.split()[1]) for item in batch) <= budget

    running(test, tokens=budget)


def test_requests_take_turns():
    async def test(batcher, call):
        first = await held(batcher, call)
        many = asyncio.create_task(batcher.answer(call, [text(f"m{index}", 2) for index in range(9)]))
        while batcher.waiting < 9:
            await asyncio.sleep(0)
        few = asyncio.create_task(batcher.answer(call, [text("a", 2)]))
        while batcher.waiting < 10:
            await asyncio.sleep(0)
        call.gate.set()
        await first
        assert await few == ["A"]
        assert await many == [f"M{index}" for index in range(9)]
        assert call.batches[1] == ["m0", "a", "m1", "m2"]

    running(test)


def test_a_batch_waits_for_its_deadline_unless_it_is_full():
    async def test(batcher, call):
        call.gate.set()
        start = time.perf_counter()
        one = asyncio.create_task(batcher.answer(call, [text("a")]))
        await asyncio.sleep(0.05)
        two = asyncio.create_task(batcher.answer(call, [text("b")]))
        await asyncio.gather(one, two)
        assert time.perf_counter() - start >= 0.3  # of the oldest, not of the latest
        assert call.batches == [["a", "b"]]

    async def full(batcher, call):
        call.gate.set()
        assert await batcher.answer(call, [text(name, 4) for name in "cd"]) == ["C", "D"]

    running(test, delay=0.3)
    running(full, delay=1000.0)


def test_other_options_are_other_batches():
    async def test(batcher, call):
        other = FakeCall(gate=call.gate)
        first = await held(batcher, call)
        tasks = [
            asyncio.create_task(batcher.answer(one, [text(name)]))
            for one, name in [(call, "a"), (other, "b"), (call, "c"), (other, "d")]
        ]
        while batcher.waiting < 4:
            await asyncio.sleep(0)
        call.gate.set()
        await asyncio.gather(first, *tasks)
        assert (call.batches[1:], other.batches) == ([["a", "c"]], [["b", "d"]])

    running(test)


def test_texts_of_a_request_that_is_given_up_are_dropped():
    async def test(batcher, call):
        first = await held(batcher, call)
        gone = asyncio.create_task(batcher.answer(call, [text(f"g{index}", 8) for index in range(3)]))
        while batcher.waiting < 3:
            await asyncio.sleep(0)
        stays = asyncio.create_task(batcher.answer(call, [text("a")]))
        while batcher.waiting < 4:
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        assert batcher.waiting == 1
        first.cancel()  # its batch is running: only its result is dropped
        call.gate.set()
        assert await stays == ["A"]
        assert call.batches == [["first"], ["a"]]

    running(test)


def test_a_text_that_fails_fails_alone():
    async def test(batcher, call):
        call.broken = ("b",)
        first = await held(batcher, call)
        asked = {"a": ["a"], "b": ["x", "b", "y"], "c": ["c", "d"]}
        tasks = {
            name: asyncio.create_task(batcher.answer(call, list(map(text, items)))) for name, items in asked.items()
        }
        while batcher.waiting < 6:
            await asyncio.sleep(0)
        call.gate.set()
        await first
        assert (await tasks["a"], await tasks["c"]) == (["A"], ["C", "D"])
        with pytest.raises(ZeroDivisionError, match="b"):
            await tasks["b"]

    running(test)


def test_the_queue_is_bounded_and_tells_when_it_will_have_room():
    async def test(batcher, call):
        first = await held(batcher, call)
        waiting = asyncio.create_task(batcher.answer(call, [text("a", 300), text("b", 700)]))
        while batcher.waiting < 2:
            await asyncio.sleep(0)
        for rate, seconds in [(0.0, 1), (100.0, 10), (1e9, 1), (1e-3, 60)]:
            batcher._rate = rate
            with pytest.raises(QueueFullError, match="4 texts would wait") as raised:
                await batcher.answer(call, [text("c"), text("d")])
            assert raised.value.seconds == seconds
        with pytest.raises(QueueFullError):
            batcher.check_room(1, 1)
        call.gate.set()
        await asyncio.gather(first, waiting)
        assert len(await batcher.answer(call, list(map(text, "abcde")))) == 5

    running(test, queue=3)


def test_an_error_of_the_thread_itself_is_that_of_the_request(monkeypatch):
    async def test(batcher, call):
        def no_thread(*_):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", no_thread)
        with pytest.raises(RuntimeError, match="can't start"):
            await batcher.answer(call, [text("a")])
        monkeypatch.undo()
        call.gate.set()
        assert await batcher.answer(call, [text("a")]) == ["A"]

    running(test)
