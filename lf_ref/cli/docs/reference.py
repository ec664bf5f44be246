"""The Python interface as pdoc documents it: public names in a useful order, with short names for types."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

from ...config import LongformerConfig
from ...errors import LfRefError
from ...model.base import LongformerPreTrainedModel
from ...pipelines import Pipeline
from ...tokenizer import LongformerTokenizer

# Types that signatures name instead of spelling out: the definitions of NumPy and of this package take several lines.
_SHORT = ("Array", "Arrays", "ArrayLike", "DTypeLike", "Ids", "NDArray", "Note", "Parameters")
# Classes in the order in which a page documents their subclasses, after functions and before everything else.
_ORDER = (LongformerPreTrainedModel, LongformerTokenizer, LongformerConfig, Pipeline)


@contextmanager
def documentable(pages: tuple[str, ...]) -> Iterator[None]:
    """Provide every public name where pdoc looks for it, and short names for types, while pages are made."""
    short = {name: _type(name) for name in _SHORT}
    short["NDArray"].__class_getitem__ = classmethod(
        lambda _, item: _type(f"NDArray[{getattr(item, '__name__', item)}]")
    )
    with ExitStack() as stack:
        for page in map(import_module, pages):
            public = {name: getattr(page, name) for name in getattr(page, "__all__", ())}
            if public:
                public["__all__"] = sorted(public, key=lambda name: _rank(public[name]))
            stack.enter_context(patch.dict(vars(page), public))
        for module in [module for name, module in sys.modules.items() if name.startswith(f"{pages[0]}.")]:
            stack.enter_context(patch.dict(vars(module), short))  # also where a signature comes from another module
        yield


def class_members(documented: Any, page: Any) -> list[Any]:
    """The members of a class that its page shows: its own, and those of bases that are not public themselves.

    documented, page: a class and its module, as pdoc has them.
    """
    elsewhere = {name for _, names in public_bases(documented, page) for name in names}
    own = {member.name for member in documented.own_members}
    inherited = [
        member
        for (module, _), members in documented.inherited_members.items()
        for member in members
        if module.startswith("lf_ref") and member.name not in elsewhere | own
    ]
    return [*documented.own_members, *inherited]


def public_bases(documented: Any, page: Any) -> list[tuple[str, list[str]]]:
    """The bases of a class on the same page, and the public members that it has from them."""
    own = {member.name for member in documented.own_members}
    bases = []
    for base in page.members.values():
        if base.kind == "class" and base.obj is not documented.obj and base.obj in documented.obj.__mro__:
            names = [
                name
                for name, member in base.members.items()
                if not name.startswith("_")
                and name not in own
                and member.docstring
                and member.taken_from[0].startswith("lf_ref")
            ]
            bases.append((base.name, names))
    return bases


def _rank(thing: Any) -> int:
    """The place of a public name on its page: `pipeline` first, then the models, errors last."""
    if not isinstance(thing, type):
        return 0 if getattr(thing, "__name__", "") == "pipeline" else len(_ORDER) + 1
    if issubclass(thing, LfRefError):
        return len(_ORDER) + 3
    ranks = [rank for rank, base in enumerate(_ORDER, start=1) if issubclass(thing, base)]
    return ranks[0] if ranks else len(_ORDER) + 2


def _type(name: str) -> Any:
    """A type that signatures show by this name."""
    return type(name, (), {"__module__": "builtins"})
