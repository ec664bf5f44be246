"""HF transformers' Longformer as a target of the conformance kit: `python -m lf_ref.testing parity.hf_target:float32`.

torch and transformers are imported on the first call.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from parity.peers import peer_modules


def float32(config: dict[str, Any], weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What HF's class answers, in float32 as it comes."""
    return answer(config, weights, inputs, "float32")


def bfloat16(config: dict[str, Any], weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The same model and inputs in bfloat16."""
    return answer(config, weights, inputs, "bfloat16")


def float16(config: dict[str, Any], weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The same model and inputs in float16."""
    return answer(config, weights, inputs, "float16")


def answer(config: dict[str, Any], weights: Mapping[str, Any], inputs: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Load the weights into HF's class, run it, and give its outputs."""
    torch, _ = peer_modules()
    torch.set_num_threads(1)  # the models are small: more threads take ten times as long
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model = load(config, weights).to(getattr(torch, dtype))
        tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
        if "inputs_embeds" in tensors:
            tensors["inputs_embeds"] = tensors["inputs_embeds"].to(getattr(torch, dtype))
        output = model(**tensors)
    return {name: value for name, value in output.items() if isinstance(value, torch.Tensor)}


def load(config: dict[str, Any], weights: Mapping[str, Any]) -> Any:
    """HF's class with exactly these weights; what is tied comes with what it is tied to."""
    torch, transformers = peer_modules()
    state = {name: torch.from_numpy(value) for name, value in weights.items()}
    if "lm_head.bias" in state:
        state["lm_head.decoder.bias"] = state["lm_head.bias"]
        state.setdefault("lm_head.decoder.weight", state["longformer.embeddings.word_embeddings.weight"])
    [name] = config["architectures"]
    has_pooler = name != "LongformerModel" or "pooler.dense.weight" in state  # a causal model has none
    options = {} if has_pooler else {"add_pooling_layer": False}
    model = getattr(transformers, name)(transformers.LongformerConfig.from_dict(config), **options).eval()
    model.load_state_dict(state, strict=True)
    return model
