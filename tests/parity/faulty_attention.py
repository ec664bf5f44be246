"""HF's Longformer with one fault at a time in its attention, each a small patch of the model or of its module."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from oracles.fault_table import LAST, SELF, FaultTable
from parity.peers import peer_modules

FAULTS = FaultTable()


def base(model: Any) -> Any:
    return getattr(model, "longformer", model)


def layers(model: Any) -> Any:
    return base(model).encoder.layer


def attentions(model: Any) -> list[Any]:
    return [layer.attention.self for layer in layers(model)]


def hf() -> Any:
    peer_modules()
    return importlib.import_module("transformers.models.longformer.modeling_longformer")


def wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a method of one object by `make(original)`."""
    setattr(owner, name, make(getattr(owner, name)))


def given(part: Any, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the keyword arguments of a module's forward."""

    def hook(_: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        change(kwargs)
        return args, kwargs

    part.register_forward_pre_hook(hook, with_kwargs=True)


def result(part: Any, change: Callable[[Any], Any]) -> None:
    """Change the result of a module."""
    part.register_forward_hook(lambda _, __, output: change(output))


def on_scores(model: Any, change: Callable[[Any, int], None]) -> None:
    """Change the band of scores, [batch, seq, heads, 2 w + 1], before it is masked; w is given too."""

    def make(original: Any) -> Any:
        def product(query: Any, key: Any, w: int) -> Any:
            band = original(query, key, w)
            change(band, w)
            return band

        return product

    for attention in attentions(model):
        wrap(attention, "_sliding_chunks_query_key_matmul", make)


def lowest(tensor: Any) -> float:
    torch, _ = peer_modules()
    return float(torch.finfo(tensor.dtype).min)


def truncated(tensor: Any) -> Any:
    """float32 values with the lower half of their bits cut off, as bfloat16."""
    torch, _ = peer_modules()
    return (tensor.float().view(torch.int32) & -65536).view(torch.float32)


@FAULTS(f"{SELF}.query")
def query_bias_missing(model, patch):
    attentions(model)[0].query.bias.data.zero_()


@FAULTS(f"{SELF}.key")
def key_transposed(model, patch):
    weight = attentions(model)[0].key.weight
    weight.data = weight.data.T.contiguous()


@FAULTS(f"{LAST}.attention.self.value")
def value_of_the_layer_before(model, patch):
    attentions(model)[1].value = attentions(model)[0].value


@FAULTS(f"{SELF}.key_global")
def global_key_and_value_swapped(model, patch):
    for attention in attentions(model):
        attention.key_global, attention.value_global = attention.value_global, attention.key_global


@FAULTS(f"{LAST}.attention.self.key_global")
def global_key_and_value_swapped_in_the_last_layer(model, patch):
    attention = attentions(model)[1]
    attention.key_global, attention.value_global = attention.value_global, attention.key_global


@FAULTS(f"{SELF}.query_global")
def global_query_by_the_local_weights(model, patch):
    for attention in attentions(model):
        attention.query_global.load_state_dict(attention.query.state_dict())


@FAULTS(f"{SELF}.query")
def layers_in_the_wrong_order(model, patch):
    torch, _ = peer_modules()
    base(model).encoder.layer = torch.nn.ModuleList(reversed(layers(model)))


@FAULTS(f"{SELF}.query", precisions=("bfloat16",))
def sums_in_bfloat16(model, patch):
    part = attentions(model)[0].query

    def forward(x):
        total = part.bias.expand(*x.shape[:-1], -1)
        for column in range(x.shape[-1]):
            total = total + x[..., column, None] * part.weight[:, column]
        return total

    part.forward = forward


@FAULTS(f"{SELF}.query", precisions=("bfloat16",))
def results_cut_off(model, patch):
    part = attentions(model)[0].query
    torch, _ = peer_modules()

    def forward(x):
        exact = torch.nn.functional.linear(x.float(), part.weight.float(), part.bias.float())
        return truncated(exact).to(x.dtype)

    part.forward = forward


@FAULTS(f"{SELF}.scores")
def scale_missing(model, patch):
    patch.setattr(hf(), "math", SimpleNamespace(sqrt=lambda number: 1.0))


@FAULTS(f"{SELF}.scores")
def scale_of_the_whole_width(model, patch):
    heads = attentions(model)[0].num_heads
    patch.setattr(hf(), "math", SimpleNamespace(sqrt=lambda number: math.sqrt(number * heads)))


@FAULTS(f"{SELF}.scores_global")
def global_scale_missing(model, patch):
    calls = []

    def sqrt(number):  # the second of each attention is the global one
        calls.append(number)
        return 1.0 if len(calls) % 2 == 0 else math.sqrt(number)

    patch.setattr(hf(), "math", SimpleNamespace(sqrt=sqrt))


@FAULTS(f"{SELF}.scores")
def window_one_too_narrow(model, patch):
    def change(band, w):
        band[..., 0] = band[..., -1] = lowest(band)

    on_scores(model, change)


@FAULTS(f"{SELF}.scores")
def window_of_one_side_only(model, patch):
    def change(band, w):
        band[..., w + 1 :] = lowest(band)

    on_scores(model, change)


@FAULTS(f"{SELF}.scores")
def window_shifted(model, patch):
    on_scores(model, lambda band, w: band.copy_(band.roll(1, -1)))


@FAULTS(f"{SELF}.scores", batch="one window")
def last_window_lost(model, patch):
    def change(band, w):
        if band.shape[1] == 2 * w:
            band[:, w:, :, w + 1 :] = lowest(band)

    on_scores(model, change)


@FAULTS(f"{SELF}.scores", batch="two windows")
def middle_of_two_windows_lost(model, patch):
    def change(band, w):
        if band.shape[1] == 4 * w:
            band[:, 2 * w, :, :w] = lowest(band)

    on_scores(model, change)


@FAULTS(f"{SELF}.scores")
def masked_in_the_middle_is_seen(model, patch):
    torch, _ = peer_modules()

    def change(kwargs):
        seen = ~kwargs["is_index_masked"]
        last = seen.shape[1] - seen.flip(1).long().argmax(1)
        inside = kwargs["is_index_masked"] & (torch.arange(seen.shape[1]) < last[:, None])
        kwargs["attention_mask"] = kwargs["attention_mask"].masked_fill(inside, 0.0)
        kwargs["is_index_masked"] = kwargs["is_index_masked"] & ~inside

    for attention in attentions(model):
        given(attention, change)


@FAULTS(f"{SELF}.scores")
def global_tokens_count_twice(model, patch):
    for attention in attentions(model):
        given(attention, lambda kwargs: kwargs.update(attention_mask=kwargs["attention_mask"].clamp(max=0)))


@FAULTS(f"{SELF}.scores")
def every_row_has_all_slots(model, patch):
    torch, _ = peer_modules()
    nothing = torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)

    def make(original):
        return lambda **kwargs: original(**{**kwargs, "is_local_index_no_global_attn_nonzero": nothing})

    for attention in attentions(model):
        wrap(attention, "_concat_with_global_key_attn_probs", make)


@FAULTS(f"{SELF}.scores_global")
def global_queries_see_masked(model, patch):
    def make(original):
        return lambda **kwargs: original(**{**kwargs, "is_index_masked": kwargs["is_index_masked"] & False})

    for attention in attentions(model):
        wrap(attention, "_compute_global_attn_output_from_hidden", make)


@FAULTS(f"{SELF}.probabilities")
def softmax_in_reduced_precision(model, patch):
    """Every step in float16 where float32 is due, and with bits cut off where bfloat16 is."""
    torch, _ = peer_modules()
    bits = truncated if next(model.parameters()).dtype == torch.bfloat16 else lambda x: x.half().float()

    def softmax(scores, dim, dtype):
        powers = bits(bits(scores.float() - scores.float().max(dim, keepdim=True).values).exp())
        total = torch.zeros_like(powers[..., 0])
        for column in range(powers.shape[-1]):
            total = bits(total + powers[..., column])
        return bits(powers / total[..., None]).nan_to_num(0.0)  # queries whose scores are all -inf, masked later

    patch.setattr(torch.nn.functional, "softmax", softmax)


@FAULTS(f"{SELF}.probabilities")
def two_softmaxes(model, patch):
    torch, _ = peer_modules()
    original = torch.nn.functional.softmax

    def softmax(scores, dim, dtype):
        if scores.ndim == 3:
            return original(scores, dim, dtype=dtype)
        parts = scores[..., :3], scores[..., 3:]  # the batch has three global slots
        return torch.cat([original(part, dim, dtype=dtype) / 2 for part in parts], -1)

    patch.setattr(torch.nn.functional, "softmax", softmax)


@FAULTS(f"{SELF}.probabilities")
def masked_queries_answer(model, patch):
    kept = {}

    def change(kwargs):
        kept["mask"] = kwargs["is_index_masked"]
        kwargs["is_index_masked"] = kept["mask"] & False

    def make(original):
        return lambda **kwargs: original(**{**kwargs, "is_index_masked": kept["mask"]})

    for attention in attentions(model):
        given(attention, change)
        wrap(attention, "_compute_global_attn_output_from_hidden", make)


@FAULTS(SELF)
def local_row_stays_for_global_queries(model, patch):
    kept = {}

    def stash(original):
        def local(**kwargs):
            kept["local"] = original(**kwargs)  # [batch, seq, heads, head_dim]
            return kept["local"]

        return local

    def make(original):
        def wide(**kwargs):
            output, weights = original(**kwargs)  # [batch, heads, slots, head_dim]
            rows, slots = kwargs["is_local_index_global_attn_nonzero"]
            output[rows, :, slots] = kept["local"][kwargs["is_index_global_attn_nonzero"]]
            return output, weights

        return wide

    for attention in attentions(model):
        wrap(attention, "_compute_attn_output_with_global_indices", stash)
        wrap(attention, "_compute_global_attn_output_from_hidden", make)


@FAULTS(SELF)
def heads_interleaved(model, patch):
    heads = attentions(model)[0].num_heads

    def change(output):
        context = output[0].unflatten(-1, (heads, -1)).transpose(-1, -2).flatten(-2)
        return context, *output[1:]

    for attention in attentions(model):
        result(attention, change)


@FAULTS(SELF)
def neighbours_of_values_off_by_one(model, patch):
    for attention in attentions(model):
        wrap(
            attention,
            "_sliding_chunks_matmul_attn_probs_value",
            lambda original: lambda weights, value, w: original(weights, value.roll(1, 1), w),
        )
