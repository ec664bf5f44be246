"""The encoder as an expert rewrites it around torch's `scaled_dot_product_attention`: one text, its first token global.

A block of queries sees three blocks of keys and the global key, so nothing is padded and no score lies outside them;
a short text is one dense block. The global query is folded: (W_k^T q) . x_j in place of q . (W_k x_j + b), whose
constant the softmax does not see, and W_v (sum p_j x_j) + b, so that no token is projected for it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import cache, cached_property, partial
from importlib import import_module
from typing import Any

import numpy as np

from ..checkpoint.reduced import ReducedWeight
from ..errors import InputError
from ..model.heads import LongformerModel
from ..reference.ops import Array
from .peer import Folder
from .size import first_token

Tensor = Any  # of torch, which is not loaded before it is asked for
# Tokens that the feed-forward network takes at a time: allocators give the memory of its inner activations back to the
# system if these are large, and clearing it anew costs as much as the activation.
_CHUNK = 1024
_PROJECTIONS = ("query", "key", "value")
_LINEAR = re.compile(r"\.(query|key|value|query_global|dense)\.weight$")


def torch_module() -> Any:
    """torch.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module("torch")
    except ImportError as error:
        raise InputError(f"comparing with torch-sdpa needs torch: pip install 'lf-ref[parity]' ({error})") from error


class TorchSdpa:
    """The rewritten encoder on torch, as what `lf_ref.bench.sides.Side` asks of an encoder: see `kinds` for the rest.

    It decides how many threads torch has in this process.
    """

    def __init__(self, folder: Folder, num_threads: int, dtype: str) -> None:
        self._torch = torch_module()
        self._torch.set_num_threads(num_threads)
        self._folder, self._threads, self._dtype = folder, num_threads, dtype

    def encoder(self, ids: Array, is_global: Array, visible: Array | None = None) -> Array:
        """As in `Side`, for one text."""
        assert np.array_equal(is_global, first_token(ids[:1]))
        with self._torch.inference_mode():
            return self._encoder(self._torch.from_numpy(ids)).float().numpy()

    def linear(self, x: Array, weight: Array) -> Callable[[], Tensor]:
        """As in `Side`, in the dtype."""
        torch, dtype = self._torch, getattr(self._torch, self._dtype)
        given, matrix = (torch.from_numpy(array).to(dtype) for array in (x, weight))
        multiply = partial(torch.nn.functional.linear, given, matrix)
        if _packs(torch, self._dtype):
            multiply = partial(_packed_linear, torch, given, _pack(torch, matrix), None, "none")

        def run() -> Tensor:
            torch.set_num_threads(1)
            with torch.inference_mode():
                product = multiply()
            torch.set_num_threads(self._threads)
            return product

        return run

    def load(self, ids: Array, is_global: Array) -> None:
        """As in `Side`."""
        self._encoder.load()

    @cached_property
    def _encoder(self) -> SdpaEncoder:
        return SdpaEncoder(self._folder, self._dtype)


