"""A generator of weights: the same bits in every language and on every machine.

`lf_ref/testing/README.md` describes it for other languages, with test vectors. All arithmetic is on unsigned 64-bit
integers, modulo 2^64:

    GAMMA = 0x9E3779B97F4A7C15

    mix(z): z ^= z >> 30;  z *= 0xBF58476D1CE4E5B9;  z ^= z >> 27;  z *= 0x94D049BB133111EB;  z ^= z >> 31

    fnv(name): h = 0xCBF29CE484222325;  for each byte of the UTF-8 name: h ^= byte;  h *= 0x00000100000001B3

    word(seed, name, i) = mix(mix((seed ^ fnv(name)) + GAMMA) + (i + 1) * GAMMA)    for i = 0, 1, 2, ...

`mix` and GAMMA are those of SplitMix64 (Steele, Lea and Flood 2014), `fnv` is FNV-1a (Fowler, Noll and Vo). A word
depends only on its seed, name and index, so any part of a tensor can be generated alone, in any order.

    m(word) = (word >> 48) - 32768          an integer from -32768 to 32767

A weight is `centre + m * 2^-shift`, which float32 holds exactly. Centre and shift follow from the tensor's name and
shape, see `rule`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..checkpoint.names import HEADS, stored_name, untied_shapes
from ..config import LongformerConfig
from ..errors import InputError
from ..hf_names import accepts_names
from ..tokenizer.arguments import as_sequence, check_count, shown

NAME, VERSION = "splitmix64-fnv1a-m16", 1

_GAMMA = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_BLOCK = 1 << 16  # words per block, so that a block stays in the cache


@accepts_names()
def words(seed: int, name: str, count: int, first: int = 0) -> NDArray[np.uint64]:
    """The words `first`, `first + 1`, ... of the stream of a seed and a name.  # -> uint64 [count]

    Raises:
        InputError: the seed is not an integer from 0 to 2^64 - 1, the name not a string, or count or first not an
            integer of at least 0.
    """
    start, first = _start(seed, name), check_count("first", first, least=0)
    out = np.empty(check_count("count", count, least=0), np.uint64)
    for begin in range(0, count, _BLOCK):
        block = out[begin : begin + _BLOCK]
        counter = (start + (first + begin + 1) * _GAMMA) & _MASK
        # The sum must wrap around; arrays of unsigned integers do so without a warning.
        np.multiply(np.arange(len(block), dtype=np.uint64), np.uint64(_GAMMA), out=block)
        block += np.uint64(counter)
        _mix(block)
    return out


@accepts_names()
def integers(seed: int, name: str, count: int, below: int) -> NDArray[np.int64]:
    """`count` integers from 0 to below - 1: the upper half of each word, times `below`, over 2^32.  # -> int64 [count]

    below: at most 2^31. seed, name and errors as `words`.
    """
    if check_count("below", below) > 1 << 31:
        raise InputError(f"below must be at most 2^31, got {below}")
    return ((words(seed, name, count) >> np.uint64(32)) * np.uint64(below) >> np.uint64(32)).astype(np.int64)


@accepts_names()
def rule(parameter: str, shape: tuple[int, ...]) -> tuple[float, int]:
    """Centre and shift of a tensor: its elements are centre + m * 2^-shift.

    - weights of a layer norm: 1 and 16, so from 0.5 to 1.5;
    - embeddings: 0 and 15, so from -1 to 1;
    - other matrices, (out, in): 0 and 15 + e, so from -2^-e to 2^-e, e being (b - 1) // 2 - 1, at least 0, and b the
      number of binary digits of `in`: from in = 4 on, such a matrix maps values of variance 1 to a variance from 4/3 to
      16/3, so that attention is not uniform and activations leave their linear range;
    - biases, and other tensors of one axis: 0 and 16, so from -0.5 to 0.5.

    parameter: HF's name without the `longformer.` prefix; shape: of the tensor.

    Raises:
        InputError: the parameter is not a string, or the shape not of one or two axes.
    """
    _check_name("parameter", parameter)
    shape = _shape(shape)
    if len(shape) not in (1, 2):
        raise InputError(f"shape must have 1 or 2 axes, got {shape}")
    if len(shape) == 1:
        norm = parameter.endswith(("LayerNorm.weight", "layer_norm.weight"))
        return (1.0 if norm else 0.0), 16
    if parameter.startswith("embeddings."):
        return 0.0, 15
    return 0.0, 15 + max(0, (shape[1].bit_length() - 1) // 2 - 1)


@accepts_names()
def tensor(seed: int, parameter: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """One parameter, by its `rule`; seed and errors as `words` and `rule`.  # -> float32 [shape]"""
    return values(seed, parameter, shape, *rule(parameter, shape))


