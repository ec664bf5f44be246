"""The whole forward of Longformer's encoder for one sequence, from embeddings to the last hidden state.

The layer is RoBERTa's with the attention of Beltagy et al. 2020, as HF's `LongformerModel` computes it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..config import LongformerConfig
from .attention import self_attention
from .ops import Array, Parameters, activation, layer_norm, linear, under


def embeddings(words: Array, position_ids: Array, token_type_ids: Array, weights: Parameters, eps: float) -> Array:
    """Sum of word, position and token-type vectors, normalised.  # float [S, hidden], int [S], int [S] -> [S, hidden]

    weights: the two tables and the norm, by HF's names under `embeddings`; eps: of the norm.
    """
    positions = weights["position_embeddings.weight"][position_ids]
    types = weights["token_type_embeddings.weight"][token_type_ids]
    return layer_norm(words + positions + types, weights["LayerNorm.weight"], weights["LayerNorm.bias"], eps)


def encoder_layer(
    hidden: Array,
    weights: Parameters,
    config: LongformerConfig,
    visible: Array,
    is_global: Array,
    one_sided: int,
    keep_probabilities: bool = False,
) -> tuple[Array, Array | None]:
    """Attention, then a feed-forward network on each token; after both, residual and norm.

    hidden: float [S, hidden]; weights: by HF's names under `encoder.layer.N`; config: for heads, activation and eps;
    visible, is_global: bool [S]; one_sided: half of the layer's window, in tokens.

    Returns [S, hidden] and, with keep_probabilities, those of the attention, [H, S, S]; both of the dtype of hidden.
    """
    eps = config.layer_norm_eps
    heads = config.num_attention_heads
    context, probabilities = self_attention(
        hidden, under(weights, "attention.self"), heads, visible, is_global, one_sided, keep_probabilities
    )
    mixed = linear(context, weights["attention.output.dense.weight"], weights["attention.output.dense.bias"])
    norm = under(weights, "attention.output.LayerNorm")
    attended = layer_norm(hidden + mixed, norm["weight"], norm["bias"], eps)

    inner = linear(attended, weights["intermediate.dense.weight"], weights["intermediate.dense.bias"])
    inner = activation(inner, config.hidden_act)  # [S, intermediate]
    outer = linear(inner, weights["output.dense.weight"], weights["output.dense.bias"])
    norm = under(weights, "output.LayerNorm")
    return layer_norm(attended + outer, norm["weight"], norm["bias"], eps), probabilities


def encode(
    words: Array,
    position_ids: Array,
    token_type_ids: Array,
    visible: Array,
    is_global: Array,
    parameters: Parameters,
    config: LongformerConfig,
    keep_probabilities: bool = False,
) -> Iterator[tuple[Array, Array | None]]:
    """Run the encoder on one sequence: yield the embeddings, then what each layer makes of them.

    words: float [S, hidden], the word vectors; position_ids, token_type_ids: int [S]; visible, is_global: bool [S];
    parameters: by HF's names without the `longformer.` prefix, in the dtype of words; config: for windows and sizes.

    Yields the hidden states [S, hidden] with the layer's probabilities [H, S, S] (None for the embeddings, and without
    keep_probabilities).

    Raises:
        ConfigError: the windows of the config were changed to what cannot be.
    """
    hidden = embeddings(words, position_ids, token_type_ids, under(parameters, "embeddings"), config.layer_norm_eps)
    yield hidden, None
    for layer, window in enumerate(config.windows):
        weights = under(parameters, f"encoder.layer.{layer}")
        hidden, probabilities = encoder_layer(
            hidden, weights, config, visible, is_global, window // 2, keep_probabilities
        )
        yield hidden, probabilities


def banded(probabilities: Array, is_global: Array, columns: int, one_sided: int) -> tuple[Array, Array]:
    """Fold dense probabilities into the layout of HF's `attentions` and `global_attentions`.

    probabilities: float [H, S, S]; is_global: bool [S]; columns: x, the largest number of global tokens of any row of
    the batch; one_sided: half of the window, in tokens.

    Returns [H, S, x + 2 one_sided + 1] (global keys first, then the neighbours from the farthest on the left to the
    farthest on the right; rows of global queries are 0) and [H, S, x] (each global query over all tokens, transposed).
    """
    heads, length, _ = probabilities.shape
    globals_ = np.flatnonzero(is_global)
    local = np.zeros((heads, length, columns + 2 * one_sided + 1), probabilities.dtype)
    local[:, :, : len(globals_)] = probabilities[:, :, globals_]
    for query in range(length):
        start, stop = max(0, query - one_sided), min(length, query + one_sided + 1)
        band = np.where(is_global[start:stop], 0, probabilities[:, query, start:stop])
        first = columns + start - query + one_sided
        local[:, query, first : first + stop - start] = band
    local[:, globals_] = 0
    global_ = np.zeros((heads, length, columns), probabilities.dtype)
    global_[:, :, : len(globals_)] = probabilities[:, globals_].swapaxes(1, 2)
    return local, global_
