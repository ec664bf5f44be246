"""A page of Markdown for each task: its section of the guide, its call, every option, and its errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from inspect import cleandoc, getdoc, signature
from typing import Any

from ...pipelines import Options, Pipeline
from .guides import Guide

_ARGUMENT = re.compile(r"^    (\w+(?:, \w+)*): (.*(?:\n {5,}.*)*)", re.M)


def task_page(task: str, kind: type[Pipeline[Any]], guide: Guide, convert: Callable[[str], str]) -> str:
    """The page of a task; guide: that of all tasks; convert: from a docstring to Markdown."""
    raised = convert(f"Raises:\n{(getdoc(Pipeline.__call__) or '').partition('Raises:')[2][1:]}")
    parts = {
        f"# {task}": guide.section(task),
        "## Result": convert(getdoc(kind) or ""),
        "## Call": f"`pipe{_signature(kind.__call__)}`\n\n{convert(getdoc(kind.__call__) or '')}",
        "## Options": _table(kind.options_class),
        "## Errors": raised.partition("\n")[2],
    }
    return "\n\n".join(f"{heading}\n\n{text}" for heading, text in parts.items())


def _signature(call: Callable[..., Any]) -> str:
    """The arguments of a call, without types and without the pipeline itself."""
    given = signature(call)
    parameters = [parameter.replace(annotation=parameter.empty) for parameter in given.parameters.values()]
    return str(given.replace(parameters=parameters[1:], return_annotation=given.empty))


def _table(options: type[Options]) -> str:
    """Every option with its type, its default and its meaning; those of the task come first."""
    common, meanings = _meanings(Options), dict[str, str]()
    for base in reversed(options.__mro__):
        meanings |= _meanings(base)
    rows = sorted(fields(options), key=lambda field: field.name in common)
    return "\n".join(
        [
            "| option | type | default | meaning |",
            "|---|---|---|---|",
            *(
                f"| `{field.name}` | `{str(field.type).replace('|', 'or')}` | `{field.default!r}` "
                f"| {meanings[field.name].replace('|', chr(92) + '|')} |"
                for field in rows
            ),
        ]
    )


def _meanings(options: type) -> dict[str, str]:
    """The description of each argument in the docstring of a class."""
    arguments = cleandoc(options.__doc__ or "").partition("Args:\n")[2].partition("\nRaises:")[0]
    return {
        name: " ".join(meaning.split()) for names, meaning in _ARGUMENT.findall(arguments) for name in names.split(", ")
    }
