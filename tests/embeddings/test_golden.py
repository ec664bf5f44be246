"""Vectors equal the golden ones of sentence-transformers, without the package."""

from pathlib import Path

import numpy as np
import pytest
from embeddings.folders import CASES, TEXTS, build_case
from safetensors import safe_open
from safetensors.numpy import load_file

from lf_ref import SentenceEncoder

GOLDEN = Path(__file__).parents[1] / "golden" / "embeddings" / "vectors.safetensors"
VECTORS = load_file(GOLDEN)


def test_the_golden_file_has_every_case_and_its_origin():
    with safe_open(GOLDEN, framework="numpy") as file:
        assert file.metadata()["sentence-transformers"].startswith("6.")
    assert set(VECTORS) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_vectors_are_the_golden_ones(name, tmp_path):
    encoder = SentenceEncoder.from_pretrained(build_case(name, tmp_path))
    got = encoder.encode(TEXTS, **CASES[name][2])
    assert got.shape == (len(TEXTS), encoder.embedding_dimension)
    np.testing.assert_allclose(got, VECTORS[name], rtol=0, atol=2e-6)
