"""`python -m lf_ref` is `lf-ref`."""

from .cli import main

main(prog_name="lf-ref")
