"""Fixtures of the parity suite. A peer that is not installed is a failure: a suite that skips proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizer.vocabularies import vocabulary


@pytest.fixture(scope="session")
def peer() -> Iterator[None]:
    """torch and transformers are there and quiet, and torch keeps to one thread: the models are small."""
    from parity.peers import peer_modules

    try:
        torch, _ = peer_modules()
    except ImportError as error:
        pytest.fail(f"the parity suite compares with HF transformers on torch: {error}; pip install 'lf-ref[parity]'")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["demo", "roberta"])
def folder(request: pytest.FixtureRequest) -> Path:
    """A folder with vocab.json and merges.txt, for each vocabulary in turn."""
    return vocabulary(request.param)


@pytest.fixture(scope="session")
def both(peer: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Builds HF's pipeline and ours for a task."""
    from parity.pipeline_peers import builder

    return builder(tmp_path_factory)
