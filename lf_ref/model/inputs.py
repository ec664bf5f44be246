"""Check every argument of a call once, and convert it to the inputs of the backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..config import LongformerConfig
from ..errors import InputError
from ..reference.ops import Array

# The arguments of a call that make its tokens, in the order of `check_inputs`.
TOKENS = ("input_ids", "attention_mask", "global_attention_mask", "token_type_ids", "position_ids", "inputs_embeds")

Default = Callable[[tuple[int, ...], Array | None], Array | None]


@dataclass(frozen=True)
class Inputs:
    """A checked batch, with all axes but the last made one.

    shape: as it came, (batch, seq) or (batch, choices, seq). input_ids: int (rows, seq), or None where inputs_embeds,
    float (rows, seq, hidden), were given. position_ids, token_type_ids: int (rows, seq). visible, is_global: bool
    (rows, seq); a global token is visible.
    """

    shape: tuple[int, ...]
    input_ids: Array | None
    inputs_embeds: Array | None
    position_ids: Array
    token_type_ids: Array
    visible: Array
    is_global: Array


def words(inputs: Inputs, table: Array, indices: Array) -> Array:
    """The word embeddings at flat indices into the batch, as a new array.  # [vocab, hidden], [n] -> [n, hidden]"""
    if inputs.inputs_embeds is not None:
        return inputs.inputs_embeds.reshape(-1, table.shape[1])[indices].astype(table.dtype, copy=False)
    assert inputs.input_ids is not None  # check_inputs lets only one of the two be missing
    return table[inputs.input_ids.ravel()[indices]]


def check_inputs(
    config: LongformerConfig,
    input_ids: ArrayLike | None = None,
    attention_mask: ArrayLike | None = None,
    global_attention_mask: ArrayLike | None = None,
    token_type_ids: ArrayLike | None = None,
    position_ids: ArrayLike | None = None,
    inputs_embeds: ArrayLike | None = None,
    *,
    axes: tuple[str, ...] = ("batch", "seq"),
    default_global: Default | None = None,
) -> Inputs:
    """Check the arguments of a call against the config and each other.

    axes: the names of the dimensions of input_ids. default_global: returns the global attention mask if none is given,
    for the shape and the checked ids (None with inputs_embeds).

    Raises:
        InputError: names the argument, what came, where, and what was wanted.
    """
    if (input_ids is None) == (inputs_embeds is None):
        which = "neither" if input_ids is None else "both"
        raise InputError(f"give either input_ids or inputs_embeds, got {which}")
    ids = None if input_ids is None else _check_ids(config, input_ids, axes)
    embeds = None if inputs_embeds is None else _check_embeds(config, inputs_embeds, axes)
    shape = ids.shape if ids is not None else embeds.shape[:-1] if embeds is not None else ()
    if 0 in shape:
        raise InputError(f"the batch has no token: its shape is {shape} ({', '.join(axes)})")
    visible = _mask("attention_mask", attention_mask, shape, axes)
    if global_attention_mask is None and default_global is not None:
        global_attention_mask = default_global(shape, ids)
    if global_attention_mask is None:
        is_global = np.zeros(shape, bool)
    else:
        is_global = _mask("global_attention_mask", global_attention_mask, shape, axes) & visible
    types = np.zeros(shape, np.int64)
    if token_type_ids is not None:
        types = integers("token_type_ids", token_type_ids, config.type_vocab_size, "type_vocab_size")
        types = _for_each_row("token_type_ids", types, shape, axes)
    positions = _check_positions(config, position_ids, ids, shape, axes)
    length = shape[-1]
    return Inputs(
        shape,
        None if ids is None else ids.reshape(-1, length),
        None if embeds is None else embeds.reshape(-1, length, config.hidden_size),
        positions.reshape(-1, length),
        types.reshape(-1, length),
        visible.reshape(-1, length),
        is_global.reshape(-1, length),
    )


def _check_ids(config: LongformerConfig, input_ids: Any, axes: tuple[str, ...]) -> Array:
    ids = integers("input_ids", input_ids, config.vocab_size, "vocab_size")
    if ids.ndim != len(axes):
        hint = "; for one text use input_ids[None]" if ids.ndim == len(axes) - 1 else ""
        raise InputError(
            f"input_ids must be {len(axes)}-D ({', '.join(axes)}), got {ids.ndim}-D of shape {ids.shape}{hint}"
        )
    return ids


def _check_embeds(config: LongformerConfig, value: Any, axes: tuple[str, ...]) -> Array:
    embeds = as_array("inputs_embeds", value)
    if embeds.ndim != len(axes) + 1 or embeds.shape[-1] != config.hidden_size:
        raise InputError(
            f"inputs_embeds must be {len(axes) + 1}-D ({', '.join(axes)}, hidden_size {config.hidden_size}), "
            f"got {embeds.ndim}-D of shape {embeds.shape}"
        )
    if embeds.dtype.kind != "f":
        raise InputError(f"inputs_embeds must hold floats, got dtype {embeds.dtype}")
    return embeds


def _check_positions(
    config: LongformerConfig, position_ids: Any, ids: Array | None, shape: tuple[int, ...], axes: tuple[str, ...]
) -> Array:
    if position_ids is None:
        return _count_positions(config, ids, shape)
    limit = config.max_position_embeddings
    positions = integers("position_ids", position_ids, limit, "max_position_embeddings")
    return _for_each_row("position_ids", positions, shape, axes)


