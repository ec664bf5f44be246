"""The heads on top of the encoder, each in a few lines, written once for both engines. They are those of HF's classes.

In all of them `ops` is `lf_ref.reference.ops` for the definition, or the fast kernels, which have the same functions,
and `weights` are parameters by HF's names. Results have the dtype of what comes in.
"""

from __future__ import annotations

from typing import Protocol

from .ops import Array, Parameters


class Ops(Protocol):
    """The operations that a head needs; see `lf_ref.reference.ops` for what each computes."""

    def linear(self, x: Array, weight: Array, bias: Array, /) -> Array:
        """x W^T + bias, W being the weight.  # float [..., m], [n, m], [n] -> [..., n]"""

    def layer_norm(self, x: Array, weight: Array, bias: Array, eps: float, /) -> Array:
        """Normalise each vector, with eps added to the variance.  # float [..., n], [n], [n] -> [..., n]"""

    def activation(self, x: Array, name: str, /) -> Array:
        """The activation that HF calls `name`.  # float [...] -> [...]"""

    def tanh(self, x: Array, /) -> Array:
        """The hyperbolic tangent.  # float [...] -> [...]"""


def pooler(ops: Ops, first: Array, weights: Parameters) -> Array:
    """The first token's vector through a dense layer and tanh.  # float [B, hidden] -> [B, hidden]"""
    return ops.tanh(ops.linear(first, weights["pooler.dense.weight"], weights["pooler.dense.bias"]))


def masked_lm(ops: Ops, hidden: Array, weights: Parameters, eps: float) -> Array:
    """A score for every word of the vocabulary; eps: of the norm.  # float [..., hidden] -> [..., vocab]"""
    x = ops.linear(hidden, weights["lm_head.dense.weight"], weights["lm_head.dense.bias"])
    x = ops.activation(x, "gelu")  # whatever hidden_act says
    x = ops.layer_norm(x, weights["lm_head.layer_norm.weight"], weights["lm_head.layer_norm.bias"], eps)
    return ops.linear(x, weights["lm_head.decoder.weight"], weights["lm_head.bias"])


def sequence_classification(ops: Ops, first: Array, weights: Parameters) -> Array:
    """A score for every label, from the first token.  # float [B, hidden] -> [B, labels]"""
    x = ops.tanh(ops.linear(first, weights["classifier.dense.weight"], weights["classifier.dense.bias"]))
    return ops.linear(x, weights["classifier.out_proj.weight"], weights["classifier.out_proj.bias"])


def token_classification(ops: Ops, hidden: Array, weights: Parameters) -> Array:
    """A score for every label of every token.  # float [B, S, hidden] -> [B, S, labels]"""
    return ops.linear(hidden, weights["classifier.weight"], weights["classifier.bias"])


def multiple_choice(ops: Ops, first: Array, weights: Parameters) -> Array:
    """One score for each choice, from its pooled first token.  # float [B * C, hidden] -> [B * C, 1]"""
    return ops.linear(pooler(ops, first, weights), weights["classifier.weight"], weights["classifier.bias"])


def question_answering(ops: Ops, hidden: Array, weights: Parameters) -> tuple[Array, Array]:
    """How well each token starts and ends the answer.  # float [B, S, hidden] -> [B, S], [B, S]"""
    x = ops.linear(hidden, weights["qa_outputs.weight"], weights["qa_outputs.bias"])
    return x[..., 0], x[..., 1]
