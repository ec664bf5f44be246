"""From the tensors of a checkpoint to the parameters of a model: strict, nothing made up, nothing left unexplained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..config import LongformerConfig
from ..errors import CheckpointError
from . import names
from .names import DECODER, HEADS, WORDS, Shapes
from .reduced import REDUCED, reduce
from .stored import Array, StoredTensor

# More layers missing than this are told by number: a hostile num_hidden_layers would make a list without end.
_LISTED_LAYERS = 100


@dataclass(frozen=True)
class _Fit:
    """How tensors fit a model: parameter names that are missing, stored names that nothing wants, wrong shapes."""

    missing: list[str]
    unexpected: list[str]
    misshapen: list[str]

    def __bool__(self) -> bool:
        return not (self.missing or self.unexpected or self.misshapen)


def bind(
    stored: Mapping[str, Any], config: LongformerConfig, head: str, dtype: DTypeLike = "float32"
) -> dict[str, Array]:
    """Give every parameter of a model its values.

    Prefixes, old names and ties are resolved as HF does; see `names`. Parts that the model does without (pooler,
    lm_head, classifiers) may be left over. Values are not judged: a NaN is passed on.

    Args:
        stored: arrays (or `StoredTensor`s) by stored name. They are not changed; those that fit are not copied.
        config: the shapes, and whether the masked-LM decoder is tied to the word embeddings.
        head: a key of `HEADS`.
        dtype: float32 or float64, of all results; or "bfloat16" or "int8" for the weights of linear maps and the word
            embeddings, which are then a `ReducedWeight`, and float32 for the rest.

    Returns:
        The parameters by the names of `expected_shapes`, read-only. Tied ones are the same array.

    Raises:
        CheckpointError: names are missing, unexpected or have another shape (all are listed), or two names that mean
            the same parameter hold different values.
    """
    origin = getattr(stored, "origin", "the state dict")
    groups = _group(stored, origin)
    layers = names.layers_in(groups)
    if config.num_hidden_layers > layers + _LISTED_LAYERS:
        raise CheckpointError(
            f"{origin} holds {layers} layers, but num_hidden_layers of the config is {config.num_hidden_layers}"
        )
    shapes = names.expected_shapes(config, head)
    _tie(groups, shapes, config, head)
    fit = _compare(groups, shapes)
    if not fit:
        raise CheckpointError(f"{origin}: {_describe(fit, stored, config, head)}")
    parameters = {name: _resolve(origin, name, groups[name], dtype) for name in shapes}
    if head == "masked_lm" and config.tie_word_embeddings:
        parameters[DECODER] = parameters[WORDS]
    return parameters


Groups = dict[str, dict[str, StoredTensor]]


def _group(stored: Mapping[str, Any], origin: str) -> Groups:
    """The tensors by the parameter they mean, then by stored name."""
    groups: Groups = {}
    for name, value in stored.items():
        if not isinstance(name, str):
            raise CheckpointError(f"{origin}: names of weights are strings, got {type(name).__name__}")
        parameter = names.parameter_name(name)
        if parameter is None:
            continue
        try:
            groups.setdefault(parameter, {})[name] = StoredTensor.of(value)
        except CheckpointError as error:
            raise CheckpointError(f"{origin}: {name}: {error}") from error
    return groups


def _tie(groups: Groups, shapes: Shapes, config: LongformerConfig, head: str) -> None:
    """Where the config ties them, let word embeddings and decoder stand for each other (changes its arguments)."""
    if not config.tie_word_embeddings:
        return
    if head == "masked_lm":
        del shapes[DECODER]
        both = {**groups.pop(WORDS, {}), **groups.pop(DECODER, {})}
        if both:
            groups[WORDS] = both
    elif WORDS not in groups and DECODER in groups:
        groups[WORDS] = groups.pop(DECODER)


def _compare(groups: Groups, shapes: Shapes) -> _Fit:
    missing = [name for name in shapes if name not in groups]
    unexpected = [
        stored
        for name, tensors in groups.items()
        if name not in shapes and not names.is_other_part(name)
        for stored in tensors
    ]
    misshapen = []
    for name, wanted in shapes.items():
        field = names.config_field(name)
        source = f" ({field} of the config)" if field else ""
        misshapen += [
            f"{stored}: got {tensor.shape}, wanted {wanted}{source}"
            for stored, tensor in groups.get(name, {}).items()
            if tensor.shape != wanted
        ]
    return _Fit(missing, unexpected, misshapen)


def _describe(fit: _Fit, stored: Mapping[str, Any], config: LongformerConfig, head: str) -> str:
    """The whole of what does not fit, and which classes would."""
    lines = [f"the weights do not fit {HEADS[head]}"]
    for title, found, separator in (
        ("missing", [names.stored_name(name, head) for name in fit.missing], ", "),
        ("unexpected", fit.unexpected, ", "),
        ("wrong shape", fit.misshapen, "; "),
    ):
        if found:
            lines.append(f"  {title} ({len(found)}): {separator.join(found)}")
    if fit.missing:
        lines.append("HF would have filled what is missing with random numbers; here nothing is made up.")
    fitting = [_class_of(other) for other in fitting_heads(stored, config)]
    if fitting:
        lines.append(f"These weights do fit {', '.join(fitting)}.")
    if config.architectures:
        lines.append(f"The config says that they were saved from {', '.join(map(str, config.architectures))}.")
    return "\n".join(lines)


def _class_of(head: str) -> str:
    return HEADS[head] + ("(add_pooling_layer=False)" if head == "encoder" else "")


def fitting_heads(stored: Mapping[str, Any], config: LongformerConfig) -> list[str]:
    """The keys of `HEADS` whose parameters are all there, in their shapes, and nothing else."""
    fitting = []
    for head in HEADS:
        groups, shapes = _group(stored, ""), names.expected_shapes(config, head)
        _tie(groups, shapes, config, head)
        if _compare(groups, shapes):
            fitting.append(head)
    return fitting


def _resolve(origin: str, name: str, tensors: dict[str, StoredTensor], dtype: DTypeLike) -> Array:
    """The values of a parameter that is stored under one name or several, which must agree."""
    (first, tensor), *others = tensors.items()
    for other, again in others:
        if not same(tensor, again):
            hint = (
                "; set tie_word_embeddings to false in the config if the two were trained apart"
                if name == WORDS
                else ""
            )
            raise CheckpointError(
                f"{origin}: {first} and {other} must be equal, as both mean the same parameter, but they differ{hint}"
            )
    kind = str(dtype)
    try:
        if kind not in REDUCED:
            return tensor.array(dtype)
        if names.is_reducible(name, tensor.shape):
            return reduce(tensor, kind)  # type: ignore[return-value]  # it does what is done with weights
        return tensor.array(np.float32)
    except CheckpointError as error:
        raise CheckpointError(f"{origin}: {first}: {error}") from error


def same(first: StoredTensor, second: StoredTensor) -> bool:
    """Whether two tensors hold the same values; shared storage tells it without reading them."""
    one, two = first.data, second.data
    if first.dtype != second.dtype or first.scales is not None or second.scales is not None:
        return bool(np.array_equal(first.array(np.float64), second.array(np.float64), equal_nan=True))
    if one.__array_interface__["data"] == two.__array_interface__["data"] and one.strides == two.strides:
        return True
    return bool(np.array_equal(one, two, equal_nan=True))
