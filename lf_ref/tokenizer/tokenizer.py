"""The Longformer tokenizer: byte-level BPE with HF's calling conventions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, InputError
from ..files import locate
from ..hf_names import accepts, unknown_name
from .added import AddedToken
from .batch_encoding import BatchEncoding
from .calls import Call
from .decoding import Decoder, check_errors
from .encoding import Extra
from .hf_methods import ARGUMENTS, CALL, LOADING, SAVING, HFMethods
from .inputs import as_sequence, shown
from .limits import UNLIMITED, check_count, check_length, check_limits, check_side
from .loading import Stored, read_checkpoint, read_vocabulary
from .roles import ROLES
from .rows import Around, RowMaker
from .saving import save_tokenizer, save_vocabulary, settings_of
from .sequence import TextEncoder

Token = str | AddedToken | None

_FILES = ("vocab_file", "merges_file", "tokenizer_file")


@accepts(init=ARGUMENTS, from_pretrained={**LOADING, **ARGUMENTS}, call=CALL, save_pretrained=SAVING)
class LongformerTokenizer(HFMethods):
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
        bos_token, eos_token: begin and end a text, in HF's terms; not used. None: cls_token and sep_token.
        sep_token: ends and separates texts. None: eos_token.
        cls_token: begins a row. None: bos_token. (A tokenizer.json says by itself what begins and ends rows.)
        unk_token: stands for tokens that `convert_tokens_to_ids` does not know, and for each byte that a vocabulary
            without all 256 lacks, as in HF's slow tokenizer.
        pad_token: fills rows up.
        mask_token: the token to predict. As a string it takes the white space on its left along.
        add_prefix_space: encode a text as if a space stood before it, so that its first word is one like others.
            None: as a tokenizer.json says that has its parts in a Sequence, else no.
        trim_offsets: leave white space out of the offsets of tokens. None: as such a tokenizer.json says, else yes.
        additional_special_tokens: further special tokens.
        extra_special_tokens: further special tokens by a name, which becomes an attribute, and so does the name with
            "_id" for its id.
        added_tokens_decoder: added tokens by id, as `tokenizer_config.json` has them.
        model_max_length: tokens of the longest row that the model takes, for `truncation=True` and
            `padding="max_length"`. None for no limit.
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
        add_prefix_space: bool | None = None,
        trim_offsets: bool | None = None,
        *,
        additional_special_tokens: Sequence[str | AddedToken] | None = (),
        extra_special_tokens: Mapping[str, str | AddedToken] | None = None,
        added_tokens_decoder: Mapping[int, AddedToken] | None = None,
        model_max_length: int | float | None = UNLIMITED,
        padding_side: str | None = None,
        truncation_side: str | None = None,
        clean_up_tokenization_spaces: bool = False,
        split_special_tokens: bool = False,
        model_input_names: Sequence[str] = ("input_ids", "attention_mask"),
    ) -> None:
        stored = read_vocabulary(vocab_file, merges_file, tokenizer_file)
        super().__init__(stored.encoder(add_prefix_space, trim_offsets, split_special_tokens))
        self.errors = check_errors(errors)
        self.model_max_length = check_length("model_max_length", model_max_length)
        self.padding_side = check_side("padding_side", padding_side or stored.sides.get("padding_side", "right"))
        self.truncation_side = check_side(
            "truncation_side", truncation_side or stored.sides.get("truncation_side", "right")
        )
        self.clean_up_tokenization_spaces = clean_up_tokenization_spaces
        names = as_sequence("model_input_names", model_input_names)
        if names is None:
            raise InputError(f"model_input_names must be a list of names, got {shown(model_input_names)}")
        self.model_input_names = names
        self._others: dict[str, Any] = {}
        self._add_stored(stored.added, stored.where)
        self._add_stored(sorted((added_tokens_decoder or {}).items()), "added_tokens_decoder")
        begin, end = cls_token or bos_token, sep_token or eos_token
        tokens = (bos_token or begin, eos_token or end, unk_token, end, pad_token, begin, mask_token)
        self._fill_roles(dict(zip(ROLES, tokens, strict=True)), additional_special_tokens, extra_special_tokens or {})
        self._around = self._find_around(stored.parts.around)
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
        subfolder: str | None = None,
        force_download: bool = False,
        **options: Any,
    ) -> LongformerTokenizer:
        """Load the tokenizer of a checkpoint.

        A tokenizer.json is used where there is one, else vocab.json and merges.txt. tokenizer_config.json,
        special_tokens_map.json and added_tokens.json add their settings, and `options` override these.

        Args:
            name: a folder, the id of a Hub repository, or "demo" or None for the bundled checkpoint.
            revision, cache_dir, token, local_files_only, subfolder, force_download: as in
                `LongformerPreTrainedModel.from_pretrained`.
            options: arguments of `LongformerTokenizer` but the files.

        Raises:
            CheckpointError: files that are missing or cannot be used, with the file and the place.
            InputError: an option that makes no sense.
        """
        known = signature(cls).parameters.keys() - _FILES
        for option in options:
            if option not in known:
                raise unknown_name(f"{cls.__name__}.from_pretrained()", option, [*known, *_FROM_PRETRAINED])
        source = locate(
            name,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
            subfolder=subfolder,
            force_download=force_download,
        )
        arguments, others = read_checkpoint(source, options)
        tokenizer = cls(**arguments)
        tokenizer._others = others
        tokenizer.name_or_path = source.name
        return tokenizer

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        legacy_format: bool | None = None,
        filename_prefix: str | None = None,
    ) -> tuple[str, ...]:
        """Write the tokenizer's files and settings, for HF to read too.

        Those of these files that are there, and are not written, are taken away.

        Args:
            save_directory: the folder.
            legacy_format: None for tokenizer.json and, for HF's slow tokenizer, vocab.json and merges.txt; False for
                tokenizer.json alone, True for the other two.
            filename_prefix: goes before the name of each file, with a "-". (Neither HF nor this package loads such
                files by themselves.)

        Returns:
            The paths of the files.

        Raises:
            CheckpointError: the folder cannot be made or written.
        """
        return save_tokenizer(self, Path(save_directory), legacy_format, filename_prefix)

    def save_vocabulary(
        self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Write vocab.json and merges.txt alone; arguments and errors as `LongformerTokenizer.save_pretrained`."""
        return save_vocabulary(self, Path(save_directory), filename_prefix)

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """The settings, as `save_pretrained` writes them into tokenizer_config.json."""
        return settings_of(self)

    def __repr__(self) -> str:
        name = f"{type(self).__name__} {self.name_or_path}".rstrip()
        limit = "of any length" if self.model_max_length >= UNLIMITED else f"of at most {self.model_max_length}"
        return f"<{name}: {len(self)} tokens, inputs {limit}>"

    def _add_stored(self, added: Iterable[tuple[int, AddedToken]], where: str) -> None:
        """Make the added tokens of a file; each must get the id that the file has for it."""
        added = list(added)
        self._register(token for _, token in added)
        for token_id, token in added:
            if self.id_of(token.content) != token_id:
                raise CheckpointError(
                    f"{where}: the added token {shown(token.content)} has the id {shown(token_id)} there, but "
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

    def __call__(
        self,
        text: str | Iterable[Any] | None = None,
        text_pair: str | Iterable[Any] | None = None,
        text_target: str | Iterable[Any] | None = None,
        text_pair_target: str | Iterable[Any] | None = None,
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
                list without `text_pair`, two texts in a tuple are a pair. Tuples, arrays, columns and iterators are
                lists too; mappings, sets and frames are refused.
            text_pair: the second text, or one for each of the batch. Alone, an empty one counts as none, as in HF.
            text_target, text_pair_target: the same for labels, whose ids are returned under the name `labels` beside
                the values of `text`; where there is no `text`, the values are theirs.
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
        if text is None and text_target is None:
            raise InputError("text must be a string or several, got None; give text or text_target")
        wanted = {
            "input_ids": True,
            "token_type_ids": self._wants("token_type_ids", return_token_type_ids),
            "attention_mask": self._wants("attention_mask", return_attention_mask),
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
            "length": return_length,
        }
        maker = RowMaker(
            self._around if add_special_tokens else None,
            check_limits(padding, truncation, max_length, pad_to_multiple_of, self.model_max_length),
            check_count("stride", stride, least=0),
            check_side("truncation_side", self.truncation_side),
            return_overflowing_tokens,
        )
        call = Call(
            self._text_encoder(split_special_tokens, is_split_into_words),
            maker,
            self._padding(),
            check_side("padding_side", padding_side or self.padding_side),
            [name for name, is_wanted in wanted.items() if is_wanted],
            is_split_into_words,
            return_tensors,
        )
        if text is None:
            return call.encode(text_target, text_pair_target)
        encoded = call.encode(text, text_pair)
        if text_target is not None:
            encoded["labels"] = call.encode(text_target, text_pair_target)["input_ids"]
        return encoded

    def _text_encoder(self, split_special_tokens: bool | None, is_split_into_words: bool) -> TextEncoder:
        if is_split_into_words and not self._encoder.add_prefix_space:
            raise InputError(
                "is_split_into_words=True needs a tokenizer with add_prefix_space=True, since words in a text have a "
                "space before them; load it with that option"
            )
        if split_special_tokens is None:
            split_special_tokens = self.split_special_tokens
        if split_special_tokens == self.split_special_tokens and not self._encoder.pairs.lacks_bytes:
            return self._encoder
        return replace(self._encoder, split_special_tokens=split_special_tokens, unknown=self.unk_token_id)

    def encode(
        self,
        text: str | Iterable[str],
        text_pair: str | Iterable[str] | None = None,
        add_special_tokens: bool = True,
        **options: Any,
    ) -> Any:
        """The ids of one text or pair; arguments and errors as for a call of `LongformerTokenizer`.

        add_special_tokens, options: as for such a call.

        Returns a list; with return_tensors="np" int64 (1, tokens); with return_overflowing_tokens a list of rows.
        Several texts are an `InputError`.
        """
        return self.encode_plus(text, text_pair, add_special_tokens, **options)["input_ids"]

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """The tokens of one text or pair, as the vocabulary writes them.

        add_special_tokens, options: as for a call of `LongformerTokenizer`; several texts are an `InputError`.
        """
        return self.encode_plus(text, pair, add_special_tokens, **options).tokens()

    def encode_plus(
        self,
        text: str | Iterable[str],
        text_pair: str | Iterable[str] | None = None,
        add_special_tokens: bool = True,
        **options: Any,
    ) -> BatchEncoding:
        """The values of one text or pair; arguments and errors as for a call of `LongformerTokenizer`.

        add_special_tokens, options: as for such a call. Several texts are an `InputError`.
        """
        one = as_sequence("text", text)
        if one is not None and (not options.get("is_split_into_words") or (one and not isinstance(one[0], str))):
            raise InputError(
                f"text must be one text, got {type(text).__name__}; a call of the tokenizer takes batches, and "
                "prepare_for_model ids"
            )
        return self(text if one is None else one, text_pair, add_special_tokens=add_special_tokens, **options)

    def batch_encode_plus(
        self, batch_text_or_text_pairs: Iterable[Any], add_special_tokens: bool = True, **options: Any
    ) -> BatchEncoding:
        """The values of a batch of texts or pairs; as for a call of `LongformerTokenizer`.

        batch_text_or_text_pairs: the texts, two in a tuple for a pair; add_special_tokens, options: as for such a call.
        One text is an `InputError`.
        """
        batch = as_sequence("batch_text_or_text_pairs", batch_text_or_text_pairs)
        if batch is None:
            raise InputError(f"batch_text_or_text_pairs must be a list of texts, got {shown(batch_text_or_text_pairs)}")
        return self(batch, add_special_tokens=add_special_tokens, **options)


_FROM_PRETRAINED = signature(LongformerTokenizer.from_pretrained).parameters.keys() - {"options"}
LongformerTokenizerFast = LongformerTokenizer
