"""Put tokenized texts into rows: special tokens around them, cut to length, padded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import InputError
from .encoding import Encoding, Extra, Part
from .limits import Limits
from .sequence import TokenSequence
from .truncation import Window, row_windows


@dataclass(frozen=True)
class Around:
    """The special tokens around texts: `begin first end`, and `end second end` after it for a pair."""

    begin: Extra
    end: Extra

    def put(self, parts: Sequence[Part]) -> list[Part | Extra]:
        """The texts with special tokens around them."""
        if len(parts) == 1:
            return [self.begin, parts[0], self.end]
        return [self.begin, parts[0], self.end, self.end, parts[1], self.end]

    def count(self, texts: int) -> int:
        """How many special tokens go around that many texts."""
        return 2 * texts


@dataclass(frozen=True)
class RowMaker:
    """How texts become rows.

    Args:
        around: the special tokens, or None for none.
        limits: how long rows may and must be.
        stride: tokens that a row repeats of the row before it.
        truncation_side: where tokens are cut off.
        overflow: whether to make rows of what is cut off.
    """

    around: Around | None
    limits: Limits
    stride: int
    truncation_side: str
    overflow: bool

    def row(self, sequences: Sequence[TokenSequence]) -> Encoding:
        """The row of a text or a pair; the rows of what is cut off are its `overflowing`."""
        first, *others = [self._encoding(sequences, windows) for windows in self._windows(sequences)]
        first.overflowing = others
        return first

    def _windows(self, sequences: Sequence[TokenSequence]) -> list[tuple[Window, ...]]:
        lengths = [len(sequence.ids) for sequence in sequences]
        max_length = self.limits.max_length
        if self.limits.truncation is None or max_length is None:
            return [tuple((0, length) for length in lengths)]
        special = self.around.count(len(sequences)) if self.around else 0
        if max_length < special:
            raise InputError(
                f"max_length={max_length} has no room for the {special} special tokens of a row; use a larger one"
            )
        return row_windows(
            lengths,
            self.limits.truncation,
            max_length - special,
            self.stride,
            self.truncation_side,
            overflow=self.overflow,
        )

    def _encoding(self, sequences: Sequence[TokenSequence], windows: tuple[Window, ...]) -> Encoding:
        parts = [
            Part(sequence, index, *window)
            for index, (sequence, window) in enumerate(zip(sequences, windows, strict=True))
        ]
        return Encoding(self.around.put(parts) if self.around else parts)

    def padded(self, rows: list[Encoding], pad: Extra | None, side: str) -> list[Encoding]:
        """All rows at the length that `limits` asks for."""
        if self.limits.padding is None:
            return rows
        if pad is None:
            raise InputError("padding needs a pad_token, which this tokenizer does not have; set one")
        length = self.limits.padded_length([len(row) for row in rows])
        return [row.padded(replace(pad, count=length - len(row)), side) if len(row) < length else row for row in rows]
