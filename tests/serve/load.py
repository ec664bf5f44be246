"""Load on a service: many clients at once, for the test and for the figures of the guide.

python tests/serve/load.py [--model FOLDER|REPO] [--clients 64] [--texts 1024] prints a table of requests and tokens
per second: of a service in a process of its own, and of its pipeline called in a loop. The texts have 8 to 256 words.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

import lf_ref

DEMO = Path(lf_ref.__file__).parent / "demo"


def mixed_texts(count: int, most: int, seed: int = 7) -> list[str]:
    """Texts of 8 to `most` words, short ones more often than long ones."""
    rng = np.random.default_rng(seed)
    words = (DEMO / "passage.txt").read_text(encoding="utf-8").split()
    lengths = np.exp(rng.uniform(np.log(8), np.log(most), count)).astype(int)
    starts = rng.integers(0, len(words) - most, count) if len(words) > most else np.zeros(count, int)
    return [" ".join(words[start : start + length]) for start, length in zip(starts, lengths, strict=True)]


async def client(url: str, texts: list[str]) -> list[list[float]]:
    """Ask for the vectors of texts, one after another on one connection."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    vectors = []
    try:
        for text in texts:
            body = json.dumps({"inputs": text, "normalize": False}).encode()
            head = f"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            writer.write(head.encode() + b"\r\n\r\n" + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode()
            content = await reader.readexactly(int(re.findall(r"content-length: (\d+)", answer)[0]))
            assert answer.startswith("HTTP/1.1 200 "), content
            vectors += json.loads(content)
    finally:
        writer.close()
        await writer.wait_closed()
    return vectors


async def clients(url: str, texts: list[str], count: int) -> np.ndarray[Any, Any]:
    """The vectors of texts that so many clients share, in their order."""
    shares = await asyncio.gather(*(client(url, texts[first::count]) for first in range(count)))
    vectors: list[Any] = [None] * len(texts)
    for first, share in enumerate(shares):
        vectors[first::count] = share
    return np.array(vectors, np.float32)


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long some work takes, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--texts", type=int, default=1024)
    given = parser.parse_args()
    texts = mixed_texts(given.texts, 256)
    encoder = lf_ref.SentenceEncoder.from_pretrained(given.model, quiet=True)
    tokens = sum(len(encoder.tokenizer(text)["input_ids"]) for text in texts)
    print(f"{len(texts)} texts, {tokens} tokens, {encoder.model}")
    print("| | requests per second | tokens per second |\n|---|---|---|")

    def row(name: str, took: float) -> None:
        print(f"| {name} | {len(texts) / took:.0f} | {tokens / took:.0f} |", flush=True)

    encoder.encode(texts[:20])
    took, expected = seconds(lambda: np.stack([encoder.encode(text) for text in texts]))
    row("`encode` of one text, in a loop", took)
    command = [sys.executable, "-m", "lf_ref", "serve", "--port", "0"]
    command += [] if given.model is None else ["--model", given.model]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        [url] = next(filter(None, (re.findall(r"on (http://\S+)$", line) for line in server.stderr)))
        try:
            asyncio.run(clients(url, texts[:128], 8))
            for count in (1, given.clients):
                took, vectors = seconds(lambda count=count: asyncio.run(clients(url, texts, count)))
                np.testing.assert_array_equal(vectors, expected)
                row(f"`lf-ref serve`, {count} client{'s' * (count > 1)}", took)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
