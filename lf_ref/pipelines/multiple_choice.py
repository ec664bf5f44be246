"""Rank several choices for a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..errors import InputError
from ..hf_names import accepts
from ..model.heads import LongformerForMultipleChoice
from ..tokenizer.arguments import check_count
from .arguments import MultipleChoiceArguments
from .base import Pipeline
from .options import Options
from .results import RankedChoice
from .rows import Batch, Prepared, Row
from .scores import best, softmax
from .texts import check_text, ordered, what_to_write

if TYPE_CHECKING:
    from typing_extensions import Unpack

_KEYS = ("question", "choices")


@accepts()
@dataclass(frozen=True)
class MultipleChoiceOptions(Options):
    """The options of multiple-choice, besides those of every task.

    Args:
        top_k: how many choices the result has; all by default.
        truncation: here cuts the question, never a choice.
    """

    top_k: int | None = None

    none_counts = (*Options.none_counts, "top_k")
    strategies = ("only_first",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k is not None:
            check_count("top_k", self.top_k)


@accepts()
class MultipleChoicePipeline(Pipeline[MultipleChoiceOptions]):
    """Rank the choices by how well they answer or continue a text.

    HF has no pipeline for this. The result is a list of dicts, the best first, with `choice` (its place among the
    choices, from 0), `text` and `score`; the scores of all choices add up to 1. Each choice has global attention, as is
    the default of HF's model.
    """

    task = "multiple-choice"
    model_class = LongformerForMultipleChoice
    options_class = MultipleChoiceOptions

    @overload
    def __call__(
        self,
        inputs: str | Mapping[str, Any] | None = None,
        choices: Sequence[str] | None = None,
        *,
        question: str | None = None,
        **options: Unpack[MultipleChoiceArguments],
    ) -> list[RankedChoice]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, inputs: Iterator[Mapping[str, Any]], **options: Unpack[MultipleChoiceArguments]
    ) -> Iterator[list[RankedChoice]]: ...

    @overload
    def __call__(
        self, inputs: Iterable[Mapping[str, Any]], **options: Unpack[MultipleChoiceArguments]
    ) -> list[list[RankedChoice]]: ...

    def __call__(
        self,
        inputs: str | Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
        choices: Sequence[str] | None = None,
        *,
        question: str | None = None,
        **options: Unpack[MultipleChoiceArguments],
    ) -> Any:
        """Answer one question, or each of several.

        inputs: a question, a dict of `question` and `choices`, or a list of such dicts; choices: those of a single
        question; question: the same as inputs for one; options: as for `MultipleChoiceOptions`.
        """
        if (inputs is None) == (question is None):
            raise InputError(
                "give either a question and choices=, or a dict with question and choices, or a list of such"
            )
        if question is not None:
            inputs = check_text("question", question)
        if isinstance(inputs, str):
            if choices is None:
                raise InputError("choices are missing: give the list of texts to choose from")
            return self._answer({"question": inputs, "choices": choices}, self._choose(options))
        if choices is not None:
            raise InputError("choices goes with a single question; dicts have theirs in them, under 'choices'")
        return self._answer(inputs, self._choose(options))

    def _name(self, index: int) -> str:
        return f"item {index}"

    def _item(self, name: str, given: Any, options: MultipleChoiceOptions) -> tuple[str, list[str]]:
        if not isinstance(given, Mapping):
            raise InputError(f"{name} must be a dict with question and choices, got {type(given).__name__}")
        if set(given) != set(_KEYS):
            keys = ", ".join(map(str, given)) or "none"
            raise InputError(f"{name} must have the keys question and choices, got {keys}")
        question, choices = check_text(f"the question of {name}", given["question"]), given["choices"]
        texts = ordered(choices)
        if not isinstance(texts, Sequence) or not texts:
            got = "none" if isinstance(texts, Sequence) else what_to_write(choices)
            raise InputError(f"the choices of {name} must be a list of at least one text, got {got}")
        for place, choice in enumerate(texts):
            if not check_text(f"choice {place} of {name}", choice):
                raise InputError(f"choice {place} of {name} is empty")
        return question, list(texts)

    def _rows(self, name: str, item: tuple[str, list[str]], options: MultipleChoiceOptions) -> list[Row]:
        question, choices = item
        rows = []
        for place, choice in enumerate(choices):
            which = f"{name} with choice {place}"
            ids = self.encode(which, options, question, choice)
            # The choice and the last </s>: what follows the first </s></s>.
            after = len(self.tokenizer.encode(choice, add_special_tokens=False)) + 1
            rows.append(Row(ids, global_at=(len(ids) - after, len(ids))))
        return rows

    def _run(self, batch: Batch, options: MultipleChoiceOptions) -> Iterable[float]:
        # Every row as the one choice of a question of its own.
        output = self._call(**{name: value[:, None] for name, value in batch.inputs.items()})
        return output.logits[:, 0].tolist()

    def _finish(self, prepared: Prepared, options: MultipleChoiceOptions) -> list[RankedChoice]:
        _, choices = prepared.item
        scores = softmax(np.array(prepared.findings, np.float64))
        order = best(scores, options.top_k).tolist()
        return [{"choice": place, "text": choices[place], "score": float(scores[place])} for place in order]
