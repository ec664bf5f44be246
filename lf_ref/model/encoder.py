"""The encoder on the fast kernels: the layer as the paper draws it, for a whole batch at once.

The tokens of all rows lie one after another, [tokens, hidden], and no row is padded: see `plan`.
`lf_ref.reference.forward` is the same in plain NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..config import LongformerConfig
from ..reference.ops import Array, Note, Parameters, ignore, under, within
from .inputs import Inputs, words
from .observer import Observer
from .plan import Layer, Plan, plan

if TYPE_CHECKING:
    from ..kernels.engine import Kernels


@dataclass
class Encoded:
    """The results of the encoder, in the shapes of `LongformerBaseModelOutput`; lists are empty unless requested."""

    last_hidden_state: Array
    hidden_states: list[Array] = field(default_factory=list)
    attentions: list[Array] = field(default_factory=list)
    global_attentions: list[Array] = field(default_factory=list)

    def optional_fields(self) -> dict[str, tuple[Array, ...] | None]:
        """The lists as fields of an output record: None if not requested, or if no token is global."""
        some_global = bool(self.global_attentions) and self.global_attentions[0].shape[-1] > 0
        return {
            "hidden_states": tuple(self.hidden_states) or None,
            "attentions": tuple(self.attentions) or None,
            "global_attentions": tuple(self.global_attentions) if some_global else None,
        }


def encode(
    inputs: Inputs,
    parameters: Parameters,
    config: LongformerConfig,
    kernels: Kernels,
    wanted: Array | None,
    keep_hidden_states: bool,
    keep_attentions: bool,
    observer: Observer | None = None,
) -> Encoded:
    """Run the encoder on a batch; parameters by HF's names without the `longformer.` prefix.

    keep_attentions: return the attention probabilities; with an observer, pass them to it instead, layer by layer.
    wanted: int64 [n], flat indices into the batch: return the last hidden state of these tokens alone, [n, hidden], and
    skip all that it does not depend on. None: all tokens.
    """
    shape = (*inputs.visible.shape, config.hidden_size)
    planned = plan(inputs, [window // 2 for window in config.windows], wanted)

    def report(name: str, packed: Array) -> Array:
        if observer is not None:
            observer(name, planned.spread(packed).reshape(*inputs.visible.shape, -1))
        return packed

    weights, note = under(parameters, "embeddings"), ignore if observer is None else report
    hidden = embeddings(inputs, planned.source, weights, kernels, config.layer_norm_eps, within(note, "embeddings"))
    hidden_states, local, global_ = [], [], []
    if keep_hidden_states:
        hidden_states.append(planned.spread(hidden).reshape(shape))
    for number, (layer, window) in enumerate(zip(planned.layers, config.windows, strict=True)):
        weights, inside = under(parameters, f"encoder.layer.{number}"), within(note, f"encoder.layer.{number}")
        if keep_attentions:
            probabilities = attentions(hidden, under(weights, "attention.self"), config, kernels, planned, window // 2)
            if observer is None:
                local.append(probabilities[0])
                global_.append(probabilities[1])
            else:
                for kind, folded in zip(("", "_global"), probabilities, strict=True):
                    observer(f"encoder.layer.{number}.attention.self.probabilities{kind}", folded)
        hidden = encoder_layer(hidden, weights, config, kernels, layer, window // 2, inside)
        if keep_hidden_states:
            hidden_states.append(planned.spread(hidden).reshape(shape))
    hidden = planned.spread(hidden)
    return Encoded(hidden.reshape(shape) if wanted is None else hidden, hidden_states, local, global_)


def embeddings(
    inputs: Inputs, indices: Array, weights: Parameters, kernels: Kernels, eps: float, note: Note = ignore
) -> Array:
    """Sum of word, position and token-type embeddings, normalised, of some tokens.  # int [n] -> [n, hidden]"""
    total = words(inputs, weights["word_embeddings.weight"], indices)
    if inputs.input_ids is not None:
        note("word_embeddings", total)
    total += weights["position_embeddings.weight"][inputs.position_ids.ravel()[indices]]
    total += weights["token_type_embeddings.weight"][inputs.token_type_ids.ravel()[indices]]
    note("sum", total)
    return note("LayerNorm", kernels.layer_norm(total, weights["LayerNorm.weight"], weights["LayerNorm.bias"], eps))


