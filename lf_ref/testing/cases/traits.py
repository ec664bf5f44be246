"""What a case has that others have not, in words: to find what the failing cases have in common."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .case import Case
from .standard_cases import SMALL

_LENGTHS = (256, 512, 2048)
_GIVEN = ("labels", "start_positions", "inputs_embeds", "position_ids", "token_type_ids")
_USUAL = ("attention_mask", "global_attention_mask")


def traits(case: Case) -> tuple[str, ...]:
    """The traits of a case, each to be read after "all have"."""
    return tuple(_traits(case))


def _traits(case: Case) -> Iterator[str]:
    yield f"the class {case.class_name}"
    for name, usual in SMALL.items():
        if case.config[name] != usual:
            yield f"{name} other than {usual!r}"
    if len(set(np.atleast_1d(case.config["attention_window"]).tolist())) > 1:
        yield "windows that differ by layer"
    yield from (f"{name}" for name in _GIVEN if name in case.inputs)
    yield from (f"no {name}" for name in _USUAL if name not in case.inputs)
    ids = case.inputs.get("input_ids", np.empty((1, 0)))
    mask, marked = (case.inputs.get(name, np.empty((1, 0))) for name in _USUAL)
    length = case.inputs["inputs_embeds"].shape[-2] if "inputs_embeds" in case.inputs else ids.shape[-1]
    yield from (f"more than {limit} tokens" for limit in _LENGTHS if length > limit)
    if (marked == 1).any():
        yield "global tokens"
    if (mask == 0).any():
        yield "masked tokens"
    if (mask[..., :1] == 0).any():
        yield "a masked first token"
    if (ids == case.config["pad_token_id"]).any():
        yield "padding ids"
    if case.changes:
        yield "weights that are chosen for it"
