"""The door of the model: every argument of a call is checked here, once, and turned into what the engines take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..config import LongformerConfig
from ..errors import InputError
from ..reference.ops import Array


@dataclass(frozen=True)
class Inputs:
    """A checked batch.

    input_ids: int (batch, seq), or None where inputs_embeds, float (batch, seq, hidden), were given.
    position_ids, token_type_ids: int (batch, seq). visible, is_global: bool (batch, seq); what is global is visible.
    """

    input_ids: Array | None
    inputs_embeds: Array | None
    position_ids: Array
    token_type_ids: Array
    visible: Array
    is_global: Array


def words(inputs: Inputs, table: Array, places: Array) -> Array:
    """The word vectors of some places of the flat batch, as a new array.  # [vocab, hidden], [n] -> [n, hidden]"""
    if inputs.inputs_embeds is not None:
        return inputs.inputs_embeds.reshape(-1, table.shape[1])[places].astype(table.dtype, copy=False)
    assert inputs.input_ids is not None  # check_inputs lets only one of the two be missing
    return table[inputs.input_ids.ravel()[places]]


def check_inputs(
    config: LongformerConfig,
    input_ids: ArrayLike | None = None,
    attention_mask: ArrayLike | None = None,
    global_attention_mask: ArrayLike | None = None,
    token_type_ids: ArrayLike | None = None,
    position_ids: ArrayLike | None = None,
    inputs_embeds: ArrayLike | None = None,
) -> Inputs:
    """Check the arguments of a call against the config and each other.

    Raises:
        InputError: names the argument, what came, where, and what was wanted.
    """
    if (input_ids is None) == (inputs_embeds is None):
        which = "neither" if input_ids is None else "both"
        raise InputError(f"give either input_ids or inputs_embeds, got {which}")
    ids = None if input_ids is None else check_input_ids(config, input_ids)
    embeds = None if inputs_embeds is None else _check_embeds(config, inputs_embeds)
    shape = ids.shape if ids is not None else embeds.shape[:2] if embeds is not None else ()
    if 0 in shape:
        raise InputError(f"the batch has no token: its shape is {shape} (batch, seq)")

    visible = _mask("attention_mask", attention_mask, shape, default=True)
    is_global = _mask("global_attention_mask", global_attention_mask, shape, default=False) & visible
    types = np.zeros(shape, np.int64)
    if token_type_ids is not None:
        types = integers("token_type_ids", token_type_ids, config.type_vocab_size, "type_vocab_size")
        _same_shape("token_type_ids", types.shape, shape)
    if position_ids is not None:
        positions = integers("position_ids", position_ids, config.max_position_embeddings, "max_position_embeddings")
        if positions.shape == (1, shape[1]):
            positions = np.broadcast_to(positions, shape)
        _same_shape("position_ids", positions.shape, shape)
    else:
        positions = _count_positions(config, ids, shape)
    return Inputs(ids, embeds, positions, types, visible, is_global)


def _count_positions(config: LongformerConfig, ids: Array | None, shape: tuple[int, ...]) -> Array:
    """Positions start at pad + 1, and padding stays at pad: fairseq, where RoBERTa comes from, reserves 0 ... pad."""
    pad = config.pad_token_id
    if ids is None:
        positions = np.broadcast_to(np.arange(pad + 1, pad + 1 + shape[1]), shape)
    else:
        present = ids != pad
        positions = np.cumsum(present, axis=1) * present + pad
    longest = int(positions.max()) - pad
    if longest > config.max_length:
        row = int(positions.max(axis=1).argmax())
        raise InputError(
            f"row {row} of the batch has {longest} tokens, and this model takes at most {config.max_length} "
            f"(max_position_embeddings {config.max_position_embeddings} - pad_token_id {pad} - 1); shorten it, or "
            "split it into overlapping pieces: tokenizer(..., truncation=True, max_length=..., stride=..., "
            "return_overflowing_tokens=True)"
        )
    return positions


def check_input_ids(config: LongformerConfig, input_ids: Any) -> Array:
    """Token ids of a batch.  # int (batch, seq)

    Raises:
        InputError: they are not 2-D, or not all in the vocabulary.
    """
    ids = integers("input_ids", input_ids, config.vocab_size, "vocab_size")
    if ids.ndim != 2:
        hint = "; for one text use input_ids[None]" if ids.ndim == 1 else ""
        raise InputError(f"input_ids must be 2-D (batch, seq), got {ids.ndim}-D {ids.shape}{hint}")
    return ids


def check_places(name: str, value: ArrayLike, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Pairs of row and position as two index arrays.  # int (n, 2) -> int (n,), int (n,)

    Raises:
        InputError: it is not of pairs, or one lies outside the batch.
    """
    places = _array(name, value)
    if places.dtype.kind not in "iu" or places.ndim != 2 or places.shape[1] != 2:
        raise InputError(
            f"{name} must be integers (n, 2), row and position, got {places.dtype} of shape {places.shape}"
        )
    outside = (places < 0) | (places >= np.array(shape))
    if outside.any():
        index = int(np.argwhere(outside)[0, 0])
        raise InputError(
            f"{name}[{index}] is {places[index].tolist()}, outside the batch of shape {shape} (batch, seq)"
        )
    return places[:, 0], places[:, 1]


def integers(name: str, value: Any, limit: int, limit_name: str) -> Array:
    """An integer array with every value in 0 ... limit - 1.

    Raises:
        InputError: it is ragged, not of integers, or holds a value outside the range; the first such is named.
    """
    array = _array(name, value)
    if array.dtype.kind not in "iu":
        raise InputError(f"{name} must hold integers, got dtype {array.dtype}")
    wrong = (array < 0) | (array >= limit)
    if wrong.any():
        position = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = ", ".join(map(str, position))
        raise InputError(f"{name}[{where}] is {array[position]}, outside 0 ... {limit - 1} ({limit_name} is {limit})")
    return array.astype(np.int64, copy=False)


def _array(name: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:  # ragged nested lists
        raise InputError(
            f"{name} is not a rectangular array: {error}; pad the rows to one length: tokenizer(..., padding=True)"
        ) from error
    if array.dtype.kind == "O":
        raise InputError(f"{name} must hold numbers, got objects such as {type(array.flat[0]).__name__}")
    return array


def _check_embeds(config: LongformerConfig, value: Any) -> Array:
    array = _array("inputs_embeds", value)
    if array.ndim != 3 or array.shape[2] != config.hidden_size:
        raise InputError(
            f"inputs_embeds must be (batch, seq, hidden_size {config.hidden_size}), got shape {array.shape}"
        )
    if array.dtype.kind != "f":
        raise InputError(f"inputs_embeds must hold floats, got dtype {array.dtype}")
    return array


def _mask(name: str, value: Any, shape: tuple[int, ...], *, default: bool) -> Array:
    if value is None:
        return np.full(shape, default)
    array = _array(name, value)
    _same_shape(name, array.shape, shape)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must hold 0 and 1, got dtype {array.dtype}")
    wrong = (array != 0) & (array != 1)
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        hint = (
            " (AllenAI's 2 for global tokens goes into global_attention_mask here, as 1)"
            if name == "attention_mask"
            else ""
        )
        raise InputError(f"{name}[{row}, {column}] is {array[row, column]}, must be 0 or 1{hint}")
    return array.astype(bool)


def _same_shape(name: str, got: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if got != wanted:
        raise InputError(f"{name} must have the shape of the input, {wanted} (batch, seq), got {got}")
