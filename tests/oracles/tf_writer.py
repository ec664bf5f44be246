"""A `tf_model.h5` as Keras writes HF's TensorFlow models: a group for each layer, a dataset for each weight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TABLES = ("position_embeddings", "token_type_embeddings")


def tf_name(name: str, model: str) -> str:
    """The path in the file of a weight with the name that HF's torch model of a class stores it under.

    Source: `TFLongformer*` of transformers 4.57 (modeling_tf_longformer.py), and Keras' `save_weights` in HDF5.
    """
    parts = name.split(".")
    if "layer" in parts:
        at = parts.index("layer")
        parts[at : at + 2] = [f"layer_._{parts[at + 1]}"]
    last, of = parts[-1], parts[-2]
    if of in ("LayerNorm", "layer_norm"):
        last = {"weight": "gamma", "bias": "beta"}[last]
    elif of in _TABLES:
        last = "embeddings"
    elif last == "weight" and of != "word_embeddings":
        last = "kernel"
    if parts[0] in ("embeddings", "encoder", "pooler"):  # the bare model has a layer `longformer` too
        parts = ["longformer", *parts]
    return "/".join([parts[0], model, *parts[:-1], last]) + ":0"


def write_tf(path: Path, state: Mapping[str, NDArray[Any]], model: str, **options: Any) -> None:
    """Write the weights of HF's torch model, without a tied decoder; model: such as "tf_longformer_for_masked_lm".

    options: of each dataset, such as compression="gzip".
    """
    import h5py

    with h5py.File(path, "w") as file:
        names: dict[str, list[bytes]] = {}
        places = {tf_name(name, model): values for name, values in state.items() if "lm_head.decoder." not in name}
        if any(where.startswith("lm_head/") for where in places):
            # The head holds the layer of the embeddings, whose weights Keras stores with those of the head again.
            shared = {where: values for where, values in places.items() if "/longformer/embeddings/" in where}
            places |= {where.replace("longformer/", "lm_head/", 1): values for where, values in shared.items()}
        for where, values in places.items():
            transposed = where.endswith("/kernel:0")
            file.create_dataset(where, data=np.ascontiguousarray(values.T if transposed else values), **options)
            names.setdefault(where.split("/")[0], []).append(where.split("/", 1)[1].encode())
        file.attrs["layer_names"] = [layer.encode() for layer in names]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.15.0"
        for layer, weights in names.items():
            file[layer].attrs["weight_names"] = weights