class SdpaEncoder:
    """The encoder with the weights of a checkpoint in its dtype, float32 or bfloat16: int64 [1, n] -> [1, n, hidden].

    eager: for torch itself, so with the feed-forward network in chunks, and bfloat16 weights in oneDNN's own layout; a
    graph that is to be converted has neither.
    """

    def __init__(self, folder: Folder, dtype: str, eager: bool = True) -> None:
        self._torch = torch_module()
        self._dtype = getattr(self._torch, dtype)
        self._chunk = _CHUNK if eager else None
        model = LongformerModel.from_pretrained(folder, dtype=dtype, num_threads=1)
        self._config = model.config
        self._weights = {name: self._tensor(weight) for name, weight in model.weights.items()}
        self._packed = eager and _packs(self._torch, dtype)
        if self._packed:
            for name in filter(_LINEAR.search, self._weights):
                self._weights[name] = _pack(self._torch, self._weights[name])
        self._masks = cache(self._new_masks)

    def __call__(self, ids: Tensor) -> Tensor:
        """The last hidden states."""
        weights, first = self._weights, self._config.pad_token_id + 1
        hidden = weights["embeddings.word_embeddings.weight"][ids[0]]
        hidden = hidden + weights["embeddings.position_embeddings.weight"][first : first + len(hidden)]
        hidden = self._norm(hidden + weights["embeddings.token_type_embeddings.weight"][0], "embeddings")
        for number, window in enumerate(self._config.windows):
            hidden = self._layer(hidden, f"encoder.layer.{number}", window // 2)
        return hidden[None]

    def load(self) -> None:
        """Touch all weights, so that those mapped from the file are in memory."""
        for weight in self._weights.values():
            if weight.layout == self._torch.strided:  # packed weights are no file's
                weight.max()

    def _linear(self, x: Tensor, name: str, gelu: bool = False) -> Tensor:
        """A linear layer, and its activation.  # [n, a] -> [n, b]"""
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        if self._packed:
            return _packed_linear(self._torch, x, weight, bias, "gelu" if gelu else "none")
        functional = self._torch.nn.functional
        return functional.gelu(functional.linear(x, weight, bias)) if gelu else functional.linear(x, weight, bias)

    def _layer(self, x: Tensor, name: str, one_sided: int) -> Tensor:
        """Attention and feed-forward network.  # [n, hidden] -> same"""
        query, key, value = (self._linear(x, f"{name}.attention.self.{kind}") for kind in _PROJECTIONS)
        first, rest = self._global(x, f"{name}.attention.self"), self._local(query, key, value, one_sided)
        context = self._torch.cat([first, *rest])
        x = self._norm(self._linear(context, f"{name}.attention.output.dense") + x, f"{name}.attention.output")
        parts = []
        for part in x.split(self._chunk or len(x)):
            inner = self._linear(part, f"{name}.intermediate.dense", gelu=True)
            parts.append(self._norm(self._linear(inner, f"{name}.output.dense") + part, f"{name}.output"))
        return self._torch.cat(parts) if len(parts) > 1 else parts[0]

    def _local(self, query: Tensor, key: Tensor, value: Tensor, block: int) -> list[Tensor]:
        """What all tokens but the first gather, in their order.  # [n, hidden] -> each [some, hidden]"""
        heads = self._config.num_attention_heads
        query, key, value = (x.unflatten(1, (heads, -1)) for x in (query, key, value))  # [n, heads, dim]
        masks, whole = self._masks(len(query), block), (len(query) - 1) // block
        if len(masks) == 1:
            return [self._attend(query[None, 1:], key[None], value[None], masks[0])]
        after_first, last = 1 + block, 1 + (whole - 1) * block
        queries = query[None, 1:after_first], query[after_first:last].unflatten(0, (-1, block)), query[None, last:]
        keys, values = (
            (
                x[None, : after_first + block],
                self._threes(x, block),
                self._torch.cat([x[:1], x[last - block :]])[None],
            )
            for x in (key, value)
        )
        return list(map(self._attend, queries, keys, values, masks))

    def _threes(self, x: Tensor, block: int) -> Tensor:
        """Any three blocks in a row, each behind the first token: overlapping views of one copy.

        [n, heads, dim] -> [blocks - 2, 3 (1 + block), heads, dim]
        """
        blocks = x[1 : 1 + (len(x) - 1) // block * block].unflatten(0, (-1, block))
        joined = self._torch.cat([x[None, :1].expand(len(blocks), -1, -1, -1), blocks], 1).flatten(0, 1)
        return joined.unfold(0, 3 * (1 + block), 1 + block).permute(0, 3, 1, 2)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """softmax(q k^T / sqrt(dim) + mask) v.  # [blocks, queries or keys, heads, dim] -> [blocks queries, hidden]"""
        attend = self._torch.nn.functional.scaled_dot_product_attention
        given = (x.transpose(1, 2) for x in (query, key, value))
        return attend(*given, attn_mask=mask).transpose(1, 2).flatten(2).flatten(0, 1)

    def _global(self, x: Tensor, name: str) -> Tensor:
        """What the first token gathers from all.  # [n, hidden] -> [1, hidden]"""
        heads = self._config.num_attention_heads
        query = self._linear(x[:1], f"{name}.query_global").unflatten(1, (heads, 1, -1))[0]  # [heads, 1, dim]
        by_key, by_value = (
            self._weights[f"{name}.{kind}_global.weight"].unflatten(0, (heads, -1)) for kind in ("key", "value")
        )  # [heads, dim, hidden]
        folded = (query * query.shape[-1] ** -0.5 @ by_key)[:, 0]  # [heads, hidden]
        gathered = (folded @ x.T).softmax(-1) @ x  # [heads, n], [n, hidden] -> [heads, hidden]
        return (by_value @ gathered[:, :, None]).flatten()[None] + self._weights[f"{name}.value_global.bias"]

    def _new_masks(self, length: int, block: int) -> list[Tensor | None]:
        """What is added to the scores: one mask of a dense block, or those of the first, middle and last blocks."""
        local, whole = length - 1, (length - 1) // block
        if whole < 3:
            return [None if local <= block else self._mask(np.arange(local), np.arange(local), block)]
        near = np.arange(3 * block).reshape(3, block)
        gaps = np.full((3, 1), 4 * block)  # the first token, for every block; the first of the three is taken
        start = (whole - 1) * block
        return [
            self._mask(near[0], near[:2].ravel(), block),
            self._mask(near[1], np.concatenate([gaps, near], 1).ravel()[1:], block),
            self._mask(np.arange(start, local), np.arange(start - block, local), block),
        ]

    def _mask(self, queries: Array, keys: Array, reach: int) -> Tensor:
        """Of local queries, for the first token and these keys.  # int [q], [k] -> [q, 1 + k]"""
        far = np.abs(queries[:, None] - keys) > reach
        mask = np.where(np.pad(far, ((0, 0), (1, 0))), -np.inf, 0).astype(np.float32)
        return self._torch.from_numpy(mask).to(self._dtype)

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.LayerNorm.weight"], self._weights[f"{name}.LayerNorm.bias"]
        return self._torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, self._config.layer_norm_eps)

    def _tensor(self, weight: Any) -> Tensor:
        """A weight in the dtype; mapped, not copied, where it has that dtype."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable")  # nobody writes to it
            if isinstance(weight, ReducedWeight):
                return self._torch.from_numpy(weight.elements).view(self._dtype)
            return self._torch.from_numpy(weight).to(self._dtype)


def _packs(torch: Any, dtype: str) -> bool:
    """Whether oneDNN multiplies faster by weights in its own layout: by bfloat16, which it reorders anyway."""
    return dtype == "bfloat16" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _pack(torch: Any, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight)


def _packed_linear(torch: Any, x: Tensor, weight: Tensor, bias: Tensor, activation: str) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], "none")
