"""The parts of a job: their names, and what the metadata of each says about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ..errors import InputError
from ..records.parquet import pa, pq
from .output import Output

SUCCESS = "_SUCCESS"
METADATA = "lf_ref"  # the key in the metadata of a part's schema
_PART = re.compile(r"part-(\d{6,})\.parquet")
_READERS = 16  # footers read at once, since an object store answers slowly


class Counts(NamedTuple):
    """Of a part: rows with a result, rows with an error, and the tokens that the model ran."""

    answered: int
    bad: int
    tokens: int


def part_name(number: int) -> str:
    """The name of a part."""
    return f"part-{number:06d}.parquet"


def errors_name(number: int) -> str:
    """The name of the file with the errors of a part, if there are any."""
    return f"errors-{number:06d}.jsonl"


def numbers_of(output: Output) -> list[int]:
    """The numbers of the parts that are there."""
    return sorted(int(match[1]) for match in map(_PART.fullmatch, output.names()) if match)


def counts_of(output: Output, numbers: Iterable[int], job: str) -> dict[int, Counts]:
    """The counts of parts by their numbers; job: the id of the job that they must be of.

    Raises:
        InputError: a part is of another job, or damaged.
        JobError: a part cannot be read.
    """

    def read(number: int) -> tuple[int, Counts]:
        name = part_name(number)
        try:
            with output.opened(name) as file:
                said = json.loads(pq.read_schema(file).metadata[METADATA.encode()])
            found = Counts(*(int(said[field]) for field in Counts._fields))
            if (said["job"], said["part"]) == (job, number):
                return number, found
        except (pa.ArrowInvalid, TypeError, LookupError, ValueError):
            pass
        raise InputError(f"{name} in {output.where} is not a part of this job: move it away, or give another output")

    with ThreadPoolExecutor(_READERS) as pool:
        return dict(pool.map(read, numbers))
