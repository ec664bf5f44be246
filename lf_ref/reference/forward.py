"""The whole forward of Longformer's encoder for one sequence, from embeddings to the last hidden state.

The layer is RoBERTa's with the attention of Beltagy et al. 2020, as HF's `LongformerModel` computes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..config import LongformerConfig
from .attention import self_attention
from .ops import Array, Note, Parameters, activation, ignore, layer_norm, linear, under, within


def embeddings(
    words: Array, position_ids: Array, token_type_ids: Array, weights: Parameters, eps: float, note: Note = ignore
) -> Array:
    """Sum of word, position and token-type vectors, normalised.  # float [S, hidden], int [S], int [S] -> [S, hidden]

    weights: the two tables and the norm, by HF's names under `embeddings`; eps: of the norm; note: as in `encode`.
    """
    positions = note("position_embeddings", weights["position_embeddings.weight"][position_ids])
    types = note("token_type_embeddings", weights["token_type_embeddings.weight"][token_type_ids])
    total = note("sum", words + positions + types)
    return note("LayerNorm", layer_norm(total, weights["LayerNorm.weight"], weights["LayerNorm.bias"], eps))


def encoder_layer(
    hidden: Array,
    weights: Parameters,
    config: LongformerConfig,
    visible: Array,
    is_global: Array,
    one_sided: int,
    keep_probabilities: bool = False,
    note: Note = ignore,
    dilations: int | Sequence[int] = 1,
    causal: bool = False,
) -> tuple[Array, Array | None]:
    """Attention, then a feed-forward network on each token; after both, residual and norm.

    hidden: float [S, hidden]; weights: by HF's names under `encoder.layer.N`; config: for heads, activation and eps;
    visible, is_global: bool [S]; one_sided: half of the layer's window, in tokens; note: as in `encode`; dilations,
    causal: as in `self_attention`.

    Returns [S, hidden] and, with keep_probabilities, those of the attention, [H, S, S]; both of the dtype of hidden.
    """
    eps = config.layer_norm_eps
    heads = config.num_attention_heads

    def dense(name: str, x: Array) -> Array:
        return note(f"{name}.dense", linear(x, weights[f"{name}.dense.weight"], weights[f"{name}.dense.bias"]))

    def norm(name: str, x: Array, residual: Array) -> Array:
        total = note(f"{name}.sum", residual + x)
        scale, shift = weights[f"{name}.LayerNorm.weight"], weights[f"{name}.LayerNorm.bias"]
        return note(f"{name}.LayerNorm", layer_norm(total, scale, shift, eps))

    own, inside = under(weights, "attention.self"), within(note, "attention.self")
    context, probabilities = self_attention(
        hidden, own, heads, visible, is_global, one_sided, keep_probabilities, inside, dilations, causal
    )
    context = note("attention.self", context)
    attended = norm("attention.output", dense("attention.output", context), hidden)
    inner = activation(dense("intermediate", attended), config.hidden_act)  # [S, intermediate]
    inner = note("intermediate.intermediate_act_fn", inner)
    return norm("output", dense("output", inner), attended), probabilities


def encode(
    words: Array,
    position_ids: Array,
    token_type_ids: Array,
    visible: Array,
    is_global: Array,
    parameters: Parameters,
    config: LongformerConfig,
    keep_probabilities: bool = False,
    note: Note = ignore,
) -> Iterator[tuple[Array, Array | None]]:
    """Run the encoder on one sequence: yield the embeddings, then the output of each layer.

    words: float [S, hidden], the word vectors; position_ids, token_type_ids: int [S]; visible, is_global: bool [S];
    parameters: by HF's names without the `longformer.` prefix, in the dtype of words; config: for windows and sizes;
    note: gets every intermediate, [S, ...], under HF's module names.

    Yields the hidden states [S, hidden] with the layer's probabilities [H, S, S] (None for the embeddings, and without
    keep_probabilities).

    Raises:
        ConfigError: the windows of the config were changed to what cannot be.
    """
    weights, inside = under(parameters, "embeddings"), within(note, "embeddings")
    hidden = embeddings(words, position_ids, token_type_ids, weights, config.layer_norm_eps, inside)
    yield hidden, None
    for layer, window in enumerate(config.windows):
        weights, inside = under(parameters, f"encoder.layer.{layer}"), within(note, f"encoder.layer.{layer}")
        hidden, probabilities = encoder_layer(
            hidden, weights, config, visible, is_global, window // 2, keep_probabilities, inside
        )
        yield hidden, probabilities


def banded(
    dense: Array,
    is_global: Array,
    columns: int,
    one_sided: int,
    nothing: float = 0.0,
    dilations: int | Sequence[int] = 1,
) -> tuple[Array, Array]:
    """Fold dense probabilities, or scores, into the layout of HF's `attentions` and `global_attentions`.

    dense: float [H, S, S]; is_global: bool [S]; columns: x, the largest number of global tokens of any row of the
    batch; one_sided: half of the window, in tokens; nothing: what stands where there is no key; dilations:
    of all heads, or of each: its neighbours are that far apart.

    Returns [H, S, x + 2 one_sided + 1] (global keys first, then the neighbours from the farthest on the left to the
    farthest on the right; rows of global queries hold nothing) and [H, S, x] (each global query over all tokens,
    transposed).
    """
    heads, length, _ = dense.shape
    globals_, position = np.flatnonzero(is_global), np.arange(length)
    local = np.full((heads, length, columns + 2 * one_sided + 1), nothing, dense.dtype)
    local[:, :, : len(globals_)] = dense[:, :, globals_]
    apart = np.broadcast_to(dilations, heads)[:, None, None]
    key: Array = position[:, None] + apart * np.arange(-one_sided, one_sided + 1)  # [H, S, 2 one_sided + 1]
    inside = (key >= 0) & (key < length)
    key = np.where(inside, key, 0)
    found = np.take_along_axis(dense, key, axis=2)
    local[:, :, columns:] = np.where(inside & ~is_global[key], found, nothing)
    local[:, globals_] = nothing
    global_ = np.full((heads, length, columns), nothing, dense.dtype)
    global_[:, :, : len(globals_)] = dense[:, globals_].swapaxes(1, 2)
    return local, global_