@accepts_names()
def values(seed: int, name: str, shape: tuple[int, ...], centre: float = 0.0, shift: int = 15) -> NDArray[np.float32]:
    """centre + m * 2^-shift; element i in C order comes from word i of the stream.  # -> float32 [shape]

    seed and name as for `words`; shape: any number of axes.

    Raises:
        InputError: the seed or the name does not fit, the shape is not a sequence of integers of at least 0, the centre
            not a finite number, or the shift not an integer of at least 0.
    """
    shape, shift = _shape(shape), check_count("shift", shift, least=0)
    if isinstance(centre, bool) or not isinstance(centre, int | float | np.number) or not math.isfinite(centre):
        raise InputError(f"centre must be a finite number, got {shown(centre)}")
    out = np.empty(math.prod(shape), np.float32)
    _start(seed, name)  # checks them where there is no block
    for begin in range(0, len(out), _BLOCK):
        block = out[begin : begin + _BLOCK]
        drawn = words(seed, name, len(block), begin) >> np.uint64(48)
        block[:] = drawn.astype(np.int32) - 32768
        block *= np.float32(2.0**-shift)
        block += np.float32(centre)
    return out.reshape(shape)


@accepts_names()
def weights(config: LongformerConfig, head: str, seed: int) -> dict[str, NDArray[np.float32]]:
    """All weights of a model, float32, by the names in HF's checkpoints.

    A tied decoder is left out, as in HF. The weights of the encoder do not depend on the head.

    config: for the sizes; head: a key of `lf_ref.checkpoint.HEADS`; seed as for `words`.

    Raises:
        InputError: an argument does not fit.
    """
    if not isinstance(config, LongformerConfig):
        raise InputError(f"config must be a LongformerConfig, got {shown(config)}")
    if not isinstance(head, str) or head not in HEADS:
        raise InputError(f"head must be one of {', '.join(map(repr, HEADS))}, got {shown(head)}")
    shapes = untied_shapes(config, head)
    return {stored_name(name, head): tensor(seed, name, shape) for name, shape in shapes.items()}


def _start(seed: int, name: str) -> int:
    """The start of the counter of a stream."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= int(seed) <= _MASK:
        raise InputError(f"a seed must be an integer from 0 to 2^64 - 1, got {shown(seed)}")
    _check_name("name", name)
    hashed = 0xCBF29CE484222325
    for byte in name.encode():
        hashed = (hashed ^ byte) * 0x100000001B3 & _MASK
    single = np.array([((int(seed) ^ hashed) + _GAMMA) & _MASK], np.uint64)
    _mix(single)
    return int(single[0])


def _check_name(which: str, name: object) -> None:
    if not isinstance(name, str):
        raise InputError(f"{which} must be a string, got {shown(name)}")


def _shape(shape: object) -> tuple[int, ...]:
    """A shape as a tuple of integers."""
    lengths = as_sequence("shape", shape)
    if lengths is None:
        raise InputError(f"shape must be a sequence of integers, got {shown(shape)}")
    return tuple(check_count("each axis of shape", length, least=0) for length in lengths)


def _mix(z: NDArray[np.uint64]) -> None:
    """Mix each word in place."""
    shifted = np.empty_like(z)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        np.right_shift(z, np.uint64(shift), out=shifted)
        z ^= shifted
        z *= np.uint64(factor)
    np.right_shift(z, np.uint64(31), out=shifted)
    z ^= shifted
