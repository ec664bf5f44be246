"""The Longformer tokenizer: byte-level BPE with HF's calling conventions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, SupportsIndex

from ..errors import CheckpointError, InputError
from ..files import locate
from .added import AddedToken, AddedTokens
from .decoding import Decoder, check_errors, clean_up, join_tokens
from .encoding import BatchEncoding, Extra, row_values
from .inputs import Text, read_rows
from .limits import UNLIMITED, check_count, check_limits, check_side
from .loading import Stored, read_checkpoint, read_vocabulary
from .padding import collate, pad_values
from .rows import Around, RowMaker
from .saving import save_tokenizer
from .sequence import TextEncoder, TokenSequence
from .special_rows import SpecialRows
from .vocabulary import ROLES, as_ids

Token = str | AddedToken | None


class LongformerTokenizer(SpecialRows):
    """Turn texts into what a Longformer reads, and ids back into text; names and results are HF's.

    One text becomes `<s> text </s>`, a pair `<s> first </s></s> second </s>`. Ids, offsets and words are those of
    `LongformerTokenizerFast` of transformers 4.

    **Texts can spell special tokens.** As in HF, `<mask>`, `</s>` and the like in a text become these tokens, which
    the fill-mask task needs. Whoever writes a text can so end it, pad it, or bring in further masks, and a head that
    counts `</s>` (question answering, multiple choice) will refuse or misread it. For texts from strangers use
    `split_special_tokens=True`, here or in a call: special tokens in texts are then letters like any other, and the
    only ones in a row are those that the tokenizer puts there.

    Differences from HF: a lone surrogate is an `InputError` with its position; unknown ids cannot be decoded; a text
    longer than `model_max_length` gives no warning, since the model refuses it by name; an empty batch is allowed.

    Args:
        vocab_file: path of a vocab.json, or its content, token to id.
        merges_file: path of a merges.txt, or its content, "left right" or (left, right) for each merge.
        tokenizer_file: path of a tokenizer.json, in place of the two.
        errors: what decoding does with bytes that are no UTF-8, as in `bytes.decode`.
        bos_token, eos_token: begin and end a text, in HF's terms; not used.
        sep_token: ends and separates texts.
        cls_token: begins a row. (A tokenizer.json names both itself.)
        unk_token: stands for tokens that `convert_tokens_to_ids` does not know; texts never need it.
        pad_token: fills rows up.
        mask_token: the token to predict. As a string it takes the white space on its left along.
        add_prefix_space: encode a text as if a space stood before it, so that its first word is one like others.
        trim_offsets: leave white space out of the offsets of tokens.
        additional_special_tokens: further special tokens.
        added_tokens_decoder: added tokens by id, as `tokenizer_config.json` has them.
        model_max_length: tokens of the longest row that the model takes, for `truncation=True` and
            `padding="max_length"`.
        padding_side, truncation_side: "right" or "left".
        clean_up_tokenization_spaces: whether decoding takes out spaces before English punctuation.
        split_special_tokens: whether special tokens in texts are text.
        model_input_names: the values that a call returns when it is not told.

    Raises:
        CheckpointError: files that cannot be used, with the file and the place.
        InputError: an argument that makes no sense.
    """

    def __init__(
        self,
        vocab_file: str | os.PathLike[str] | Mapping[str, int] | None = None,
        merges_file: str | os.PathLike[str] | Sequence[str | tuple[str, str]] | None = None,
        tokenizer_file: str | os.PathLike[str] | Stored | None = None,
        errors: str = "replace",
        bos_token: Token = "<s>",
        eos_token: Token = "</s>",
        sep_token: Token = "</s>",
        cls_token: Token = "<s>",
        unk_token: Token = "<unk>",
        pad_token: Token = "<pad>",
        mask_token: Token = "<mask>",
        add_prefix_space: bool = False,
        trim_offsets: bool = True,
        *,
        additional_special_tokens: Sequence[str | AddedToken] = (),
        added_tokens_decoder: Mapping[int, AddedToken] | None = None,
        model_max_length: int = UNLIMITED,
        padding_side: str | None = None,
        truncation_side: str | None = None,
        clean_up_tokenization_spaces: bool = False,
        split_special_tokens: bool = False,
        model_input_names: Sequence[str] = ("input_ids", "attention_mask"),
    ) -> None:
        stored = read_vocabulary(vocab_file, merges_file, tokenizer_file)
        super().__init__(TextEncoder(stored.pairs, AddedTokens(), add_prefix_space, trim_offsets, split_special_tokens))
        self.errors = check_errors(errors)
        self.model_max_length = check_count("model_max_length", model_max_length)
        self.padding_side = check_side("padding_side", padding_side or stored.sides.get("padding_side", "right"))
        self.truncation_side = check_side(
            "truncation_side", truncation_side or stored.sides.get("truncation_side", "right")
        )
        self.clean_up_tokenization_spaces = clean_up_tokenization_spaces
        self.model_input_names = list(model_input_names)
        self._others: dict[str, Any] = {}
        self._add_stored(stored.added, stored.where)
        self._add_stored(sorted((added_tokens_decoder or {}).items()), "added_tokens_decoder")
        tokens = (bos_token, eos_token, unk_token, sep_token, pad_token, cls_token, mask_token)
        self._fill_roles(dict(zip(ROLES, tokens, strict=True)), additional_special_tokens)
        self._around = self._find_around(stored.around)
        self._decoder = Decoder(self._encoder)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] | None = None,
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        **options: Any,
    ) -> LongformerTokenizer:
        """Load the tokenizer of a checkpoint.

        A tokenizer.json is used where there is one, else vocab.json and merges.txt. tokenizer_config.json,
        special_tokens_map.json and added_tokens.json add their settings, and `options` override these.

        Args:
            name: a folder, the id of a Hub repository, or "demo" or None for the bundled checkpoint.
            revision, cache_dir, token, local_files_only: as in `LongformerPreTrainedModel.from_pretrained`.
            options: arguments of `LongformerTokenizer` but the files.

        Raises:
            CheckpointError: files that are missing or cannot be used, with the file and the place.
            InputError: an option that makes no sense.
        """
        source = locate(name, revision=revision, cache_dir=cache_dir, token=token, local_files_only=local_files_only)
        arguments, others = read_checkpoint(source, options)
        tokenizer = cls(**arguments)
        tokenizer._others = others
        return tokenizer

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write vocab.json, merges.txt, tokenizer.json and the settings into save_directory, for HF to read too.

        Returns the paths of the files. A folder that cannot be made or written is a `CheckpointError`.
        """
        return save_tokenizer(self, Path(save_directory))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, special_tokens={self.special_tokens_map})"

    def _add_stored(self, added: Iterable[tuple[int, AddedToken]], where: str) -> None:
        """Make the added tokens of a file; each must get the id that the file has for it."""
        added = list(added)
        self._register(token for _, token in added)
        for token_id, token in added:
            if self.id_of(token.content) != token_id:
                raise CheckpointError(
                    f"{where}: the added token {token.content!r} has the id {token_id} there, but "
                    f"{self.id_of(token.content)} by the vocabulary and the order of the added tokens"
                )

    def _find_around(self, stored: tuple[str, str] | None) -> Around:
        extras = []
        for name, token in zip(("cls_token", "sep_token"), stored or (self.cls_token, self.sep_token), strict=True):
            token_id = None if token is None else self.id_of(token)
            if token is None or token_id is None:
                raise InputError(f"{name} must be set: a row begins with cls_token, and texts end with sep_token")
            extras.append(Extra(token_id, token))
        return Around(*extras)

    @property
    def add_prefix_space(self) -> bool:
        """Whether a text is encoded as if a space stood before it."""
        return self._encoder.add_prefix_space

    @property
    def trim_offsets(self) -> bool:
        """Whether offsets leave white space out."""
        return self._encoder.trim_offsets

    @property
    def split_special_tokens(self) -> bool:
        """Whether special tokens in texts are text; may be set."""
        return self._encoder.split_special_tokens

    @split_special_tokens.setter
    def split_special_tokens(self, value: bool) -> None:
        self._encoder = replace(self._encoder, split_special_tokens=value)

    def __call__(
        self,
        text: str | Sequence[Any],
        text_pair: str | Sequence[Any] | None = None,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        *,
        split_special_tokens: bool | None = None,
    ) -> BatchEncoding:
        """Encode a text, a pair, a batch of texts or a batch of pairs.

        Args:
            text: a text, or a list of them; as words (see `is_split_into_words`) a list, or a list of lists. In a
                list without `text_pair`, two texts in a tuple are a pair.
            text_pair: the second text, or one for each of the batch. Alone, an empty one counts as none, as in HF.
            add_special_tokens: put `<s>` and `</s>` around the texts.
            padding: True or "longest" to the longest row, "max_length" to `max_length`, or False.
            truncation: True or "longest_first" takes tokens from the longer text first; "only_first" and
                "only_second" from that text; False from none. None is True if `max_length` is given without padding.
            max_length: tokens in a row, with the special ones; by default the model's.
            stride: tokens that a row repeats of the row before it, of the text that was cut.
            is_split_into_words: whether texts come as lists of words; needs `add_prefix_space`, since words have a
                space before them.
            pad_to_multiple_of: round padded lengths up to a multiple of this.
            padding_side: "right" or "left", if not the tokenizer's.
            return_tensors: "np" for int64 arrays (batch, tokens), None for lists.
            return_token_type_ids: return a 0 for every token.
            return_attention_mask: return 1 for tokens and 0 for padding; by default yes.
            return_overflowing_tokens: return what truncation cut off in further rows, and in
                `overflow_to_sample_mapping` the text that each row comes from.
            return_special_tokens_mask: return 1 for the special tokens and padding around texts, else 0.
            return_offsets_mapping: return (start, end) in characters for every token.
            return_length: return the number of tokens of every row.
            verbose: accepted for HF's sake; nothing is ever logged.
            split_special_tokens: whether special tokens in texts are text, if not as the tokenizer has it.

        Raises:
            InputError: an argument that makes no sense, with its name and value.
        """
        encoder = self._text_encoder(split_special_tokens, is_split_into_words)
        maker = RowMaker(
            self._around if add_special_tokens else None,
            check_limits(padding, truncation, max_length, pad_to_multiple_of, self.model_max_length),
            check_count("stride", stride, least=0),
            check_side("truncation_side", self.truncation_side),
            return_overflowing_tokens,
        )
        texts, batched = read_rows(text, text_pair, is_split_into_words=is_split_into_words)
        rows = [maker.row(self._sequences(encoder, row, number)) for number, row in enumerate(texts)]
        origins = list(range(len(rows)))
        if return_overflowing_tokens:
            origins = [origin for origin in origins for _ in range(1 + len(rows[origin].overflowing))]
            rows = [part for row in rows for part in (row, *row.overflowing)]
        side = check_side("padding_side", padding_side or self.padding_side)
        rows = maker.padded(rows, self._padding(), side)
        wanted = {
            "input_ids": True,
            "token_type_ids": self._wants("token_type_ids", return_token_type_ids),
            "attention_mask": self._wants("attention_mask", return_attention_mask),
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
            "length": return_length,
        }
        values = row_values(rows, [name for name, is_wanted in wanted.items() if is_wanted])
        if return_overflowing_tokens:
            values["overflow_to_sample_mapping"] = origins
        elif not batched and return_tensors is None:
            values = {name: value[0] if name != "length" else value for name, value in values.items()}
        return BatchEncoding(values, rows, return_tensors)

    def _text_encoder(self, split_special_tokens: bool | None, is_split_into_words: bool) -> TextEncoder:
        if is_split_into_words and not self._encoder.add_prefix_space:
            raise InputError(
                "is_split_into_words=True needs a tokenizer with add_prefix_space=True, since words in a text have a "
                "space before them; load it with that option"
            )
        if split_special_tokens is None:
            return self._encoder
        return replace(self._encoder, split_special_tokens=split_special_tokens)

    def _sequences(self, encoder: TextEncoder, row: Sequence[Text], number: int) -> list[TokenSequence]:
        try:
            return [encoder.encode(text) if isinstance(text, str) else encoder.encode_words(text) for text in row]
        except InputError as error:
            raise InputError(f"text {number}: {error}") from None

    def _padding(self) -> Extra | None:
        if self.pad_token is None or self.pad_token_id is None:
            return None
        return Extra(self.pad_token_id, self.pad_token, attended=False)

    def _wants(self, name: str, asked: bool | None) -> bool:
        return name in self.model_input_names if asked is None else asked

    def encode(self, text: str | Sequence[str], text_pair: str | Sequence[str] | None = None, **options: Any) -> Any:
        """The ids of one text or pair; text_pair, options and errors as for a call of `LongformerTokenizer`.

        Returns a list; with return_tensors="np" int64 (1, tokens); with return_overflowing_tokens a list of rows.
        Several texts are an `InputError`.
        """
        return self._one(text, text_pair, options)["input_ids"]

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """The tokens of one text or pair, as the vocabulary writes them.

        add_special_tokens, options: as for a call of `LongformerTokenizer`; several texts are an `InputError`.
        """
        return self._one(text, pair, {"add_special_tokens": add_special_tokens, **options}).tokens()

    def _one(self, text: Any, text_pair: Any, options: Mapping[str, Any]) -> BatchEncoding:
        words = options.get("is_split_into_words", False)
        if isinstance(text, (list, tuple)) and (not words or (text and isinstance(text[0], (list, tuple)))):
            raise InputError(f"text must be one text, got {type(text).__name__}; a call takes batches")
        return self(text, text_pair, **options)

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
        ids = as_ids(token_ids if isinstance(token_ids, Iterable) else [token_ids])
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
        return [self.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in sequences]

    def convert_tokens_to_string(self, tokens: Iterable[str]) -> str:
        """The text of tokens as the vocabulary writes them; with errors="strict" no UTF-8 is an `InputError`."""
        return join_tokens(tokens, self.errors)

    def pad(
        self,
        encoded_inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Pad values that were encoded before: those of one row, of a batch, or a list of rows to make a batch of.

        `input_ids`, `attention_mask`, `token_type_ids`, `special_tokens_mask` and `global_attention_mask` are padded;
        other values stay as they are. Arrays come back as lists unless `return_tensors` is "np". Nothing that is passed
        in is changed. Values that do not go together are an `InputError`.

        encoded_inputs: the values by name, lists or arrays, or a list of such; the rest as for `LongformerTokenizer`.
        """
        values = collate(encoded_inputs)
        limits = check_limits(padding, False, max_length, pad_to_multiple_of, self.model_max_length)
        pad = self._padding()
        if pad is None:
            raise InputError("padding needs a pad_token, which this tokenizer does not have; set one")
        side = check_side("padding_side", padding_side or self.padding_side)
        mask = self._wants("attention_mask", return_attention_mask)
        return BatchEncoding(pad_values(values, limits, side, pad.token_id, mask=mask), None, return_tensors)


LongformerTokenizerFast = LongformerTokenizer
