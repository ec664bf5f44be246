"""Models with weights of few bits: near the float64 oracle, the same for any number of threads, honest about memory."""

from __future__ import annotations

import numpy as np
import pytest

import lf_ref
from lf_ref.checkpoint import quantize
from lf_ref.files import locate
from lf_ref.kernels.attention import band
from model.building import build
from oracles.compare import assert_close, assert_identical
from oracles.heads import HEADS, run
from oracles.reduced import bfloat16, int8_row
from oracles.tolerances import BFLOAT16, FLOAT32, INT8
from oracles.weights import batch_of, fields_of, labelled_batch, ragged_batch, ragged_marks, state_of

KINDS = ["bfloat16", "int8"]
BOUND = {"bfloat16": BFLOAT16, "int8": INT8}
EVERYTHING = {"output_attentions": True, "output_hidden_states": True}
# Wide enough for many rounding errors to average out, as in real models.
WIDE = fields_of(hidden_size=192, num_attention_heads=6, intermediate_size=384, num_labels=5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("class_name", HEADS)
def test_every_output_of_every_class(class_name, kind):
    state = state_of(class_name, WIDE, seed=21)
    inputs = labelled_batch(class_name, WIDE, seed=22)
    expected = run(class_name, WIDE, state, inputs)
    output = build(class_name, WIDE, state, dtype=kind)(**inputs, **EVERYTHING)
    for name, value in output.items():
        assert_close(value, expected[name], BOUND[kind], name)
        arrays = value if isinstance(value, tuple) else (value,)
        assert {array.dtype for array in arrays} == {np.dtype(np.float32)}, name
    last = "last_hidden_state" if class_name == "LongformerModel" else "logits"
    if last in expected:
        assert np.abs(output[last] - expected[last]).max() > 1e-4 * np.abs(expected[last]).max(), "nothing is rounded"


@pytest.mark.parametrize("kind", KINDS)
def test_the_word_vectors_are_the_rounded_ones(kind):
    """With weights of the first layer's norm and what follows left out: the embeddings' output is exact."""
    state = state_of("LongformerModel", WIDE, seed=23)
    words = "embeddings.word_embeddings.weight"
    inputs = ragged_batch(WIDE, seed=24)
    if kind == "bfloat16":
        rounded = bfloat16(state[words])
    else:
        rows = [int8_row(row) for row in state[words]]
        rounded = np.array([np.array(numbers) * float(scale) for numbers, scale in rows])
    expected = run("LongformerModel", WIDE, state | {words: rounded}, inputs)["hidden_states"][0]
    output = build("LongformerModel", WIDE, state, dtype=kind)(**inputs, output_hidden_states=True)
    assert_close(output.hidden_states[0], expected, FLOAT32, "embeddings")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("globals_", [1, 2, 61])
def test_few_and_many_global_tokens(kind, globals_):
    """Keys and values of few global tokens are folded into the sums, those of many projected."""
    fields = WIDE | {"max_position_embeddings": 211}
    state = state_of("LongformerModel", fields, seed=25)
    inputs = batch_of(fields, ragged_marks((199, 83), (dict.fromkeys(range(globals_), 2), {7: 2})), seed=26)
    expected = run("LongformerModel", fields, state, inputs)["last_hidden_state"]
    output = build("LongformerModel", fields, state, dtype=kind)(**inputs)
    assert_close(output.last_hidden_state, expected, BOUND[kind], "last_hidden_state")


@pytest.mark.jit
@pytest.mark.parametrize("kind", KINDS)
def test_one_thread_equals_many(kind):
    fields = WIDE | {"max_position_embeddings": 400, "attention_window": [6, 150]}
    state = state_of("LongformerForMaskedLM", fields, seed=27)
    inputs = batch_of(fields, ragged_marks((389, 251), ({0: 2, 200: 2, 77: 0}, {5: 2})), seed=28)
    answers = [
        build("LongformerForMaskedLM", fields, state, dtype=kind, num_threads=count)(**inputs, **EVERYTHING).to_tuple()
        for count in (1, 2, 3, 7, None)
    ]
    for count, answer in zip((2, 3, 7, None), answers[1:], strict=True):
        assert_identical(answer, answers[0], f"{count} threads")


@pytest.mark.parametrize("dtype", ["float32", *KINDS])
def test_attention_uses_reduced_precision(dtype, monkeypatch):
    """It multiplies bfloat16 values then; no bound on the results could distinguish that from a float32 matmul."""
    chosen = []
    monkeypatch.setattr(
        band, "attention_kernel", lambda *given, choose=band.attention_kernel: chosen.append(given) or choose(*given)
    )
    state = state_of("LongformerModel", WIDE, seed=37)
    build("LongformerModel", WIDE, state, dtype=dtype)(**ragged_batch(WIDE, seed=38))
    assert set(chosen) == {("float32" if dtype == "float32" else "bfloat16", dtype == "bfloat16")}


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_instead_of_ids(kind):
    state = state_of("LongformerModel", WIDE, seed=29)
    inputs = ragged_batch(WIDE, seed=30)
    model = build("LongformerModel", WIDE, state, dtype=kind)
    expected = model(**inputs).last_hidden_state
    ids = inputs.pop("input_ids")
    embeds = np.asarray(model.weights["embeddings.word_embeddings.weight"], np.float64)[ids]
    positions = np.cumsum(ids != 1, axis=1) * (ids != 1) + 1
    got = model(**inputs, inputs_embeds=embeds, position_ids=positions).last_hidden_state
    assert_identical(got, expected, "last_hidden_state")


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_implementation_refuses(kind):
    fields = fields_of()
    state = state_of("LongformerModel", fields, seed=31)
    with pytest.raises(lf_ref.InputError, match=rf"backend 'numpy'.* got dtype '{kind}'; .* or backend 'numba'"):
        build("LongformerModel", fields, state, backend="numpy", dtype=kind)


@pytest.mark.parametrize("dtype", ["float16", "int16", "bf16", "uint8", None, 3, np.int64])
def test_other_dtypes_are_refused(dtype):
    fields = fields_of()
    state = state_of("LongformerModel", fields, seed=31)
    with pytest.raises(lf_ref.InputError, match="dtype must be one of float32, float64, bfloat16, int8, got"):
        build("LongformerModel", fields, state, dtype=dtype)


def test_dtypes_by_any_name():
    fields = fields_of()
    state = state_of("LongformerModel", fields, seed=31)
    for dtype, weights, results in (
        (np.float32, "float32", "float32"),
        (np.dtype("float64"), "float64", "float64"),
        (float, "float64", "float64"),
        (np.int8, "int8", "float32"),
        ("bfloat16", "bfloat16", "float32"),
    ):
        model = build("LongformerModel", fields, state, dtype=dtype)
        assert (model.weight_dtype, model.dtype) == (weights, np.dtype(results))


# --- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [None, "int8"])
def test_a_quantized_checkpoint_is_the_model_quantized_when_loaded(tmp_path, dtype):
    quantize(locate(None), tmp_path)
    loaded = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, dtype=dtype)
    made = lf_ref.LongformerForMaskedLM.from_pretrained(dtype="int8")
    assert loaded.weight_dtype == "int8"
    tokens = lf_ref.LongformerTokenizer.from_pretrained(tmp_path)("The <mask> of the leaf.", return_tensors="np")
    assert_identical(loaded(**tokens).to_tuple(), made(**tokens).to_tuple(), "outputs")
    size, whole = (
        sum({id(values): values.nbytes for values in model.weights.values()}.values())
        for model in (loaded, lf_ref.LongformerForMaskedLM.from_pretrained())
    )
    assert size < 0.33 * whole  # a quarter, and the vectors of 2050 positions, which stay as they are
    with pytest.raises(lf_ref.InputError, match="backend 'numpy'"):
        lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, dtype=dtype, backend="numpy")


