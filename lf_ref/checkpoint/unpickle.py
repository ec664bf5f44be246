"""A pickle of tensors, read without running it.

Python's unpickler imports and calls what a pickle names. This one knows the few opcodes that torch.save writes for a
dictionary of tensors, and puts inert descriptions in place of the few names such a pickle needs. Everything else is
refused by name, so a hostile file can neither run anything nor make this grow beyond the size of the file.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import CheckpointError

PICKLE_LIMIT = 16 << 20  # bytes; real ones have about 200 for each tensor
_OPCODE_LIMIT = 1_000_000  # real ones have about 30 for each tensor
_MOST_AXES = 16

# torch's storage classes and the dtype of their elements.
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_ORDERED_DICT = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"
_NAMES = {_ORDERED_DICT, _TENSOR, _PARAMETER, *(f"torch {name}" for name in _STORAGES)}


@dataclass(frozen=True)
class Name:
    """A name in a pickle, of a class or function that is never imported."""

    name: str


@dataclass(frozen=True)
class Storage:
    """A run of elements that tensors are views of: its key in the file, dtype and number of elements."""

    key: str
    dtype: str
    length: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage, in elements, that is known to lie inside it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """A mark on the stack, at the start of a tuple, list or dictionary."""


_MARK = _Mark()


def unpickle(stream: io.BytesIO) -> tuple[Any, dict[str, Storage]]:
    """The next pickle in `stream`: its value and all storages by key.

    The value consists of integers, floats, texts, containers, `Name`, `Storage` and `Tensor`. It may contain one list
    so many times that a walk through all of it would never end.

    Raises:
        CheckpointError: it is broken, or has opcodes or names that a dictionary of tensors does not need.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count >= _OPCODE_LIMIT:
                raise CheckpointError("the pickle has too many parts for a dictionary of tensors")
            if opcode.name == "STOP":
                return machine.pop(), machine.storages
            step = _STEPS.get(opcode.name)
            if step is None:
                raise CheckpointError(f"the pickle uses {opcode.name}, which a dictionary of tensors does not need")
            step(machine, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"the pickle is broken: {type(error).__name__}") from error
    raise CheckpointError("the pickle has no end")


class _Machine:
    """The stack and memo of a pickle, and the storages it has named."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise CheckpointError("the pickle is broken: a mark in place of a value")
        return value

    def pop_to_mark(self) -> list[Any]:
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def top(self, kind: type) -> Any:
        value = self.stack[-1]
        if not isinstance(value, kind):
            raise CheckpointError(f"the pickle is broken: {type(value).__name__} in place of {kind.__name__}")
        return value

    def push_name(self, name: str) -> None:
        if name not in _NAMES:
            raise CheckpointError(
                f"the file names {'.'.join(name.split(' ')):.200}, which tensors do not need; it was not imported. "
                f"Only files of plain tensors are read: save the model's state_dict(), or use safetensors"
            )
        self.stack.append(Name(name))

    def push_tuple(self, length: int) -> None:
        values = [self.pop() for _ in range(length)]
        self.stack.append(tuple(values[::-1]))

    def set_items(self, flat: list[Any]) -> None:
        target = self.top(dict)
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            # Hashing a tuple of tuples of ... may take for ever.
            if not isinstance(key, str | int):
                raise CheckpointError(f"the pickle has a {type(key).__name__} as a key, wanted a name")
            target[key] = value

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise CheckpointError("the pickle is broken: it calls something that is not a function")
        if function.name == _ORDERED_DICT and not arguments:
            self.stack.append({})
        elif function.name == _TENSOR and len(arguments) in (6, 7):
            self.stack.append(_rebuild_tensor(*arguments[:4]))
        elif function.name == _PARAMETER and len(arguments) == 3 and isinstance(arguments[0], Tensor):
            self.stack.append(arguments[0])
        else:
            raise CheckpointError(f"the pickle is broken: it calls {function.name.split(' ')[1]} with other arguments")

    def build(self) -> None:
        self.pop()  # the attribute `_metadata` of a state dict: versions of torch's modules
        self.top(dict)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    """A view of `storage`, checked to lie inside it."""
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise CheckpointError("the pickle is broken: a tensor without storage, shape or strides")
    if len(shape) != len(strides) or len(shape) > _MOST_AXES:
        raise CheckpointError(f"a tensor has {len(shape)} axes and {len(strides)} strides")
    if not all(_is_count(value) for value in (offset, *shape, *strides)):
        raise CheckpointError("a tensor has an offset, axis or stride that is no count")
    size, last = 1, offset
    for axis, stride in zip(shape, strides, strict=True):
        size *= axis
        last += (axis - 1) * stride
    if size == 0:
        return Tensor(storage, 0, shape, tuple(0 for _ in shape))
    if last >= storage.length or size > storage.length:
        raise CheckpointError(
            f"a tensor of shape {shape} reaches outside its storage of {storage.length} elements; the file is "
            f"damaged or hostile"
        )
    return Tensor(storage, offset, shape, strides)


def _storage(machine: _Machine, _: Any) -> None:
    """The storage of a persistent id: ("storage", class, key, device, length) and, in old files, None."""
    pid = machine.pop()
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
        raise CheckpointError("the pickle is broken: a persistent id that is no storage")
    _, kind, key, _, length = pid[:5]
    dtype = _STORAGES.get(kind.name.removeprefix("torch ")) if isinstance(kind, Name) else None
    if dtype is None or not isinstance(key, str) or not _is_count(length):
        raise CheckpointError("the pickle is broken: a storage without class, key or length")
    if pid[5:] not in ((), (None,)):
        raise CheckpointError("a storage is a view of another one, as before torch 0.4; save the file again with torch")
    storage = Storage(key, dtype, length)
    if machine.storages.setdefault(key, storage) != storage:
        raise CheckpointError("one storage is given two dtypes or lengths; the file is damaged or hostile")
    machine.stack.append(storage)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise CheckpointError("the pickle is broken: a name is not a string")
    machine.push_name(f"{module} {name}")


def _put(machine: _Machine, index: int) -> None:
    machine.memo[index] = machine.stack[-1]


def _memoize(machine: _Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _push(machine: _Machine, value: Any) -> None:
    machine.stack.append(value)


def _nothing(machine: _Machine, _: Any) -> None:
    """A frame or protocol mark, which carries no value."""


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "MARK": lambda machine, _: machine.stack.append(_MARK),
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"), _push),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "TUPLE1": lambda machine, _: machine.push_tuple(1),
    "TUPLE2": lambda machine, _: machine.push_tuple(2),
    "TUPLE3": lambda machine, _: machine.push_tuple(3),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_to_mark())),
    "APPEND": lambda machine, _: _append(machine, [machine.pop()]),
    "APPENDS": lambda machine, _: _append(machine, machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _memoize,
    "BINGET": lambda machine, index: machine.stack.append(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.stack.append(machine.memo[index]),
    "GLOBAL": lambda machine, name: machine.push_name(name),
    "STACK_GLOBAL": _stack_global,
    "BINPERSID": _storage,
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}


def _append(machine: _Machine, values: list[Any]) -> None:
    machine.top(list).extend(values)
