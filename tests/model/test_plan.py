"""Computing less changes nothing: padding left out, and what the wanted tokens do not depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lf_ref import LongformerConfig
from lf_ref.errors import InputError
from lf_ref.model.inputs import check_inputs
from lf_ref.model.plan import plan
from model.building import BACKENDS, FEW, build
from oracles.compare import assert_close, assert_identical
from oracles.strategies import SEEDS, batches, configurations
from oracles.tolerances import FLOAT64
from oracles.weights import batch_of, fields_of, state_of


@FEW
@given(data=st.data())
def test_logits_at_chosen_positions_equal_those_of_all(data: Any) -> None:
    fields = data.draw(configurations(), label="config")
    inputs = data.draw(batches(fields), label="inputs")
    state = state_of("LongformerForMaskedLM", fields, data.draw(SEEDS, label="seed of the weights"))
    model = build("LongformerForMaskedLM", fields, state)
    rows, length = inputs["input_ids"].shape
    place = st.tuples(st.integers(0, rows - 1), st.integers(0, length - 1))
    positions = np.array(data.draw(st.lists(place, min_size=1, max_size=4), label="positions"))
    chosen = model(**inputs, logits_at=positions).logits
    assert_close(chosen, model(**inputs).logits[tuple(positions.T)], FLOAT64, "logits")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint64])
def test_positions_may_have_any_integer_dtype(backend, dtype):
    """The flat index, here 161, may overflow the dtype of row and position."""
    fields = fields_of()
    model = build("LongformerForMaskedLM", fields, state_of("LongformerForMaskedLM", fields, seed=203), backend)
    inputs = batch_of(fields, [[1] * 7] * 47, seed=204)
    expected = model(**inputs).logits[[23, 46], [0, 6]]
    assert_close(model(**inputs, logits_at=np.array([[23, 0], [46, 6]], dtype)).logits, expected, FLOAT64, "logits")


@pytest.mark.parametrize("backend", BACKENDS)
def test_labels_go_with_the_chosen_positions(backend):
    fields = fields_of()
    model = build("LongformerForMaskedLM", fields, state_of("LongformerForMaskedLM", fields, seed=201), backend)
    inputs = batch_of(fields, [[2, 1, 1, 1, 1, 0, 1], [1, 1, 1, 1, 0, 0, 0]], seed=202)
    labels = np.full((2, 7), -100)
    labels[0, 3], labels[1, 1] = 11, 13
    chosen = model(**inputs, logits_at=[[0, 3], [1, 1]], labels=[11, 13])
    assert_close(chosen.loss, model(**inputs, labels=labels).loss, FLOAT64, "loss")


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([[0, 7]], r"logits_at\[0\] is \[0, 7\].*\(2, 7\)"),
        ([[0, 1], [-1, 0]], r"logits_at\[1\] is \[-1, 0\]"),
        ([0, 3], r"logits_at.*\(n, 2\).*\(2,\)"),
        ([[0.0, 3.0]], r"logits_at.*integers.*float64"),
    ],
)
def test_positions_outside_the_batch_are_refused(positions, message):
    fields = fields_of()
    model = build("LongformerForMaskedLM", fields, state_of("LongformerForMaskedLM", fields, seed=203), "numpy")
    with pytest.raises(InputError, match=message):
        model(np.full((2, 7), 5), logits_at=positions)


def tokens_of_layers(inputs: dict[str, Any], one_sided: list[int], wanted: list[int], step: int = 1) -> list[int]:
    """How many tokens enter each layer, and how many leave the last."""
    config = LongformerConfig(vocab_size=97, max_position_embeddings=600)
    planned = plan(check_inputs(config, **inputs), one_sided, np.array(wanted), step)
    counts = [len(planned.source)]
    for layer in planned.layers:
        counts.append(counts[-1] if layer.leaving is None else len(layer.leaving))
    return counts


def test_a_wanted_token_needs_the_reach_of_the_layers_above():
    ids = np.full((1, 501), 5)
    # Each layer below looks 7, 5, 3 further to both sides, as far as there is text.
    assert tokens_of_layers({"input_ids": ids}, [7, 5, 3], [250]) == [31, 17, 7, 1]
    assert tokens_of_layers({"input_ids": ids}, [7, 5, 3], [2]) == [18, 11, 6, 1]


def test_what_a_layer_is_given_begins_and_ends_at_whole_steps():
    ids = np.full((1, 501), 5)
    # 240 to 253, 5 and 7 further to both sides; each begins at a multiple of 16 and is rounded up to whole steps.
    assert tokens_of_layers({"input_ids": ids}, [7, 5, 3], [250], 16) == [64, 48, 16, 16]
    assert tokens_of_layers({"input_ids": ids}, [501, 501], [250], 32) == [512, 512, 32]


def test_global_tokens_are_added_and_need_the_whole_text():
    ids, mask = np.full((1, 501), 5), np.zeros((1, 501), int)
    mask[0, [0, 400]] = 1
    inputs = {"input_ids": ids, "global_attention_mask": mask}
    assert tokens_of_layers(inputs, [7, 5, 3], [250]) == [501, 501, 9, 1]
    assert tokens_of_layers(inputs, [7, 5, 3], [0]) == [501, 501, 501, 1]
    assert tokens_of_layers(inputs, [7, 5, 3], [250], 16) == [512, 512, 16, 16]


def test_padding_is_computed_once_where_it_is_wanted_and_else_not_at_all():
    ids = np.full((2, 501), 5)
    ids[0, 100:], ids[1, 200:] = 1, 1
    inputs = {"input_ids": ids, "attention_mask": (ids != 1).astype(int)}
    assert tokens_of_layers(inputs, [501], list(range(1002))) == [301, 301]
    assert tokens_of_layers(inputs, [501], [0, 501]) == [300, 2]
    assert tokens_of_layers(inputs, [501], list(range(1002)), 16) == [112 + 208 + 16] * 2


@FEW
@given(data=st.data())
def test_every_slot_holds_a_token_of_its_row(data: Any) -> None:
    """The slots that are left over hold copies of the token before them, are masked, and nobody attends to them."""
    fields = data.draw(configurations(), label="config")
    inputs = check_inputs(LongformerConfig(**fields), **data.draw(batches(fields), label="inputs"))
    step = data.draw(st.sampled_from([1, 16, 32]), label="step")
    rows, length = inputs.visible.shape
    wanted = np.array(data.draw(st.lists(st.integers(0, rows * length - 1), min_size=1, max_size=4), label="wanted"))
    planned = plan(inputs, [window // 2 for window in LongformerConfig(**fields).windows], wanted, step)
    places = planned.source
    for layer in planned.layers:
        for row in layer.rows:
            assert (row.start % step, len(row.visible) % step) == (0, 0)
            own = places[row.start : row.start + len(row.visible)]
            assert set(own[row.count :]) <= set(own[row.count - 1 : row.count])
            assert not row.visible[row.count :].any()
            assert not row.local[row.count :].any()
            assert len(set(own // length)) <= 1, "tokens of one row"
            assert_identical(row.visible[: row.count], inputs.visible.reshape(-1)[own[: row.count]], "visible")
            is_global = inputs.is_global.reshape(-1)[own[: row.count]]
            assert_identical(row.globals, np.flatnonzero(is_global), "global tokens")
            assert_identical(row.local[: row.count], row.visible[: row.count] & ~is_global, "local tokens")
        places = places if layer.leaving is None else places[layer.leaving]
    seen = inputs.visible.reshape(-1)[wanted]
    assert_identical(places[planned.target][seen], wanted[seen], "the wanted tokens")
