"""Fixtures of the tokenizer's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizer.vocabularies import vocabulary

from lf_ref.tokenizer import LongformerTokenizer


@pytest.fixture(scope="session", params=["demo", "roberta"])
def folder(request: pytest.FixtureRequest) -> Path:
    """A folder with vocab.json and merges.txt."""
    return vocabulary(request.param)


@pytest.fixture(scope="session")
def both(folder: Path) -> LongformerTokenizer:
    """The tokenizer of each vocabulary in turn."""
    return LongformerTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def roberta() -> LongformerTokenizer:
    """The tokenizer of the full RoBERTa vocabulary."""
    return LongformerTokenizer.from_pretrained(vocabulary("roberta"))


@pytest.fixture(scope="session")
def demo() -> LongformerTokenizer:
    """The tokenizer of the bundled vocabulary; no test may change it."""
    return LongformerTokenizer.from_pretrained()


@pytest.fixture
def tokenizer() -> LongformerTokenizer:
    """The tokenizer of the bundled vocabulary, for one test, which may change it."""
    return LongformerTokenizer.from_pretrained()
