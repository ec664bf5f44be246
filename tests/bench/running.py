"""Running `lf-ref bench` on a tiny model."""

from __future__ import annotations

from click.testing import CliRunner

from lf_ref.bench import runs
from lf_ref.cli import main

TINY = [
    "--layers", "2", "--heads", "2", "--tokens", "96", "--window", "16", "--vocabulary", "61",
    "--repeats", "2", "--num-threads", "1",
]  # fmt: skip
ALL = [name for name in runs.names() if name != "first-compile"]  # which compiles everything anew: see test_warmup
ATTENTION = ["attention", "attention-half", "attention-quarter"]
RAGGED = ["batch", "one-by-one"]
# Largest differences after two layers of values near 1: of float32, and of two ways to round to bfloat16 or int8, the
# latter for logits too, which are some ten.
SAME, ROUNDED, ROUNDED_LOGITS = 1e-4, 0.5, 2.0


def run(*arguments: str, code: int = 0) -> str:
    """Standard output of `lf-ref bench`, or its line of standard error where it fails."""
    done = CliRunner().invoke(main, ["bench", *TINY, *arguments], prog_name="lf-ref")
    assert done.exit_code == code, (done.output, done.exception)
    return done.stderr if code else done.stdout


def chosen(*names: str) -> list[str]:
    return [word for name in names for word in ("--work", name)]


def header(printed: str) -> list[str]:
    return next(line for line in printed.splitlines() if line.startswith("work ")).split()
