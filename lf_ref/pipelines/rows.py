"""Rows of token ids: those of an input, and all of them grouped into batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Ids = NDArray[np.int64]


def _everything() -> slice:
    return slice(None)


@dataclass(frozen=True)
class Row:
    """One row of the model's input: all of a text, or a window of it.

    ids: int64 [S]. global_at: where global attention starts and stops. part: which of the text's tokens it holds.
    counted: the positions whose states count for the text.
    """

    ids: Ids
    global_at: tuple[int, int] = (0, 0)
    part: slice = field(default_factory=_everything)
    counted: slice = field(default_factory=_everything)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class Prepared:
    """One input in progress: its rows for the model, and the output of each row once it has run.

    item: the checked input. name: names it in messages. error: what its result is if it does not fit and errors are
    recorded; there are no rows then.
    """

    name: str
    item: Any
    rows: list[Row]
    findings: list[Any]
    error: InputError | None = None


@dataclass(frozen=True)
class Batch:
    """Rows of about the same length, padded: their indices in the list, and the model's three arguments.

    counted: bool (batch, seq), of each row the positions of `Row.counted`.
    """

    indices: list[int]
    input_ids: Ids
    attention_mask: Ids
    global_attention_mask: Ids
    counted: NDArray[np.bool_]

    @property
    def inputs(self) -> dict[str, Ids]:
        """The arguments of the model, each int64 (batch, seq)."""
        return {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "global_attention_mask": self.global_attention_mask,
        }


def batches(rows: Sequence[Row], budget: int, pad_token_id: int) -> Iterator[Batch]:
    """Group rows by length, the longest first, so that no batch has more than `budget` tokens, padding included.

    A row longer than the budget is a batch of its own.
    """
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]), reverse=True)
    start = 0
    while start < len(order):
        longest = len(rows[order[start]])
        indices = order[start : start + max(1, budget // longest)]
        start += len(indices)
        yield _pad([rows[index] for index in indices], indices, longest, pad_token_id)


def _pad(rows: Sequence[Row], indices: list[int], length: int, pad_token_id: int) -> Batch:
    shape = (len(rows), length)
    batch = Batch(
        indices,
        np.full(shape, pad_token_id, np.int64),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.bool_),
    )
    for index, one in enumerate(rows):
        batch.input_ids[index, : len(one)] = one.ids
        batch.attention_mask[index, : len(one)] = 1
        batch.global_attention_mask[index, slice(*one.global_at)] = 1
        batch.counted[index, : len(one)][one.counted] = True
    return batch
