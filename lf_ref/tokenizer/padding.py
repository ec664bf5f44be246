"""Pad values that were encoded before, as a collate function does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from .inputs import shown
from .limits import Limits

# What padding of a value is made of; input_ids take the id of the padding token.
_FILLINGS = {"attention_mask": 0, "token_type_ids": 0, "special_tokens_mask": 1, "global_attention_mask": 0}


def collate(encoded: Any) -> dict[str, Any]:
    """The values by name, as plain lists, from such a mapping or from a list of mappings, one for each row."""
    if isinstance(encoded, (list, tuple)):
        if not all(isinstance(row, Mapping) for row in encoded):
            raise InputError("pad takes a mapping of values or a list of such mappings, one for each row")
        names = list(encoded[0]) if encoded else ["input_ids"]
        missing = [(number, name) for number, row in enumerate(encoded) for name in names if name not in row]
        if missing:
            number, name = missing[0]
            raise InputError(f"row {number} has no {name}, which row 0 has")
        encoded = {name: [row[name] for row in encoded] for name in names}
    if not isinstance(encoded, Mapping) or "input_ids" not in encoded:
        raise InputError(f"pad needs values with the name input_ids, got {type(encoded).__name__} without")
    return {name: _as_lists(value) for name, value in encoded.items()}


def _as_lists(value: Any) -> Any:
    """Arrays, and arrays in lists, as lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_as_lists(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def pad_values(values: Mapping[str, Any], limits: Limits, side: str, pad_id: int, *, mask: bool) -> dict[str, Any]:
    """Pad the values of one row, or of a batch of rows; values of names unknown here stay as they are.

    Args:
        values: lists; `input_ids` is one row or a list of rows.
        limits: how long rows must be.
        side: "right" or "left".
        pad_id: what `input_ids` are padded with.
        mask: whether to make an attention_mask where there is none.
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
    for name, filling in {"input_ids": pad_id, **_FILLINGS}.items():
        if name in padded:
            column = [padded[name]] if single else padded[name]
            if not isinstance(column, list) or not all(isinstance(row, list) for row in column):
                raise InputError(f"{name} must be lists like input_ids, got {shown(padded[name])}")
            if [len(row) for row in column] != [len(row) for row in rows]:
                raise InputError(f"the rows of {name} must be as long as those of input_ids")
            fitted = [_fit(row, length, filling, side) for row in column]
            padded[name] = fitted[0] if single else fitted
    return padded


def _fit(row: Sequence[int], length: int, filling: int, side: str) -> list[int]:
    padding = [filling] * (length - len(row))
    return [*padding, *row] if side == "left" else [*row, *padding]
