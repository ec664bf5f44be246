"""The cost of a checkpoint: parameters, memory, arithmetic, and an estimate of the time on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..checkpoint import HEADS, REDUCED, StoredTensors, expected_shapes
from ..checkpoint.names import DECODER, WORDS, Shapes, is_reducible, parameters_of
from ..config import LongformerConfig
from ..pipelines import TASKS

# Arrays of the size of the hidden states that are in memory at a time: two of them; query, key and value.
_ARRAYS, _BLOCK_ARRAYS = 5, 3
# Tokens of the matmul that is measured: enough for blocks of all threads, and half a second at most.
_TOKENS = 2048
# Seconds for each measurement of the matmul; the best of several counts.
_MEASURE, _TRIALS = 0.05, 5


def tensor_facts(tensors: StoredTensors, config: LongformerConfig, dtype: str) -> dict[str, Any]:
    """The tensors, the tasks that they fit, and their memory in `dtype`."""
    dtypes = sorted({tensor.dtype for tensor in tensors.values()})
    shapes = _parameters(tensors, config)
    parameters = sum(math.prod(shape) for shape in shapes.values())
    return {
        "tasks": fitting_tasks(shapes, config),
        "parameters": parameters,
        "stored_bytes": sum(tensor.nbytes for tensor in tensors.values()),
        "stored_dtypes": dtypes,
        "dtype": dtype,
        "memory_bytes": sum(math.prod(shape) * _itemsize(name, shape, dtype) for name, shape in shapes.items()),
        "copied": "mapped from the file" if dtypes == [dtype] else "converted when loaded",
        "tensors": [
            {"name": name, "dtype": tensor.dtype, "shape": list(tensor.shape), "bytes": tensor.nbytes}
            for name, tensor in tensors.items()
        ],
    }


def _itemsize(name: str, shape: tuple[int, ...], dtype: str) -> int:
    """Bytes of each element of a parameter in memory; scales of rows do not count."""
    if dtype not in REDUCED:
        return np.dtype(dtype).itemsize
    return {"bfloat16": 2, "int8": 1}[dtype] if is_reducible(name, shape) else np.dtype(np.float32).itemsize


def _parameters(tensors: StoredTensors, config: LongformerConfig) -> Shapes:
    """The shapes of the parameters, each once under whatever names it is stored."""
    shapes = {parameter: tensors[name].shape for name, parameter in parameters_of(tensors).items() if parameter}
    if config.tie_word_embeddings and DECODER in shapes:
        decoder = shapes.pop(DECODER)
        shapes.setdefault(WORDS, decoder)
    return shapes


def fitting_tasks(shapes: Shapes, config: LongformerConfig) -> list[str]:
    """The tasks whose model has all its weights here, in their shapes."""
    held = {DECODER: shapes.get(WORDS), **shapes} if config.tie_word_embeddings else shapes
    fitting = {
        head for head in HEADS if all(held.get(name) == shape for name, shape in expected_shapes(config, head).items())
    }
    return [task for task, kind in TASKS.items() if kind.model_class.head in fitting]


def flop(config: LongformerConfig, length: int) -> int:
    """Floating-point operations of the encoder for one text without global tokens; a multiply-add counts as two."""
    hidden, inner = config.hidden_size, config.intermediate_size
    linear = 2 * length * (4 * hidden * hidden + 2 * hidden * inner) * config.num_hidden_layers
    # Scores and weighted sums: two dot products over the hidden size for each pair of a query and a key.
    return linear + sum(4 * hidden * pairs(length, window // 2) for window in config.windows)


def pairs(length: int, one_sided: int) -> int:
    """The number of pairs of positions at most `one_sided` apart.

    >>> pairs(4, 1), pairs(4, 9)
    (10, 16)
    """
    reach = min(one_sided, length - 1)
    return length * (2 * reach + 1) - reach * (reach + 1)


def estimate(config: LongformerConfig, lengths: Sequence[int], dtype: str, num_threads: int | None) -> dict[str, Any]:
    """The arithmetic for texts of these lengths, and the seconds it takes at the measured rate of a matmul."""
    from ..compilation import announce_compilation

    announce_compilation()
    from ..kernels.engine import Kernels
    from ..kernels.threads import Threads

    threads = Threads(num_threads)
    kernels, rate = Kernels(threads, dtype), measured_rate(config, dtype, threads.count)

    def block(length: int) -> int:
        """Tokens of the blocks that all threads compute at a time, whose intermediate activations are in memory."""
        first, last = kernels.blocks(-(-length // kernels.LANES), config.hidden_size)[0]
        return min(length, threads.count * (last - first) * kernels.LANES)

    itemsize = np.dtype(np.float32 if dtype in REDUCED else dtype).itemsize
    return {
        "dtype": dtype,
        "threads": threads.count,
        "gflop_per_second": rate / 1e9,
        "lengths": [
            {
                "length": length,
                "gflop": flop(config, length) / 1e9,
                "seconds": flop(config, length) / rate,
                "working_bytes": itemsize * config.hidden_size * (_ARRAYS * length + _BLOCK_ARRAYS * block(length)),
            }
            for length in lengths
        ],
    }


def measured_rate(config: LongformerConfig, dtype: str, num_threads: int) -> float:
    """Operations in a second of a matmul like those of the feed-forward network."""
    from ..bench.lanes import matmul

    rng = np.random.default_rng(0)
    x = rng.standard_normal((_TOKENS, config.hidden_size), np.float32)
    weight = rng.standard_normal((config.intermediate_size, config.hidden_size), np.float32)
    multiply, operations = matmul(x, weight, dtype, num_threads), 2 * x.size * config.intermediate_size
    multiply()
    repeats = 1
    best = _timed(multiply, repeats)
    while best * repeats < _MEASURE:
        repeats *= 2
        best = _timed(multiply, repeats)
    return operations / min(best, *(_timed(multiply, repeats) for _ in range(_TRIALS - 1)))


def _timed(matmul: Callable[[], Any], repeats: int) -> float:
    """Seconds for one matmul."""
    start = time.perf_counter()
    for _ in range(repeats):
        matmul()
    return (time.perf_counter() - start) / repeats
