"""Files as torch.save writes them, put together opcode by opcode: also those that torch never would write.

Sources: the opcodes of Python's pickle protocol 2, and what torch 1.0 to 2.13 writes.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
TRUE, FALSE, NONE = b"\x88", b"\x89", b"N"


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def integer(value: int) -> bytes:
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def tuple_of(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def list_of(*parts: bytes) -> bytes:
    return b"](" + b"".join(parts) + b"e"


def dictionary(pairs: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in pairs.items()) + b"u"


def name(module: str, attribute: str) -> bytes:
    return b"c" + f"{module}\n{attribute}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + tuple_of(*arguments) + b"R"


def ordered_dict(pairs: Mapping[str, bytes]) -> bytes:
    return call(name("collections", "OrderedDict")) + b"(" + dictionary(pairs)[2:]


def storage(kind: str, key: str, length: int, *, legacy: bool = False, view: bytes = NONE) -> bytes:
    parts = [text("storage"), name("torch", kind), text(key), text("cpu"), integer(length)]
    return tuple_of(*parts, *([view] if legacy else [])) + b"Q"


def tensor(place: bytes, offset: int, shape: Sequence[int], strides: Sequence[int]) -> bytes:
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        place,
        integer(offset),
        tuple_of(*map(integer, shape)),
        tuple_of(*map(integer, strides)),
        FALSE,
        ordered_dict({}),
    )


def parameter(value: bytes) -> bytes:
    return call(name("torch._utils", "_rebuild_parameter"), value, TRUE, ordered_dict({}))


def pickled(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def write_zip(
    path: Path,
    body: bytes,
    storages: Mapping[str, bytes],
    *,
    folder: str = "archive",
    byteorder: bytes | None = b"little",
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """A file in zip form: the value that `body` builds, and the bytes of each storage."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", pickled(body))
        if byteorder is not None:
            archive.writestr(f"{folder}/byteorder", byteorder)
        for key, content in storages.items():
            archive.writestr(f"{folder}/data/{key}", content)
        archive.writestr(f"{folder}/version", b"3\n")
    return path


def write_stream(
    path: Path,
    body: bytes,
    storages: Mapping[str, tuple[int, bytes]],
    *,
    magic: int = MAGIC_NUMBER,
    protocol: int = 1001,
    little_endian: bytes = TRUE,
    keys: Sequence[str] | None = None,
) -> Path:
    """A file in the older stream form: each storage with its number of elements and its bytes."""
    system = dictionary({"protocol_version": integer(protocol), "little_endian": little_endian})
    named = list_of(*map(text, storages if keys is None else keys))
    parts = [pickled(part) for part in (integer(magic), integer(protocol), system, body, named)]
    parts += [struct.pack("<q", length) + content for length, content in storages.values()]
    path.write_bytes(b"".join(parts))
    return path


def write_state(path: Path, state: Mapping[str, NDArray[np.float32]]) -> Path:
    """A state dict of float32 arrays in zip form, each in a storage of its own."""
    tensors, storages = {}, {}
    for number, (key, array) in enumerate(state.items()):
        strides = [stride // array.itemsize for stride in np.ascontiguousarray(array).strides]
        tensors[key] = tensor(storage("FloatStorage", str(number), array.size), 0, array.shape, strides)
        storages[str(number)] = array.astype("<f4").tobytes()
    return write_zip(path, dictionary(tensors), storages)
