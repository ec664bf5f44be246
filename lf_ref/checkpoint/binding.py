"""From the tensors of a checkpoint to the parameters of a model: nothing made up, nothing left unexplained."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import allenai
from ..config import LongformerConfig
from ..errors import CheckpointError, ConfigError, WeightsError
from ..other_models import encoder_decoder
from . import names
from .names import DECODER, HEADS, WORDS, Shapes
from .reduced import REDUCED, reduce
from .stored import Array, StoredTensor, same

_SHOWN = 8  # names in a message; the error has all
_LONGEST = 100  # characters of a name in a message

Groups = dict[str, dict[str, StoredTensor]]


@dataclass(frozen=True)
class _Fit:
    """The fit of tensors to a model.

    groups: the tensors of each parameter, by stored name. missing: parameters without one. unexpected: what stored
    names that the model does not use mean. misshapen: stored name, shape, the shape that is wanted, and its parameter.
    layers: how many the names speak of.
    """

    groups: Groups
    missing: list[str]
    unexpected: dict[str, str]
    misshapen: list[tuple[str, tuple[int, ...], tuple[int, ...], str]]
    layers: int

    @property
    def is_complete(self) -> bool:
        return not (self.missing or self.misshapen)


def bind(
    stored: Mapping[str, Any], config: LongformerConfig, head: str, dtype: DTypeLike = "float32", strict: bool = False
) -> dict[str, Array]:
    """Give every parameter of a model its values.

    Prefixes, old names and ties are resolved; see `names`. Parts that the model does without (pooler, lm_head,
    classifiers) may be left over. A `UserWarning` names other weights that are not used, and whether there are more
    layers than the config's `num_hidden_layers`. Values are not judged: a NaN is passed on.

    Args:
        stored: arrays (or `StoredTensor`s) by stored name. They are not changed; those that fit are not copied.
        config: the shapes, and whether the masked-LM decoder is tied to the word embeddings.
        head: a key of `HEADS`.
        dtype: float32 or float64, of all results; or "bfloat16" or "int8" for the weights of linear maps and the word
            embeddings, which are then a `ReducedWeight`, and float32 for the rest.
        strict: refuse all weights that are not used, those of HF's other heads too.

    Returns:
        The parameters by the names of `expected_shapes`, read-only. Tied ones are the same array.

    Raises:
        WeightsError: weights are missing or have another shape, or some are not used and strict is True.
        CheckpointError: a value is no array, or two names that mean the same parameter hold different values.
        ConfigError: the config does not determine the windows; see `read_config`.
    """
    origin = getattr(stored, "origin", "the state dict")
    fit = _fit(stored, config, head, origin, strict)
    if allenai.has_fields(config.to_dict()) and names.is_under_roberta(stored):
        raise ConfigError(f"{origin}: {allenai.IN_DOUBT}")
    if not fit.is_complete or (strict and fit.unexpected):
        raise _misfit(fit, stored, config, head, origin)
    if fit.unexpected:
        warnings.warn(f"{origin}: {_unused(fit, config, head)}; strict=True refuses it", stacklevel=2)
    parameters = {name: _resolve(origin, name, tensors, dtype) for name, tensors in fit.groups.items()}
    if head == "masked_lm" and config.tie_word_embeddings:
        parameters[DECODER] = parameters[WORDS]
    return parameters


def check_fit(stored: Mapping[str, Any], config: LongformerConfig, heads: Iterable[str]) -> None:
    """Check that weights fit one of the classes; heads: keys of `HEADS`, of which the error speaks of the last.

    Raises:
        WeightsError: weights are missing or have another shape.
        CheckpointError: they are those of an encoder-decoder.
    """
    origin = getattr(stored, "origin", "the state dict")
    for head in heads:
        fit = _fit(stored, config, head, origin)
        if fit.is_complete:
            return
    raise _misfit(fit, stored, config, head, origin)


def _misfit(fit: _Fit, stored: Mapping[str, Any], config: LongformerConfig, head: str, origin: str) -> CheckpointError:
    if fit.missing and names.has_decoder_layers(stored):
        return CheckpointError(encoder_decoder(f"{origin} has layers of a decoder"))
    return WeightsError(
        f"{origin}: {_describe(fit, stored, config, head)}",
        [names.stored_name(name, head) for name in fit.missing],
        list(fit.unexpected),
        [entry[:3] for entry in fit.misshapen],
    )


def _fit(stored: Mapping[str, Any], config: LongformerConfig, head: str, origin: str, strict: bool = False) -> _Fit:
    """Compare the weights with those of a model; if strict, the parts of other classes are unexpected too."""
    by_parameter: dict[str, dict[str, Any]] = {}
    for name, parameter in names.parameters_of(stored).items():
        if parameter is not None:
            by_parameter.setdefault(parameter, {})[name] = stored[name]
    layers = len({names.layer_of(parameter) for parameter in by_parameter} - {None})
    shapes = names.expected_shapes(config, head)
    _tie(by_parameter, shapes, config, head)
    groups = {
        name: {stored_name: _tensor(origin, stored_name, value) for stored_name, value in by_parameter[name].items()}
        for name in shapes
        if name in by_parameter
    }
    return _Fit(
        groups,
        [name for name in shapes if name not in groups],
        {
            stored_name: name
            for name, tensors in by_parameter.items()
            if name not in shapes and (strict or not names.is_other_part(name))
            for stored_name in tensors
        },
        [
            (stored_name, tensor.shape, shapes[name], name)
            for name, tensors in groups.items()
            for stored_name, tensor in tensors.items()
            if tensor.shape != shapes[name]
        ],
        layers,
    )


def _tensor(origin: str, name: str, value: Any) -> StoredTensor:
    try:
        return StoredTensor.of(value)
    except CheckpointError as error:
        raise CheckpointError(f"{origin}: {name}: {error}") from error


def _tie(groups: dict[str, dict[str, Any]], shapes: Shapes, config: LongformerConfig, head: str) -> None:
    """If the config ties word embeddings and decoder, use one for the other (changes its arguments)."""
    if not config.tie_word_embeddings:
        return
    if head == "masked_lm":
        del shapes[DECODER]
        both = {**groups.pop(WORDS, {}), **groups.pop(DECODER, {})}
        if both:
            groups[WORDS] = both
    elif WORDS not in groups and DECODER in groups:
        groups[WORDS] = groups.pop(DECODER)


def _describe(fit: _Fit, stored: Mapping[str, Any], config: LongformerConfig, head: str) -> str:
    """The message for weights that do not fit: some of their names, and the likely cause: prefix, class or config."""
    lines = [f"the weights do not fit {HEADS[head]}"]
    if fit.missing:
        lines.append(f"  missing ({len(fit.missing)}): {_some(names.stored_name(name, head) for name in fit.missing)}")
    if fit.unexpected:
        lines.append(f"  unexpected ({len(fit.unexpected)}): {_some(map(_short, fit.unexpected))}")
    if fit.misshapen:
        shapes = (
            f"{_short(name)}: got {got}, wanted {wanted}" + (f" ({field} of the config)" if field else "")
            for name, got, wanted, parameter in fit.misshapen
            for field in [names.config_field(parameter)]
        )
        lines.append(f"  wrong shape ({len(fit.misshapen)}): {_some(shapes, '; ')}")
    if fit.missing:
        lines.append("HF would initialize the missing weights at random; lf_ref does not.")
        lines += _causes(fit, stored)
    if fit.layers not in (0, config.num_hidden_layers):
        lines.append(f"There are {fit.layers} layers; num_hidden_layers of the config is {config.num_hidden_layers}.")
    fitting = [_class_of(other) for other in fitting_heads(stored, config)] if fit.layers else []
    if fitting and not fit.is_complete:
        lines.append(f"These weights do fit {', '.join(fitting)}.")
    if config.architectures:
        lines.append(f"According to the config, they were saved from {_some(map(_short, config.architectures))}.")
    return "\n".join(lines)


def _causes(fit: _Fit, stored: Mapping[str, Any]) -> list[str]:
    """Why weights may be missing."""
    bare = [name for name in fit.missing if name in fit.unexpected]
    if bare:
        return [
            f"Names of the encoder begin with a prefix that {_some(bare)} lack: give all of them alike in state_dict=."
        ]
    prefix, count = names.likely_prefix(stored, fit.missing)
    if count:
        begin = "All names begin" if count == len(stored) else f"{count} of the {len(stored)} names begin"
        return [
            f"{begin} with {prefix!r:.{_LONGEST}}; without it they would be those of a Longformer: take it off, and "
            "give them with state_dict=."
        ]
    if all("_global." in name for name in fit.missing):
        return ["Only global attention lacks its weights: this may be a RoBERTa that was not converted to Longformer."]
    return []


def _unused(fit: _Fit, config: LongformerConfig, head: str) -> str:
    """The message for weights that a model does not use."""
    others = [
        name
        for name, parameter in fit.unexpected.items()
        if (names.layer_of(parameter) or 0) < config.num_hidden_layers
    ]
    parts = []
    if len(others) < len(fit.unexpected):
        parts.append(f"the first {config.num_hidden_layers} of its {fit.layers} layers are used (num_hidden_layers)")
    if others:
        parts.append(f"{HEADS[head]} does not use {len(others)} of the weights ({_some(map(_short, others))})")
    return ", and ".join(parts)


def _some(found: Iterable[str], separator: str = ", ") -> str:
    """The first of some names, and how many there are beyond these."""
    names_found = list(found)
    more = [f"and {len(names_found) - _SHOWN} more"] if len(names_found) > _SHOWN else []
    return separator.join([*names_found[:_SHOWN], *more])


def _short(name: object) -> str:
    text = f"{name!s:.{_LONGEST}}"
    return text if text.isprintable() else repr(text)


def _class_of(head: str) -> str:
    return HEADS[head] + ("(add_pooling_layer=False)" if head == "encoder" else "")


def fitting_heads(stored: Mapping[str, Any], config: LongformerConfig) -> list[str]:
    """The keys of `HEADS` whose parameters are all there, in their shapes."""
    return [head for head in HEADS if _fit(stored, config, head, "").is_complete]


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
            return reduce(tensor, kind)  # type: ignore[return-value]  # it supports the operations on weights
        return tensor.array(np.float32)
    except CheckpointError as error:
        raise CheckpointError(f"{origin}: {first}: {error}") from error
