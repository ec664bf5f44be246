"""Mistakes with weights, layers and the operations between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np

from ...reference.ops import ACTIVATIONS, Array
from .variant import Edit, Forward, Place, Variant, Variants

_LOCAL = ("query", "key", "value")
_GLOBAL = tuple(f"{name}_global" for name in _LOCAL)
_ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu", "tanh")
_BIASES = (*_LOCAL, *_GLOBAL, "attention.output.dense", "intermediate.dense", "output.dense", "lm_head")
# Where a name ends like another one, or is stored twice.
_PATTERNS = {"output.dense": r"\d[.]output[.]dense", "lm_head": "lm_head([.]decoder)?"}
_EPSILONS = (1e-5, 1e-6, 1e-12)


def projections(case: Variant) -> Variants:
    """Projections exchanged, or used twice, or transposed."""
    for one, other in (*combinations(_LOCAL, 2), *combinations(_GLOBAL, 2), *zip(_LOCAL, _GLOBAL, strict=True)):
        yield f"{one} and {other} exchanged", case.with_names(partial(_exchanged, one, other))
    for name in _LOCAL:
        yield f"{name} in place of {name}_global", case.with_names(partial(_instead, f"{name}_global", name))
    yield "the local projections in place of the global ones", case.with_names(_local)
    yield "the local and the global projections exchanged", case.with_names(_all_exchanged)
    for name in (*_LOCAL, *_GLOBAL, "attention.output.dense"):
        yield f"{name}.weight transposed", case.with_weights(f"{name}.weight", np.transpose)
    for name in _BIASES:
        yield f"no bias in {name}", case.with_weights(_PATTERNS.get(name, name) + ".bias", np.zeros_like)


def _exchanged(one: str, other: str, name: str) -> str:
    for old, new in ((one, other), (other, one)):
        if f"self.{old}." in name:
            return name.replace(f"self.{old}.", f"self.{new}.")
    return name


def _instead(old: str, new: str, name: str) -> str:
    return name.replace(f"self.{old}.", f"self.{new}.")


def _local(name: str) -> str:
    return name.replace("_global.", ".")


def _all_exchanged(name: str) -> str:
    for one, other in zip(_LOCAL, _GLOBAL, strict=True):
        changed = _exchanged(one, other, name)
        if changed != name:
            return changed
    return name


def layers(case: Variant) -> Variants:
    """Layers left out or exchanged, and norms."""
    count = int(case.config["num_hidden_layers"])
    if count > 1:
        yield "the first layer's weights in all layers", case.with_names(partial(_layer, lambda layer: 0))
        yield "the layers in reverse order", case.with_names(partial(_layer, lambda layer: count - 1 - layer))
        kept = {name: array for name, array in case.weights.items() if f"encoder.layer.{count - 1}." not in name}
        fewer = replace(case, weights=kept)
        yield "no last layer", fewer.with_config(num_hidden_layers=count - 1, attention_window=case.windows[:-1])
    yield "the two layer norms of a layer exchanged", case.with_names(_norms_exchanged)
    for eps in _EPSILONS:
        if eps != case.config["layer_norm_eps"]:
            yield f"a layer_norm_eps of {eps:g}", case.with_config(layer_norm_eps=eps)


def _layer(change: Callable[[int], int], name: str) -> str:
    before, found, after = name.partition("encoder.layer.")
    if not found:
        return name
    layer, _, rest = after.partition(".")
    return f"{before}{found}{change(int(layer))}.{rest}"


def _norms_exchanged(name: str) -> str:
    if ".attention.output.LayerNorm." in name:
        return name.replace(".attention.output.", ".output.")
    return name.replace(".output.LayerNorm.", ".attention.output.LayerNorm.")


def activations(case: Variant) -> Variants:
    """Another activation: in the layers, and in the head too."""
    for name in _ACTIVATIONS:
        other = case.with_config(hidden_act=name)
        if name != case.config["hidden_act"]:
            yield f"{name} as the activation", other
        if case.class_name == "LongformerForMaskedLM" and name != "gelu":
            edit = _instead_of("lm_head.activation", "lm_head.dense", ACTIVATIONS[name])
            yield f"{name} as the activation", other.with_edit(edit)
            yield f"{name} as the activation of the head", case.with_edit(edit)
    for name, source in (
        ("intermediate.intermediate_act_fn", "intermediate.dense"),
        ("lm_head.activation", "lm_head.dense"),
        ("pooler.activation", "pooler.dense"),
        ("classifier.activation", "classifier.dense"),
    ):
        yield f"no {name}", case.with_edit(_instead_of(name, source, np.array))


def omissions(case: Variant) -> Variants:
    """Residuals and norms left out, heads merged in another order, another token pooled."""
    for name, source in (("attention.output", "attention.output.dense"), ("output", "output.dense")):
        yield f"no residual in {name}", case.with_edit(_instead_of(f"{name}.sum", source, np.array))
        yield f"no {name}.LayerNorm", case.with_edit(_instead_of(f"{name}.LayerNorm", f"{name}.sum", np.array))
    yield "no embeddings.LayerNorm", case.with_edit(_instead_of("embeddings.LayerNorm", "embeddings.sum", np.array))
    yield "no lm_head.layer_norm", case.with_edit(_instead_of("lm_head.layer_norm", "lm_head.activation", np.array))
    yield "heads merged in another order", case.with_edit(_interleaved)
    for title, pick in (("the last token", lambda hidden: hidden[-1]), ("the mean of the tokens", _mean)):
        yield f"{title} in place of the first", case.with_edit(partial(_pooled, pick))


def _instead_of(name: str, source: str, function: Callable[[Array], Array]) -> Edit:
    """The edit that computes a tensor as a function of another one of its layer."""

    def edit(forward: Forward, place: Place, within: str, array: Array) -> Array:
        return function(forward.before(place, source)) if within == name else array

    return edit


def _interleaved(forward: Forward, place: Place, within: str, array: Array) -> Array:
    if within != "attention.self":
        return array
    return array.reshape(len(array), forward.config.num_attention_heads, -1).swapaxes(1, 2).reshape(array.shape)


def _mean(hidden: Array) -> Array:
    return hidden.mean(axis=0)


def _pooled(pick: Callable[[Array], Array], forward: Forward, place: Place, within: str, array: Array) -> Array:
    if within not in ("pooler.dense", "classifier.dense"):
        return array
    last = f"encoder.layer.{forward.config.num_hidden_layers - 1}.output.LayerNorm"
    picked = np.stack([pick(forward.seen[row, last]) for row in range(len(array))])
    weights = {name.removeprefix("longformer."): value for name, value in forward.variant.weights.items()}
    return picked @ weights[f"{within}.weight"].T.astype(np.float64) + weights[f"{within}.bias"]
