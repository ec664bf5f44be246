"""Longformer's self-attention of one sequence, by the set rule (Beltagy et al. 2020, sections 3.1 and 3.2).

Two masks over the tokens define the attention: `visible` (not padding) and `is_global` (attends to all, attended by
all; always visible too). A query's keys are a set, and one softmax runs over that set:

- a local query sees the global tokens, and the local tokens at most `one_sided` positions away;
- a global query sees every visible token, through projections of its own;
- a query that is not visible sees nothing, and its output is zero.

The paper's character models have two more kinds of windows. A dilated window has gaps: the local tokens that a query
sees are `dilation` apart, as many as without gaps, and each head may have a dilation of its own (section 3.1). In a
causal model no query, local or global, sees a token after it (section 4). Source of the exact rule: `diagonaled_mm` of
AllenAI's code, https://github.com/allenai/longformer, whose query i sees the keys i + dilation (k - w) for k from 0 to
2 w, or to w if `autoregressive`; it says nothing of global tokens in a causal model.

The score of every pair is formed here, S x S of them for each head, so that the rule can be read. The fast kernels
never do that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .ops import Array, Note, Parameters, ignore, linear, masked, matmul, softmax


def local_keys(visible: Array, is_global: Array, one_sided: int, dilation: int = 1, causal: bool = False) -> Array:
    """The keys that each local query attends to.  # bool [S], [S] -> bool [S, S]

    one_sided: half of HF's attention_window, in tokens; dilation: distance of neighbours in the window, in tokens;
    causal: whether a query sees no token after it. Rows of global and of invisible queries are all False.
    """
    distance = _distance(len(visible))
    local = visible & ~is_global
    near = (np.abs(distance) <= one_sided * dilation) & (distance % dilation == 0)
    keys = local[:, None] & (is_global[None, :] | (near & local[None, :]))
    return keys & (distance <= 0) if causal else keys


def global_keys(visible: Array, is_global: Array, causal: bool = False) -> Array:
    """The keys that each global query attends to: all visible tokens.  # bool [S], [S] -> bool [S, S]

    causal: whether a query sees no token after it.
    """
    keys = is_global[:, None] & visible[None, :]
    return keys & (_distance(len(visible)) <= 0) if causal else keys


def _distance(length: int) -> Array:
    """Where each key lies as seen from each query: negative before it.  # -> int [S, S]"""
    position = np.arange(length)
    return position[None, :] - position[:, None]


def attend(
    query: Array, key: Array, value: Array, keys: Array, note: Note = ignore, kind: str = ""
) -> tuple[Array, Array]:
    """Average the values each query may see, weighted by the softmax of the scaled dot products.

    query, key, value: float [S, D] of one head; keys: bool [S, S]; note: receives intermediates,
    under names that end with kind. Returns the averages [S, D] and the weights [S, S], of the same dtype.
    """
    scale = np.sqrt(query.dtype.type(query.shape[1]))
    scores = note(f"scores{kind}", masked(matmul(query / scale, key.T), keys))  # [S, D], [D, S] -> [S, S]
    probabilities = note(f"probabilities{kind}", softmax(scores))
    return note(f"context{kind}", matmul(probabilities, value)), probabilities


def self_attention(
    hidden: Array,
    weights: Parameters,
    heads: int,
    visible: Array,
    is_global: Array,
    one_sided: int,
    keep_probabilities: bool = False,
    note: Note = ignore,
    dilations: int | Sequence[int] = 1,
    causal: bool = False,
) -> tuple[Array, Array | None]:
    """Every head attends in its own slice of the projections; the slices side by side are the context.

    hidden: float [S, hidden]; weights: query, key, value and query_global, key_global, value_global, each with weight
    and bias; heads: how many; visible, is_global: bool [S]; one_sided: half of the window, in tokens; note: gets
    intermediates, after the projections head by head; dilations: of all heads, or of each; causal: as in `local_keys`.

    Returns the context [S, hidden] and, with keep_probabilities, those of every query over every key, [H, S, S]: each
    row sums to 1, or is 0 throughout for a query that is not visible. Both have the dtype of hidden.
    """

    def project(name: str) -> Array:
        # [S, hidden] -> [S, hidden]
        return note(name, linear(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"]))

    query, key, value = (project(name) for name in ("query", "key", "value"))
    of_head = np.broadcast_to(dilations, heads).tolist()
    keys = {dilation: local_keys(visible, is_global, one_sided, dilation, causal) for dilation in of_head}
    any_global = bool(is_global.any())
    if any_global:
        query_global, key_global, value_global = (
            project(name) for name in ("query_global", "key_global", "value_global")
        )
        keys_of_global = global_keys(visible, is_global, causal)

    contexts, maps = [], []
    for head, dilation in zip(np.split(np.arange(hidden.shape[1]), heads), of_head, strict=True):
        context, probabilities = attend(query[:, head], key[:, head], value[:, head], keys[dilation], note)
        if any_global:
            # Here the rows of global queries are zero so far, and below the rows of all others are.
            more_context, more_probabilities = attend(
                query_global[:, head], key_global[:, head], value_global[:, head], keys_of_global, note, "_global"
            )
            context, probabilities = context + more_context, probabilities + more_probabilities
        contexts.append(context)
        if keep_probabilities:
            maps.append(probabilities)
    return np.concatenate(contexts, axis=1), np.stack(maps) if keep_probabilities else None
