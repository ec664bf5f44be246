"""HF's names: arguments with the same meaning here, and clear errors for arguments and attributes without one.

Each class lists HF's arguments in one table, `@accepts(...)` above it; the guide `guides/coming_from_hf.md` has a row
for each, which a test runs.
"""

from __future__ import annotations

import inspect
import os
import sys
from abc import ABCMeta
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import wraps
from types import FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

from .errors import InputError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Class = TypeVar("Class", bound=type[Any])


@dataclass(frozen=True)
class Alias:
    """HF's name of an argument that has another name in this package."""

    argument: str


@dataclass(frozen=True)
class Fixed:
    """An argument of HF's with values that change nothing here; any other value is an error.

    Args:
        values: the valid ones. A string also stands for values that print like it, such as `torch.device("cpu")`.
        otherwise: the alternative to other values, for the message.
    """

    values: tuple[bool | int | str | None, ...]
    otherwise: str

    def allows(self, value: Any) -> bool:
        """Whether a value is one of them; NumPy scalars count as Python's."""
        if _is_scalar(value):
            value = value.item()
        return any(
            str(value) == allowed
            if isinstance(allowed, str)
            else value is allowed or (type(value) is type(allowed) and value == allowed)
            for allowed in self.values
        )


@dataclass(frozen=True)
class Ignored:
    """An argument of HF's that changes nothing here, whatever its value.

    because: the reason.
    """

    because: str


HFNames = Mapping[str, Alias | Fixed | Ignored]

# HF's arguments of every `from_pretrained` that locate and download files.
LOCATING: HFNames = {
    "pretrained_model_name_or_path": Alias("name"),
    "use_auth_token": Alias("token"),
    "trust_remote_code": Fixed((False, None), "code from a repository is never run"),
    "code_revision": Fixed((None, "main"), "code from a repository is never run"),
    "proxies": Fixed((None,), "set HTTPS_PROXY in the environment"),
    "mirror": Fixed((None,), "set HF_ENDPOINT in the environment"),
    "resume_download": Ignored("huggingface_hub resumes downloads"),
    "_from_auto": Ignored("it is HF's own"),
    "_commit_hash": Ignored("it is HF's own"),
}


class AttributeInputError(InputError, AttributeError):
    """An attribute does not exist, such as one of torch's modules; `hasattr` is False for it."""


class KeyInputError(InputError, KeyError, IndexError):
    """An entry does not exist, by name or by index; `in` and `get` are for entries that may be missing."""

    __str__ = Exception.__str__  # KeyError's puts quotes around the message


class HFNamed(ABCMeta):
    """The metaclass that makes unknown attributes of a class the same errors as those of its instances."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> Any:
            _refuse_attribute(cls, name)

    def register(cls, *_: Any, **__: Any) -> NoReturn:
        """HF's registration of a class with an auto class, which is an error here."""
        raise InputError(f"{cls.__name__}.register(): there are no auto classes; use the class by its name")


def accepts(*, checks_flags: bool = True, **tables: HFNames) -> Callable[[Class], Class]:
    """Let the public methods of a class take HF's arguments, and name the nearest argument for an unknown one.

    Unknown attributes are errors too, with the hint in the `_hf_hints` of the class, if it has one, and so is setting
    attributes that are computed from others.

    checks_flags: as for `accepts_names`; tables: by method, HF's names of arguments. "init" and "call" stand for the
    constructor and a call.
    """
    of_method = {{"init": "__init__", "call": "__call__"}.get(name, name): table for name, table in tables.items()}

    def decorate(cls: Class) -> Class:
        for name, value in list(vars(cls).items()):
            function = getattr(value, "__func__", value)
            if not isinstance(function, FunctionType) or (name.startswith("_") and name not in _DUNDERS):
                continue
            method = accepts_names(of_method.get(name, {}), checks_flags)(function)
            setattr(cls, name, method if value is function else type(value)(method))
        if not any("__getattr__" in vars(base) for base in cls.__mro__):
            cls.__getattr__ = _refuse_attribute
        if "__setattr__" in vars(cls) or not any("__setattr__" in vars(base) for base in cls.__mro__[:-1]):
            open_cls: Any = cls
            open_cls.__setattr__ = _guarded(open_cls.__setattr__)
        return cls

    return decorate


