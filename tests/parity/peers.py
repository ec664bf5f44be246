"""HF transformers' Longformer as a peer: built from our configs and state dicts, called with NumPy, answering in NumPy.

torch and transformers are imported on first use, so that a run without the parity suite never needs them; where they
are missing the import fails the test that asked for them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np


@cache
def peer_modules() -> tuple[ModuleType, ModuleType]:
    """torch and transformers, with their chatter turned off."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the peers are not ours
        import torch
        import transformers
        from transformers.models.longformer import modeling_longformer  # noqa: F401

    transformers.utils.logging.set_verbosity_error()  # it announces every padding to the window
    return torch, transformers


@contextmanager
def exact_softmax() -> Iterator[None]:
    """Let HF's attention compute its softmax in the dtype of the scores.

    Its Longformer asks for `dtype=torch.float32` whatever the model's dtype is, so its float64 is good to 5e-7 only.
    """
    torch, _ = peer_modules()
    functional = torch.nn.functional
    original = functional.softmax

    def softmax(scores: Any, dim: int, dtype: Any = None) -> Any:
        return original(scores, dim=dim, dtype=scores.dtype)

    functional.softmax = softmax
    try:
        yield
    finally:
        functional.softmax = original


def build_peer(
    class_name: str, fields: Mapping[str, Any], state: Mapping[str, Any], dtype: str = "float64", **options: Any
) -> Any:
    """HF's model of that class with exactly these weights: a missing, left-over or misshapen one fails.

    options: further arguments of the class (`add_pooling_layer=False`).
    """
    torch, transformers = peer_modules()
    config = transformers.LongformerConfig(**fields)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(transformers, class_name)(config, **options)
    model = model.to(getattr(torch, dtype)).eval()
    tensors = {name: torch.tensor(np.asarray(array)) for name, array in state.items()}
    model.load_state_dict(tensors, strict=True)
    return model


def call_peer(model: Any, inputs: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """Run HF's model; all its output fields as NumPy arrays (or tuples of them), None where it gives none."""
    torch, _ = peer_modules()
    dtype = next(model.parameters()).dtype
    tensors = {}
    for name, value in inputs.items():
        tensor = torch.tensor(np.asarray(value))
        tensors[name] = tensor.to(dtype) if tensor.is_floating_point() else tensor
    with warnings.catch_warnings(), torch.no_grad(), exact_softmax():
        warnings.simplefilter("ignore")
        output = model(**tensors, **options)
    if isinstance(output, tuple):
        return {"tuple": _as_numpy(output)}
    return {name: _as_numpy(getattr(output, name)) for name in output.__dataclass_fields__}


def _as_numpy(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_as_numpy(item) for item in value)
    return None if value is None else value.numpy()


def as_documented(peer: Mapping[str, Any], marked: Any, visible: Any) -> dict[str, Any]:
    """HF's outputs with the two oddities of `global_attentions` removed; everything else untouched.

    1. HF leaves its sequence axis padded to a multiple of the largest window; the padding's probabilities are 0.
    2. In rows with fewer global tokens than the row with most, the columns left over hold a softmax over scores that
       are all equally impossible, 1 / padded length each, and mean nothing. They become 0.

    marked, visible: bool (batch, seq).
    """
    if peer.get("global_attentions") is None:
        return dict(peer)
    seq = marked.shape[1]
    counts = (marked & visible).sum(1)
    arrays = []
    for array in peer["global_attentions"]:
        present = np.arange(array.shape[3])[None, :] < counts[:, None]
        kept = np.where(present[:, None, None, :], array, 0)
        assert not kept[:, :, seq:].any(), "HF gives its padding some attention"
        arrays.append(kept[:, :, :seq])
    return {**peer, "global_attentions": tuple(arrays)}
