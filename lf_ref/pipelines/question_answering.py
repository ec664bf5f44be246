"""Answer questions from documents of any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..errors import InputError
from ..hf_names import Alias, accepts
from ..model.heads import LongformerForQuestionAnswering
from ..reference.ops import Array
from ..tokenizer.arguments import check_count
from .arguments import BestAnswerArguments, QuestionAnsweringArguments
from .base import Pipeline
from .options import Options
from .results import DocumentAnswer
from .rows import Batch, Prepared, Row
from .spans import best_spans
from .texts import check_text, check_texts

if TYPE_CHECKING:
    from typing_extensions import Unpack

_KEYS = ("question", "context")
_OVERLAP = 128
# As in HF: aligned to words, several spans become one answer, so that more of them are needed.
_SPARE = 10


@accepts()
@dataclass(frozen=True)
class QuestionAnsweringOptions(Options):
    """The options of question-answering, besides those of every task.

    Args:
        top_k: how many answers. More than one make a list.
        max_answer_len: of an answer, in tokens.
        max_seq_len: of a window, in tokens; by default max_length, or as long as tokenizer and model take. HF's default
            is 384.
        doc_stride: by how many tokens neighbouring windows overlap; 128 by default, or less where windows are short.
        max_question_len: cut the question to so many tokens; by default it stays whole.
        handle_impossible_answer: let "no answer", an empty text at 0, compete with the answers.
        align_to_words: widen an answer to the whole words that it begins and ends in.
        truncation: read only the first window of a document, or the last where the tokenizer's truncation_side is
            "left".
    """

    top_k: int = 1
    max_answer_len: int = 15
    max_seq_len: int | None = None
    doc_stride: int | None = None
    max_question_len: int | None = None
    handle_impossible_answer: bool = False
    align_to_words: bool = True

    hf_names = {**Options.hf_names, "topk": Alias("top_k")}  # noqa: RUF012
    stride_option = "doc_stride"
    strategies = ("only_second",)

    @property
    def size_option(self) -> str:
        """The name of the option for the length of a window."""
        return "max_seq_len" if self.max_seq_len else "max_length"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("top_k", "max_answer_len"):
            check_count(name, getattr(self, name))
        for name, least in (("max_seq_len", 1), ("doc_stride", 0), ("max_question_len", 1)):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name), least)


@dataclass(frozen=True)
class Document:
    """A question, and the document to look for the answer in.

    question, ids: token ids, int64. starts, ends: for each token of the document, the characters at which an answer
    begins or ends that does so with this token. parts: the windows, slices of the document's tokens.
    """

    text: str
    question: Array
    ids: Array
    starts: list[int]
    ends: list[int]
    parts: list[slice]

    @property
    def before(self) -> int:
        """The number of tokens in a row before the document: <s> question </s></s>."""
        return len(self.question) + 3


@accepts(call={"X": Alias("inputs"), "data": Alias("inputs")})
class QuestionAnsweringPipeline(Pipeline[QuestionAnsweringOptions]):
    """Find the answer to a question in a document, in overlapping windows where it is longer than the model.

    HF's windows have 384 tokens by default; here they have the full length of the model.
    Answers are aligned to whole words, also at the edge of a window.

    An answer is a dict with `score`, `start` and `end` (characters of the document as it was given) and `answer`. As in
    HF, answers with the same letters count as one, the scores added. `<s>` and the question have global attention.
    """

    task = "question-answering"
    model_class = LongformerForQuestionAnswering
    options_class = QuestionAnsweringOptions

    @overload
    def __call__(
        self,
        inputs: Any = None,
        second: str | None = None,
        *,
        top_k: int,
        question: str | Sequence[str] | None = None,
        context: str | Sequence[str] | None = None,
        **options: Unpack[BestAnswerArguments],
    ) -> Any: ...

    @overload
    def __call__(
        self,
        inputs: str | Mapping[str, str] | None = None,
        second: str | None = None,
        *,
        question: str | None = None,
        context: str | None = None,
        **options: Unpack[BestAnswerArguments],
    ) -> DocumentAnswer | Any: ...

    @overload
    def __call__(
        self, inputs: Iterator[Mapping[str, str]], **options: Unpack[BestAnswerArguments]
    ) -> Iterator[Any]: ...

    @overload
    def __call__(
        self,
        inputs: Iterable[Mapping[str, str]] | None = None,
        *,
        question: Sequence[str] | None = None,
        context: str | Sequence[str] | None = None,
        **options: Unpack[BestAnswerArguments],
    ) -> list[DocumentAnswer] | Any: ...

    def __call__(
        self,
        inputs: str | Mapping[str, str] | Iterable[Mapping[str, str]] | None = None,
        second: str | None = None,
        *,
        question: str | Sequence[str] | None = None,
        context: str | Sequence[str] | None = None,
        **options: Unpack[QuestionAnsweringArguments],
    ) -> Any:
        """Answer one question or several.

        Give question= and context=, both texts or lists (one context may go with a list of questions); or as inputs one
        dict with these two keys, or a list of such; or the two texts one after the other, inputs and second. options:
        as for `QuestionAnsweringOptions`.

        Returns:
            For one question its answer, or a list of answers where there are several; for more the list of these.
        """
        if isinstance(inputs, str) and isinstance(second, str) and question is None and context is None:
            question, context, inputs = inputs, second, None
        elif second is not None:
            raise InputError("give a question and a document as two texts, or question= and context=")
        if (inputs is None) == (question is None and context is None):
            raise InputError("give either question= and context=, or a dict with these keys, or a list of such dicts")
        if inputs is None:
            inputs = _pairs(question, context)
        results = self._answer(inputs, self._choose(options))
        alone = isinstance(results, list) and not self._is_one(inputs) and len(results) == 1
        return results[0] if alone else results

    def _name(self, index: int) -> str:
        return f"item {index}"

    def _item(self, name: str, given: Any, options: QuestionAnsweringOptions) -> Document:
        if not isinstance(given, Mapping):
            raise InputError(f"{name} must be a dict with question and context, got {type(given).__name__}")
        if set(given) != set(_KEYS):
            keys = ", ".join(map(str, given)) or "none"
            raise InputError(f"{name} must have the keys question and context, got {keys}")
        question, text = (check_text(f"the {key} of {name}", given[key]) for key in _KEYS)
        for key in _KEYS:
            if not given[key]:
                raise InputError(f"the {key} of {name} is empty")
        question_ids = self.tokenizer(question, add_special_tokens=False)["input_ids"]
        if options.max_question_len is not None:
            [kept] = self.lengths(options).cut([len(question_ids)], options.max_question_len, "longest_first")
            question_ids = question_ids[kept]
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        starts, ends = _edges(encoded, options.align_to_words)
        parts = self._parts(name, len(question_ids), len(encoded["input_ids"]), options)
        return Document(
            text, np.asarray(question_ids, np.int64), np.asarray(encoded["input_ids"], np.int64), starts, ends, parts
        )

    def _parts(self, name: str, question: int, tokens: int, options: QuestionAnsweringOptions) -> list[slice]:
        """The windows: so long that a row holds question, window and four special tokens."""
        lengths = self.lengths(options)
        size = lengths.size
        room = size - question - 4
        if room < 1:
            raise InputError(
                f"the question of {name} has {question} tokens, which leaves a window of {size} no room for the "
                "document: shorten it, or let max_question_len= cut it"
            )
        overlap: int | None = options.doc_stride
        if options.truncation:
            overlap = None
        elif tokens <= room:
            overlap = 0
        elif overlap is None:
            overlap = min(_OVERLAP, size // 2)
            overlap = overlap if overlap < room else room // 2
        windows = lengths.windows(f"the document of {name}", [question, tokens], overlap, cut=1)
        return [part for _, part in windows]

    def _rows(self, name: str, item: Document, options: QuestionAnsweringOptions) -> list[Row]:
        question_ids = (0, 1 + len(item.question))
        question = item.question.tolist()
        return [Row(self._row(question, item.ids[part].tolist()), question_ids) for part in item.parts]

    def _run(self, batch: Batch, options: QuestionAnsweringOptions) -> Iterable[tuple[Array, Array]]:
        output = self._call(**batch.inputs)
        for start, end, length in zip(
            output.start_logits, output.end_logits, batch.attention_mask.sum(axis=1).tolist(), strict=True
        ):
            yield start[:length].copy(), end[:length].copy()

    def _finish(self, prepared: Prepared, options: QuestionAnsweringOptions) -> DocumentAnswer | list[DocumentAnswer]:
        item: Document = prepared.item
        most = 2 * options.top_k + _SPARE if options.align_to_words else options.top_k
        answers: dict[str, DocumentAnswer] = {}
        null_score = 1.0
        for part, (start_logits, end_logits) in zip(item.parts, prepared.findings, strict=True):
            document = slice(item.before, item.before + part.stop - part.start)
            spans = best_spans(start_logits, end_logits, document, most, options.max_answer_len)
            null_score = min(null_score, spans.null_score)
            for first, last, score in zip(
                spans.starts.tolist(), spans.ends.tolist(), spans.scores.tolist(), strict=True
            ):
                start, end = item.starts[part.start + first], item.ends[part.start + last]
                answer: DocumentAnswer = {"score": 0.0, "start": start, "end": end, "answer": item.text[start:end]}
                answers.setdefault(answer["answer"].lower(), answer)["score"] += score
        found = list(answers.values())
        if options.handle_impossible_answer:
            found.append({"score": null_score, "start": 0, "end": 0, "answer": ""})
        found = sorted(found, key=lambda answer: -answer["score"])[: options.top_k]
        return found[0] if len(found) == 1 else found


def _pairs(question: Any, context: Any) -> Any:
    """The questions with their documents, as dicts; one dict where both are single texts."""
    if question is None or context is None:
        raise InputError(f"{'question' if question is None else 'context'} is missing: give question= and context=")
    if isinstance(question, str) and isinstance(context, str):
        return {"question": question, "context": context}
    if isinstance(question, str):
        check_texts("context", context)
        raise InputError("one question with a list of contexts: repeat it, question=[question] * len(context)")
    questions = check_texts("question", question)
    contexts = [context] * len(questions) if isinstance(context, str) else check_texts("context", context)
    if len(questions) != len(contexts):
        raise InputError(f"there are {len(questions)} questions and {len(contexts)} contexts; they must be as many")
    return [{"question": one, "context": other} for one, other in zip(questions, contexts, strict=True)]


def _edges(encoded: Any, align_to_words: bool) -> tuple[list[int], list[int]]:
    """For each token where an answer starts that begins with it, and where one ends that ends with it."""
    starts, ends = [start for start, _ in encoded["offset_mapping"]], [end for _, end in encoded["offset_mapping"]]
    if align_to_words:
        word_ids = encoded.word_ids()
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for word, start, end in zip(word_ids, starts, ends, strict=True):
            first.setdefault(word, start)
            last[word] = end
        starts, ends = [first[word] for word in word_ids], [last[word] for word in word_ids]
    return starts, ends
