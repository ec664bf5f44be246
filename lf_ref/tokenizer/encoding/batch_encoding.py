"""The result of a tokenizer and the arguments of a model: values by name, and an `Encoding` for every row; as in HF."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...hf_names import Alias, Fixed, Ignored, accepts, unknown_attribute, unknown_key
from ..arguments import as_index, shown
from .encoding import CharSpan, Encoding, TokenSpan

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_VALUES: dict[str, Callable[[Encoding], Any]] = {
    "input_ids": lambda row: row.ids,
    "token_type_ids": lambda row: row.type_ids,
    "attention_mask": lambda row: row.attention_mask,
    "special_tokens_mask": lambda row: row.special_tokens_mask,
    "offset_mapping": lambda row: row.offsets,
    "length": len,
}


def row_values(rows: Sequence[Encoding], names: Sequence[str]) -> dict[str, list[Any]]:
    """Return some of the values of a batch by HF's names, with one entry for every row."""
    return {name: [_VALUES[name](row) for row in rows] for name in names}


@accepts(
    init={"encoding": Alias("encodings"), "n_sequences": Fixed((None,), "leave it out: it is counted")},
    to={"non_blocking": Ignored("arrays are in main memory")},
)
class BatchEncoding(UserDict[str, Any]):
    """The arguments of a model's call, as a mapping: `model(**tokenizer(text, return_tensors="np"))`.

    Values are also attributes (`encoding.input_ids`); `encoding[row]` is the `Encoding` of a row. The methods take
    `(row, index)`, or the index alone for the first row, as in HF. All indices count from 0.

    Args:
        data: the values by name, a list of one entry per token, or of such a list per row.
        encodings: one for every row, or that of a single row, if the values come from texts.
        tensor_type: "np" turns every value into an int64 array (batch, tokens); None keeps lists.
        prepend_batch_axis: make arrays as for a batch of one row.
        batch_index: the row.
        batch_or_token_index, batch_or_word_index, batch_or_char_index: the row, or the index in the first row.
        token_index, word_index, char_index: a token of the row, or a word or character of the text.
        sequence_index: which text of the row, 0 or 1.

    Raises:
        InputError: rows of different lengths, or a type of tensor other than "np". From the methods: there is no such
            row or token, or the values do not come from texts.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        encodings: Encoding | Sequence[Encoding] | None = None,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,
    ) -> None:
        if data is not None and not isinstance(data, Mapping):
            raise InputError(f"data must be a mapping of values by name, got {shown(data)}")
        super().__init__(data)
        rows = [encodings] if isinstance(encodings, Encoding) else encodings
        if rows is not None and not (isinstance(rows, Sequence) and all(isinstance(row, Encoding) for row in rows)):
            raise InputError(f"encodings must be rows of another BatchEncoding, got {shown(encodings)}")
        self._encodings = None if rows is None else list(rows)
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    def __getitem__(self, item: Any) -> Any:
        """Return a value by its name, the `Encoding` of a row by its index, or all values of a slice of the rows."""
        if isinstance(item, str):
            return super().__getitem__(item)
        if isinstance(item, slice):
            return {name: value[item] for name, value in self.data.items()}
        return self._row(item)

    def __delitem__(self, name: str) -> None:
        self.data.pop(name) if name in self.data else self.__missing__(name)

    def __missing__(self, name: str) -> Any:
        raise unknown_key(self, name, self.data)

    def __getattr__(self, name: str) -> Any:
        """Return a value by its name."""
        if name.startswith("_") or "data" not in self.__dict__ or name not in self.data:
            raise unknown_attribute(self, name, {})
        return self.data[name]

    def __dir__(self) -> list[str]:
        """Return the names of attributes and values."""
        return [*super().__dir__(), *self.__dict__.get("data", ())]

    def to(self, device: object) -> BatchEncoding:
        """Return itself, on the CPU.

        device: "cpu", or torch's device of that name.

        Raises:
            InputError: another device.
        """
        if str(device) not in ("cpu", "cpu:0"):
            raise InputError(
                f'BatchEncoding.to takes "cpu" only, got {shown(device)}: NumPy arrays are on the CPU; leave it out'
            )
        return self

    @property
    def encodings(self) -> list[Encoding] | None:
        """The rows; None if the values do not come from texts."""
        return self._encodings

    @property
    def is_fast(self) -> bool:
        """Whether tokens can be traced back to the text."""
        return self._encodings is not None

    @property
    def n_sequences(self) -> int | None:
        """The number of texts in every row; None if the values do not come from texts."""
        return self._encodings[0].n_sequences if self._encodings else None

    def _row(self, batch_index: int) -> Encoding:
        if self._encodings is None:
            raise InputError(
                "this BatchEncoding does not come from texts, so it has ids only; call the tokenizer with the text"
            )
        try:
            return self._encodings[as_index("the index of a row", batch_index)]
        except IndexError:
            raise InputError(f"there is no row {batch_index} in a batch of {len(self._encodings)}") from None

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Return the tokens of a row; arguments and errors as `BatchEncoding`."""
        return self._row(batch_index).tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return the word of every token of a row, None for tokens that belong to no text; as `BatchEncoding`."""
        return self._row(batch_index).word_ids

    def words(self, batch_index: int = 0) -> list[int | None]:
        """Return `word_ids`, under HF's old name; arguments and errors as `BatchEncoding`."""
        return self.word_ids(batch_index)

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return 0 or 1 for tokens of the first or second text, None for tokens of neither; as `BatchEncoding`."""
        return self._row(batch_index).sequence_ids

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """Return 0 or 1, the text that a token belongs to; arguments and errors as `BatchEncoding`."""
        row, token = _row_and_index(batch_or_token_index, token_index)
        return self._row(row).token_to_sequence(token)

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """Return the word that a token belongs to; arguments and errors as `BatchEncoding`."""
        row, token = _row_and_index(batch_or_token_index, token_index)
        return self._row(row).token_to_word(token)

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> CharSpan | None:
        """Return the characters of a token; arguments and errors as `BatchEncoding`."""
        row, token = _row_and_index(batch_or_token_index, token_index)
        return self._row(row).token_to_chars(token)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """Return the tokens of a word; arguments and errors as `BatchEncoding`."""
        row, word = _row_and_index(batch_or_word_index, word_index)
        return self._row(row).word_to_tokens(word, sequence_index)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """Return the characters of a word; None if there is no such word (HF: TypeError); as `BatchEncoding`."""
        row, word = _row_and_index(batch_or_word_index, word_index)
        return self._row(row).word_to_chars(word, sequence_index)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the first token with a character; None for trimmed white space; as `BatchEncoding`."""
        row, char = _row_and_index(batch_or_char_index, char_index)
        return self._row(row).char_to_token(char, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the word with a character; arguments and errors as `BatchEncoding`."""
        row, char = _row_and_index(batch_or_char_index, char_index)
        return self._row(row).char_to_word(char, sequence_index)

    def convert_to_tensors(self, tensor_type: str | None = None, prepend_batch_axis: bool = False) -> BatchEncoding:
        """Turn every value into an int64 array, in place.

        tensor_type: "np", or None for no change. prepend_batch_axis: make (1, tokens) of a single row.

        Raises:
            InputError: rows of different lengths, or a type of tensor other than "np".
        """
        if tensor_type is None:
            return self
        if tensor_type != "np":
            raise InputError(
                f'return_tensors must be "np" or None, got {shown(tensor_type)}; use "np", and convert the arrays for '
                "other libraries, for instance with torch.from_numpy"
            )
        for name, value in self.data.items():
            self.data[name] = _as_array(name, [value] if prepend_batch_axis else value)
        return self


def _row_and_index(first: int, second: int | None) -> tuple[int, int]:
    """Return row and index from HF's two forms: (index) in the first row, or (row, index)."""
    return (0, first) if second is None else (first, second)


def _as_array(name: str, value: Any) -> npt.NDArray[np.generic]:
    """Make an array of a value; integers become int64."""
    import numpy as np  # imported late: tokenizing into lists needs no NumPy

    try:
        array: npt.NDArray[np.generic] = np.asarray(value)
    except ValueError:
        raise InputError(
            f"the rows of {name} must have equal lengths to make an array; pad them with padding=True, and use "
            "truncation=True to limit them to max_length"
        ) from None
    return array.astype(np.int64, copy=False) if array.size == 0 or array.dtype.kind in "iu" else array
