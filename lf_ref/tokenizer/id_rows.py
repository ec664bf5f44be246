"""HF's methods on ids: special tokens around them, masks, padding, truncation and decoding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsIndex

from ..errors import InputError
from ..hf_names import Fixed, HFNames, Ignored, accepts
from .arguments import check_count, shown
from .encoding.batch_encoding import BatchEncoding
from .encoding.decoder import Decoder, clean_up, join_tokens
from .encoding.encoding import Extra
from .encoding.limits import check_limits, check_side
from .encoding.padding import collate, pad_values
from .encoding.rows import Template
from .encoding.truncation import row_windows
from .roles import Names
from .vocabulary import Vocabulary, as_ids, is_one

_DECODING: HFNames = {
    "spaces_between_special_tokens": Ignored("it has no effect, as in HF"),
    "use_source_tokenizer": Fixed((False,), "leave it out: there is one tokenizer"),
}


@accepts(
    decode=_DECODING,
    batch_decode=_DECODING,
    prepare_for_model={
        "return_offsets_mapping": Fixed((False,), "ids have no offsets; call the tokenizer with the text"),
        "verbose": Ignored("nothing is logged"),
    },
    pad={"verbose": Ignored("nothing is logged")},
)
class IdRows(Vocabulary):
    """Rows of ids. A base of `LongformerTokenizer`, with HF's names."""

    model_max_length: int
    padding_side: str = "right"
    truncation_side: str = "right"
    model_input_names = Names()
    errors: str
    clean_up_tokenization_spaces: bool
    _decoder: Decoder
    _template: Template

    @property
    def max_len_single_sentence(self) -> int:
        """The largest number of tokens of a single text, without the special tokens."""
        return self.model_max_length - self.num_special_tokens_to_add()

    @property
    def max_len_sentences_pair(self) -> int:
        """The largest number of tokens of a pair of texts, without the special tokens."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return the number of special tokens around a text, or (`pair`) a pair of texts."""
        return 4 if pair else 2

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return the ids of `<s> token_ids_0 </s>`, or of `<s> token_ids_0 </s></s> token_ids_1 </s>` for a pair.

        Raises:
            InputError: an id is not an integer.
        """
        cls, sep = self._template.begin.token_id, self._template.end.token_id
        second = [] if token_ids_1 is None else [sep, *as_ids(token_ids_1), sep]
        return [cls, *as_ids(token_ids_0), sep, *second]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return a 0 for every id of `build_inputs_with_special_tokens(token_ids_0, token_ids_1)`.

        A Longformer has one token type.

        Raises:
            InputError: an id is not an integer.
        """
        return [0] * len(self.build_inputs_with_special_tokens(token_ids_0, token_ids_1))

    def get_special_tokens_mask(
        self,
        token_ids_0: Sequence[int],
        token_ids_1: Sequence[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Return 1 for special tokens, 0 for others.

        token_ids_0, token_ids_1: ids of one text or two, without special tokens; the result includes those around them.
        With already_has_special_tokens, token_ids_0 alone is a complete row.

        Raises:
            InputError: two lists with already_has_special_tokens, or an id is not an integer.
        """
        if not already_has_special_tokens:
            return self._mask(*(as_ids(ids) for ids in (token_ids_0, token_ids_1) if ids is not None))
        if token_ids_1 is not None:
            raise InputError(
                "token_ids_1 must be None with already_has_special_tokens=True; put the whole row into token_ids_0"
            )
        special = set(self.all_special_ids)
        return [int(token_id in special) for token_id in as_ids(token_ids_0)]

    def _padding(self) -> Extra | None:
        if self.pad_token is None or self.pad_token_id is None:
            return None
        return Extra(self.pad_token_id, self.pad_token, attended=False)

    @staticmethod
    def _mask(first: Sequence[int], second: Sequence[int] | None = None) -> list[int]:
        behind = [] if second is None else [1, *[0] * len(second), 1]
        return [1, *[0] * len(first), 1, *behind]

    def _pad_id(self) -> int:
        pad = self._padding()
        if pad is None:
            raise InputError("padding needs a pad_token, which this tokenizer does not have; set tokenizer.pad_token")
        return pad.token_id

    def _wants(self, name: str, asked: bool | None) -> bool:
        return name in self.model_input_names if asked is None else asked

    def pad(
        self,
        encoded_inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
    ) -> BatchEncoding:
        """Pad the values of one row, of a batch, or of a list of rows, which become a batch.

        `input_ids`, `attention_mask`, `token_type_ids`, `special_tokens_mask` and `global_attention_mask` are padded;
        other values do not change. Arrays become lists unless `return_tensors` is "np". The arguments are not changed.
        Values of different lengths are an `InputError`.

        encoded_inputs: lists or arrays by name, or a list of such mappings; the rest as for `LongformerTokenizer`.
        """
        values = collate(encoded_inputs)
        limits = check_limits(padding, False, max_length, pad_to_multiple_of, self.model_max_length)
        side = check_side("padding_side", padding_side or self.padding_side)
        mask = self._wants("attention_mask", return_attention_mask)
        return BatchEncoding(pad_values(values, limits, side, self._pad_id(), mask=mask), None, return_tensors)

    def prepare_for_model(
        self,
        ids: Sequence[int],
        pair_ids: Sequence[int] | None = None,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        *,  # HF has return_offsets_mapping and verbose among these
        return_length: bool = False,
        prepend_batch_axis: bool = False,
    ) -> BatchEncoding:
        """Make a row of ids: truncate them, add special tokens, and pad.

        Args:
            ids, pair_ids: ids of one text or two, without special tokens.
            return_overflowing_tokens: return the removed ids, and `stride` ids before them, in `overflowing_tokens`,
                and the number of ids beyond `max_length` in `num_truncated_tokens`, as in HF. Not for a pair of which
                both are truncated.
            stride: number of ids before the removed ones that `overflowing_tokens` repeats.
            prepend_batch_axis: return arrays (1, tokens) instead of (tokens,).
            add_special_tokens, padding, truncation, max_length, pad_to_multiple_of, padding_side, return_tensors,
                return_token_type_ids, return_attention_mask, return_special_tokens_mask, return_length: as for a call
                of `LongformerTokenizer`.

        Raises:
            InputError: an argument is invalid; the message has its name and value.
        """
        limits = check_limits(padding, truncation, max_length, pad_to_multiple_of, self.model_max_length)
        side = check_side("padding_side", padding_side or self.padding_side)
        texts = [as_ids(part) for part in (ids, pair_ids) if part is not None]
        special = self.num_special_tokens_to_add(pair=pair_ids is not None) if add_special_tokens else 0
        excess = sum(map(len, texts)) + special - (limits.max_length or 0)
        values: dict[str, Any] = {}
        if return_overflowing_tokens:
            if limits.truncation is None:
                raise InputError("return_overflowing_tokens=True needs truncation=True and max_length")
            if limits.truncation == "longest_first" and pair_ids is not None:
                raise InputError(
                    'return_overflowing_tokens=True truncates one text of a pair; use truncation="only_first" or '
                    '"only_second"'
                )
            values = {"overflowing_tokens": [], "num_truncated_tokens": excess}
        if limits.truncation is not None and excess > 0:
            texts, overflowing = self._cut(texts, excess, limits.truncation, stride)
            if return_overflowing_tokens:
                values["overflowing_tokens"] = overflowing
        values["input_ids"] = (
            self.build_inputs_with_special_tokens(*texts) if add_special_tokens else [i for part in texts for i in part]
        )
        length = len(values["input_ids"])
        if self._wants("token_type_ids", return_token_type_ids):
            values["token_type_ids"] = [0] * length
        if return_special_tokens_mask:
            values["special_tokens_mask"] = self._mask(*texts) if special else [0] * length
        mask = self._wants("attention_mask", return_attention_mask)
        values = pad_values(values, limits, side, self._pad_id() if limits.padding else 0, mask=mask)
        if return_length:
            values["length"] = len(values["input_ids"])
        return BatchEncoding(values, None, return_tensors, prepend_batch_axis)

    def truncate_sequences(
        self,
        ids: Sequence[int],
        pair_ids: Sequence[int] | None = None,
        num_tokens_to_remove: int = 0,
        truncation_strategy: str = "longest_first",
        stride: int = 0,
    ) -> tuple[list[int], list[int] | None, list[int]]:
        """Remove ids from one text or two, on the truncation side of the tokenizer.

        Args:
            ids, pair_ids: ids of one text or two.
            num_tokens_to_remove: number of tokens to remove.
            truncation_strategy: "longest_first", "only_first", "only_second" or "do_not_truncate".
            stride: number of kept tokens that are also returned with the removed ones.

        Returns:
            The ids that remain of each text, and the removed ids: none if both texts may be truncated, as in HF.

        Raises:
            InputError: an id is not an integer, or a strategy is unknown or cannot remove so many tokens.
        """
        texts = [as_ids(part) for part in (ids, pair_ids) if part is not None]
        strategy = check_limits(False, truncation_strategy, 1, None, None).truncation
        removed = check_count("num_tokens_to_remove", num_tokens_to_remove, least=0)
        overflowing: list[int] = []
        if removed and strategy is not None:
            texts, overflowing = self._cut(texts, removed, strategy, stride)
        return texts[0], texts[1] if pair_ids is not None else None, overflowing

    def _cut(
        self, texts: list[list[int]], excess: int, strategy: str, stride: int
    ) -> tuple[list[list[int]], list[int]]:
        """Return the texts without `excess` ids, and the removed ids if only one text may be truncated."""
        stride = check_count("stride", stride, least=0)
        side = check_side("truncation_side", self.truncation_side)
        room = sum(map(len, texts)) - excess
        if room < 0:
            raise InputError(f"cannot remove {excess} tokens from {room + excess}; use a larger max_length")
        lengths = list(map(len, texts))
        if strategy == "longest_first" and len(texts) == 2:
            # Unlike HF's tokenizers library, which calls follow, HF's method removes an odd token from the other text.
            even = max(excess - abs(lengths[0] - lengths[1]), 0)
            removed = [even // 2, even - even // 2]
            removed[lengths[0] <= lengths[1]] += excess - even
            windows = tuple(
                (0, length - less) if side == "right" else (less, length)
                for length, less in zip(lengths, removed, strict=True)
            )
        else:
            windows = row_windows(lengths, strategy, room, 0, side, overflow=False)[0]
        overflowing: list[int] = []
        if strategy != "longest_first" or len(texts) == 1:
            for text, (start, stop) in zip(texts, windows, strict=True):
                if start:
                    overflowing = text[: start + stride]
                elif stop < len(text):
                    overflowing = text[max(stop - stride, 0) :]
        return [text[start:stop] for text, (start, stop) in zip(texts, windows, strict=True)], overflowing

    def decode(
        self,
        token_ids: SupportsIndex | Iterable[SupportsIndex],
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """Return the text of ids.

        Args:
            token_ids: a list or an array of ids, or one id.
            skip_special_tokens: omit special tokens.
            clean_up_tokenization_spaces: remove spaces before English punctuation. None: the option of the tokenizer.

        Raises:
            InputError: no token has the id (HF omits it), or the bytes are not UTF-8 with errors="strict".
        """
        ids = as_ids([token_ids] if is_one(token_ids) else token_ids)
        if self._decoder.encoder is not self._encoder:
            self._decoder = Decoder(self._encoder)
        try:
            text = self._decoder.text(ids, self.errors, skip_special_tokens=skip_special_tokens)
        except KeyError:
            raise self._unknown_id(ids) from None
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        return clean_up(text) if clean_up_tokenization_spaces else text

    def batch_decode(
        self,
        sequences: Iterable[SupportsIndex | Iterable[SupportsIndex]],
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> list[str]:
        """Return the text of each of several sequences of ids; arguments as for `decode`."""
        if not isinstance(sequences, Iterable):
            raise InputError(
                f"sequences must be a list of sequences of ids, got {shown(sequences)}; for one sequence call decode"
            )
        return [self.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in sequences]

    def convert_tokens_to_string(self, tokens: Iterable[str]) -> str:
        """Return the text of tokens; with errors="strict" an `InputError` if they are not UTF-8."""
        return join_tokens(tokens, self.errors)
