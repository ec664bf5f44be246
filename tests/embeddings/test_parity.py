"""Vectors equal those of sentence-transformers 6, live, on the same folders."""

import numpy as np
import pytest
from embeddings.folders import CASES, PROMPTS, TEXTS, build, build_case, pooling_of
from embeddings.peer import load

from lf_ref import SentenceEncoder

pytestmark = pytest.mark.sentence_transformers
TOLERANCE = 2e-6  # of two float32 engines that sum in different orders


@pytest.mark.parametrize("name", CASES)
def test_vectors_are_those_of_the_peer(name, tmp_path):
    folder, options = build_case(name, tmp_path), CASES[name][2]
    expected = load(folder).encode(TEXTS, show_progress_bar=False, **options)
    got = SentenceEncoder.from_pretrained(folder).encode(TEXTS, **options)
    assert got.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "name", ["joined", "joined old", "dense", "residual", "layer norm", "mean without prompt", "max_seq_length"]
)
def test_the_peer_reads_what_is_saved(name, tmp_path):
    folder, options = build_case(name, tmp_path / "in"), CASES[name][2]
    encoder = SentenceEncoder.from_pretrained(folder)
    encoder.save_pretrained(tmp_path / "out")
    got = load(tmp_path / "out").encode(TEXTS, show_progress_bar=False, **options)
    np.testing.assert_allclose(got, encoder.encode(TEXTS, **options), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("prompts", [{}, PROMPTS, {"passage": "passage: "}, {"query": "q: "}])
@pytest.mark.parametrize("default", [None, "passage"])
@pytest.mark.parametrize("method", ["encode", "encode_query", "encode_document"])
def test_queries_and_documents_have_their_prompts(method, prompts, default, tmp_path):
    prompts = prompts if default is None else prompts | {default: "by default: "}
    settings = {"prompts": prompts, "default_prompt_name": default}
    folder = build(tmp_path, pooling_of("cls", "mean"), settings=settings)
    expected = getattr(load(folder), method)(TEXTS[:3])
    got = getattr(SentenceEncoder.from_pretrained(folder), method)(TEXTS[:3])
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("measure", [None, "cosine", "dot", "euclidean", "manhattan"])
def test_similarities(measure, tmp_path):
    folder = build(tmp_path, settings={"similarity_fn_name": measure})
    a, b = np.random.default_rng(1).normal(size=(5, 21)), np.random.default_rng(2).normal(size=(3, 21))
    expected = load(folder).similarity(a, b).numpy()
    np.testing.assert_allclose(SentenceEncoder.from_pretrained(folder).similarity(a, b), expected, rtol=0, atol=1e-5)