def encoder_layer(
    hidden: Array,
    weights: Parameters,
    config: LongformerConfig,
    kernels: Kernels,
    layer: Layer,
    one_sided: int,
    note: Note = ignore,
) -> Array:
    """Attention, then a feed-forward network on each token; after both, residual and norm.

    hidden: [entering tokens, hidden]. Returns [leaving tokens, hidden].
    """
    own, inside = under(weights, "attention.self"), within(note, "attention.self")
    context = note("attention.self", self_attention(hidden, own, config, kernels, layer, one_sided, inside))
    residual = layer.keep(hidden)
    attended = residual_norm(layer.keep(context), residual, under(weights, "attention.output"), config, kernels)
    note("attention.output.LayerNorm", attended)
    return note("output.LayerNorm", feed_forward(attended, weights, config, kernels))


def self_attention(
    hidden: Array,
    weights: Parameters,
    config: LongformerConfig,
    kernels: Kernels,
    layer: Layer,
    one_sided: int,
    note: Note = ignore,
) -> Array:
    """The attention of each token to its neighbours and to the global tokens.

    hidden: [entering tokens, hidden]. Returns the same shape; rows of tokens that do not leave the layer are undefined.
    """
    heads = config.num_attention_heads
    if any(row.local[row.queries].any() for row in layer.rows):
        query, key, value = _project(hidden, weights, ("query", "key", "value"), kernels, note)
        # In place: a new array of this size costs a tenth of the matmul.
        kernels.band_attention(query, key, value, layer.rows, heads, one_sided, out=query)
        context = note("context", query)
    else:
        context = np.zeros_like(hidden)
    for row in layer.rows:
        if len(row.global_queries):
            context[row.tokens][row.global_queries] = kernels.global_attention(
                hidden[row.tokens], row.global_queries, row.visible, weights, heads
            )
    return context


def residual_norm(x: Array, residual: Array, weights: Parameters, config: LongformerConfig, kernels: Kernels) -> Array:
    """A dense layer, the residual, the norm.  # [tokens, m], [tokens, hidden] -> [tokens, hidden]"""
    dense = weights["dense.weight"], weights["dense.bias"]
    norm = weights["LayerNorm.weight"], weights["LayerNorm.bias"]
    return kernels.linear_residual_norm(x, dense, residual, norm, config.layer_norm_eps)


def feed_forward(attended: Array, weights: Parameters, config: LongformerConfig, kernels: Kernels) -> Array:
    """Two dense layers with the activation between, the residual, the norm, for some tokens at a time.

    So the inner activations, four times as wide as the rest, never exist for all tokens; the results replace
    `attended`.  # [tokens, hidden] -> same
    """
    output = under(weights, "output")
    for start in range(0, len(attended), kernels.CHUNK):
        chunk = attended[start : start + kernels.CHUNK]
        inner = kernels.linear_activation(
            chunk, weights["intermediate.dense.weight"], weights["intermediate.dense.bias"], config.hidden_act
        )
        chunk[:] = residual_norm(inner, chunk, output, config, kernels)
    return attended


def attentions(
    hidden: Array, weights: Parameters, config: LongformerConfig, kernels: Kernels, planned: Plan, one_sided: int
) -> tuple[Array, Array]:
    """The probabilities of one layer that computes everything, laid out as HF's `attentions` and `global_attentions`.

    Returns [B, H, S, x + 2 one_sided + 1] and [B, H, S, x], x the largest number of global tokens of any row.
    """
    heads, rows, (batch, length) = config.num_attention_heads, planned.layers[0].rows, planned.shape
    query, key = _project(hidden, weights, ("query", "key"), kernels)
    columns = max((len(row.globals) for row in rows), default=0)
    local = np.zeros((batch, heads, length, columns + 2 * one_sided + 1), hidden.dtype)
    global_ = np.zeros((batch, heads, length, columns), hidden.dtype)
    for row in rows:
        index, first = divmod(int(planned.source[row.tokens.start]), length)
        span = slice(first, first + len(row.visible))
        kernels.band_probabilities(query, key, row, one_sided, local[index, :, span])
        if len(row.globals):
            probabilities = np.empty((heads, len(row.globals), len(row.visible)), hidden.dtype)
            kernels.global_attention(hidden[row.tokens], row.globals, row.visible, weights, heads, probabilities)
            global_[index, :, span, : len(row.globals)] = probabilities.swapaxes(1, 2)
    return local, global_


def _project(
    hidden: Array, weights: Parameters, names: Sequence[str], kernels: Kernels, note: Note = ignore
) -> list[Array]:
    projected = kernels.linears(hidden, [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in names])
    return [note(name, array) for name, array in zip(names, projected, strict=True)]
