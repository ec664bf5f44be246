"""The length of the rows of a call, and what of texts that are too long they hold, for every task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..tokenizer import LongformerTokenizer
from ..tokenizer.encoding.truncation import row_windows
from .options import Options, StrideOptions

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
        return getattr(self.options, self.options.size_option) or min(self.most, self.tokenizer.model_max_length)

    def parts(self, name: str, tokens: Sequence[int]) -> Parts:
        """The tokens of a text, or of each text of a pair, that its one row holds.

        name: of the text; tokens: of each text, without special ones.

        Raises:
            InputError: the text is too long; the message has both lengths and the ways out.
        """
        total, cut = sum(tokens) + 2 * len(tokens), self.options.cut
        if cut is not None and total > self.size:
            room = self.size - 2 * len(tokens)
            try:
                if room < 0:
                    raise InputError(f"{self.size} tokens in a row leave no room for text beside the special ones")
                parts = self.cut(tokens, room, cut)
            except InputError as error:
                raise InputError(
                    f"{name} has {total} tokens and cannot be cut to {self.size}: that would leave nothing of it"
                ) from error
            total = self.size
        else:
            parts = tuple(slice(0, count) for count in tokens)
        self._check(name, total)
        return parts

    def cut(self, tokens: Sequence[int], room: int, strategy: str) -> Parts:
        """The tokens of a text, or of each text of a pair, that are left where there is room for so many.

        Raises:
            InputError: the strategy, one of HF's, cannot make the texts fit.
        """
        [parts] = row_windows(tokens, strategy, room, 0, self.tokenizer.truncation_side, overflow=False)
        return tuple(slice(*part) for part in parts)

    def windows(self, name: str, tokens: Sequence[int], stride: int | None, cut: int = 0) -> list[Parts]:
        """The tokens that each of the rows holds which together hold all of a text, or of a pair.

        The text with the index `cut` is split; the other one stands whole in each row.

        name, tokens: as for `parts`. stride: how many tokens of the text neighbouring rows share; None for the one row
        of `parts`. The first row begins at the end of the text that truncation would keep.

        Raises:
            InputError: there is no room for windows, they would not advance, or the model does not take them.
        """
        if stride is None:
            return [self.parts(name, tokens)]
        total = sum(tokens) + 2 * len(tokens)
        repeated = total - tokens[cut]
        room = self.size - repeated
        if room < 1:
            larger = f"{self.options.size_option}= must be larger"
            way_out = "shorten the other text" if len(tokens) > 1 else larger
            raise InputError(
                f"a window of {self.size} tokens leaves no room for {name} beside the {repeated} that each window "
                f"repeats, special tokens included: {way_out}"
            )
        if stride >= room:
            raise InputError(
                f"{self.options.stride_option}={stride} is too much: a window of {self.size} tokens has room for "
                f"{room} of {name} beside the {repeated} that each window repeats, so the stride must lie in "
                f"0 ... {room - 1}"
            )
        self._check_size(min(self.size, total))
        strategy, side = ("only_first", "only_second")[cut], self.tokenizer.truncation_side
        found = row_windows(tokens, strategy, self.size - 2 * len(tokens), stride, side, overflow=True)
        return [tuple(slice(*part) for part in parts) for parts in found]

    def _check_size(self, tokens: int) -> None:
        """Check that the model takes a row of so many tokens, which an option requested."""
        if tokens > self.most:
            raise InputError(
                f"{self.options.size_option}={self.size} is too much: this model takes at most {self.most} tokens"
            )

    def _check(self, name: str, tokens: int) -> None:
        """Check that a row of so many tokens is not too long for the model, or for max_length."""
        options, limit, rule = self.options, self.most, "this model takes at most"
        ways_out = ", or let stride= read it in windows" if isinstance(options, StrideOptions) else ""
        if options.cut is None and options.max_length is not None and options.max_length < limit:
            limit, rule = options.max_length, "max_length= allows at most"
        elif options.is_cut_by_hf and options.truncation is None and self.size < limit:
            if tokens <= limit:
                ways_out = f", or truncation=False run all of it{ways_out}"
            limit, rule = self.size, "HF cuts it in silence to the tokenizer's model_max_length,"
        if tokens <= limit:
            return
        if options.cut is not None:
            self._check_size(tokens)
        end = "end" if self.tokenizer.truncation_side == "right" else "beginning"
        raise InputError(
            f"{name} has {tokens} tokens, and {rule} {limit}: shorten it or split it into pieces, or let "
            f"truncation=True cut its {end} off{ways_out}"
        )
