"""Models with the paper's other windows on the fast kernels: dilated, layer by layer and head by head, and causal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lf_ref
from lf_ref import ConfigError, InputError, dense_attentions
from lf_ref.kernels.jit import KERNELS
from model.building import FEW, build
from oracles.compare import assert_close, assert_identical
from oracles.longformer import dilations_of
from oracles.strategies import batches, configurations, of_the_paper
from oracles.tolerances import FLOAT64
from oracles.weights import batch_of, fields_of, state_of

DTYPES = ["float32", "float64", "bfloat16", "int8"]
NAMES = ("last_hidden_state", "hidden_states", "attentions", "global_attentions")


def paper_model(seed, dtype="float64", backend="numba", class_name="LongformerModel", **changes):
    fields = fields_of(**changes)
    return fields, build(class_name, fields, state_of(class_name, fields, seed), backend, dtype)


@FEW
@given(st.data())
def test_the_kernels_compute_what_the_reference_does(data):
    fields = data.draw(configurations().flatmap(of_the_paper))
    inputs = data.draw(batches(fields, longest=67))
    state = state_of("LongformerModel", fields, seed=301)
    reference, fast = (build("LongformerModel", fields, state, backend) for backend in ("numpy", "numba"))
    expected, got = (
        model(**inputs, output_attentions=True, output_hidden_states=True).items() for model in (reference, fast)
    )
    for (name, wanted), (_, value) in zip(expected, got, strict=True):
        for one, other in zip(value, wanted, strict=True) if isinstance(value, tuple) else [(value, wanted)]:
            assert_close(one, other, FLOAT64, name)


@FEW
@given(st.data())
def test_logits_at_chosen_places_are_those_of_all(data):
    """Of a few global tokens to the bit: what is left out before a text moves no token within its vectors."""
    fields = data.draw(configurations().flatmap(of_the_paper))
    inputs = data.draw(batches(fields, longest=150, most=2) if fields["autoregressive"] else batches(fields))
    fields["max_position_embeddings"] = 200
    model = build("LongformerForMaskedLM", fields, state_of("LongformerForMaskedLM", fields, seed=302))
    rows, length = inputs["input_ids"].shape
    place = st.tuples(st.integers(0, rows - 1), st.integers(0, length - 1))
    places = np.array(data.draw(st.lists(place, min_size=1, max_size=3), label="places"))
    assert_close(model(**inputs, logits_at=places).logits, model(**inputs).logits[tuple(places.T)], FLOAT64, "logits")


@pytest.mark.jit
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("dilation", "heads"), [(2, 1), (3, 1), (7, 1), (64, 1), ([[1, 5, 2], [3, 3, 1]], 3)])
def test_pruning_changes_no_bit(dtype, causal, dilation, heads):
    """Texts so long that the parts that are computed begin in their middle."""
    fields, model = paper_model(
        303, dtype, class_name="LongformerForMaskedLM", attention_dilation=dilation, autoregressive=causal,
        max_position_embeddings=600,
    )  # fmt: skip
    inputs = batch_of(fields, [[1] * 211, [2, *[1] * 210], [1] * 100 + [2] + [1] * 60 + [-1] * 50], seed=304)
    places = np.array([[0, 160], [1, 199], [2, 150], [2, 100]])
    assert_identical(model(**inputs, logits_at=places).logits, model(**inputs).logits[tuple(places.T)], "logits")


@pytest.mark.jit
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dilation", [2, 3, 5, 40, 300])
def test_a_dilated_model_is_the_plain_one_on_each_interleaved_text(dtype, causal, dilation):
    """To the bit; a text of prime length, with masked tokens at both ends and inside."""
    shared = {"autoregressive": causal, "max_position_embeddings": 300}
    fields, dilated = paper_model(305, dtype, attention_dilation=dilation, **shared)
    _, plain = paper_model(305, dtype, **shared)
    marks = [-1] * 3 + [1] * 50 + [0] * 4 + [1] * 120 + [0] + [1] * 30 + [-1] * 5
    inputs = batch_of(fields, [marks], seed=306)
    inputs["position_ids"] = np.random.default_rng(307).integers(0, 300, inputs["input_ids"].shape)
    del inputs["global_attention_mask"]
    whole = dilated(**inputs).last_hidden_state
    for start in range(min(dilation, len(marks))):
        part = {name: value[:, start::dilation] for name, value in inputs.items()}
        seen = part["attention_mask"][0] == 1
        got, expected = whole[:, start::dilation][:, seen], plain(**part).last_hidden_state[:, seen]
        assert_identical(np.ascontiguousarray(got), np.ascontiguousarray(expected), f"the text from {start}")


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@FEW
@given(st.data())
def test_in_a_causal_model_nothing_depends_on_what_comes_later(backend, data):
    fields = data.draw(configurations().flatmap(of_the_paper))
    fields["autoregressive"] = True
    inputs = data.draw(batches(fields, most=1))
    length = inputs["input_ids"].shape[1]
    cut = data.draw(st.integers(0, length), label="cut")
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=308), backend)
    rng = np.random.default_rng(309)
    other = {name: value.copy() for name, value in inputs.items()}
    other["input_ids"][:, cut:] = rng.integers(4, fields["vocab_size"], length - cut)
    for name in ("attention_mask", "global_attention_mask"):
        other[name][:, cut:] = rng.integers(0, 2, length - cut)
    for one, same in zip(model(**inputs).to_tuple(), model(**other).to_tuple(), strict=True):
        assert_close(one[:, :cut], same[:, :cut], FLOAT64, "before the cut")


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_a_number_stays_in_its_text(dtype):
    """Interleaved texts are filled up to whole vectors; what fills them is multiplied by 0."""
    fields, model = paper_model(319, dtype, attention_dilation=[2, [1, 3, 5]])
    vectors = np.random.default_rng(320).standard_normal((2, 23, fields["hidden_size"])).astype(np.float32)
    expected = model(inputs_embeds=vectors[1:]).last_hidden_state
    vectors[0] = np.nan
    got = model(inputs_embeds=vectors).last_hidden_state
    assert np.isnan(got[0]).all()
    assert_close(got[1:], expected, FLOAT64, "the other text")


def test_what_the_columns_of_attentions_mean():
    """Column x + w + k is the token k dilations after the query, of each head its own; causal, those after it are 0."""
    for causal in (False, True):
        _, model = paper_model(
            310, attention_window=6, attention_dilation=[[1, 2, 5], [4, 4, 4]], autoregressive=causal
        )
        mask = np.zeros((1, 37), int)
        mask[0, [0, 20]] = 1
        ids = np.random.default_rng(311).integers(4, 53, (1, 37))
        output = model(ids, global_attention_mask=mask, output_attentions=True)
        for layer, dilations in enumerate(((1, 2, 5), (4, 4, 4))):
            found, wide = output.attentions[layer][0], output.global_attentions[layer][0]
            assert found.shape == (3, 37, 2 + 7)
            for head, dilation in enumerate(dilations):
                for query in set(range(37)) - {0, 20}:
                    keys = [query + dilation * step for step in range(-3, 4)]
                    seen = [0 <= key < 37 and key not in (0, 20) and not (causal and key > query) for key in keys]
                    assert ((found[head, query, 2:] > 0) == seen).all()
                    assert (found[head, query, :2] > 0).tolist() == [True, query > 20 or not causal]
            assert ((wide[:, :, 1] > 0) == (np.arange(37) <= 20)).all() == causal
            dense = dense_attentions(
                output.attentions[layer], output.global_attentions[layer], mask, dilation=model.config.dilations[layer]
            )
            assert_close(dense.sum(axis=3), np.ones((1, 3, 37)), FLOAT64, "sums")
            if causal:
                assert not np.triu(dense, 1).any()


def test_the_dense_view_wants_the_dilation_of_the_layer():
    _, model = paper_model(312, attention_dilation=3)
    ids = np.random.default_rng(313).integers(4, 53, (1, 29))
    (attentions, *_) = model(ids, output_attentions=True).attentions
    assert dense_attentions(attentions, dilation=3)[0, 0, 10].nonzero()[0].tolist() == [4, 7, 10, 13, 16]
    assert_identical(
        dense_attentions(attentions, dilation=3), dense_attentions(attentions, dilation=[3, 3, 3]), "dense"
    )
    with pytest.raises(InputError, match="dilation is not that of the layer"):
        dense_attentions(attentions, dilation=40)
    for wrong in (0, [1, 2], 1.5, [[3, 3, 3]], "3"):
        with pytest.raises(InputError, match=r"dilation must be a positive integer, or one for each of the 3 heads"):
            dense_attentions(attentions, dilation=wrong)


# --- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_name", ["LongformerForSequenceClassification", "LongformerForMultipleChoice"])
def test_heads_on_the_first_token_are_refused_in_a_causal_model(class_name, tmp_path):
    fields = fields_of(autoregressive=True, num_labels=2)
    state = state_of(class_name, fields, seed=314)
    message = rf"{class_name} reads the first token, which sees only itself in an autoregressive model.*last token"
    with pytest.raises(ConfigError, match=message):
        build(class_name, fields, state)
    build(class_name, {**fields, "autoregressive": False}, state).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=message):
        getattr(lf_ref, class_name).from_pretrained(tmp_path, autoregressive=True)


def test_the_pooler_is_left_out_of_a_causal_model():
    fields = fields_of(autoregressive=True)
    state = state_of("LongformerModel", fields, seed=315)
    ids = [[0, 5, 6, 2]]
    assert build("LongformerModel", fields, state)(ids).pooler_output is None
    assert build("LongformerModel", {**fields, "autoregressive": False}, state)(ids).pooler_output is not None
    with pytest.raises(ConfigError, match=r"LongformerModel reads the first token.*add_pooling_layer=False"):
        build("LongformerModel", fields, state, add_pooling_layer=True)


@pytest.mark.parametrize(
    "class_name", ["LongformerForMaskedLM", "LongformerForTokenClassification", "LongformerForQuestionAnswering"]
)
def test_heads_on_every_token_are_not(class_name):
    fields = fields_of(autoregressive=True, attention_dilation=[1, [1, 2, 3]])
    model = build(class_name, fields, state_of(class_name, fields, seed=316))
    assert dilations_of(fields) == [list(layer) for layer in model.config.dilations]
    assert model([[0, 5, 2, 2, 7, 8, 9, 2]])[0].shape[:2] == (1, 8)


def test_pooling_by_the_first_token_is_refused_in_a_causal_model():
    model = lf_ref.LongformerModel.from_pretrained(autoregressive=True, backend="numpy")
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained()
    pipe = lf_ref.pipeline("feature-extraction", model=model, tokenizer=tokenizer)
    for pooling in ("lasttoken", "mean", "none"):
        assert len(pipe("A text.", pooling=pooling)) > 0
    for ask in (lambda: pipe("A text.", pooling="cls"), lambda: pipe.dimension("cls")):
        with pytest.raises(
            InputError, match=r"pooling 'cls' takes the vector of the first token.*'lasttoken' or 'mean'"
        ):
            ask()


# --- compilation ------------------------------------------------------------------------------------------------------


@pytest.mark.jit
def test_no_kernel_is_made_for_dilated_and_causal_windows():
    """A plain model that prunes has all of them, but for one in int8, which moves the queries."""

    def run(dtype, **changes):
        fields, model = paper_model(317, dtype, class_name="LongformerForMaskedLM", **changes)
        inputs = batch_of(fields, [[2] + [1] * 40], seed=318)
        model(**inputs, output_attentions=True)
        model(**inputs, logits_at=[[0, 20]])
        return {(kernel.__name__, tuple(kernel.variant.items())) for kernel in KERNELS}

    for dtype in DTYPES:
        before = run(dtype)
        more = run(dtype, attention_dilation=3) | run(dtype, autoregressive=True)
        assert len(more - before) <= (dtype == "int8")
        assert {name for name, _ in more - before} <= {"gather"}
