"""Longformer's self-attention of one sequence, by the set rule (Beltagy et al. 2020, sections 3.1 and 3.2).

Two masks over the tokens define the attention: `visible` (not padding) and `is_global` (attends to all, attended by
all; always visible too). A query's keys are a set, and one softmax runs over that set:

- a local query sees the global tokens, and the local tokens at most `one_sided` positions away;
- a global query sees every visible token, through projections of its own;
- a query that is not visible sees nothing, and its output is zero.

The score of every pair is formed here, S x S of them for each head, so that the rule can be read. The fast kernels
never do that.
"""

from __future__ import annotations

import numpy as np

from .ops import Array, Note, Parameters, ignore, linear, masked, matmul, softmax


def local_keys(visible: Array, is_global: Array, one_sided: int) -> Array:
    """The keys that each local query attends to.  # bool [S], [S] -> bool [S, S]

    one_sided: half of HF's attention_window, in tokens. Rows of global and of invisible queries are all False.
    """
    position = np.arange(len(visible))
    local = visible & ~is_global
    near = np.abs(position[:, None] - position[None, :]) <= one_sided
    return local[:, None] & (is_global[None, :] | (near & local[None, :]))


def global_keys(visible: Array, is_global: Array) -> Array:
    """The keys that each global query attends to: all visible tokens.  # bool [S], [S] -> bool [S, S]"""
    return is_global[:, None] & visible[None, :]


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
) -> tuple[Array, Array | None]:
    """Every head attends in its own slice of the projections; the slices side by side are the context.

    hidden: float [S, hidden]; weights: query, key, value and query_global, key_global, value_global, each with weight
    and bias; heads: how many; visible, is_global: bool [S]; one_sided: half of the window, in tokens; note: gets
    intermediates, after the projections head by head.

    Returns the context [S, hidden] and, with keep_probabilities, those of every query over every key, [H, S, S]: each
    row sums to 1, or is 0 throughout for a query that is not visible. Both have the dtype of hidden.
    """

    def project(name: str) -> Array:
        # [S, hidden] -> [S, hidden]
        return note(name, linear(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"]))

    query, key, value = (project(name) for name in ("query", "key", "value"))
    keys = local_keys(visible, is_global, one_sided)
    any_global = bool(is_global.any())
    if any_global:
        query_global, key_global, value_global = (
            project(name) for name in ("query_global", "key_global", "value_global")
        )
        keys_of_global = global_keys(visible, is_global)

    contexts, maps = [], []
    for head in np.split(np.arange(hidden.shape[1]), heads):
        context, probabilities = attend(query[:, head], key[:, head], value[:, head], keys, note)
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
