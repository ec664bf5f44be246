"""JSON as its standard has it (RFC 8259), which knows neither NaN nor Infinity: they become null."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any


def loads(text: str) -> Any:
    """The value of a JSON text; NaN, Infinity and numbers beyond float64, such as 1e400, are None.

    >>> loads('{"id": 7, "score": NaN, "size": 1e400}')
    {'id': 7, 'score': None, 'size': None}
    """
    return json.loads(text, parse_constant=lambda _: None, parse_float=lambda number: _finite(float(number)))


def dumps(value: Any, *, ascii_only: bool = False, indent: int | None = None) -> str:
    """A value as JSON; arrays are lists, dates and decimals are texts, bytes are base64, NaN and infinity are null.

    >>> dumps({"score": float("nan"), "word": "Köln"})
    '{"score": null, "word": "Köln"}'
    """
    settings: dict[str, Any] = {"ensure_ascii": ascii_only, "indent": indent, "allow_nan": False, "default": _plain}
    try:
        return json.dumps(value, **settings)
    except ValueError:
        return json.dumps(_finite(value), **settings)


def _finite(value: Any) -> Any:
    """The same value with None for NaN and infinity, at any depth."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if hasattr(value, "as_py"):
        return _finite(_from_arrow(value))
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value if value is None or isinstance(value, str | int) else _finite(_plain(value))


def _plain(value: Any) -> Any:
    """A value that JSON knows, or that leads to one, for an array, a scalar of Arrow or what that stands for."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "as_py"):
        return _from_arrow(value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _from_arrow(value: Any) -> Any:
    """A scalar of Arrow as Python's value, or as what Python can hold of it: scalars in lists, times as texts."""
    try:
        return value.as_py()
    except (ValueError, OverflowError):  # nanoseconds or years that Python's times do not have
        is_list, is_mapping = isinstance(value, Sequence), isinstance(value, Mapping)
    if is_list and is_mapping:  # a map, which is a list of pairs
        return [list(pair.values()) for pair in value.values]
    if is_mapping:
        return dict(value)
    return list(value) if is_list else value.cast("string").as_py()
