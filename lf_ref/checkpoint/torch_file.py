"""Reading a file of torch.save as views of the mapped file, without torch.

Two forms, both little-endian:

- zip (torch >= 1.6): `NAME/data.pkl` holds a pickle, `NAME/data/KEY` the bytes of each storage, uncompressed.
- stream (before): five pickles (magic number, protocol 1001, system, the object, the storage keys), then for each
  storage key an int64 number of elements and the bytes.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .stored import LAYOUT, StoredTensor, map_file, view
from .unpickle import PICKLE_LIMIT, Tensor, unpickle

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of name and extra field
_LENGTH = struct.Struct("<q")
_ENTRY_LIMIT = 100_000
_BIG_ENDIAN = "was saved on a big-endian machine, which is not supported; save it again on this one"

# Keys under which training scripts store the state dict in a larger dictionary.
_WRAPPERS = ("state_dict", "model_state_dict", "model")

Starts = dict[str, int]


def read_torch(path: Path) -> dict[str, StoredTensor]:
    """All tensors of a saved state dict, by name; only the pickle is read, and nothing that it names is run.

    Raises:
        CheckpointError: the file is damaged, hostile or something else, or holds more than plain tensors.
    """
    mapped = map_file(path)
    try:
        if bytes(mapped[:4]) == _ZIP:
            value, starts = _read_zip(path, mapped)
        elif bytes(mapped[:1]) == _PICKLE:
            value, starts = _read_stream(mapped)
        elif bytes(mapped[8:9]) == b"{":
            raise CheckpointError("is a safetensors file: rename it to model.safetensors")
        else:
            raise CheckpointError("is not a file of torch.save; fetch it again")
        return {name: _locate(mapped, tensor, starts) for name, tensor in _state_dict(value).items()}
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{path} is cut off or damaged ({error}); fetch it again") from error
    except (NotImplementedError, struct.error, OSError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _read_zip(path: Path, mapped: mmap.mmap) -> tuple[Any, Starts]:
    """The pickled value, and the byte offset of each storage."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    names = {entry.filename: entry for entry in entries}
    pickles = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1 or len(names) != len(entries) or len(entries) > _ENTRY_LIMIT:
        raise CheckpointError("is a zip file, but not one of torch.save: it must hold each name once and one data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    order = names.get(folder + "byteorder")
    if order is not None and _content(mapped, order) != b"little":
        raise CheckpointError(_BIG_ENDIAN)
    value, storages = unpickle(io.BytesIO(_content(mapped, names[pickles[0]])))
    starts = {}
    for key, storage in storages.items():
        entry = names.get(f"{folder}data/{key}")
        if entry is None:
            raise CheckpointError(f"lacks the storage {key!r:.100}; fetch it again")
        starts[key], size = _extent(mapped, entry)
        if size != storage.length * LAYOUT[storage.dtype].itemsize:
            raise CheckpointError(f"storage {key!r:.100} has {size} bytes, wanted {storage.length} x {storage.dtype}")
    return value, starts


def _extent(mapped: mmap.mmap, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """The offset and size of a zip entry, in bytes."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.file_size != entry.compress_size:
        raise CheckpointError(f"{entry.filename!r:.100} is compressed or encrypted, which torch.save never does")
    signature, name, extra = _LOCAL_HEADER.unpack_from(mapped, entry.header_offset)
    start = entry.header_offset + _LOCAL_HEADER.size + name + extra
    if signature != _ZIP or start + entry.file_size > len(mapped):
        raise CheckpointError(f"{entry.filename!r:.100} lies outside the file; fetch it again")
    return start, entry.file_size


def _content(mapped: mmap.mmap, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of a small entry, checked against its checksum."""
    start, size = _extent(mapped, entry)
    if size > PICKLE_LIMIT:
        raise CheckpointError(f"{entry.filename!r:.100} has {size} bytes, too many for names and shapes")
    content = bytes(mapped[start : start + size])
    if zlib.crc32(content) != entry.CRC:
        raise CheckpointError(f"{entry.filename!r:.100} is damaged (checksum); fetch it again")
    return content


def _read_stream(mapped: mmap.mmap) -> tuple[Any, Starts]:
    """The pickled value, and the byte offset of each storage."""
    stream = io.BytesIO(mapped[:PICKLE_LIMIT])
    magic, protocol, system = (unpickle(stream)[0] for _ in range(3))
    if magic != _MAGIC_NUMBER or protocol != _PROTOCOL:
        raise CheckpointError("is a pickle, but not one of torch.save: its magic number or protocol is another")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError(_BIG_ENDIAN)
    value, storages = unpickle(stream)
    keys, _ = unpickle(stream)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or set(keys) != storages.keys():
        raise CheckpointError("is damaged: its list of storages is not that of its tensors; fetch it again")
    position, starts = stream.tell(), {}
    for key in keys:
        storage = storages[key]
        starts[key] = position + _LENGTH.size
        if starts[key] > len(mapped) or _LENGTH.unpack_from(mapped, position)[0] != storage.length:
            raise CheckpointError(f"is cut off or damaged at storage {key!r:.100}; fetch it again")
        position = starts[key] + storage.length * LAYOUT[storage.dtype].itemsize
        if position > len(mapped):
            raise CheckpointError(f"is cut off in storage {key!r:.100}; fetch it again")
    return value, starts


def _state_dict(value: Any) -> dict[str, Tensor]:
    """The tensors of a pickled state dict, which may lie one level down under a usual name."""
    if isinstance(value, dict) and not any(isinstance(entry, Tensor) for entry in value.values()):
        inner = [value[key] for key in _WRAPPERS if isinstance(value.get(key), dict)]
        if len(inner) == 1:
            value = inner[0]
    if not isinstance(value, dict) or not value:
        raise CheckpointError(f"holds no state dict but {type(value).__name__}; save the model's state_dict()")
    for name, entry in value.items():
        if not isinstance(name, str) or not isinstance(entry, Tensor):
            raise CheckpointError(
                f"holds {type(entry).__name__} under {name!r:.100}, wanted a tensor; save only the model's state_dict()"
            )
    return value


def _locate(mapped: mmap.mmap, tensor: Tensor, starts: Starts) -> StoredTensor:
    """A tensor as a view of the file."""
    dtype = tensor.storage.dtype
    start = starts[tensor.storage.key] + tensor.offset * LAYOUT[dtype].itemsize
    strides = tuple(stride * LAYOUT[dtype].itemsize for stride in tensor.strides)
    return StoredTensor(dtype, view(mapped, dtype, start, tensor.shape, strides))
