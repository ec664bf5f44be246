"""The length of the rows of a call, and the truncation of texts that are too long, for every task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..tokenizer import LongformerTokenizer
from ..tokenizer.encoding.truncation import row_windows
from .options import Options

Parts = tuple[slice, ...]


@dataclass(frozen=True)
class Lengths:
    """The lengths that hold for one call, in tokens, special ones included.

    Args:
        options: of the call.
        tokenizer: its truncation_side is the end of a text to cut off, its model_max_length the limit, unless the
            options set one.
        most: the limit of the model.
    """

    options: Options
    tokenizer: LongformerTokenizer
    most: int

    @property
    def size(self) -> int:
        """The length of a truncated row, and of a window."""
        return self.options.max_length or min(self.most, self.tokenizer.model_max_length)

    def parts(self, name: str, tokens: Sequence[int], ways_out: str = "") -> Parts:
        """The tokens of a text, or of each text of a pair, that a row holds.

        name: of the text; tokens: of each text, without special ones; ways_out: further ways out, for the message.

        Raises:
            InputError: the text is too long; the message has both lengths and the ways out.
        """
        total, cut = sum(tokens) + 2 * len(tokens), self.options.cut
        if cut is not None and total > self.size:
            try:
                [parts] = self.windows(tokens, self.size, cut, None)
            except InputError as error:
                raise InputError(
                    f"{name} has {total} tokens and cannot be cut to {self.size}: that would leave nothing of it"
                ) from error
            total = self.size
        else:
            parts = tuple(slice(0, count) for count in tokens)
        self.check(name, total, ways_out)
        return parts

    def windows(self, tokens: Sequence[int], size: int, cut: str, stride: int | None) -> list[Parts]:
        """The rows of `size` tokens that together hold all of a text or pair; without a stride the first of them.

        cut: the text to split, as one of HF's strategies of truncation; stride: overlap of neighbours, in tokens.

        Raises:
            InputError: there is no room, or the stride is as long as the window.
        """
        room = size - 2 * len(tokens)
        if room < 0:
            raise InputError(f"{size} tokens in a row leave no room for text beside the special ones")
        overflow = stride is not None
        found = row_windows(tokens, cut, room, stride or 0, self.tokenizer.truncation_side, overflow=overflow)
        return [tuple(slice(*window) for window in windows) for windows in found]

    def check_window(self, tokens: int, option: str) -> None:
        """Check that the model takes a window of so many tokens, which the option `option` requested.

        Raises:
            InputError: names the option and both lengths.
        """
        if tokens > self.most:
            size = getattr(self.options, option)
            raise InputError(f"{option}={size} is too much: this model takes at most {self.most} tokens")

    def check(self, name: str, tokens: int, ways_out: str = "") -> None:
        """Check that a row of so many tokens is not too long for the model, or for max_length.

        Raises:
            InputError: names the text, both lengths and the ways out.
        """
        options, limit, rule = self.options, self.most, "this model takes at most"
        if options.cut is None and options.max_length is not None and options.max_length < limit:
            limit, rule = options.max_length, "max_length= allows at most"
        elif options.is_cut_by_hf and options.truncation is None and self.size < limit:
            if tokens <= limit:
                ways_out = f", or truncation=False run all of it{ways_out}"
            limit, rule = self.size, "HF cuts it in silence to the tokenizer's model_max_length,"
        if tokens <= limit:
            return
        if options.cut is not None:
            self.check_window(tokens, "max_length")
        end = "end" if self.tokenizer.truncation_side == "right" else "beginning"
        raise InputError(
            f"{name} has {tokens} tokens, and {rule} {limit}: shorten it or split it into pieces, or let "
            f"truncation=True cut its {end} off{ways_out}"
        )
