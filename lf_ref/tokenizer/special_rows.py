"""The parts of HF's interface that work on ids alone: special tokens around them, masks, padding, and their text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsIndex

from ..errors import InputError
from ..hf_names import Fixed, HFNames, Ignored, accepts
from .batch_encoding import BatchEncoding
from .decoding import Decoder, clean_up, join_tokens
from .encoding import Extra
from .inputs import shown
from .limits import check_count, check_limits, check_side
from .padding import collate, pad_values
from .roles import Names
from .rows import Around
from .truncation import row_windows
from .vocabulary import Vocabulary, as_ids, is_one

_DECODING: HFNames = {
    "spaces_between_special_tokens": Ignored("it changes nothing, as in HF"),
    "use_source_tokenizer": Fixed((False,), "leave it out: there is one tokenizer"),
}


@accepts(
    decode=_DECODING,
    batch_decode=_DECODING,
    prepare_for_model={
        "return_offsets_mapping": Fixed((False,), "ids have no text; call the tokenizer with the text"),
        "verbose": Ignored("nothing is logged"),
    },
    pad={"verbose": Ignored("nothing is logged")},
)
class SpecialRows(Vocabulary):
    """Rows of ids. A base of `LongformerTokenizer`, with HF's names."""

    model_max_length: int
    padding_side: str = "right"
    truncation_side: str = "right"
    model_input_names = Names()
    errors: str
    clean_up_tokenization_spaces: bool
    _decoder: Decoder
    _around: Around

    @property
    def max_len_single_sentence(self) -> int:
        """The tokens that a single text may have beside the special ones."""
        return self.model_max_length - self.num_special_tokens_to_add()

    @property
    def max_len_sentences_pair(self) -> int:
        """The tokens that a pair of texts may have beside the special ones."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens go around a text, or (`pair`) a pair of texts."""
        return 4 if pair else 2

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """The ids of `<s> token_ids_0 </s>`, or of `<s> token_ids_0 </s></s> token_ids_1 </s>` for a pair.

        Raises:
            InputError: something else than ids.
        """
        cls, sep = self._around.begin.token_id, self._around.end.token_id
        second = [] if token_ids_1 is None else [sep, *as_ids(token_ids_1), sep]
        return [cls, *as_ids(token_ids_0), sep, *second]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """A 0 for every id that `build_inputs_with_special_tokens(token_ids_0, token_ids_1)` returns.

        A Longformer has one token type.

        Raises:
            InputError: something else than ids.
        """
        return [0] * len(self.build_inputs_with_special_tokens(token_ids_0, token_ids_1))

    def get_special_tokens_mask(
        self,
        token_ids_0: Sequence[int],
        token_ids_1: Sequence[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """1 for special tokens, 0 for others.

        token_ids_0, token_ids_1: ids of one text or of two, without special tokens, which are counted as if put around
        them; or, with already_has_special_tokens, those of a row as it is in token_ids_0 alone.

        Raises:
            InputError: two lists with already_has_special_tokens, or something else than ids.
        """
        if not already_has_special_tokens:
            return self._mask(*(as_ids(ids) for ids in (token_ids_0, token_ids_1) if ids is not None))
        if token_ids_1 is not None:
            raise InputError("ids that have special tokens already are one row: give no second list")
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
            raise InputError("padding needs a pad_token, which this tokenizer does not have; set one")
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
        """Pad values that were encoded before: those of one row, of a batch, or a list of rows to make a batch of.

        `input_ids`, `attention_mask`, `token_type_ids`, `special_tokens_mask` and `global_attention_mask` are padded;
        other values stay as they are. Arrays come back as lists unless `return_tensors` is "np". Nothing that is passed
        in is changed. Values that do not go together are an `InputError`.

        encoded_inputs: the values by name, lists or arrays, or a list of such; the rest as for `LongformerTokenizer`.
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
        """Make a row of ids: special tokens around them, cut to length and padded.

        Args:
            ids, pair_ids: ids of one text or of two, without special tokens.
            return_overflowing_tokens: return in `overflowing_tokens` the ids that were cut off, and `stride` ids before
                them, and in `num_truncated_tokens` how many are beyond `max_length`, as in HF. Not for a pair of which
                both are cut.
            stride: tokens, see above.
            prepend_batch_axis: whether arrays are (1, tokens) instead of (tokens,).
            add_special_tokens, padding, truncation, max_length, pad_to_multiple_of, padding_side, return_tensors,
                return_token_type_ids, return_attention_mask, return_special_tokens_mask, return_length: as for a call
                of `LongformerTokenizer`.

        Raises:
            InputError: an argument that makes no sense, with its name and value.
        """
        limits = check_limits(padding, truncation, max_length, pad_to_multiple_of, self.model_max_length)
        side = check_side("padding_side", padding_side or self.padding_side)
        texts = [as_ids(part) for part in (ids, pair_ids) if part is not None]
        special = self.num_special_tokens_to_add(pair=pair_ids is not None) if add_special_tokens else 0
        excess = sum(map(len, texts)) + special - (limits.max_length or 0)
        values: dict[str, Any] = {}
        if return_overflowing_tokens:
            if limits.truncation is None:
                raise InputError("return_overflowing_tokens needs truncation=True and a max_length that cuts ids off")
            if limits.truncation == "longest_first" and pair_ids is not None:
                raise InputError(
                    'return_overflowing_tokens needs one text that is cut; use truncation="only_first" or "only_second"'
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
        """Take ids away from one text or from two, on the truncation side of the tokenizer.

        Args:
            ids, pair_ids: ids of one text or of two.
            num_tokens_to_remove: how many tokens to take away.
            truncation_strategy: "longest_first", "only_first", "only_second" or "do_not_truncate".
            stride: tokens that are kept, and returned with what was cut off too.

        Returns:
            What is left of each, and what was cut off; of that nothing where both texts may be cut, as in HF.

        Raises:
            InputError: something else than ids, or a strategy that there is not or that cannot take so many away.
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
        """The texts with `excess` ids less, and those that were cut off, where one text alone may be cut."""
        stride = check_count("stride", stride, least=0)
        side = check_side("truncation_side", self.truncation_side)
        room = sum(map(len, texts)) - excess
        if room < 0:
            raise InputError(f"{excess} tokens cannot be taken away from {room + excess}; use a larger max_length")
        lengths = list(map(len, texts))
        if strategy == "longest_first" and len(texts) == 2:
            # Not the rule of HF's tokenizers library, which calls follow: what is odd goes to the other text.
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
        """The text of ids.

        Args:
            token_ids: a list or an array of ids, or one id.
            skip_special_tokens: leave special tokens out.
            clean_up_tokenization_spaces: take out spaces before English punctuation; by default as the tokenizer
                has it.

        Raises:
            InputError: an id that no token has (HF leaves it out), or bytes that are no UTF-8 with errors="strict".
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
        """The text of each of several sequences of ids; all else as for `decode`."""
        if not isinstance(sequences, Iterable):
            raise InputError(f"sequences must be several sequences of ids, got {shown(sequences)}; decode takes one")
        return [self.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in sequences]

    def convert_tokens_to_string(self, tokens: Iterable[str]) -> str:
        """The text of tokens as the vocabulary writes them; with errors="strict" no UTF-8 is an `InputError`."""
        return join_tokens(tokens, self.errors)
