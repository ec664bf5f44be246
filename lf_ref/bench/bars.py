"""The speed that lf_ref aims at, relative to a peer, by dtype and by features of the processor."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

# The largest difference from results of lf_ref that are near 1, where the less precise side has this dtype.
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.3, "int8": 0.5}

# Speed-ups over HF, and memory as a fraction of HF's, in float32 on processors with 512-bit vectors.
_FLOAT32 = {
    "encoder": 2.7,
    "encoder-middle": 1.8,
    "encoder-short": 5.5,
    "batch": 3.0,
    "classification": 2.8,
    "masked-lm": 3.0,
    "masked-lm-near": 6.0,
    "attention": 8.0,
    "memory": 4.0,
    "first-answer": 3.0,
}
_FLOAT32_NARROW = {"encoder": 2.0, "memory": 4.0, "first-answer": 3.0}  # without them
_BFLOAT16_AMX = {"encoder": 5.0, "encoder-middle": 2.6, "encoder-short": 6.0}
# Times as fast as each of the encoders that `sdpa` rewrites.
_SDPA_FLOAT32 = {"encoder": 1.3, "encoder-middle": 1.2, "encoder-short": 1.4}
_SDPA_BFLOAT16_AMX = {"encoder": 1.4, "encoder-middle": 1.3, "encoder-short": 1.4}
_TORCH_SDPA_BFLOAT16 = dict.fromkeys(("encoder", "encoder-middle", "encoder-short"), 1.3)  # without AMX
_MATMUL = {"matmul": 1.0}
_FASTER = {"encoder": 1.0, "encoder-middle": 1.0, "encoder-short": 1.0}

_INT8_UNITS = {"avx512vnni", "avxvnni", "amx-int8"}


def bars(peer: str | None, dtype: str, features: Collection[str]) -> dict[str, float]:
    """The smallest ratio to reach, by the name of a workload; other workloads have no target.

    features: those of `machine.features_used` that the processor has.
    """
    amx = "amx-bf16" in features
    found = {
        ("transformers", "float32"): _FLOAT32 if "avx512f" in features else _FLOAT32_NARROW,
        ("transformers", "bfloat16"): _BFLOAT16_AMX if amx else {},
        ("torch-sdpa", "float32"): _SDPA_FLOAT32 | _MATMUL,
        ("torch-sdpa", "bfloat16"): _SDPA_BFLOAT16_AMX | _MATMUL if amx else _TORCH_SDPA_BFLOAT16,
        ("openvino-sdpa", "float32"): _SDPA_FLOAT32,
        ("openvino-sdpa", "bfloat16"): _SDPA_BFLOAT16_AMX if amx else {},
    }
    if not _INT8_UNITS.isdisjoint(features):
        found |= {("float32", "int8"): _FASTER, ("bfloat16", "int8"): {"encoder": 1.25}}
    return found.get((peer or "", dtype), {})


def holds(row: Mapping[str, Any]) -> bool | None:
    """Whether a row of the table or a figure reaches what is wanted of it; None where nothing is.

    What the peer failed at does not.
    """
    wanted = row["wanted"]
    if wanted is None:
        return None
    if "value" in row:
        kind, limit = wanted
        return bool(row["value"] >= limit if kind == "at least" else row["value"] <= limit)
    return bool(row.get("ratio", 0.0) >= wanted)
