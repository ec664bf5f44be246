"""HF transformers on torch as a peer, called as its users call it, in float32 or bfloat16.

Only this module loads torch and transformers, on first use.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any

from ..errors import InputError
from ..reference.ops import Array

Folder = str | os.PathLike[str]


def peer_modules() -> tuple[Any, Any]:
    """torch and transformers.

    Raises:
        InputError: they are not installed.
    """
    try:
        torch, transformers = import_module("torch"), import_module("transformers")
        import_module("transformers.models.longformer.modeling_longformer")
    except ImportError as error:
        raise InputError(
            f"comparing with transformers needs torch and transformers: pip install 'lf-ref[parity]' ({error})"
        ) from error
    transformers.utils.logging.set_verbosity_error()  # it announces every padding to the window
    return torch, transformers


class Transformers:
    """HF transformers, as `lf_ref.bench.sides.Side`. It decides how many threads torch has in this process."""

    def __init__(self, folder: Folder, num_threads: int, dtype: str) -> None:
        self._torch, self._transformers = peer_modules()
        self._torch.set_num_threads(num_threads)
        self._folder, self._dtype = folder, getattr(self._torch, dtype)

    def encoder(self, ids: Array, is_global: Array, visible: Array | None = None) -> Array:
        """As in `Side`."""
        inputs = self._inputs(input_ids=ids, attention_mask=visible, global_attention_mask=is_global)
        with self._torch.inference_mode():
            return _array(self._encoder(**inputs).last_hidden_state)

    def classifier(self, ids: Array) -> Array:
        """As in `Side`."""
        with self._torch.inference_mode():
            return _array(self._classifier(**self._inputs(input_ids=ids)).logits)

    def masked_lm(self, ids: Array, is_global: Array, position: int) -> Array:
        """As in `Side`; HF's model always computes the scores of all tokens."""
        inputs = self._inputs(input_ids=ids, global_attention_mask=is_global if is_global.any() else None)
        with self._torch.inference_mode():
            return _array(self._masked_lm(**inputs).logits[0, position])

    def attention(self, query: Array, key: Array, value: Array, heads: int, window: int) -> Callable[[], Array]:
        """As in `Side`: HF's own module with its projections replaced by their results; in float32."""
        torch = self._torch
        longformer = self._transformers.models.longformer.modeling_longformer
        # The module divides the query in place; the copy costs a thousandth of the time.
        given = {"query": query, "key": key, "value": value}
        config = self._transformers.LongformerConfig(
            hidden_size=query.shape[1], num_attention_heads=heads, num_hidden_layers=1, attention_window=[window]
        )
        module = longformer.LongformerSelfAttention(config, 0).eval()
        for name, array in given.items():
            setattr(module, name, _give(torch, torch.from_numpy(array)[:, None], copied=name == "query"))
        length = len(query)
        nowhere = torch.zeros(1, length, dtype=torch.bool)
        hidden, mask = torch.empty(1, length, query.shape[1]), torch.zeros(1, length)

        def run() -> Array:
            with torch.inference_mode():
                output = module(
                    hidden, mask, is_index_masked=nowhere, is_index_global_attn=nowhere, is_global_attn=False
                )
            return output[0][0].numpy()

        return run

    def load(self, ids: Array, is_global: Array) -> None:
        """As in `Side`."""
        for parameter in self._encoder.parameters():
            parameter.detach().max()

    def _inputs(self, **arrays: Array | None) -> dict[str, Any]:
        return {name: self._torch.from_numpy(array) for name, array in arrays.items() if array is not None}

    def _load(self, name: str, **options: Any) -> Any:
        kind = getattr(self._transformers, name)
        return kind.from_pretrained(self._folder, dtype=self._dtype, **options).eval()

    @cached_property
    def _encoder(self) -> Any:
        return self._load("LongformerModel", add_pooling_layer=False)

    @cached_property
    def _classifier(self) -> Any:
        return self._load("LongformerForSequenceClassification")

    @cached_property
    def _masked_lm(self) -> Any:
        return self._load("LongformerForMaskedLM")


def _array(tensor: Any) -> Array:
    """A tensor as float32, which NumPy has; of float32 the tensor's own memory."""
    return tensor.float().numpy()


def _give(torch: Any, tensor: Any, copied: bool) -> Any:
    """A module that returns a constant tensor."""
    module = torch.nn.Module()
    module.forward = lambda _: tensor.clone() if copied else tensor
    return module
