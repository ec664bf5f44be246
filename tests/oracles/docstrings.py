"""What a docstring has to say, read from the signature and the code that it stands on.

The house's forms, all of which count:

- entries, `name: float (batch, seq), ...` or `one, other: ...`, in a section `Args:` or `Attributes:`, or in a
  paragraph that begins with one, where more may follow after a full stop or a semicolon;
- an arrow at the end of a line, `# float [m, in], [n, in] -> [m, n]`, a shape for each array in their order, which says
  all about arrays whose names speak for themselves;
- `as LongformerModel` with the name in backticks: what is said there is said here;
- a method that replaces one of a base class says what is new; a module may tell, with the name in backticks, what an
  argument is in all its functions.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import FunctionType, ModuleType
from typing import Any

NAME = r"[a-z_][a-z0-9_]*"
ENTRY = re.compile(rf"(?:^|(?<=[.;] ))({NAME}(?:, {NAME})*): ", re.M)
SECTION = re.compile(r"^([A-Z][a-z]+):\n((?:(?: {4}.*)?\n?)*)", re.M)
ARROW = re.compile(r"# (.*?)-> (.+?)$", re.M)
SHAPE = re.compile(r"[\[(][^\[\]()]*[\])]|\bscalar\b")
DTYPE = re.compile(r"\b(int|int64|float|float32|float64|bool|complex|str)\b|\b0 (or|and) 1\b")
ARRAY = re.compile(r"\b(Array|ArrayLike|NDArray|Ids)\b")
SEVERAL = re.compile(r"\b(dict|Mapping)\[str, ")  # arrays by name have shapes of their own
REFERENCE = re.compile(r"\b[Aa]s (?:for |for a call of |in |those of )?`([A-Za-z_]+|[A-Z]\w+\.[a-z_]+)`")
SOURCE = re.compile(
    r"\bHF\b|HF's|Hugging Face|Beltagy|Hendrycks|arXiv|AllenAI|huggingface_hub|safetensors|sentence-transformers"
)
# What a number counts, by the name of the argument.
UNITS = {
    "max_length": "token",
    "model_max_length": "token",
    "max_seq_len": "token",
    "max_answer_len": "token",
    "max_question_len": "token",
    "doc_stride": "token",
    "stride": "token",
    "batch_tokens": "token",
    "attention_window": "token",
    "one_sided": "token",
    "window": "token",
    "num_threads": "thread",
}


@dataclass(frozen=True)
class Said:
    """A docstring taken apart."""

    entries: Mapping[str, str]  # name -> description
    arrow: tuple[str, str] | None
    references: tuple[str, ...]
    text: str


def said_by(docstring: str) -> Said:
    """Take a docstring apart."""
    text = inspect.cleandoc(docstring)
    without_code = re.sub(r"^ *(>>>|\.\.\.).*(\n.+)*", "", text, flags=re.M)
    entries: dict[str, str] = {}

    def sections(found: re.Match[str]) -> str:
        if found[1] in ("Args", "Attributes"):
            entries.update(_entries(textwrap.dedent(found[2])))
        return "\n"

    rest = SECTION.sub(sections, without_code)
    for paragraph in re.split(r"\n\s*\n", rest):
        if ENTRY.match(paragraph):
            entries.update(_entries(paragraph))
    arrow = ARROW.search(text)
    return Said(entries, (arrow[1].strip(), arrow[2]) if arrow else None, tuple(REFERENCE.findall(text)), text)


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """The names that entries are about, each with its description."""
    found = list(ENTRY.finditer(text))
    for one, following in zip(found, [*found[1:], None], strict=True):
        description = text[one.end() : following.start() if following else None]
        for name in one[1].split(", "):
            yield name, description


def parameters_of(thing: Any) -> dict[str, str]:
    """The parameters of a function or of a class, with their annotations as they are written."""
    if getattr(thing, "_is_protocol", False):  # nothing is made of it
        return {}
    try:
        signature = inspect.signature(thing)
    except ValueError:  # an exception's is not known
        return {}
    return {
        name: str(parameter.annotation)
        for name, parameter in signature.parameters.items()
        if name not in ("self", "cls")
    }


def attributes_of(cls: type) -> set[str]:
    """What an entry of a class may describe besides: fields, properties, what `__init__` sets, arguments of methods."""
    names = {name for name, value in inspect.getmembers(cls) if not name.startswith("__")}
    for _, method in inspect.getmembers(cls, inspect.isfunction):
        names |= set(parameters_of(method))
    if is_dataclass(cls):
        names |= {field.name for field in fields(cls)}
    for base in cls.__mro__[:-1]:
        if "__init__" in vars(base) and isinstance(base.__init__, FunctionType):
            names |= set(inspect.unwrap(base.__init__).__code__.co_names)
    return names


def problems(
    name: str, thing: Any, look_up: Callable[[str], Any] = lambda name: None, original: bool = False
) -> list[str]:
    """What the docstring of a function or a class lacks, or says of what is not there; each as a sentence.

    look_up: finds what a docstring refers to, or gives None. original: whether it is an idea of our own, which has no
    source to name.
    """
    if not thing.__doc__:
        return [f"{name} has no docstring"]
    said = said_by(thing.__doc__)
    first = said.text.split("\n\n")[0].split("  #")[0].rstrip()
    found = [] if first[-1] in ".:" else ["the first sentence does not end"]
    found += [f"refers to {other}, which is not public" for other in said.references if look_up(other) is None]
    others = list(_others(thing, said, look_up))
    elsewhere = {entry for other in others for entry in other.entries}
    elsewhere |= set(re.findall(r"`(\w+)`", sys.modules[thing.__module__].__doc__ or ""))
    parameters = parameters_of(thing)
    found += _about_parameters(said, parameters, elsewhere)
    found += _about_arrays(said, parameters, elsewhere)
    if isinstance(thing, FunctionType):
        found += _about_result(said, str(inspect.signature(thing).return_annotation))
    known = {*parameters, *(attributes_of(thing) if isinstance(thing, type) else ())}
    found += [f"documents {entry}, which is no parameter" for entry in said.entries if entry not in known]
    raises = said.text + "".join(other.text for other in others)
    unsaid = [error for error in raised_by(thing).values() if not _is_said(error, raises)]
    missing = sorted(error.__name__ for error in unsaid if not any(base in unsaid for base in error.__mro__[1:]))
    if missing:
        found.append(f"does not say that it raises {', '.join(missing)}")
    if not original and not any(SOURCE.search(text or "") for text in (raises, *_around(thing))):
        found.append("names no source, neither itself nor its class or module")
    return [f"{name}: {problem}" for problem in found]


def _others(thing: Any, said: Said, look_up: Callable[[str], Any]) -> Iterator[Said]:
    """The docstrings that say a part: those referred to, of a class with its call, and those of what is inherited."""
    for other in [*map(look_up, said.references), *_inherited(thing)]:
        for part in (other, vars(other).get("__call__") if isinstance(other, type) else None):
            if isinstance(part, FunctionType | type) and part.__doc__:
                yield said_by(part.__doc__)


def _around(thing: Any) -> Iterator[str | None]:
    """The docstrings of the class and the module that something is defined in."""
    module = sys.modules[thing.__module__]
    owner = getattr(module, thing.__qualname__.rpartition(".")[0], None)
    yield from (module.__doc__, owner.__doc__ if owner is not None else None)


def _inherited(thing: Any) -> list[Any]:
    """The base classes of a class; the methods that a method replaces."""
    if isinstance(thing, type):
        return list(thing.__mro__[1:-1])
    owner = getattr(sys.modules[thing.__module__], thing.__qualname__.rpartition(".")[0], None)
    bases = owner.__mro__[1:-1] if isinstance(owner, type) else ()
    return [vars(base)[thing.__name__] for base in bases if thing.__name__ in vars(base)]


def _about_parameters(said: Said, parameters: Mapping[str, str], elsewhere: set[str]) -> Iterator[str]:
    for name, annotation in parameters.items():
        in_arrow = said.arrow is not None and ARRAY.search(annotation)
        if name in said.entries or name in elsewhere or in_arrow:
            if name in UNITS and name in said.entries and UNITS[name] not in said.entries[name]:
                yield f"does not say that {name} counts {UNITS[name]}s"
        elif not re.search(rf"\b{name}\b", said.text):
            yield f"does not name the parameter {name}"


def _about_arrays(said: Said, parameters: Mapping[str, str], elsewhere: set[str]) -> Iterator[str]:
    arrays = [name for name, annotation in parameters.items() if ARRAY.search(annotation)]
    by_arrow = [name for name in arrays if name not in said.entries and name not in elsewhere]
    for name in arrays:
        if name in said.entries:
            if not SHAPE.search(said.entries[name]) and not SEVERAL.search(parameters[name]):
                yield f"gives no shape of {name}"
            if not DTYPE.search(said.entries[name]):
                yield f"gives no dtype of {name}"
    if not by_arrow:
        return
    if said.arrow is None:
        yield f"gives neither shape nor dtype of {', '.join(by_arrow)}"
    elif len(SHAPE.findall(said.arrow[0])) != len(by_arrow):
        yield f"has an arrow from {said.arrow[0]}, which are not as many shapes as the arrays {', '.join(by_arrow)}"
    elif not DTYPE.search(said.arrow[0]):
        yield f"has an arrow from {said.arrow[0]}, which says no dtype"


def _about_result(said: Said, annotation: str) -> Iterator[str]:
    if not ARRAY.search(annotation) or said.arrow is not None:
        return
    if SEVERAL.search(annotation):
        if not DTYPE.search(said.text):
            yield "gives no dtype of what it returns"
        return
    told = re.search(r"\b(Returns|Yields)\b(.*)", said.text, re.S)
    if told is None or not SHAPE.search(told[2]):
        yield "gives no shape of what it returns"


# --- what a function can raise ----------------------------------------------------------------------------------------


def _is_said(error: type, raises: str) -> bool:
    """Whether a text names an error, or a base of it from its own package."""
    own = error.__module__.partition(".")[0]
    return any(base.__name__ in raises for base in error.__mro__ if base.__module__.partition(".")[0] == own)


def raised_by(function: Any, open_: frozenset[Any] = frozenset()) -> dict[str, type]:
    """The errors of its own package that a function raises, itself or by what it calls by name, caught ones left out.

    Calls of methods are followed where the object is `self`, `cls` or `super()`; what any other object does is not
    known. open_: the functions that called this one.
    """
    function = _constructor(function) if isinstance(function, type) else getattr(function, "__func__", function)
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType) or function in open_:
        return {}
    visitor = _Raises(function, open_ | {function})
    for node in ast.parse(textwrap.dedent(inspect.getsource(function))).body[0].body:  # type: ignore[attr-defined]
        visitor.visit(node)
    return visitor.found


def _constructor(cls: type) -> Any:
    """The code that a class is made with: of a dataclass what its fields are checked by."""
    owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
    return getattr(cls, "__post_init__", None) if is_dataclass(owner) else cls.__init__  # type: ignore[misc]


class _Raises(ast.NodeVisitor):
    def __init__(self, function: FunctionType, open_: frozenset[Any]) -> None:
        self.function, self.open = function, open_
        self.package = function.__module__.partition(".")[0]
        self.found: dict[str, type] = {}
        self.names: dict[str, Any] = {
            **vars(builtins),
            **inspect.getclosurevars(function).nonlocals,
            **function.__globals__,
        }

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self.function.__module__.split(".")[: -node.level] if node.level else []
        module = sys.modules.get(".".join([*base, *([node.module] if node.module else [])]))
        for alias in node.names:
            self.names[alias.asname or alias.name] = getattr(module, alias.name, None)

    def visit_Raise(self, node: ast.Raise) -> None:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        value = self._value(raised)
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__.startswith(self.package):
            self.found[value.__name__] = value
        self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        inside = _Raises(self.function, self.open)
        inside.names = self.names
        for statement in node.body:
            inside.visit(statement)
        types = [handler.type for handler in node.handlers]
        kinds = [kind for type_ in types for kind in (type_.elts if isinstance(type_, ast.Tuple) else [type_])]
        caught = tuple(kind for kind in map(self._value, kinds) if isinstance(kind, type))
        self.found |= {name: error for name, error in inside.found.items() if not issubclass(error, caught)}
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    def visit_Call(self, node: ast.Call) -> None:
        value = self._value(node.func)
        if (getattr(value, "__module__", None) or "").startswith(self.package):
            self.found |= raised_by(value, self.open)
        self.generic_visit(node)

    def _value(self, node: ast.expr | None) -> Any:
        if isinstance(node, ast.Name):
            return self._class() if node.id == "cls" else self.names.get(node.id)
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                return getattr(self._class(), node.attr, None)
            if isinstance(node.value, ast.Call) and ast.unparse(node.value) == "super()":
                return getattr(super(self._class(), self._class()), node.attr, None) if self._class() else None
            owner = self._value(node.value)
            if isinstance(owner, ModuleType | type):
                return getattr(owner, node.attr, None)
        return None

    def _class(self) -> Any:
        owner = self.function.__qualname__.rpartition(".")[0]
        return self.names.get(owner)
