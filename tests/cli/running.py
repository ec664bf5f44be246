"""Running a command on a small model, the pipeline that it runs, and the examples of its help."""

from __future__ import annotations

import re

from click.testing import CliRunner

import lf_ref
from lf_ref.cli import main

PLAIN = ["--backend", "numpy", "--num-threads", "1"]


def run(*arguments, stdin=None, code=0):
    """Standard output of a command that ends with `code`."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin, prog_name="lf-ref")
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


def on(task, folders):
    """The arguments that choose a task and its small model."""
    return [task, "--model", folders[task], *PLAIN]


def pipe_on(task, folders, **options):
    return lf_ref.pipeline(task, folders[task], backend="numpy", num_threads=1, **options)


def examples(*command):
    """The example lines of a command's help."""
    return re.findall(r"^ +(lf-ref .+)$", run(*command, "--help"), re.M)
