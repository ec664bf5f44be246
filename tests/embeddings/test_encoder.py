"""`SentenceEncoder` and the pipeline on checkpoints of sentence-transformers, and what is refused."""

import json
import os
import pickle
from itertools import permutations

import numpy as np
import pytest
from embeddings.folders import (
    HIDDEN,
    NORMALIZE,
    PROMPTS,
    TEXTS,
    build,
    changed,
    dense_of,
    layer_norm_of,
    module,
    pooling_of,
)
from hypothesis import given
from hypothesis import strategies as st
from pipelines.building import save_checkpoint

import lf_ref
from lf_ref import CheckpointError, InputError, SentenceEncoder
from lf_ref.embeddings.modules import ACTIVATIONS
from lf_ref.embeddings.pooling import MODES, pool


def naive(states, mode, skipped):
    """Each pooling token by token, in Python's floats."""
    rows = [[float(value) for value in row] for row in states]
    kept = list(range(skipped, len(rows)))
    vector = []
    for column in range(len(rows[0])):
        values = [rows[token][column] for token in kept]
        weights = [token + 1 for token in kept]
        vector.append(
            {
                "cls": values[0],
                "lasttoken": values[-1],
                "max": max(values),
                "mean": sum(values) / len(values),
                "mean_sqrt_len_tokens": sum(values) / len(values) ** 0.5,
                "weightedmean": sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights),
            }[mode]
        )
    return vector