def test_a_quantized_checkpoint_in_float32_on_both_backends(tmp_path):
    quantize(locate(None), tmp_path)
    ids = np.random.default_rng(32).integers(5, 8000, (1, 47))
    fast, plain = (
        lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, dtype="float32", backend=backend)(ids).logits
        for backend in ("numba", "numpy")
    )
    assert_close(fast, plain, 2 * FLOAT32, "logits")


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_again(tmp_path, kind):
    model = lf_ref.LongformerForMaskedLM.from_pretrained(dtype=kind)
    model.save_pretrained(tmp_path)
    again = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, dtype=kind)
    ids = np.random.default_rng(33).integers(5, 8000, (2, 31))
    assert_identical(again(ids).logits, model(ids).logits, "logits")


@pytest.mark.parametrize("kind", KINDS)
def test_the_demo_model_keeps_its_answers(kind):
    """The best word, and its score to within what `lf-ref precision` leads to expect."""
    text = "He opened the door and went into the <mask>, where his father was sitting by the fire."
    answers = {dtype: lf_ref.pipeline("fill-mask", dtype=dtype)(text, top_k=3) for dtype in ("float32", kind)}
    words = {dtype: [answer["token"] for answer in found] for dtype, found in answers.items()}
    assert words[kind][0] == words["float32"][0]
    assert answers[kind][0]["score"] == pytest.approx(answers["float32"][0]["score"], abs=0.03)
