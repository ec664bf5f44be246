"""`python -m lf_ref.testing TARGET` runs the conformance suite."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ..errors import LfRefError
from .conformance.command import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; returns the exit code. An error prints one line on standard error."""
    try:
        code = run.main(arguments, prog_name="python -m lf_ref.testing", standalone_mode=False)
    except click.ClickException as error:
        return _fail(error.format_message())
    except (LfRefError, OSError) as error:
        return _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        return 130  # 128 + SIGINT
    return code if isinstance(code, int) else 0


def _fail(message: str) -> int:
    click.echo("Error: " + " ".join(message.split()), err=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
