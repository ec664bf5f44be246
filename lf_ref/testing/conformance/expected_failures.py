"""Cases that a candidate is expected to fail, read from a text file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ...errors import InputError


def read_expected_to_fail(path: str | os.PathLike[str], known: Iterable[str]) -> dict[str, str]:
    """Read expected failures: on each line the name of a case and the reason; `#` begins a comment line.

    known: the names of cases; names of random cases are always valid.

    Raises:
        InputError: the file cannot be read, or names an unknown case, or a case twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    names, found = set(known), dict[str, str]()
    for number, line in enumerate(lines, start=1):
        name, _, reason = line.strip().partition(" ")
        name = name.rstrip(":")
        if not name or name.startswith("#"):
            continue
        if name not in names and not re.fullmatch(r"drawn-\d+-\d+", name):
            raise InputError(
                f"line {number} of {path} names {name!r}, which is not a case; `lf-ref oracle cases` lists them"
            )
        if name in found:
            raise InputError(f"line {number} of {path} names {name} a second time")
        found[name] = reason.strip(" #:") or "no reason given"
    return found
