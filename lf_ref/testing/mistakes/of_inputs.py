"""Mistakes with windows, global tokens, positions and masks: other configs and inputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...reference.ops import Array
from ..comparison.precisions import to_bfloat16
from .variant import Variant, Variants


def windows(case: Variant) -> Variants:
    """Windows of another size."""
    own = case.windows
    yield "twice the window", case.with_config(attention_window=[2 * window for window in own])
    yield "half the window", case.with_config(attention_window=[max(2, window // 4 * 2) for window in own])
    for which, window in (("first layer's", own[0]), ("last layer's", own[-1]), ("largest", max(own))):
        yield f"the {which} window in all layers", case.with_config(attention_window=window)
    yield "attention to all tokens", case.with_config(attention_window=2 * case.visible.shape[-1])
    if case.config.get("attention_dilation", 1) != 1:
        yield "attention_dilation ignored", case.with_config(attention_dilation=1)
    if case.config.get("autoregressive"):
        yield "autoregressive ignored", case.with_pooler().with_config(autoregressive=False)


def global_tokens(case: Variant) -> Variants:
    """Other global tokens."""
    marks = case.is_global
    yield "no global attention", case.with_inputs(global_attention_mask=np.zeros_like(marks))
    first = np.zeros_like(marks)
    first[..., 0] = True
    yield "the first token as the only global one", case.with_inputs(global_attention_mask=first)
    yield "the first token global too", case.with_inputs(global_attention_mask=first | marks)
    count = marks.sum(axis=-1, keepdims=True)
    first = np.broadcast_to(np.arange(marks.shape[-1]) < count, marks.shape)
    yield "the first tokens as the global ones", case.with_inputs(global_attention_mask=first)
    yield "the global attention mask inverted", case.with_inputs(global_attention_mask=~marks)
    marked = case.inputs.get("global_attention_mask")
    if marked is not None:
        seen = case.visible | (marked == 1)
        yield "global tokens that count though they are masked", case.with_inputs(attention_mask=seen)


def masks(case: Variant) -> Variants:
    """Other masks of padding; tokens that are marked as global and masked count or not."""
    length = case.visible.shape[-1]
    count = case.visible.sum(axis=-1, keepdims=True)
    as_length = np.broadcast_to(np.arange(length) < count, case.visible.shape)
    last = length - case.visible[..., ::-1].argmax(axis=-1, keepdims=True)
    to_last = (np.arange(length) < last) & case.visible.any(axis=-1, keepdims=True)
    for own in (case, case.with_inputs(global_attention_mask=case.is_global)):
        yield "padding seen", own.without("attention_mask")
        yield "the attention mask read as a length", own.with_inputs(attention_mask=as_length)
        yield "masked tokens inside the text seen", own.with_inputs(attention_mask=to_last)
    if "token_type_ids" in case.inputs:
        yield "token_type_ids ignored", case.without("token_type_ids")


def positions(case: Variant) -> Variants:
    """Other position ids."""
    pad = int(case.config["pad_token_id"])
    own = case.inputs.get("position_ids")
    if own is not None:
        yield "position_ids of the caller ignored", case.without("position_ids")
    by_pad = {number: _positions(case, number) for number in (0, 1)}
    yield from ((f"a padding id of {number}", _at(case, ids)) for number, ids in by_pad.items() if number != pad)
    usual = _positions(case, pad) if own is None else own
    yield "positions that begin at 0", _at(case, np.maximum(usual - pad - 1, 0))
    yield "positions one too low", _at(case, np.maximum(usual - 1, 0))
    yield "positions one too high", _at(case, usual + 1)
    in_order = np.broadcast_to(np.arange(usual.shape[-1]), usual.shape)
    yield "positions that count padding", _at(case, in_order + pad + 1)
    yield "positions that count padding, from 0", _at(case, in_order)
    visible = case.visible.cumsum(axis=-1) * case.visible + pad
    yield "positions that count the attention mask", _at(case, visible)


def far_positions(case: Variant) -> Variants:
    """Position ids that are wrong in long texts alone."""
    usual = case.inputs.get("position_ids", _positions(case, int(case.config["pad_token_id"])))
    yield from ((title, _at(case, ids)) for title, ids in _far(case, usual) if (ids != usual).any())


def _far(case: Variant, usual: Array) -> Iterator[tuple[str, Array]]:
    yield "positions counted in bfloat16", to_bfloat16(usual.astype(np.float32))
    yield "positions counted in float16", usual.astype(np.float16)
    first = int(case.config["pad_token_id"]) + 1
    for most in (128, 256, 512, 1024, 2048):
        for start in (0, first):  # the position that counts as 0
            late = usual >= start + most
            yield f"positions that wrap at {most}", np.where(late, (usual - start) % most + start, usual)
            yield f"positions that stop at {most}", np.where(late, most - 1 + start, usual)


def _at(case: Variant, ids: Array) -> Variant:
    return case.with_inputs(position_ids=ids)


def _positions(case: Variant, pad: int) -> Array:
    """The position ids that the model counts by itself, with this padding id."""
    if "input_ids" not in case.inputs:
        return np.broadcast_to(np.arange(case.visible.shape[-1]) + pad + 1, case.visible.shape)
    words = case.inputs["input_ids"] != pad
    return words.cumsum(axis=-1) * words + pad
