"""Make rows of encoded texts: truncate them, add special tokens, and pad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...errors import InputError
from .encoding import Encoding, Extra, Part
from .limits import Limits
from .sequence import TokenSequence
from .truncation import Window, row_windows


@dataclass(frozen=True)
class Template:
    """The special tokens around texts: `begin first end`, and `end second end` after it for a pair."""

    begin: Extra
    end: Extra

    def apply(self, parts: Sequence[Part]) -> list[Part | Extra]:
        """Return the texts with special tokens around them."""
        if len(parts) == 1:
            return [self.begin, parts[0], self.end]
        return [self.begin, parts[0], self.end, self.end, parts[1], self.end]

    def count(self, texts: int) -> int:
        """Return the number of special tokens around one text or two."""
        return 2 * texts


@dataclass(frozen=True)
class RowMaker:
    """Make rows of encoded texts.

    Args:
        template: the special tokens around texts, or None.
        limits: the lengths of rows.
        stride: tokens that a row repeats from the row before it.
        truncation_side: the side that truncation removes tokens from.
        overflow: whether to make further rows of the tokens that truncation removes.
    """

    template: Template | None
    limits: Limits
    stride: int
    truncation_side: str
    overflow: bool

    def row(self, sequences: Sequence[TokenSequence]) -> Encoding:
        """Return the row of a text or a pair; the rows of removed tokens are its `overflowing`."""
        first, *others = [self._encoding(sequences, windows) for windows in self._windows(sequences)]
        first.overflowing = others
        return first

    def _windows(self, sequences: Sequence[TokenSequence]) -> list[tuple[Window, ...]]:
        lengths = [len(sequence.ids) for sequence in sequences]
        max_length = self.limits.max_length
        if self.limits.truncation is None or max_length is None:
            return [tuple((0, length) for length in lengths)]
        special = self.template.count(len(sequences)) if self.template else 0
        if max_length < special:
            raise InputError(
                f"max_length must be at least {special}, the number of special tokens in a row, got {max_length}"
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
        return Encoding(self.template.apply(parts) if self.template else parts)

    def padded(self, rows: list[Encoding], pad: Extra | None, side: str) -> list[Encoding]:
        """Return all rows, padded to the length that `limits` asks for."""
        if self.limits.padding is None:
            return rows
        if pad is None:
            raise InputError("padding needs a pad_token, which this tokenizer does not have; set tokenizer.pad_token")
        length = self.limits.padded_length([len(row) for row in rows])
        return [row.padded(replace(pad, count=length - len(row)), side) if len(row) < length else row for row in rows]
