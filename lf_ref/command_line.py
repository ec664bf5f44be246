"""The base of all command lines of the package: help with options in sections, shell completion, and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from .errors import DownloadError, LfRefError

# Settings of every command; the help is as wide as the terminal.
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": sys.maxsize}

IMPOSSIBLE = 1  # the system failed, not the input: the same command may succeed another time
BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
# Errors of the operating system that mean a wrong argument.
_WRONG_PATH = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)

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


class ManyOption(SectionOption):
    """An option that takes all values up to the next option, as a shell makes them of a pattern; repeatable too."""

    def __init__(self, *names: Any, **settings: Any) -> None:
        super().__init__(*names, multiple=True, **settings)


def _option_in(section: str) -> Callable[..., Callable[[Function], Function]]:
    """`click.option` for options of a section."""

    def option(*names: str, **settings: Any) -> Callable[[Function], Function]:
        return click.option(*names, cls=SectionOption, section=section, **settings)

    return option


input_option, model_option, performance_option, other_option = map(_option_in, (INPUT, MODEL, PERFORMANCE, OTHER))


class Command(click.Command):
    """A command whose help shows the options in sections, and whose options may take many values."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, after each value of a `ManyOption` but the first has got the option's name."""
        many = {flag for option in self.params if isinstance(option, ManyOption) for flag in option.opts}
        return super().parse_args(ctx, _repeated(args, many))

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


def _repeated(args: list[str], flags: set[str]) -> list[str]:
    """Arguments in which each value of one of these options stands after the option's name.

    >>> _repeated(["text", "--files", "a", "b", "--json", "c"], {"--files"})
    ['text', '--files', 'a', '--files', 'b', '--json', 'c']
    """
    found: list[str] = []
    flag = ""
    for place, arg in enumerate(args):
        if arg == "--":
            return [*found, *args[place:]]
        if arg.startswith("-") and arg != "-":
            flag = arg if arg in flags else ""
        elif flag and found[-1] != flag:
            found.append(flag)
        found.append(arg)
    return found


def complete_folder(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete the name of a folder."""
    return [CompletionItem(incomplete, type="dir")]


def complete_file(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete the name of a file."""
    return [CompletionItem(incomplete, type="file")]


def exit_code(error: BaseException) -> int:
    """The exit code of an error: 1 if a download, the disk or the system failed, 2 if what was given is wrong.

    >>> from lf_ref import InputError
    >>> exit_code(InputError("no mask")), exit_code(DownloadError("no network")), exit_code(OSError(28, "disk full"))
    (2, 1, 1)
    """
    if isinstance(error, DownloadError):
        return IMPOSSIBLE
    if isinstance(error, LfRefError):
        return BAD_INPUT if error.__cause__ is None else exit_code(error.__cause__)
    # What HTTP libraries raise may be an OSError too, without a number of the system's.
    of_system = isinstance(error, OSError) and error.errno is not None
    return IMPOSSIBLE if of_system and not isinstance(error, _WRONG_PATH) else BAD_INPUT


def one_line(message: str) -> str:
    """A message on one line, with a sign where one of its lines ended without.

    >>> one_line("the weights do not fit\\nmissing (1): a\\nNothing is made up.\\nThey fit  another.")
    'the weights do not fit; missing (1): a; Nothing is made up. They fit another.'
    """
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    ended = [line if line[-1] in ".:;,!?" else f"{line};" for line in lines[:-1]]
    return " ".join([*ended, *lines[-1:]])
