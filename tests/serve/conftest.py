"""Fixtures of the service's tests."""

from __future__ import annotations

import pytest
from embeddings.folders import PROMPTS, build, pooling_of
from pipelines.building import save_checkpoint
from serve.running import embedding, prediction, serving

import lf_ref


@pytest.fixture(scope="package")
def encoder(tmp_path_factory):
    """A small random encoder with prompts, which takes 31 tokens of the 71 of its model."""
    folder = build(
        tmp_path_factory.mktemp("encoder"),
        pooling_of("mean", include_prompt=False),
        transformer={"max_seq_length": 31},
        settings={"prompts": PROMPTS, "similarity_fn_name": "euclidean"},
    )
    return lf_ref.SentenceEncoder.from_pretrained(folder, quiet=True)


@pytest.fixture(scope="package")
def embed(encoder):
    """A running service of embeddings."""
    with serving(embedding(encoder)) as running:
        yield running


@pytest.fixture(scope="package")
def pipes(tmp_path_factory):
    """A pipeline on a small random model for a task."""

    def load(task):
        if task not in loaded:
            folder = save_checkpoint(task, tmp_path_factory.mktemp(task), seed=2)
            loaded[task] = lf_ref.pipeline(task, folder, quiet=True)
        return loaded[task]

    loaded = {}
    return load


@pytest.fixture(scope="package")
def classify(pipes):
    """A running service of text classification."""
    with serving(prediction(pipes("text-classification"))) as running:
        yield running
