"""What must hold whatever the weights are: masks, padding, batches and distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.building import BACKENDS, ENGINES, FEW, TOLERANCE, build
from oracles.compare import assert_close
from oracles.longformer import windows_of
from oracles.strategies import SEEDS, batches, configurations
from oracles.tolerances import FLOAT64, FLOAT64_OTHER_SHAPE
from oracles.weights import batch_of, fields_of, ragged_batch, ragged_marks, state_of


def with_padding(inputs, pad, before, after):
    """The same batch with masked padding on both sides; padding may carry a global mark, which must not count."""
    fill = {"input_ids": pad, "attention_mask": 0, "global_attention_mask": 1, "token_type_ids": 0}
    return {
        name: np.pad(value, ((0, 0), (before, after)), constant_values=fill[name]) for name, value in inputs.items()
    }


@pytest.mark.parametrize("backend", BACKENDS)
@FEW
@given(st.data())
def test_padding_on_either_side_changes_nothing(backend, data):
    fields = data.draw(configurations())
    inputs = data.draw(batches(fields, longest=19))
    before, after = data.draw(st.integers(0, 17), label="before"), data.draw(st.integers(0, 17), label="after")
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=41), backend)
    plain = model(**inputs).last_hidden_state
    padded = model(**with_padding(inputs, fields["pad_token_id"], before, after)).last_hidden_state
    seen = inputs["attention_mask"] == 1
    inner = padded[:, before : before + seen.shape[1]]
    assert_close(inner[seen], plain[seen], FLOAT64_OTHER_SHAPE, "visible positions")


@pytest.mark.parametrize("backend", BACKENDS)
@FEW
@given(st.data())
def test_padding_anywhere_changes_nothing_where_the_window_covers_all(backend, data):
    """Padding between two tokens moves them apart, so this holds only while every token sees every other."""
    fields = data.draw(configurations()) | {"attention_window": 200}
    inputs = data.draw(batches(fields, longest=19))
    seq = inputs["input_ids"].shape[1]
    places = data.draw(st.lists(st.integers(0, seq), min_size=1, max_size=9), label="padding goes before")
    fill = {"input_ids": fields["pad_token_id"], "attention_mask": 0, "global_attention_mask": 0, "token_type_ids": 0}
    padded = {name: np.insert(value, places, fill[name], axis=1) for name, value in inputs.items()}
    kept = np.insert(np.ones(seq, bool), places, False)
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=42), backend)
    plain, inner = model(**inputs).last_hidden_state, model(**padded).last_hidden_state[:, kept]
    seen = inputs["attention_mask"] == 1
    assert_close(inner[seen], plain[seen], FLOAT64_OTHER_SHAPE, "visible positions")


@pytest.mark.parametrize("backend", BACKENDS)
@FEW
@given(st.data())
def test_masked_tokens_have_no_influence(backend, data):
    fields = data.draw(configurations())
    inputs = data.draw(batches(fields))
    other = data.draw(batches_of_words(fields, inputs["input_ids"].shape))
    hidden = inputs["attention_mask"] == 0
    # Padding stays padding: it decides the position ids of what follows.
    swapped = np.where(hidden & (inputs["input_ids"] != fields["pad_token_id"]), other, inputs["input_ids"])
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=43), backend)
    one, two = (model(**inputs | {"input_ids": ids}).last_hidden_state for ids in (inputs["input_ids"], swapped))
    assert_close(two[~hidden], one[~hidden], 0.0, "visible positions")


@st.composite
def batches_of_words(draw, fields, shape):
    rng = np.random.default_rng(draw(SEEDS, label="seed of other words"))
    return rng.choice(np.setdiff1d(np.arange(fields["vocab_size"]), [fields["pad_token_id"]]), size=shape)


@pytest.mark.parametrize("backend", BACKENDS)
@FEW
@given(st.data())
def test_a_batch_equals_its_rows_one_by_one(backend, data):
    fields = data.draw(configurations())
    inputs = data.draw(batches(fields, most=4))
    model = build("LongformerForMaskedLM", fields, state_of("LongformerForMaskedLM", fields, seed=44), backend)
    together = model(**inputs, output_hidden_states=True)
    for row in range(len(inputs["input_ids"])):
        alone = model(**{name: value[row : row + 1] for name, value in inputs.items()}, output_hidden_states=True)
        assert_close(together.logits[row], alone.logits[0], FLOAT64_OTHER_SHAPE, f"logits[{row}]")
        for layer, states in enumerate(alone.hidden_states):
            got = together.hidden_states[layer][row]
            assert_close(got, states[0], FLOAT64_OTHER_SHAPE, f"hidden_states[{layer}][{row}]")


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_no_mask_equals_all_ones(backend, dtype):
    fields = fields_of()
    inputs = {"input_ids": ragged_batch(fields, seed=45)["input_ids"]}  # with padding that nobody masks
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=46), backend, dtype)
    plain = model(**inputs).last_hidden_state
    ones = np.ones(inputs["input_ids"].shape, np.int64)
    assert_close(model(**inputs, attention_mask=ones).last_hidden_state, plain, 0.0, "attention_mask")
    assert_close(model(**inputs, global_attention_mask=0 * ones).last_hidden_state, plain, 0.0, "global")
    assert_close(model(**inputs, token_type_ids=0 * ones).last_hidden_state, plain, 0.0, "token_type_ids")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("window", [[2, 2, 2], [4, 2, 10], [6, 14, 2]])
def test_influence_reaches_as_far_as_the_windows_and_no_further(window, backend):
    fields = fields_of(num_hidden_layers=3, attention_window=window)
    state = state_of("LongformerModel", fields, seed=47, pooled=False)
    inputs = batch_of(fields, ragged_marks((41,), ({},)), seed=48)
    model = build("LongformerModel", fields, state, backend)
    plain = model(**inputs, output_hidden_states=True).hidden_states
    place = 19
    changed = {name: value.copy() for name, value in inputs.items()}
    changed["input_ids"][0, place] += 1 if changed["input_ids"][0, place] != 52 else -1
    moved = model(**changed, output_hidden_states=True).hidden_states
    reach = 0
    for layer, one_sided in enumerate([0, *windows_of(fields)]):
        reach += one_sided
        differs = np.flatnonzero((moved[layer][0] != plain[layer][0]).any(-1))
        assert differs.tolist() == list(range(place - reach, place + reach + 1)), f"after {layer} layers"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("marked", ["the token itself", "another token"])
def test_global_attention_reaches_everywhere(marked, backend):
    """One layer brings a global token to all; two layers bring any token to all by way of a global one."""
    fields = fields_of(attention_window=2)
    state = state_of("LongformerModel", fields, seed=49)
    place = 19
    marks = ragged_marks((41,), ({place if marked == "the token itself" else 33: 2},))
    inputs = batch_of(fields, marks, seed=50)
    model = build("LongformerModel", fields, state, backend)
    changed = {name: value.copy() for name, value in inputs.items()}
    changed["input_ids"][0, place] += 1 if changed["input_ids"][0, place] != 52 else -1
    one, two = (model(**given, output_hidden_states=True).hidden_states for given in (inputs, changed))
    differs = [np.flatnonzero((one[layer][0] != two[layer][0]).any(-1)).tolist() for layer in range(3)]
    if marked == "the token itself":
        assert differs == [[place], list(range(41)), list(range(41))]
    else:
        assert differs == [[place], [place - 1, place, place + 1, 33], list(range(41))]


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
@pytest.mark.parametrize("length", [1, 2, 11, 37])
def test_a_window_over_the_whole_text_is_full_attention(length, backend, dtype):
    """Compared with every token global under equal projections, which is full attention by another road."""
    wide = fields_of(attention_window=2 * (length - 1) if length > 1 else 2)
    narrow = wide | {"attention_window": 2}
    state = state_of("LongformerModel", wide, seed=51)
    for name in [name for name in state if "_global" in name]:
        state[name] = state[name.replace("_global", "")]
    inputs = batch_of(wide, ragged_marks((length,), ({length // 2: 0} if length > 2 else {},)), seed=52)
    inputs["global_attention_mask"][:] = 0
    local = build("LongformerModel", wide, state, backend, dtype)(**inputs).last_hidden_state
    inputs["global_attention_mask"][:] = 1
    full = build("LongformerModel", narrow, state, backend, dtype)(**inputs).last_hidden_state
    seen = inputs["attention_mask"] == 1
    assert_close(local[seen], full[seen], TOLERANCE[dtype], "last_hidden_state")


@FEW
@given(st.data())
def test_both_backends_agree(data):
    fields = data.draw(configurations())
    inputs = data.draw(batches(fields))
    state = state_of("LongformerModel", fields, seed=53)
    for dtype, tolerance in TOLERANCE.items():
        one, two = (
            build("LongformerModel", fields, state, backend, dtype)(
                **inputs, output_attentions=True, output_hidden_states=True
            )
            for backend in BACKENDS
        )
        assert list(one.keys()) == list(two.keys())
        for name, value in one.items():
            assert_close(two[name], value, tolerance, f"{dtype} {name}")


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_a_masked_query_attends_to_nothing(backend, dtype):
    """Its attention output is zero before the output projection: what follows depends on its own embedding alone."""
    fields = fields_of(num_hidden_layers=1, attention_window=4)
    state = state_of("LongformerModel", fields, seed=54)
    inputs = batch_of(fields, ragged_marks((13, 13), ({4: 0}, {4: 0, 9: 2})), seed=55)
    for name in ("input_ids", "token_type_ids"):
        inputs[name][1, 4] = inputs[name][0, 4]
    output = build("LongformerModel", fields, state, backend, dtype)(**inputs, output_attentions=True)
    assert_close(
        output.last_hidden_state[1, 4], output.last_hidden_state[0, 4], TOLERANCE[dtype], "the masked token in two rows"
    )
    assert not output.attentions[0][:, :, 4].any()
    assert not output.global_attentions[0][:, :, 4].any()
    # By hand: with a context of zeros the projection leaves its bias.
    state["encoder.layer.0.attention.output.dense.weight"] *= 0
    bare = build("LongformerModel", fields, state, backend, dtype)(**inputs)
    assert_close(bare.last_hidden_state[:, 4], output.last_hidden_state[:, 4], TOLERANCE[dtype], "masked token")


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_a_row_without_any_visible_token_is_finite(backend, dtype):
    fields = fields_of()
    inputs = ragged_batch(fields, seed=56)
    inputs["attention_mask"][1] = 0
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=57), backend, dtype)
    output = model(**inputs, output_attentions=True)
    assert np.isfinite(output.last_hidden_state).all()
    assert not output.attentions[0][1].any()
    others = {name: value[[0, 2]] for name, value in inputs.items()}
    assert_close(
        output.last_hidden_state[[0, 2]], model(**others).last_hidden_state, TOLERANCE[dtype], "the other rows"
    )


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_nan_stays_in_its_row_and_is_not_swallowed(backend, dtype):
    fields = fields_of()
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=58), backend, dtype)
    embeds = np.random.default_rng(59).standard_normal((2, 11, 21))
    clean = model(inputs_embeds=embeds).last_hidden_state
    embeds[1, 5, 3] = np.nan
    with np.errstate(invalid="ignore"):
        dirty = model(inputs_embeds=embeds).last_hidden_state
    assert_close(dirty[0], clean[0], 0.0, "the clean row")
    assert np.isnan(dirty[1, 3:8]).all(), "the window around the NaN"


@pytest.mark.parametrize("backend", BACKENDS)
def test_embeddings_given_equal_ids_given(backend):
    fields = fields_of()
    state = state_of("LongformerModel", fields, seed=60)
    inputs = batch_of(fields, ragged_marks((23, 23), ({0: 2}, {5: 0})), seed=61)
    model = build("LongformerModel", fields, state, backend)
    embeds = state["embeddings.word_embeddings.weight"][inputs["input_ids"]]
    by_ids = model(**inputs).last_hidden_state
    del inputs["input_ids"]
    assert_close(model(inputs_embeds=embeds, **inputs).last_hidden_state, by_ids, FLOAT64, "last_hidden_state")
