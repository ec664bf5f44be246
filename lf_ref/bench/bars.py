"""The speed that lf_ref aims at, relative to a peer, by dtype and by features of the processor."""

from __future__ import annotations

from collections.abc import Collection

# Speed-ups over HF, and memory as a fraction of HF's, in float32 on processors with 512-bit vectors.
_FLOAT32 = {
    "encoder": 2.6,
    "encoder-middle": 2.0,
    "encoder-short": 5.0,
    "batch": 3.0,
    "classification": 2.8,
    "masked-lm": 3.0,
    "masked-lm-near": 6.0,
    "attention": 8.0,
    "memory": 4.0,
    "first-answer": 3.0,
}
_FLOAT32_NARROW = {"encoder": 2.0, "memory": 4.0, "first-answer": 3.0}  # without them
_BFLOAT16_AMX = {"encoder": 4.0, "encoder-middle": 2.5}
_FASTER = {"encoder": 1.0, "encoder-middle": 1.0, "encoder-short": 1.0}

_INT8_UNITS = {"avx512vnni", "avxvnni", "amx-int8"}


def bars(peer: str | None, dtype: str, features: Collection[str]) -> dict[str, float]:
    """The smallest ratio to reach, by the name of a workload; other workloads have no target.

    features: those of `machine.features_used` that the processor has.
    """
    if peer == "transformers" and dtype == "float32":
        return _FLOAT32 if "avx512f" in features else _FLOAT32_NARROW
    if peer == "transformers" and dtype == "bfloat16" and "amx-bf16" in features:
        return _BFLOAT16_AMX
    if peer == "float32" and dtype == "int8" and not _INT8_UNITS.isdisjoint(features):
        return _FASTER
    return {}
