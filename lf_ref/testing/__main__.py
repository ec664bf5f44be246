"""`python -m lf_ref.testing TARGET` runs the conformance suite.

Exit codes: 0 if every case passes, or fails as expected; 1 if one does not, or if the disk or the system failed; 2 if
an argument or a file is wrong; 130 if it is interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ..command_line import BAD_INPUT, INTERRUPTED, exit_code, one_line
from ..errors import LfRefError
from .conformance.command import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; returns the exit code. An error prints one line on standard error."""
    try:
        code = run.main(arguments, prog_name="python -m lf_ref.testing", standalone_mode=False)
    except click.ClickException as error:
        return _fail(error.format_message(), BAD_INPUT)
    except (LfRefError, OSError) as error:
        return _fail(str(error), exit_code(error))
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    click.echo(f"Error: {one_line(message)}", err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
