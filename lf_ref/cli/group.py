"""How every command ends: errors as one line on standard error, interruptions and closed pipes quietly."""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import Any

import click

from ..errors import DownloadError, LfRefError
from .help import Command

IMPOSSIBLE = 1  # what was asked could not be done: the same command may succeed another time
BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
BROKEN_PIPE = 141  # 128 + SIGPIPE


# Of every command; the help is as wide as the terminal.
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": sys.maxsize}
# Errors of the operating system that mean a wrong argument.
_WRONG_PATH = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)


class _Ended(Exception):  # noqa: N818 - no error
    """The command is over early. (click would print an empty line for an interruption.)

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


def in_flags(message: str, command: click.Command | None) -> str:
    """A message with the options of a command as the command line spells them, where it names them as Python does.

    >>> command = click.Command("cut", params=[click.Option(["--truncation"]), click.Option(["--word", "words"])])
    >>> in_flags("let truncation=True cut it, or words= name it (words='it', revision=)", command)
    "let --truncation cut it, or --word name it (--word 'it', revision=)"
    """
    options = [option for option in command.params if isinstance(option, click.Option)] if command else []
    flags = {option.name: option.opts[0] for option in options}

    def spell(found: re.Match[str]) -> str:
        flag = flags.get(found["name"])
        return found[0] if flag is None else f"{flag} " if found["valued"] is not None else flag

    return re.sub(r"\b(?P<name>[a-z_]+)=(True\b|(?P<valued>(?=[\w'\"]))|)", spell, message)


def _fail(message: str, code: int = BAD_INPUT) -> int:
    click.echo(f"Error: {one_line(message)}", err=True)
    return code


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {one_line(str(message))}", err=True)


def one_line(message: str) -> str:
    """A message on one line, with a sign where one of its lines ended without.

    >>> one_line("the weights do not fit\\nmissing (1): a\\nNothing is made up.\\nThey fit  another.")
    'the weights do not fit; missing (1): a; Nothing is made up. They fit another.'
    """
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    ended = [line if line[-1] in ".:;,!?" else f"{line};" for line in lines[:-1]]
    return " ".join([*ended, *lines[-1:]])


def _flush() -> None:
    """Write out what is left now, so that a failure is met here and not when the interpreter ends."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _drop_output() -> None:
    """Let what standard output still holds go nowhere: the interpreter would try again to write it at its end."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
