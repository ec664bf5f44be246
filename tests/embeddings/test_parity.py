"""Vectors equal those of sentence-transformers 6, live, on the same folders."""

import json

import numpy as np
import pytest
from embeddings.folders import CASES, NORMALIZE, PROMPTS, TEXTS, build, build_case, pooling_of
from embeddings.peer import load
from safetensors.numpy import load_file, save_file

from lf_ref import SentenceEncoder, convert

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


@pytest.mark.parametrize("inner", ["", "0_Transformer"])
def test_a_converted_roberta_has_the_vectors_of_the_peer(inner, tmp_path):
    folder = build(
        tmp_path / "in", None, NORMALIZE, inner=inner, settings={"prompts": PROMPTS}, transformer={"max_seq_length": 64}
    )
    path = folder / inner / "config.json"
    kept = {name: value for name, value in json.loads(path.read_text()).items() if name != "attention_window"}
    path.write_text(json.dumps(kept | {"model_type": "roberta", "architectures": ["RobertaModel"]}))
    weights = load_file(folder / inner / "model.safetensors")
    local = {name: values for name, values in weights.items() if "_global." not in name}
    save_file(local, folder / inner / "model.safetensors", metadata={"format": "pt"})
    convert(folder, tmp_path / "out", max_tokens=128, window=128)
    encoder = SentenceEncoder.from_pretrained(tmp_path / "out")
    expected = load(folder).encode_query(TEXTS[:3], show_progress_bar=False)
    np.testing.assert_allclose(encoder.encode_query(TEXTS[:3]), expected, rtol=0, atol=TOLERANCE)
    long = load(tmp_path / "out")
    assert long.max_seq_length == encoder.max_tokens == 128
    np.testing.assert_allclose(encoder.encode(TEXTS), long.encode(TEXTS), rtol=0, atol=TOLERANCE)
