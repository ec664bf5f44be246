"""Pad encoded values, as a collate function does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import InputError
from ..arguments import shown
from .limits import Limits

# The padding of each value; that of input_ids is the id of the padding token.
_PADDING = {"attention_mask": 0, "token_type_ids": 0, "special_tokens_mask": 1, "global_attention_mask": 0}


def collate(encoded: Any) -> dict[str, Any]:
    """Return the values by name as plain lists, from a mapping of values or from a list of mappings, one per row."""
    if isinstance(encoded, (list, tuple)):
        if not all(isinstance(row, Mapping) for row in encoded):
            raise InputError("encoded_inputs must be a mapping of values, or a list of such mappings, one per row")
        names = list(encoded[0]) if encoded else ["input_ids"]
        missing = [(number, name) for number, row in enumerate(encoded) for name in names if name not in row]
        if missing:
            number, name = missing[0]
            raise InputError(f"row {number} must have {name}, as row 0 does")
        encoded = {name: [row[name] for row in encoded] for name in names}
    if not isinstance(encoded, Mapping) or "input_ids" not in encoded:
        raise InputError(f"encoded_inputs must have input_ids, got {type(encoded).__name__} without")
    return {name: _as_lists(value) for name, value in encoded.items()}


def _as_lists(value: Any) -> Any:
    """Return arrays, and arrays in lists, as lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_as_lists(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def pad_values(values: Mapping[str, Any], limits: Limits, side: str, pad_id: int, *, mask: bool) -> dict[str, Any]:
    """Pad the values of one row, or of a batch of rows. Values with other names than HF pads do not change.

    Args:
        values: lists; `input_ids` is one row or a list of rows.
        limits: the lengths of rows.
        side: "right" or "left".
        pad_id: the id that `input_ids` are padded with.
        mask: whether to add an attention_mask if there is none.
    """
    ids = values["input_ids"]
    if not isinstance(ids, list) or len({isinstance(row, list) for row in ids}) > 1:
        raise InputError(f"input_ids must be a list of ids or a list of such lists, got {shown(ids)}")
    single = not ids or not isinstance(ids[0], list)
    rows = [ids] if single else ids
    padded = dict(values)
    if mask and "attention_mask" not in values:
        made = [[1] * len(row) for row in rows]
        padded["attention_mask"] = made[0] if single else made
    if limits.padding is None:
        return padded
    length = limits.padded_length([len(row) for row in rows])
    for name, pad_value in {"input_ids": pad_id, **_PADDING}.items():
        if name in padded:
            column = [padded[name]] if single else padded[name]
            if not isinstance(column, list) or not all(isinstance(row, list) for row in column):
                raise InputError(f"{name} must be lists like input_ids, got {shown(padded[name])}")
            if [len(row) for row in column] != [len(row) for row in rows]:
                raise InputError(f"the rows of {name} must be as long as those of input_ids")
            fitted = [_fit(row, length, pad_value, side) for row in column]
            padded[name] = fitted[0] if single else fitted
    return padded


def _fit(row: Sequence[int], length: int, pad_value: int, side: str) -> list[int]:
    padding = [pad_value] * (length - len(row))
    return [*padding, *row] if side == "left" else [*row, *padding]
