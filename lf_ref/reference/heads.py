"""The heads on top of the encoder, each in a few lines, written once for both engines. They are those of HF's classes.

In all of them `ops` is `lf_ref.reference.ops`, the reference implementation, or the fast kernels, which have the same
functions, `weights` are parameters by HF's names, and `note` gets every intermediate, see `ops.ignore`. Results have
the dtype of the inputs.
"""

from __future__ import annotations

from typing import Protocol

from .ops import Array, Note, Parameters, ignore


class Ops(Protocol):
    """The operations that a head needs; `lf_ref.reference.ops` defines them."""

    def linear(self, x: Array, weight: Array, bias: Array, /) -> Array:
        """x W^T + bias, W being the weight.  # float [..., m], [n, m], [n] -> [..., n]"""

    def layer_norm(self, x: Array, weight: Array, bias: Array, eps: float, /) -> Array:
        """Normalise each vector, with eps added to the variance.  # float [..., n], [n], [n] -> [..., n]"""

    def activation(self, x: Array, name: str, /) -> Array:
        """The activation that HF calls `name`.  # float [...] -> [...]"""

    def tanh(self, x: Array, /) -> Array:
        """The hyperbolic tangent.  # float [...] -> [...]"""


def pooler(ops: Ops, first: Array, weights: Parameters, note: Note = ignore) -> Array:
    """The first token's vector through a dense layer and tanh.  # float [B, hidden] -> [B, hidden]"""
    return note("pooler.activation", ops.tanh(_linear(ops, first, weights, "pooler.dense", note)))


def masked_lm(ops: Ops, hidden: Array, weights: Parameters, eps: float, note: Note = ignore) -> Array:
    """A score for every word of the vocabulary; eps: of the norm.  # float [..., hidden] -> [..., vocab]"""
    x = _linear(ops, hidden, weights, "lm_head.dense", note)
    x = note("lm_head.activation", ops.activation(x, "gelu"))  # whatever hidden_act is
    x = ops.layer_norm(x, weights["lm_head.layer_norm.weight"], weights["lm_head.layer_norm.bias"], eps)
    x = note("lm_head.layer_norm", x)
    return note("lm_head.decoder", ops.linear(x, weights["lm_head.decoder.weight"], weights["lm_head.bias"]))


def sequence_classification(ops: Ops, first: Array, weights: Parameters, note: Note = ignore) -> Array:
    """A score for every label, from the first token.  # float [B, hidden] -> [B, labels]"""
    x = note("classifier.activation", ops.tanh(_linear(ops, first, weights, "classifier.dense", note)))
    return _linear(ops, x, weights, "classifier.out_proj", note)


def token_classification(ops: Ops, hidden: Array, weights: Parameters, note: Note = ignore) -> Array:
    """A score for every label of every token.  # float [B, S, hidden] -> [B, S, labels]"""
    return _linear(ops, hidden, weights, "classifier", note)


def multiple_choice(ops: Ops, first: Array, weights: Parameters, note: Note = ignore) -> Array:
    """One score for each choice, from its pooled first token.  # float [B * C, hidden] -> [B * C, 1]"""
    return _linear(ops, pooler(ops, first, weights, note), weights, "classifier", note)


def question_answering(ops: Ops, hidden: Array, weights: Parameters, note: Note = ignore) -> tuple[Array, Array]:
    """Scores of each token as start and as end of the answer.  # float [B, S, hidden] -> [B, S], [B, S]"""
    x = _linear(ops, hidden, weights, "qa_outputs", note)
    return x[..., 0], x[..., 1]


def _linear(ops: Ops, x: Array, weights: Parameters, name: str, note: Note) -> Array:
    return note(name, ops.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"]))