_DUNDERS = ("__init__", "__call__")
_OWNERS = ("self", "cls")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def accepts_names(
    table: HFNames = MappingProxyType({}), checks_flags: bool = True
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Let a function take HF's arguments, and name the nearest argument for an unknown one.

    table: HF's names of arguments. A function with `**options` checks the names among these itself.
    checks_flags: whether arguments annotated as bool must be True, False or None; one annotated as a path must be one.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        signature = inspect.signature(function)
        kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
        known = frozenset(
            name
            for name, kind in kinds.items()
            if kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        )
        is_open = inspect.Parameter.VAR_KEYWORD in kinds.values()
        positional = [name for name, kind in kinds.items() if kind in _POSITIONAL]
        most = len(positional) if inspect.Parameter.VAR_POSITIONAL not in kinds.values() else sys.maxsize
        hf_names = frozenset(table)
        checks = {name: _CHECKS[p.annotation] for name, p in signature.parameters.items() if p.annotation in _CHECKS}
        if not checks_flags:
            checks = {name: check for name, check in checks.items() if check is not check_flag}
        checked_positions = [(position, name) for position, name in enumerate(positional) if name in checks]

        @wraps(function)
        def checked(*args: Parameters.args, **given: Parameters.kwargs) -> Result:
            __tracebackhide__ = True  # pytest then shows a failure at the line of the caller
            if len(args) > most:
                named = ", ".join(name for name in positional if name not in _OWNERS) or "none"
                raise InputError(
                    f"{_call_name(function, args)} takes by position only {named}: give the other arguments by name"
                )
            arguments: Any = given
            if given and not (given.keys() <= known or (is_open and given.keys().isdisjoint(hf_names))):
                taken = signature.bind_partial(*args).arguments.keys() | given.keys()
                arguments = translate(_call_name(function, args), given, taken, table, None if is_open else known)
            if checks:
                for position, name in checked_positions:
                    if position < len(args):
                        checks[name](name, args[position])
                for name in arguments:
                    if name in checks:
                        checks[name](name, arguments[name])
            try:
                return function(*args, **arguments)
            except TypeError:
                try:
                    signature.bind(*args, **arguments)
                except TypeError as error:
                    by_name = f", got by name {', '.join(given)}" if given else ""
                    raise InputError(f"{_call_name(function, args)}: {error}{by_name}") from None
                raise

        checked.hf_names = table  # type: ignore[attr-defined]  # for the test of the guide
        return checked

    return decorate


def check_flag(name: str, value: Any) -> None:
    """Check that a value is True, False or None; NumPy's booleans are valid too.

    Raises:
        InputError: it is something else.
    """
    if value is None or value is True or value is False:
        return
    if not (_is_scalar(value) and isinstance(value.item(), bool)):
        raise InputError(f"{name} must be True or False, got {value!r:.80}")


def check_path(name: str, value: object) -> None:
    """Check that a value is a path.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, str | os.PathLike):
        raise InputError(f"{name} must be a path, a string or a pathlib.Path, got {value!r:.80}")


# The checks of arguments, by annotation.
_CHECKS: dict[Any, Callable[[str, Any], None]] = {
    "bool": check_flag,
    "bool | None": check_flag,
    "str | os.PathLike[str]": check_path,
    "str | Path": check_path,
}


def _is_scalar(value: Any) -> bool:
    """Whether this is a NumPy scalar, or an array without dimensions."""
    return hasattr(value, "dtype") and getattr(value, "ndim", None) == 0


def translate(
    call: str, given: Mapping[str, Any], taken: Collection[str], table: HFNames, known: Iterable[str] | None
) -> dict[str, Any]:
    """The arguments by the names of this package.

    call: names the function in messages; taken: the arguments that are given, also by position; known: the arguments of
    the function, None if others are allowed too.

    Raises:
        InputError: an argument is given twice, has an invalid value, or is unknown.
    """
    arguments = {}
    for name, value in given.items():
        hf_name = table.get(name)
        if isinstance(hf_name, Alias):
            if hf_name.argument in taken or hf_name.argument in arguments:
                raise InputError(f"{call}: {name} and {hf_name.argument} are the same argument; give one of them")
            arguments[hf_name.argument] = value
        elif isinstance(hf_name, Fixed):
            if not hf_name.allows(value):
                only = " or ".join(map(repr, hf_name.values))
                raise InputError(
                    (f"{call} takes {name}={only} only, got {value!r:.80}: " if only else f"{call} takes no {name}: ")
                    + hf_name.otherwise
                )
        elif hf_name is None and (known is None or name in known):
            arguments[name] = value
        elif hf_name is None:
            raise unknown_name(call, name, {*(known or ()), *table})
    return arguments


def unknown_name(call: str, name: str, known: Iterable[str]) -> InputError:
    """The error for an unknown argument: it names the nearest, and all.

    >>> print(unknown_name("model()", "attention_masks", ["input_ids", "attention_mask"]))
    model() takes no argument 'attention_masks': the nearest is 'attention_mask'; all are attention_mask, input_ids
    """
    names = sorted(name for name in known if name not in _OWNERS)
    if not names:
        return InputError(f"{call} takes no argument {name!r}, nor any other by name")
    return InputError(
        f"{call} takes no argument {name!r}: the nearest is {_nearest(name, names)!r}; all are {', '.join(names)}"
    )


def unknown_attribute(owner: object, name: str, hints: Mapping[str, str]) -> AttributeError:
    """The error for an unknown attribute.

    hints: HF's and torch's attributes that do not exist here, with the alternative.
    """
    kind = owner.__name__ if isinstance(owner, type | ModuleType) else type(owner).__name__
    if name.startswith("_"):  # looked up by the interpreter and by libraries, not by people
        return AttributeError(f"{kind} has no attribute {name!r}")
    if name in hints:
        return AttributeInputError(f"{kind} has no {name}: {hints[name]}")
    names = [known for known in dir(owner) if not known.startswith("_")]
    return AttributeInputError(
        f"{kind} has no attribute {name!r}: the nearest is {_nearest(name, names)!r}; dir() of it lists all"
    )


def _refuse_attribute(owner: Any, name: str) -> NoReturn:
    hints = {} if name.startswith("_") else getattr(owner, "_hf_hints", {})
    raise unknown_attribute(owner, name, hints)


def _guarded(setter: Callable[[Any, str, Any], None]) -> Callable[[Any, str, Any], None]:
    """A `__setattr__` that raises for computed attributes, the fields of frozen records, and names with a hint."""

    @wraps(setter)
    def checked(owner: Any, name: str, value: Any) -> None:
        if name in getattr(type(owner), "_hf_hints", ()):
            _refuse_attribute(owner, name)
        try:
            setter(owner, name, value)
        except AttributeError as error:
            if isinstance(error, InputError):
                raise
            kind = type(owner).__name__
            raise AttributeInputError(f"{name} of a {kind} cannot be set: make another {kind} instead") from None

    return checked


def unknown_key(owner: object, key: object, known: Iterable[object]) -> KeyInputError:
    """The error for an unknown entry: it names the existing ones.

    >>> print(unknown_key({}, "loss", ["logits"]))
    dict has no entry 'loss'; it has 'logits'
    """
    return KeyInputError(
        f"{type(owner).__name__} has no entry {key!r:.80}; it has {', '.join(map(repr, known)) or 'none'}"
    )


def _nearest(name: str, names: Iterable[str]) -> str:
    return max(names, key=lambda known: SequenceMatcher(None, name.lower(), known.lower()).ratio(), default="")


def _call_name(function: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """The name of a function in messages: of a method with the class of its object."""
    owner, _, name = function.__qualname__.rpartition(".")
    if args:
        kind = args[0] if isinstance(args[0], type) else type(args[0])
        if owner in [base.__qualname__ for base in kind.__mro__]:
            owner = kind.__name__
    if name == "__init__":
        return f"{owner}()"
    return f"a call of {owner}" if name == "__call__" else f"{owner}.{name}()".removeprefix(".")
