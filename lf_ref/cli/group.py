"""Groups of commands that report errors in one line, and end quietly on interruptions and closed pipes."""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import Any

import click

from ..command_line import BAD_INPUT, IMPOSSIBLE, INTERRUPTED, Command, exit_code, one_line
from ..errors import LfRefError

BROKEN_PIPE = 141  # 128 + SIGPIPE


class _Ended(Exception):  # noqa: N818 - no error
    """The command ended early. (click would print an empty line for an interruption.)

    code: its exit code. message: of the error that ended it, if one did.
    """

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__()
        self.code, self.message = code, message


class Commands(click.Group):
    """A group of commands that turns errors into a line that begins with "Error: " and an exit code."""

    command_class = Command

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command that the arguments name, and exit."""
        extra["standalone_mode"] = False  # click would print errors in several lines
        sys.exit(self._run(*args, **extra))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order they were added, not by the alphabet."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and write out all that it printed."""
        try:
            result = super().invoke(ctx)
            _flush()
        except KeyboardInterrupt:
            raise _Ended(INTERRUPTED) from None
        except BrokenPipeError:
            raise _Ended(BROKEN_PIPE) from None
        except LfRefError as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            raise _Ended(exit_code(error), in_flags(str(error), command)) from error
        return result

    def _run(self, *args: Any, **extra: Any) -> int:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", UserWarning)
                warnings.showwarning = _show_warning
                code = super().main(*args, **extra)
            _flush()
        except _Ended as end:
            if end.message:
                return _fail(end.message, end.code)
            _drop_output()
            return end.code
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "lf-ref"
            return _fail(f"{error.format_message()} (see {command} --help)")
        except click.ClickException as error:
            return _fail(error.format_message())
        except click.Abort:
            return INTERRUPTED
        except OSError as error:
            _drop_output()
            return BROKEN_PIPE if isinstance(error, BrokenPipeError) else _fail(str(error), exit_code(error))
        except MemoryError as error:
            return _fail(f"not enough memory: {error}; try a smaller --batch-tokens, or shorter texts", IMPOSSIBLE)
        return code if isinstance(code, int) else 0


def in_flags(message: str, command: click.Command | None) -> str:
    """Replace Python names of arguments in a message by the options of a command.

    >>> command = click.Command("cut", params=[click.Option(["--truncation"]), click.Option(["--word", "words"])])
    >>> in_flags("let truncation=True cut it, or words= name it (words='it', revision=)", command)
    "let --truncation cut it, or --word name it (--word 'it', revision=)"
    """
    options = [option for option in command.params if isinstance(option, click.Option)] if command else []
    flags = {option.name: option.opts[0] for option in options}

    def spell(found: re.Match[str]) -> str:
        flag = flags.get(found["name"])
        return found[0] if flag is None else f"{flag} " if found["valued"] is not None else flag

    return re.sub(r"\b(?P<name>[a-z_]+)=(True\b|(?P<valued>(?=[\w'\"-]))|)", spell, message)


def _fail(message: str, code: int = BAD_INPUT) -> int:
    click.echo(f"Error: {one_line(message)}", err=True)
    return code


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {one_line(str(message))}", err=True)


def _flush() -> None:
    """Flush standard output now, so that a failure occurs here and not at exit."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _drop_output() -> None:
    """Discard the buffer of standard output, which the interpreter would try to write again at exit."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
