"""The Longformer tokenizer: byte-level BPE with HF's calling conventions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

from ..errors import CheckpointError, InputError
from ..files import locate
from ..hf_names import accepts, unknown_name
from .added_token import ROLES, AddedToken, check_decoder
from .arguments import as_sequence, check_count, shown
from .encoding.added_tokens import AddedTokens
from .encoding.batch_encoding import BatchEncoding
from .encoding.call import Call
from .encoding.decoder import Decoder, check_errors
from .encoding.encoding import Extra
from .encoding.limits import UNLIMITED, check_length, check_limits, check_side
from .encoding.rows import RowMaker, Template
from .encoding.sequence import TextEncoder
from .files.checkpoint import StoredVocabulary, read_checkpoint, read_vocabulary
from .hf_methods import ARGUMENTS, CALL, LOADING, HFMethods

Token = str | AddedToken | None

_FILES = ("vocab_file", "merges_file", "tokenizer_file")


@accepts(init=ARGUMENTS, from_pretrained={**LOADING, **ARGUMENTS}, call=CALL)
class LongformerTokenizer(HFMethods):
    """Encode texts into the inputs of a Longformer, and decode ids into text; names and results are HF's.

    One text becomes `<s> text </s>`, a pair `<s> first </s></s> second </s>`. Ids, offsets and words are those of
    `LongformerTokenizerFast` of transformers 4.

    **Texts can spell special tokens.** As in HF, `<mask>`, `</s>` and the like in a text become these tokens, which
    the fill-mask task needs. So the author of a text can end it, pad it, or add masks, and a head that counts `</s>`
    (question answering, multiple choice) refuses or misreads it. For untrusted texts use `split_special_tokens=True`,
    here or in a call: special tokens in texts are then plain text, and a row has only those that the tokenizer adds.

    Differences from HF: a lone surrogate is an `InputError` with its position, and decoding an unknown id is one, too;
    a text longer than `model_max_length` gives no warning, since the model raises an error; an empty batch is allowed.

    Args:
        vocab_file: path of a vocab.json, or its content, token to id.
        merges_file: path of a merges.txt, or its content, "left right" or (left, right) for each merge.
        tokenizer_file: path of a tokenizer.json, in place of the two.
        errors: how decoding handles bytes that are not UTF-8, as in `bytes.decode`.
        bos_token, eos_token: HF's tokens for the beginning and end of a text; not used. None: cls_token and sep_token.
        sep_token: ends and separates texts. None: eos_token.
        cls_token: begins a row. None: bos_token. (A tokenizer.json has its own tokens for both ends of a row.)
        unk_token: stands for tokens that `convert_tokens_to_ids` does not know, and for each byte that the vocabulary
            lacks, as in HF's slow tokenizer.
        pad_token: pads rows.
        mask_token: the token to predict. A string becomes a token that includes the white space on its left.
        add_prefix_space: encode a text as if a space were before it, so that its first word is encoded like others.
            None: the setting of a tokenizer.json with its components in a Sequence, else False.
        trim_offsets: exclude white space from the offsets of tokens. None: the setting of such a file, else True.
        additional_special_tokens: further special tokens.
        extra_special_tokens: further special tokens by name. The name becomes an attribute, and with "_id" that for
            the id.
        added_tokens_decoder: added tokens by id, as in tokenizer_config.json.
        model_max_length: number of tokens of the longest row that the model takes, for `truncation=True` and
            `padding="max_length"`. None for no limit.
        padding_side, truncation_side: "right" or "left".
        clean_up_tokenization_spaces: whether decoding removes spaces before English punctuation.
        split_special_tokens: whether special tokens in texts are plain text.
        model_input_names: the values that a call returns by default.

    Raises:
        CheckpointError: a file cannot be used; the message names the file and the key.
        InputError: an argument is invalid.
    """

    def __init__(
        self,
        vocab_file: str | os.PathLike[str] | Mapping[str, int] | None = None,
        merges_file: str | os.PathLike[str] | Sequence[str | tuple[str, str]] | None = None,
        tokenizer_file: str | os.PathLike[str] | StoredVocabulary | None = None,
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
        super().__init__(_text_encoder(stored, add_prefix_space, trim_offsets, split_special_tokens))
        self.errors = check_errors(errors)
        self.model_max_length = check_length("model_max_length", model_max_length)
        self.padding_side = check_side("padding_side", padding_side or stored.sides.get("padding_side", "right"))
        self.truncation_side = check_side(
            "truncation_side", truncation_side or stored.sides.get("truncation_side", "right")
        )
        self.clean_up_tokenization_spaces = clean_up_tokenization_spaces
        self.model_input_names = model_input_names
        self._others: dict[str, Any] = {}
        self._add_stored(stored.added, stored.where)
        self._add_stored(sorted(check_decoder(added_tokens_decoder).items()), "added_tokens_decoder")
        begin, end = cls_token or bos_token, sep_token or eos_token
        tokens = (bos_token or begin, eos_token or end, unk_token, end, pad_token, begin, mask_token)
        self._fill_roles(dict(zip(ROLES, tokens, strict=True)), additional_special_tokens, extra_special_tokens or {})
        self._template = self._find_template(stored.components.template)
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

        A tokenizer.json is used if there is one, else vocab.json and merges.txt. tokenizer_config.json,
        special_tokens_map.json and added_tokens.json add settings, which `options` override.

        Args:
            name: a folder, the id of a Hub repository, or "demo" or None for the bundled checkpoint.
            revision, cache_dir, token, local_files_only, subfolder, force_download: as in
                `LongformerPreTrainedModel.from_pretrained`.
            options: arguments of `LongformerTokenizer` except the files.

        Raises:
            CheckpointError: a file is missing or cannot be used; the message names the file and the key.
            InputError: an option is invalid.
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

    def __repr__(self) -> str:
        name = f"{type(self).__name__} {self.name_or_path}".rstrip()
        limit = "of any length" if self.model_max_length >= UNLIMITED else f"of at most {self.model_max_length}"
        return f"<{name}: {len(self)} tokens, inputs {limit}>"

    def _add_stored(self, added: Iterable[tuple[int, AddedToken]], where: str) -> None:
        """Add the tokens of a file; each must get its id in the file."""
        added = list(added)
        self._register(token for _, token in added)
        for token_id, token in added:
            if self.id_of(token.content) != token_id:
                raise CheckpointError(
                    f"{where}: the id of the added token {shown(token.content)} must be {self.id_of(token.content)}, "
                    f"by the vocabulary and the order of the added tokens, got {shown(token_id)}"
                )

    def _find_template(self, stored: tuple[str, str] | None) -> Template:
        extras = []
        for name, token in zip(("cls_token", "sep_token"), stored or (self.cls_token, self.sep_token), strict=True):
            token_id = None if token is None else self.id_of(token)
            if token is None or token_id is None:
                raise InputError(
                    f"{name} must be a token of the vocabulary: a row begins with cls_token, and texts end with "
                    "sep_token"
                )
            extras.append(Extra(token_id, token))
        return Template(*extras)

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
            text: a text, or a list of texts; with `is_split_into_words` a list of words, or a list of such lists. In a
                list without `text_pair`, a tuple of two texts is a pair. Tuples, arrays, columns and iterators count as
                lists; mappings, sets and data frames are errors.
            text_pair: the second text, or one for each text of the batch. In a single call an empty one counts as none,
                as in HF.
            text_target, text_pair_target: the same for labels, whose ids are returned as "labels". Without `text`, all
                values are those of the labels.
            add_special_tokens: add `<s>` and `</s>` around the texts.
            padding: True or "longest" to the longest row, "max_length" to `max_length`, or False.
            truncation: True or "longest_first" removes tokens from the longer text first; "only_first" and
                "only_second" from that text; False from none. None is True if `max_length` is given without padding.
            max_length: number of tokens in a row, with the special tokens; by default the model's.
            stride: number of tokens of the truncated text that a row repeats from the row before it.
            is_split_into_words: texts are lists of words; needs `add_prefix_space`, since words have a space before
                them.
            pad_to_multiple_of: round padded lengths up to a multiple of this.
            padding_side: "right" or "left"; by default the tokenizer's.
            return_tensors: "np" for int64 arrays (batch, tokens), None for lists.
            return_token_type_ids: return a 0 for every token.
            return_attention_mask: return 1 for tokens and 0 for padding; by default yes.
            return_overflowing_tokens: return the tokens that truncation removes in further rows, and the index of the
                text of each row in `overflow_to_sample_mapping`.
            return_special_tokens_mask: return 1 for the special tokens and padding around texts, else 0.
            return_offsets_mapping: return (start, end) in characters for every token.
            return_length: return the number of tokens of every row.
            verbose: has no effect; nothing is logged.
            split_special_tokens: whether special tokens in texts are plain text; by default the tokenizer's option.

        Raises:
            InputError: an argument is invalid; the message has its name and value.
        """
        if text is None and text_target is None:
            raise InputError("text must be a string or a list of strings, got None; give text or text_target")
        wanted = {
            "input_ids": True,
            "token_type_ids": self._wants("token_type_ids", return_token_type_ids),
            "attention_mask": self._wants("attention_mask", return_attention_mask),
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
            "length": return_length,
        }
        maker = RowMaker(
            self._template if add_special_tokens else None,
            check_limits(padding, truncation, max_length, pad_to_multiple_of, self.model_max_length),
            check_count("stride", stride, least=0),
            check_side("truncation_side", self.truncation_side),
            return_overflowing_tokens,
        )
        call = Call(
            self._encoder_of_call(split_special_tokens, is_split_into_words),
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

    def _encoder_of_call(self, split_special_tokens: bool | None, is_split_into_words: bool) -> TextEncoder:
        if is_split_into_words and not self._encoder.add_prefix_space:
            raise InputError(
                "is_split_into_words=True needs a tokenizer with add_prefix_space=True, since words in a text have a "
                "space before them; load the tokenizer with that option"
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
        """Return the ids of one text or pair; arguments and errors as for a call of `LongformerTokenizer`.

        add_special_tokens, options: as for such a call.

        Returns a list; with return_tensors="np" int64 (1, tokens); with return_overflowing_tokens a list of rows.
        Several texts are an `InputError`.
        """
        return self.encode_plus(text, text_pair, add_special_tokens, **options)["input_ids"]

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """Return the tokens of one text or pair, as the vocabulary writes them.

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
        """Return the values of one text or pair; arguments and errors as for a call of `LongformerTokenizer`.

        add_special_tokens, options: as for such a call. Several texts are an `InputError`.
        """
        one = as_sequence("text", text)
        if one is not None and (not options.get("is_split_into_words") or (one and not isinstance(one[0], str))):
            raise InputError(
                f"text must be one text, got {type(text).__name__}; for a batch call the tokenizer, and for ids "
                "prepare_for_model"
            )
        return self(text if one is None else one, text_pair, add_special_tokens=add_special_tokens, **options)

    def batch_encode_plus(
        self, batch_text_or_text_pairs: Iterable[Any], add_special_tokens: bool = True, **options: Any
    ) -> BatchEncoding:
        """Return the values of a batch of texts or pairs; as for a call of `LongformerTokenizer`.

        batch_text_or_text_pairs: the texts, two in a tuple for a pair; add_special_tokens, options: as for such a call.
        One text is an `InputError`.
        """
        batch = as_sequence("batch_text_or_text_pairs", batch_text_or_text_pairs)
        if batch is None:
            raise InputError(f"batch_text_or_text_pairs must be a list of texts, got {shown(batch_text_or_text_pairs)}")
        return self(batch, add_special_tokens=add_special_tokens, **options)


def _text_encoder(
    stored: StoredVocabulary, prefix: bool | None, trim: bool | None, split_special_tokens: bool
) -> TextEncoder:
    """Make the encoder of a vocabulary; prefix and trim, unless None, override its file."""
    components = stored.components
    spares = components.spares_space if prefix is None or components.trim_offsets is not None else None
    prefix = components.add_prefix_space if prefix is None else prefix
    trim = components.trim_offsets if trim is None else trim
    return TextEncoder(stored.pairs, AddedTokens(), bool(prefix), trim is not False, split_special_tokens, spares)


_FROM_PRETRAINED = signature(LongformerTokenizer.from_pretrained).parameters.keys() - {"options"}
LongformerTokenizerFast = LongformerTokenizer
