"""`lf-ref warmup`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from ..command_line import command
from ..compilation import cached_kernels
from .options import checkpoint_options, json_option, quietly
from .output import echo, print_json, table

if TYPE_CHECKING:
    from ..config import LongformerConfig

_DTYPES = ("dtype", "kind")  # what factories of kernels call it


@command("warmup", short_help="Compile the kernels ahead of the first use.")
@click.option("--float64", is_flag=True, help="Compile the float64 kernels too.")
@click.option("--bfloat16", is_flag=True, help="Compile the bfloat16 kernels too.")
@click.option("--int8", is_flag=True, help="Compile the int8 kernels too.")
@json_option
@checkpoint_options
def warmup(
    float64: bool, bfloat16: bool, int8: bool, as_json: bool, model: str | None, quiet: bool, **source: Any
) -> None:
    """Compile the kernels of a model, so that no later process waits for them.

    The compiled kernels are cached on disk, beside the package or in $NUMBA_CACHE_DIR; a second run loads them.

    \b
    Example:
      lf-ref warmup
    """
    from ..config import CONFIG_NAME, LongformerConfig
    from ..embeddings.folder import locate_encoder

    with quietly(quiet):
        place = locate_encoder(model, source)
        config = LongformerConfig.from_json_file(place.require(CONFIG_NAME))
    wanted = {"float32": True, "float64": float64, "bfloat16": bfloat16, "int8": int8}
    facts = warm(config.hidden_act, [dtype for dtype, also in wanted.items() if also])
    if as_json:
        print_json(facts, indent=2)
    else:
        _show(facts)


def warm(activation: str, dtypes: list[str]) -> dict[str, Any]:
    """Run tiny models of every head with every kind of token; return which kernels were compiled, and which loaded.

    activation: HF's name of it. Kernels are compiled for dtypes, not for sizes, so a tiny model needs the same ones.

    Raises:
        InputError: the compiled kernels cannot be cached.
    """
    start = time.perf_counter()
    _check_cache()
    for dtype in dtypes:
        _run_tiny_model(_tiny_config(activation), dtype)
    kernels, folders = compiled_kernels()
    return {"seconds": time.perf_counter() - start, "kernels": kernels, "cache": sorted(folders)}


def _tiny_config(activation: str) -> LongformerConfig:
    from ..config import LongformerConfig

    return LongformerConfig(
        vocab_size=8,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        attention_window=4,
        max_position_embeddings=16,
        hidden_act=activation,
    )


def _run_tiny_model(config: LongformerConfig, dtype: str) -> None:
    """Run a tiny model with local, global and masked tokens, all outputs, and then for chosen tokens alone."""
    import numpy as np

    from ..checkpoint import expected_shapes
    from ..model.heads import LongformerForMaskedLM

    rng = np.random.default_rng(0)
    shapes = expected_shapes(config, LongformerForMaskedLM.head)
    weights = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    weights.pop("lm_head.decoder.weight")  # tied
    model = LongformerForMaskedLM(config, weights, dtype=dtype)
    ids = [[0, 4, 5, 6, 5, 4, 6, 2]]
    model(ids, [[1, 1, 1, 1, 0, 1, 1, 1]], [[1, 0, 0, 0, 0, 0, 0, 0]], output_attentions=True)
    model(ids, logits_at=[[0, 3]])


def compiled_kernels() -> tuple[list[dict[str, Any]], set[str]]:
    """The kernels that this process has compiled or loaded, and the folders of their cache."""
    kernels = [
        {
            "name": " ".join([kernel.__name__, *_labels(kernel.variant)]),
            "dtype": _dtype(kernel),
            "state": "compiled" if kernel.stats.cache_misses else "loaded",
        }
        for kernel in cached_kernels()
        if kernel.signatures
    ]
    folders = {kernel.stats.cache_path for kernel in cached_kernels() if kernel.signatures}
    return sorted(kernels, key=lambda kernel: (kernel["name"], kernel["dtype"])), folders


def _labels(variant: dict[str, Any]) -> list[str]:
    """What distinguishes the kernels of one factory, but for the dtype: names of operations, and flags that are set."""
    values = {name: value for name, value in variant.items() if name not in _DTYPES}
    return [name if value is True else value for name, value in values.items() if value]


def _dtype(kernel: Any) -> str:
    """The dtype that a kernel is made for, or else that of its first array."""
    import numpy as np

    for name in _DTYPES:
        if name in kernel.variant:
            return str(np.dtype(kernel.variant[name])) if name == "dtype" else kernel.variant[name]
    return next(str(part.dtype) for part in kernel.signatures[0] if hasattr(part, "dtype"))


def _check_cache() -> None:
    """Check before the compilation that the cache can be written, so that other processes find the kernels."""
    import numpy as np
    from numba.core import config

    from ..errors import InputError
    from ..kernels.layout.lanes import leave_kernel

    leave_kernel(np.dtype(np.float32))
    if not getattr(config, "DISABLE_JIT", 0) and not any(cached_kernels()):
        raise InputError(
            "the compiled kernels cannot be cached: neither the folder of the package nor the user's cache folder is "
            "writable; set NUMBA_CACHE_DIR to a writable folder, for this command and for those that come after it"
        )


def _show(facts: dict[str, Any]) -> None:
    if not facts["kernels"]:
        echo("Nothing to compile: NUMBA_DISABLE_JIT is set.")
        return
    table([[kernel["name"], kernel["dtype"], kernel["state"]] for kernel in facts["kernels"]])
    states = [kernel["state"] for kernel in facts["kernels"]]
    echo(f"{states.count('compiled')} compiled, {states.count('loaded')} loaded in {facts['seconds']:.1f} s")
    for folder in facts["cache"]:
        echo(f"cached in {folder}")