def _for_each_row(name: str, array: Array, shape: tuple[int, ...], axes: tuple[str, ...]) -> Array:
    """An array of the input's shape; one row, (seq,) or (1, seq), stands for all."""
    if array.shape in ((shape[-1],), (1, shape[-1])):
        return np.broadcast_to(array, shape)
    _same_shape(name, array.shape, shape, axes)
    return array


def _count_positions(config: LongformerConfig, ids: Array | None, shape: tuple[int, ...]) -> Array:
    """Positions start at pad + 1, and padding stays at pad: fairseq, the origin of RoBERTa, reserves 0 ... pad."""
    pad = config.pad_token_id
    if ids is None:
        positions = np.broadcast_to(np.arange(pad + 1, pad + 1 + shape[-1]), shape)
    else:
        present = ids != pad
        positions = np.cumsum(present, axis=-1) * present + pad
    longest = int(positions.max()) - pad
    if longest > config.max_tokens:
        row = row_name(np.argwhere(positions - pad == longest)[0, :-1].tolist())
        raise InputError(
            f"{row} of the batch has {longest} tokens, and this model takes at most {config.max_tokens} "
            f"(max_position_embeddings {config.max_position_embeddings} - pad_token_id {pad} - 1); shorten it, or "
            "split it into overlapping pieces: tokenizer(..., truncation=True, max_length=..., stride=..., "
            "return_overflowing_tokens=True)"
        )
    return positions


def check_positions(name: str, value: ArrayLike, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Pairs of row and position as two index arrays.  # int (n, 2) -> int64 (n,), int64 (n,)

    Raises:
        InputError: it is not of pairs, or one lies outside the batch.
    """
    positions = as_array(name, value)
    if positions.dtype.kind not in "iu" or positions.ndim != 2 or positions.shape[1] != 2:
        raise InputError(
            f"{name} must be integers (n, 2), row and position, got {positions.dtype} of shape {positions.shape}"
        )
    outside = (positions < 0) | (positions >= np.array(shape))
    if outside.any():
        index = int(np.argwhere(outside)[0, 0])
        raise InputError(
            f"{name}[{index}] is {positions[index].tolist()}, outside the batch of shape {shape} (batch, seq)"
        )
    positions = positions.astype(np.int64, copy=False)
    return positions[:, 0], positions[:, 1]


def row_name(at: Sequence[int]) -> str:
    """The name of a row in messages: "row 3", or "row 3 (choice 1)" if the batch has choices."""
    row, *choice = at
    return f"row {row}" + (f" (choice {choice[0]})" if choice else "")


def integers(name: str, value: Any, limit: int, limit_name: str) -> Array:
    """An integer array with every value in 0 ... limit - 1.

    Raises:
        InputError: it is ragged, not of integers, or holds a value outside the range; the first such is named.
    """
    array = as_array(name, value)
    if array.size == 0:
        raise InputError(f"{name} has no token: its shape is {array.shape}")
    if array.dtype.kind not in "iu":
        raise InputError(f"{name} must hold integers, got dtype {array.dtype}")
    wrong = (array < 0) | (array >= limit)
    if wrong.any():
        position = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = ", ".join(map(str, position))
        raise InputError(f"{name}[{where}] is {array[position]}, outside 0 ... {limit - 1} ({limit_name} is {limit})")
    return array.astype(np.int64, copy=False)


def as_array(name: str, value: Any) -> Array:
    """An argument as a numeric array.

    Raises:
        InputError: it is ragged, or not numeric.
    """
    if isinstance(value, Mapping):
        raise InputError(f"{name} is a mapping; unpack it: model(**inputs)")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged nested lists; a tensor of torch on a GPU
        if not isinstance(value, list | tuple):
            raise InputError(f"{name} is a {type(value).__name__} that NumPy cannot read: {error}") from error
        raise InputError(
            f"{name} is not a rectangular array: {error}; pad the rows to one length: tokenizer(..., padding=True)"
        ) from error
    if array.dtype.kind == "O":
        kinds = sorted({type(item).__name__ for item in array.flat})
        raise InputError(f"{name} must be numeric, got objects of {', '.join(kinds) or 'no type'}")
    return array


def _mask(name: str, value: Any, shape: tuple[int, ...], axes: tuple[str, ...]) -> Array:
    if value is None:
        return np.ones(shape, bool)
    array = as_array(name, value)
    _same_shape(name, array.shape, shape, axes)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must hold 0 and 1, got dtype {array.dtype}")
    wrong = (array != 0) & (array != 1)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        hint = ""
        if name == "attention_mask" and array[at] == 2:
            hint = "; AllenAI's 2 for a global token is a 1 in global_attention_mask here"
        raise InputError(f"{name}[{', '.join(map(str, at))}] is {array[at]}, must be 0 or 1{hint}")
    return array.astype(bool)


def _same_shape(name: str, got: tuple[int, ...], wanted: tuple[int, ...], axes: tuple[str, ...]) -> None:
    if got == wanted:
        return
    if len(got) != len(wanted):
        raise InputError(
            f"{name} must be {len(wanted)}-D, of the shape of the input, {wanted} ({', '.join(axes)}), "
            f"got {len(got)}-D of shape {got}"
        )
    raise InputError(f"{name} must have the shape of the input, {wanted} ({', '.join(axes)}), got {got}")
