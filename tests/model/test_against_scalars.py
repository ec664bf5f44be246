"""The definition in float64 against scalar loops: hidden states and probabilities of every layer, to 1e-13."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lf_ref import dense_attentions
from lf_ref.reference import ops
from model.building import FEW, build
from oracles import scalar
from oracles.compare import assert_close
from oracles.longformer import ACTIVATIONS, dilations_of
from oracles.strategies import batches, configurations, of_the_paper
from oracles.tolerances import SCALARS
from oracles.weights import fields_of, ragged_batch, state_of


def check(fields, inputs):
    state = state_of("LongformerModel", fields, seed=51)
    model = build("LongformerModel", fields, state, "numpy")
    output = model(**inputs, output_hidden_states=True, output_attentions=True)
    for layer, (rows, attended) in enumerate(scalar.encode(fields, state, inputs)):
        assert_close(output.hidden_states[layer], np.array(rows), SCALARS, f"hidden_states[{layer}]")
        if attended:
            global_ = None if output.global_attentions is None else output.global_attentions[layer - 1]
            masks = inputs["global_attention_mask"], inputs["attention_mask"]
            dilation = dilations_of(fields)[layer - 1]
            dense = dense_attentions(output.attentions[layer - 1], global_, *masks, dilation)
            expected = np.zeros_like(dense)
            for row, found in enumerate(attended):
                for head, queries in enumerate(found.probabilities):
                    for query, shares in enumerate(queries):
                        expected[row, head, query, list(shares)] = list(shares.values())
            assert_close(dense, expected, SCALARS, f"attentions[{layer - 1}]")


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_a_ragged_batch_with_every_activation(activation):
    fields = fields_of(hidden_act=activation)
    check(fields, ragged_batch(fields, seed=52))


@FEW
@given(st.data())
def test_any_small_model_on_any_batch(data):
    fields = data.draw(configurations(activations=sorted(ACTIVATIONS)))
    check(fields, data.draw(batches(fields, longest=13, most=2)))


@FEW
@given(st.data())
def test_any_small_model_with_windows_of_the_paper(data):
    fields = data.draw(configurations().flatmap(of_the_paper))
    check(fields, data.draw(batches(fields, longest=13, most=2)))


def test_matmuls_do_not_warn_of_what_blas_flags():
    """As those of the kernels do not, in `tests/kernels/test_products.py`."""
    with np.errstate(all="raise"):
        assert np.isnan(ops.matmul(np.full((1, 5), np.inf), np.zeros((5, 6)))).all()
