"""The data of an explorer's page, read back from its HTML in scalar loops, as its program reads them."""

from __future__ import annotations

import base64
import json
import re
import struct
from typing import Any

_DATA = re.compile(r'<script id="data" type="application/json">(.*?)</script>', re.S)


def data_of(html: str) -> dict[str, Any]:
    """The one JSON text in the page."""
    [found] = _DATA.findall(html)
    data: dict[str, Any] = json.loads(found)
    return data


def _layer(data: dict[str, Any], number: int) -> dict[str, Any]:
    [found] = [layer for layer in data["layers"] if layer["number"] == number]
    return found


def _floats(stored: str) -> list[float]:
    content = base64.b64decode(stored)
    return [value for (value,) in struct.iter_unpack("<f", content)]


def dense(data: dict[str, Any], number: int, kept: int) -> tuple[list[list[float]], list[list[float]]]:
    """The weights of a layer of every query over every key, and half of the step that each was rounded by.

    number: of the layer; kept: 0 for the mean of all heads, n for the n-th of those in data["heads"], from 1. A pair
    out of reach has weight 0 and no step.
    """
    layer, length, globals_ = _layer(data, number), len(data["tokens"]), data["globals"]
    columns = len(globals_) + 2 * layer["reach"] + 1
    local, global_ = (base64.b64decode(layer[kind]["values"]) for kind in ("local", "global"))
    local_steps, global_steps = (_floats(layer[kind]["steps"]) for kind in ("local", "global"))
    weights = [[0.0] * length for _ in range(length)]
    half_steps = [[0.0] * length for _ in range(length)]
    for query in range(length):
        for key in range(length):
            if query in globals_:
                row = kept * len(globals_) + globals_.index(query)
                value, step = global_[row * length + key], global_steps[row]
            elif key in globals_ or abs(key - query) <= layer["reach"]:
                row = kept * length + query
                at = globals_.index(key) if key in globals_ else len(globals_) + layer["reach"] + key - query
                value, step = local[row * columns + at], local_steps[row]
            else:
                continue
            weights[query][key], half_steps[query][key] = value * step, step / 2
    return weights, half_steps
