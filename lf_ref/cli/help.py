"""How the help of a command looks: its options in sections, at the terminal's width; and what a shell completes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

Function = TypeVar("Function", bound=Callable[..., Any])

TASK, INPUT, MODEL = "Task options", "Input and output options", "Model options"
PERFORMANCE, OTHER = "Performance options", "Other options"
_SECTIONS = (TASK, INPUT, MODEL, PERFORMANCE, OTHER)


class Number(click.IntRange):
    """A whole number within bounds; the help calls it N."""

    name = "n"

    def _describe_range(self) -> str:
        return super()._describe_range().replace("x", "N")


COUNT = Number(min=1)


class SectionOption(click.Option):
    """An option that the help shows in a section: one of the task, if it names no other."""

    def __init__(self, *names: Any, section: str = TASK, **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.section = section


def _option_in(section: str) -> Callable[..., Callable[[Function], Function]]:
    """`click.option` for options of a section."""

    def option(*names: str, **settings: Any) -> Callable[[Function], Function]:
        return click.option(*names, cls=SectionOption, section=section, **settings)

    return option


input_option, model_option, performance_option, other_option = map(_option_in, (INPUT, MODEL, PERFORMANCE, OTHER))


class Command(click.Command):
    """A command whose help shows the options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of each section under its title, if it has any."""
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in _SECTIONS}
        for option in (parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)):
            record = option.get_help_record(ctx)
            if record is not None:
                default = OTHER if "--help" in option.opts else TASK
                sections[getattr(option, "section", default)].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


command = partial(click.command, cls=Command)


def complete_folder(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete the name of a folder."""
    return [CompletionItem(incomplete, type="dir")]


def complete_file(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete the name of a file."""
    return [CompletionItem(incomplete, type="file")]
