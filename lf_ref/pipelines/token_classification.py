"""The labels of the tokens of a text, or its named entities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..config_rules import Label
from ..errors import InputError
from ..hf_names import Fixed, accepts
from ..model.heads import LongformerForTokenClassification
from ..reference.ops import Array
from .arguments import TokenClassificationArguments
from .base import Pipeline
from .entities import STRATEGIES, Piece, continues_word, groups, labelled, merge_windows, words
from .options import StrideOptions, check_choice
from .rows import Batch, Prepared, Row
from .scores import softmax
from .texts import check_text, entries, ordered, what_to_write

if TYPE_CHECKING:
    from typing_extensions import Unpack

Entity = dict[str, Any]


@accepts()
@dataclass(frozen=True)
class TokenClassificationOptions(StrideOptions):
    """The options of token-classification, besides those of every task with windows.

    Args:
        aggregation_strategy: "none" for every token; "simple" for neighbours of one label put together; "first", "max"
            and "average" for the same with whole words, labelled by their first token, their surest, or the mean of the
            scores.
        ignore_labels: labels to leave out of the result.
        stride: take a text that is too long in windows that overlap by so many tokens; of names that overlap the
            longest counts. Needs a strategy other than "none".
        is_split_into_words: each input is a list of words.
        delimiter: what stands between words that came as a list, in the text that start and end count in.
        grouped_entities, ignore_subwords: HF's older options, in place of aggregation_strategy: the first alone is
            "simple", both are "first", and neither is "none".
    """

    aggregation_strategy: str = "none"
    ignore_labels: Sequence[Label] = ("O",)
    is_split_into_words: bool = False
    delimiter: str = " "
    grouped_entities: bool | None = None
    ignore_subwords: bool | None = None

    hf_names = {**StrideOptions.hf_names, "offset_mapping": Fixed((None,), "the tokenizer gives the offsets")}  # noqa: RUF012
    strategies = ("longest_first", "only_first")
    is_cut_by_hf = True

    def __post_init__(self) -> None:
        super().__post_init__()
        strategy = self.aggregation_strategy
        if any(given is not None for given in self._older.values()):
            strategy = "none" if not self.grouped_entities else "first" if self.ignore_subwords else "simple"
        self._set("aggregation_strategy", check_choice("aggregation_strategy", strategy, STRATEGIES))
        check_text("delimiter", self.delimiter)
        for label in entries("ignore_labels", self.ignore_labels, in_any_order=True):
            if not isinstance(label, Label):
                raise InputError(
                    f"each of ignore_labels must be a text, or a number as in id2label, got {what_to_write(label)}"
                )
        if self.stride is not None and self.aggregation_strategy == "none":
            raise InputError("stride needs an aggregation_strategy other than 'none', such as 'simple'")

    @property
    def _older(self) -> dict[str, object]:
        return {"grouped_entities": self.grouped_entities, "ignore_subwords": self.ignore_subwords}


@dataclass(frozen=True)
class Tokens:
    """A text and its tokens, special ones left out.

    ids: int64 [n]. offsets: n pairs of character positions in `text`. parts: the windows, slices of the n tokens.
    """

    text: str
    ids: Array
    offsets: list[tuple[int, int]]
    parts: list[slice]


@accepts()
class TokenClassificationPipeline(Pipeline[TokenClassificationOptions]):
    """Label the tokens of a text, or find its named entities.

    The result of a text is a list of dicts. Without aggregation: `entity` (the label), `score`, `index` (of the token),
    `word` (as in the vocabulary), `start` and `end` (characters of the text). With aggregation: `entity_group` in place
    of `entity`, `word` decoded, and no `index`. Words end at white space of any kind, which the offsets show.
    (HF knows only the space, and takes the pieces of a letter such as "Å" for several words.) No token has global
    attention.
    """

    task = "token-classification"
    other_names = ("ner",)
    model_class = LongformerForTokenClassification
    options_class = TokenClassificationOptions

    @overload
    def __call__(self, inputs: str, **options: Unpack[TokenClassificationArguments]) -> list[Entity]: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, inputs: Iterator[str] | Iterator[Sequence[str]], **options: Unpack[TokenClassificationArguments]
    ) -> Iterator[list[Entity]]: ...

    @overload
    def __call__(
        self, inputs: Iterable[str] | Iterable[Sequence[str]], **options: Unpack[TokenClassificationArguments]
    ) -> list[list[Entity]]: ...

    def __call__(
        self, inputs: str | Iterable[str] | Iterable[Sequence[str]], **options: Unpack[TokenClassificationArguments]
    ) -> Any:
        """Label one text, or each text of a list.

        inputs: the text or texts; options: as for `TokenClassificationOptions`.
        Returns the result that the class describes.
        """
        chosen = self._choose(options)
        words = ordered(inputs) if chosen.is_split_into_words else None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            inputs = [words]  # as in HF: a single text of words is a list of one
        return self._answer(inputs, chosen)

    def _item(self, name: str, given: Any, options: TokenClassificationOptions) -> Tokens:
        if options.is_split_into_words:
            words = ordered(given)
            if not isinstance(words, Sequence):
                raise InputError(f"{name} must be a list of words (is_split_into_words), got {what_to_write(given)}")
            text, ids, offsets = self._encode_words([check_text(f"a word of {name}", word) for word in words], options)
        else:
            text = check_text(name, given)
            encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            ids, offsets = encoded["input_ids"], [(start, end) for start, end in encoded["offset_mapping"]]
        parts = [part for (part,) in self.lengths(options).windows(name, [len(ids)], options.stride)]
        return Tokens(text, np.asarray(ids, np.int64), offsets, parts)

    def _encode_words(
        self, given: list[str], options: TokenClassificationOptions
    ) -> tuple[str, list[int], list[tuple[int, int]]]:
        """The words as one text, and their tokens with offsets in it."""
        encoded = self.tokenizer(given, is_split_into_words=True, add_special_tokens=False, return_offsets_mapping=True)
        starts = np.cumsum([0, *(len(word) + len(options.delimiter) for word in given)]).tolist()
        shifts = [starts[word] for word in encoded.word_ids()]
        offsets = [
            (start + shift, end + shift) for (start, end), shift in zip(encoded["offset_mapping"], shifts, strict=True)
        ]
        return options.delimiter.join(given), encoded["input_ids"], offsets

    def _rows(self, name: str, item: Tokens, options: TokenClassificationOptions) -> list[Row]:
        return [Row(self._row(item.ids[part].tolist())) for part in item.parts]

    def _run(self, batch: Batch, options: TokenClassificationOptions) -> Iterable[Array]:
        """For each row the logits of its text's tokens, [n, labels]."""
        logits = self._call(**batch.inputs).logits
        for scores, length in zip(logits, batch.attention_mask.sum(axis=1).tolist(), strict=True):
            yield scores[1 : length - 1].copy()

    def _finish(self, prepared: Prepared, options: TokenClassificationOptions) -> list[Entity]:
        item: Tokens = prepared.item
        entities: list[Entity] = []
        for part, logits in zip(item.parts, prepared.findings, strict=True):
            pieces: Iterable[Piece] = self._pieces(item, part, softmax(logits))
            if options.aggregation_strategy not in ("none", "simple"):
                pieces = words(pieces, options.aggregation_strategy, self.model.config.id2label)
            if options.aggregation_strategy != "none":
                pieces = groups(pieces)
            entities += [self._entity(piece, options) for piece in pieces if piece.label not in options.ignore_labels]
        return entities if len(item.parts) == 1 else merge_windows(entities)

    def _pieces(self, item: Tokens, part: slice, scores: Array) -> Iterable[Piece]:
        """The tokens of one window, each with its best label."""
        before = None
        tokens = self.tokenizer.convert_ids_to_tokens(item.ids[part].tolist())
        for index, token in enumerate(tokens):
            start, end = item.offsets[part.start + index]
            continues = continues_word(item.text, start, before)
            # Position 0 of the row is <s>.
            piece = Piece((token,), scores[index], "", 0.0, start, end, index + 1, continues)
            yield labelled(piece, scores[index], self.model.config.id2label)
            before = start, end

    def _entity(self, piece: Piece, options: TokenClassificationOptions) -> Entity:
        place = {"start": piece.start, "end": piece.end}
        if options.aggregation_strategy == "none":
            return {
                "entity": piece.label, "score": piece.score, "index": piece.index, "word": piece.tokens[0], **place
            }  # fmt: skip
        word = self.tokenizer.convert_tokens_to_string(list(piece.tokens))
        return {"entity_group": piece.label, "score": piece.score, "word": word, **place}
