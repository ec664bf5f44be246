"""The page of the explorer: the data as JSON beside the program that shows them, in one file.

The files `explorer.html`, `explorer.css` and `explorer.js` are the page as it is written by hand.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from ..reference.ops import Array
from ..tokenizer import LongformerTokenizer
from .weights import Quantized, Shape, WeightRecorder

_FOLDER = Path(__file__).parent
# In a script element the first two could end it or begin a comment; JSON reads all three the same when escaped.
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def page(data: Mapping[str, Any]) -> str:
    """The page with these data; "title" is one of them.

    Its policy lets the browser run this program and nothing else, and load nothing.
    """
    style, program = (_read(f"explorer.{kind}") for kind in ("css", "js"))
    policy = ["default-src 'none'", f"style-src {_source(style)}", f"script-src {_source(program)}"]
    policy += ["base-uri 'none'", "form-action 'none'"]
    return Template(_read("explorer.html")).substitute(
        title=escape(data["title"]),
        policy="; ".join(policy),
        style=style,
        program=program,
        data=json.dumps(data, separators=(",", ":")).translate(_ESCAPES),
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """The hash by which a content security policy admits an element with this text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def token_data(tokenizer: LongformerTokenizer, text: str, ids: Array) -> dict[str, Any]:
    """The tokens within their text, as it was written.

    ids: int64 [S], of the text, truncated or not. "tokens" has for each the text before it, its own text, and its name:
    [before, shown, name]. Where several tokens make one character the first shows it, the others nothing. "special" has
    the positions of the special tokens around the text, which show their names.
    """
    encoded = tokenizer(
        text,
        truncation=True,
        max_length=len(ids),
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    tokens, special, end = [], [], None
    for place, (start, stop) in enumerate(encoded["offset_mapping"]):
        if encoded["special_tokens_mask"][place]:
            name = tokenizer.convert_ids_to_tokens(int(ids[place]))
            special.append(place)
            tokens.append(["", name, name])
            continue
        if end is None:  # what truncation removed on the left is not shown
            end = start if text[:start].strip() else 0
        start = min(start, end) if start == stop else start  # white space, which offsets leave out
        shown = text[max(start, end) : stop]
        name = text[start:stop] if shown else f"{text[start:stop]} (part)"
        tokens.append([text[end:start], shown, name if name.strip() else repr(name)])
        end = max(end, stop)
    return {"tokens": tokens, "special": special}


def layer_data(shape: Shape, recorder: WeightRecorder) -> dict[str, Any]:
    """The weights of one layer, in base64."""
    return {
        "number": shape.layer,
        "window": shape.window,
        "reach": shape.reach,
        "local": _encoded(recorder.local(shape.layer)),
        "global": _encoded(recorder.global_(shape.layer)),
    }


def _encoded(found: Quantized | None) -> dict[str, str]:
    """The values, bytes, and the steps, float32, little-endian."""
    if found is None:
        return {"values": "", "steps": ""}
    return {
        "values": b64encode(found.values.tobytes()).decode(),
        "steps": b64encode(found.step.astype("<f4").tobytes()).decode(),
    }