@given(st.integers(1, 13), st.integers(0, 12), st.lists(st.sampled_from(MODES), min_size=1, max_size=3))
def test_poolings_are_their_definitions(tokens, skipped, modes):
    states = np.random.default_rng(tokens).normal(size=(tokens, 5)).astype(np.float32)
    if skipped >= tokens:
        with pytest.raises(InputError, match="none is left to pool"):
            pool(states, modes, skipped)
        return
    expected = np.concatenate([naive(states, mode, skipped) for mode in modes])
    np.testing.assert_allclose(pool(states, modes, skipped), expected, rtol=1e-12, atol=1e-12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    modules = pooling_of("mean", "cls", include_prompt=False), dense_of(42, 13, 1), layer_norm_of(13), NORMALIZE
    return build(tmp_path_factory.mktemp("whole"), *modules, settings={"prompts": PROMPTS})


@pytest.fixture(scope="module")
def encoder(folder):
    return SentenceEncoder.from_pretrained(folder)


def test_a_vector_is_the_same_to_the_bit_in_any_batch(encoder):
    alone = [encoder.encode(text, prompt_name="long") for text in TEXTS]
    for budget in (1, 97, 4096):
        for order in list(permutations(range(len(TEXTS))))[::97]:
            got = encoder.encode([TEXTS[index] for index in order], prompt_name="long", batch_tokens=budget)
            np.testing.assert_array_equal(got, [alone[index] for index in order])


def test_shapes(encoder):
    assert encoder.encode("A text.").shape == (13,)
    assert encoder.encode([]).shape == (0, 13)
    assert encoder.encode([]).dtype == encoder.encode(iter(TEXTS)).dtype == np.float32
    assert encoder.encode(np.array(TEXTS)).shape == (len(TEXTS), encoder.embedding_dimension)


def test_columns_are_lists_of_texts(encoder):
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from lf_ref.sklearn import SentenceVectorizer

    expected = encoder.encode(TEXTS)
    for column in (pd.Series(TEXTS, index=range(7, 13)), pl.Series("text", TEXTS), pa.chunked_array([TEXTS])):
        np.testing.assert_array_equal(encoder.encode(column), expected)
        np.testing.assert_array_equal(SentenceVectorizer(encoder).transform(column), expected)
    with pytest.raises(InputError, match="text 1 must be a text"):
        encoder.encode(pl.Series("text", ["a", None]))


def test_the_pipeline_has_the_same_vectors_and_says_so(folder, encoder):
    for task in ("feature-extraction", "embeddings"):
        pipe = lf_ref.pipeline(task, folder)
        np.testing.assert_array_equal(pipe(TEXTS, return_tensors=True), encoder.encode(TEXTS))
        assert pipe(TEXTS[:1]) == encoder.encode(TEXTS[:1]).tolist()
    assert "; mean + cls pooling, Dense 13, LayerNorm, Normalize, at most 71 tokens>" in repr(pipe)
    assert repr(pipe).rpartition(";")[2] == repr(encoder).rpartition(";")[2]
    assert "pooling" not in repr(lf_ref.pipeline("embeddings", folder, pooling="max"))


def test_pooling_replaces_the_modules(folder):
    pipe = lf_ref.pipeline("embeddings", folder, return_tensors=True)
    states = pipe("Yes.", pooling="none")[0]
    for mode in MODES:
        np.testing.assert_allclose(pipe(["Yes."], pooling=mode), [naive(states, mode, 0)], rtol=0, atol=1e-6)
    assert isinstance(pipe(TEXTS[:2], pooling="none"), list)
    with pytest.raises(InputError, match=r"has 9\d tokens"):
        pipe(TEXTS[3], pooling="mean")
    with pytest.raises(InputError, match="this model takes at most 71"):
        pipe(TEXTS[3], truncation=False)


def test_global_attention_is_a_choice_per_call(encoder):
    model, text = encoder.model, TEXTS[0]
    ids = encoder.tokenizer(text, return_tensors="np")["input_ids"]
    pipe = lf_ref.pipeline("embeddings", model, tokenizer=encoder.tokenizer, pooling="mean", return_tensors=True)
    for choice, mask in {
        "none": np.zeros_like(ids),
        "first_token": lf_ref.global_attention.on_first_token(ids),
        "all_tokens": np.ones_like(ids),
        lambda row: lf_ref.global_attention.on_positions(row, [0, -1]): lf_ref.global_attention.on_positions(
            ids, [0, -1]
        ),
    }.items():
        states = model(ids, global_attention_mask=mask).last_hidden_state[0]
        got = pipe([TEXTS[5], text], global_attention=choice)[1]  # padded, as it is the shorter one
        np.testing.assert_allclose(got, states.mean(axis=0), rtol=0, atol=1e-6)
        encoder.encode(text, global_attention=choice)
    np.testing.assert_array_equal(encoder.encode(text), encoder.encode(text, global_attention="none"))
    with pytest.raises(InputError, match="one of none, first_token, all_tokens"):
        encoder.encode(text, global_attention="cls")
    with pytest.raises(InputError, match="mask of 0 and 1"):
        encoder.encode(text, global_attention=lambda row: row)


def test_blanks_are_kept_unless_stripped(encoder):
    text = TEXTS[2]
    assert not np.array_equal(encoder.encode(text), encoder.encode(text.strip()))
    np.testing.assert_array_equal(encoder.encode(text, strip=True), encoder.encode(text.strip()))


def test_prompts(encoder):
    by_name = encoder.encode(TEXTS, prompt_name="query")
    np.testing.assert_array_equal(by_name, encoder.encode(TEXTS, prompt="query: "))
    np.testing.assert_array_equal(by_name, encoder.encode_query(TEXTS))
    np.testing.assert_array_equal(encoder.encode_document(TEXTS), encoder.encode(TEXTS, prompt_name="document"))
    np.testing.assert_array_equal(encoder.encode_query(TEXTS, prompt=""), encoder.encode(TEXTS))
    with pytest.raises(InputError, match="one of query, document, long, got 'passage'"):
        encoder.encode(TEXTS, prompt_name="passage")
    with pytest.raises(InputError, match="not both"):
        encoder.encode(TEXTS, prompt_name="query", prompt="x")
    with pytest.raises(InputError, match="text 1 must be a text"):
        encoder.encode(["a", None])


@pytest.mark.parametrize(
    ("transformer", "tokenizer", "longest"),
    [
        ({"max_seq_length": 13}, 17, 13),
        ({"max_seq_length": 17}, 13, 13),
        ({"max_seq_length": 512}, 512, 71),
        ({"max_seq_length": None}, 71, 71),
        ({"processor_kwargs": {"model_max_length": 11}, "max_seq_length": 12}, 71, 11),
        ({"tokenizer_args": {"model_max_length": 11}}, 71, 11),
    ],
)
def test_the_smallest_length_wins(transformer, tokenizer, longest, tmp_path):
    built = build(tmp_path, transformer=transformer, tokenizer={"model_max_length": tokenizer})
    found = SentenceEncoder.from_pretrained(built)
    assert found.max_tokens == longest
    cut = found.tokenizer(TEXTS[3], truncation=True, max_length=longest)["input_ids"]
    states = found.model(np.array([cut])).last_hidden_state[0]
    np.testing.assert_allclose(found.encode(TEXTS[3]), states.mean(axis=0), rtol=0, atol=1e-6)


def test_a_checkpoint_without_modules_is_pooled_by_mean_with_a_warning(tmp_path):
    save_checkpoint("feature-extraction", tmp_path)
    with pytest.warns(UserWarning, match="has no modules.json of sentence-transformers: mean pooling is used") as said:
        found = SentenceEncoder.from_pretrained(tmp_path)
    assert len(said) == 1
    expected = lf_ref.pipeline("embeddings", tmp_path, pooling="mean", return_tensors=True)(TEXTS[:3])
    np.testing.assert_array_equal(found.encode(TEXTS[:3]), expected)


DENSE = "2_Dense/config.json"
HOSTILE = {
    "code of its own": (lambda f: module(f, 1, type="my_code.Pooling"), "my_code.Pooling, code of its own"),
    "a module": (lambda f: module(f, 2, type="sentence_transformers.models.LSTM"), "LSTM, which is not supported"),
    "order": (lambda f: module(f, 0, type="sentence_transformers.models.Normalize"), "lists Normalize, Pooling"),
    "up": (lambda f: module(f, 2, path="../x"), "inside of the checkpoint"),
    "absolute": (lambda f: module(f, 2, path="/etc"), "inside of the checkpoint"),
    "backslash": (lambda f: module(f, 2, path="a\\..\\b"), "inside of the checkpoint"),
    "no list": (lambda f: (f / "modules.json").write_text("{}"), "must be a list"),
    "no object": (lambda f: (f / "modules.json").write_text("[1]"), "must be an object"),
    "nested": (lambda f: (f / "modules.json").write_text("[" * 10**5), "nested too deeply"),
    "empty": (lambda f: (f / "modules.json").write_text("[]"), "no modules"),
    "mode": (lambda f: changed(f, "1_Pooling/config.json", pooling_mode="median"), "'median'"),
    "no mode": (lambda f: changed(f, "1_Pooling/config.json", pooling_mode=[]), "pooling_mode must be of"),
    "width": (lambda f: changed(f, "1_Pooling/config.json", embedding_dimension=22), "have 21 elements"),
    "prompt flag": (lambda f: changed(f, "1_Pooling/config.json", include_prompt="no"), "true or false"),
    "in_features": (lambda f: changed(f, DENSE, in_features=20), "have 21 elements"),
    "out_features": (lambda f: changed(f, DENSE, out_features=14), r"linear.weight must have shape \(14, 21\)"),
    "activation": (lambda f: changed(f, DENSE, activation_function="os.system"), "os.system is not supported"),
    "bias": (lambda f: changed(f, DENSE, bias=False), "no module uses 'linear.bias'"),
    "residual": (lambda f: changed(f, DENSE, use_residual=True), "residual.weight must have shape"),
    "input": (lambda f: changed(f, DENSE, module_input_name="token_embeddings"), "must be sentence_embedding"),
    "no config": (lambda f: (f / DENSE).unlink(), "has no config.json"),
    "no weights": (lambda f: (f / "2_Dense/model.safetensors").unlink(), "has no model.safetensors"),
    "lower case": (lambda f: changed(f, "sentence_bert_config.json", do_lower_case=True), "do_lower_case True"),
    "length": (lambda f: changed(f, "sentence_bert_config.json", max_seq_length=0), "must be positive"),
    "model arguments": (lambda f: changed(f, "sentence_bert_config.json", model_args={"x": 1}), "model_args sets 'x'"),
    "prompts": (lambda f: changed(f, "config_sentence_transformers.json", prompts={"a": 1}), "the prompt a must be"),
    "default": (lambda f: changed(f, "config_sentence_transformers.json", default_prompt_name="b"), "is none of"),
    "kind": (lambda f: changed(f, "config_sentence_transformers.json", model_type="CrossEncoder"), "CrossEncoder"),
    "similarity": (lambda f: changed(f, "config_sentence_transformers.json", similarity_fn_name="x"), "one of cosine"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_supported_is_refused_by_name(what, tmp_path):
    spoil, message = HOSTILE[what]
    built = build(tmp_path, None, dense_of(21, 13, 1), transformer={})
    spoil(built)
    with pytest.raises(CheckpointError, match=message):
        SentenceEncoder.from_pretrained(built)


def test_weights_that_give_nan_are_an_error(tmp_path):
    kind, config, weights = dense_of(HIDDEN, 5, 1)
    weights["linear.weight"][2, 3] = np.nan
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        SentenceEncoder.from_pretrained(build(tmp_path, None, (kind, config, weights))).encode("A text.")


def test_an_empty_folder_of_normalize_may_be_missing(tmp_path):
    built = build(tmp_path, None, NORMALIZE)
    expected = SentenceEncoder.from_pretrained(built).encode(TEXTS)
    os.rmdir(built / "2_Normalize")
    np.testing.assert_array_equal(SentenceEncoder.from_pretrained(built).encode(TEXTS), expected)
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-6)


def test_activations_do_not_overflow():
    for activation in ACTIVATIONS.values():
        assert np.isfinite(activation(np.array([-1e4, 0.0, 1e4]))).all()


def test_the_command(folder, encoder, tmp_path):
    from cli.running import run

    assert json.loads(run("embed", "--model", folder, "A text.")) == encoder.encode("A text.").tolist()
    lines = tmp_path / "lines.txt"
    lines.write_text("A text.\n" + TEXTS[3] + "\n")
    out = tmp_path / "out.npy"
    options = ("--prompt-name", "query", "--global-attention", "first_token", "--normalize", "--strip")
    run("embed", "--model", folder, "--lines", lines, "--out", out, *options)
    chosen = {"prompt_name": "query", "global_attention": "first_token", "normalize": True, "strip": True}
    np.testing.assert_array_equal(np.load(out), encoder.encode(["A text.", TEXTS[3]], **chosen))
    pooled = lf_ref.pipeline("embeddings", folder, pooling="max")("A text.")
    assert json.loads(run("embed", "--model", folder, "--pooling", "max", "A text.")) == pooled
    run("embed", "--model", folder, "--prompt-name", "x", "A text.", code=2)


def test_info_shows_an_encoder_in_a_folder_of_its_own(tmp_path):
    from cli.running import run

    built = build(tmp_path, inner="0_Transformer")
    assert json.loads(run("info", built, "--json"))["config"]["hidden_size"] == HIDDEN


def test_what_would_change_nothing_is_refused(folder, encoder):
    for options in ({"pooling": "max"}, {"normalize": True}, {"prompt_name": "query"}):
        with pytest.raises(InputError, match="give options to encode"):
            SentenceEncoder.from_pretrained(folder, **options)
    for name in ("max_seq_length", "truncate_dim", "default_prompt_name", "similarity_fn_name"):
        with pytest.raises(InputError, match=rf"has no {name}: .*json of the checkpoint sets"):
            setattr(encoder, name, 3)
    with pytest.raises(InputError, match="one of query"):
        encoder.encode("A text.", prompt_name=["query"])


@pytest.mark.parametrize("measure", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarity(measure, tmp_path):
    found = SentenceEncoder.from_pretrained(build(tmp_path, settings={"similarity_fn_name": measure}))
    a, b = np.random.default_rng(3).normal(size=(2, 5, 7))
    got = found.similarity(a, b[0])
    for index, row in enumerate(a):
        expected = {
            "cosine": sum(row * b[0]) / (sum(row**2) * sum(b[0] ** 2)) ** 0.5,
            "dot": sum(row * b[0]),
            "euclidean": -(sum((row - b[0]) ** 2) ** 0.5),
            "manhattan": -sum(abs(row - b[0])),
        }[measure]
        np.testing.assert_allclose(got[index], [expected], rtol=1e-12)
    for wrong in ([], a[:, :3], "text", [[1.0], [1.0, 2.0]], np.zeros((1, 1, 7))):
        with pytest.raises(InputError):
            found.similarity(wrong, b)


def test_the_step_of_scikit_learn(folder, encoder):
    from sklearn.base import clone
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from lf_ref.sklearn import SentenceVectorizer

    step = SentenceVectorizer(str(folder), prompt_name="query")
    expected = encoder.encode(TEXTS, prompt_name="query")
    np.testing.assert_array_equal(make_pipeline(step).fit_transform(TEXTS), expected)
    again = pickle.loads(pickle.dumps(clone(step)))
    np.testing.assert_array_equal(again.transform(TEXTS), expected)
    np.testing.assert_array_equal(
        SentenceVectorizer(encoder).set_params(prompt_name="query").transform(TEXTS), expected
    )
    assert list(step.get_feature_names_out()[:2]) == ["embedding0", "embedding1"]
    scaled = make_pipeline(step, StandardScaler()).fit_transform(TEXTS)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    assert "_loaded" in vars(step)
    assert "_loaded" not in pickle.dumps(step).decode("latin-1")
