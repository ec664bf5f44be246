"""64 clients at once on loopback, with clients that leave and slow ones among them."""

from __future__ import annotations

import asyncio
import gc
import json
from pathlib import Path

import numpy as np
import pytest
from serve.load import clients, mixed_texts
from serve.running import embedding, serving, until

import lf_ref

CLIENTS = 64


def resident_mb():
    """The memory of this process; Linux only."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


async def leaving(host, port, texts):
    """Ask for something, and leave without the answer."""
    _, writer = await asyncio.open_connection(host, port)
    body = json.dumps({"inputs": texts}).encode()
    head = f"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    writer.transport.abort()


async def slow(host, port, end):
    """Send a body byte by byte until the others are done."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{")
    for byte in b'"inputs":"a"}':
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.005)
    await end.wait()
    writer.write(b" ")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


async def together(url, texts):
    """The vectors that the clients get, while others leave or are slow."""
    host, port = url.removeprefix("http://").split(":")
    end = asyncio.Event()
    others = [asyncio.create_task(slow(host, port, end)) for _ in range(4)]
    others += [asyncio.create_task(leaving(host, port, texts[:40])) for _ in range(8)]
    vectors = await clients(url, texts, CLIENTS)
    end.set()
    await asyncio.gather(*others)
    return vectors


@pytest.fixture(scope="module")
def demo():
    return lf_ref.SentenceEncoder.from_pretrained(quiet=True)


def test_results_under_load_are_those_of_direct_calls_and_memory_is_flat(demo):
    texts = mixed_texts(3 * CLIENTS, 60)
    expected = np.stack([demo.encode(text) for text in texts])
    memory = []
    with serving(embedding(demo), tokens=1024, delay=0.005) as running:
        for _ in range(4):
            np.testing.assert_array_equal(asyncio.run(together(running.url, texts)), expected)
            until(lambda: running.service.taken == 0)
            gc.collect()
            memory.append(resident_mb())
        metrics, batcher = running.service.metrics, running.service.batcher
        assert batcher.waiting == 0
        assert metrics.successes.labels("single")._value.get() == 4 * (len(texts) + 4)  # of the slow ones too
        left = {sample.labels["err"] for family in metrics.failures.collect() for sample in family.samples}
        assert left <= {"499"}
        sizes = metrics.batch_size
        assert sizes._sum.get() / sum(bucket.get() for bucket in sizes._buckets) > 2  # they did share batches
    assert memory[-1] - memory[1] < 12, memory
