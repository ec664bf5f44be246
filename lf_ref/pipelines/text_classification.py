"""The label of a text, or of a pair of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..errors import InputError
from ..hf_names import accepts
from ..model.heads import LongformerForSequenceClassification
from ..reference.ops import Array
from ..tokenizer.arguments import check_count
from .arguments import BestLabelArguments, TextClassificationArguments
from .base import Pipeline
from .options import StrideOptions, check_choice
from .results import LabelScore
from .rows import Batch, Prepared, Row
from .scores import best, sigmoid, softmax
from .texts import check_text
from .windows import AGGREGATIONS, aggregate, new_tokens

if TYPE_CHECKING:
    from typing_extensions import Unpack

_FUNCTIONS = ("sigmoid", "softmax", "none")
BEST = "best"
FIRST_TOKEN = (0, 1)


@accepts()
@dataclass(frozen=True)
class TextClassificationOptions(StrideOptions):
    """The options of text-classification, besides those of every task with windows.

    Args:
        top_k: how many labels, the best first, in a list; None for all. "best" (the default) is the best one alone; as
            in HF, 1 is a list of one.
        function_to_apply: maps the logits to scores: "sigmoid", "softmax" or "none". By default
            (None) the config decides: none for regression, sigmoid for several labels at a time or a single one, else
            softmax.
        return_all_scores: without top_k all labels, in the order that the model has them; HF's older option.
        aggregation: of the logits of windows (stride): "mean", weighted by the tokens that a window adds, or "max", the
            largest of each label. Of a pair the longer text is read in windows, the other one whole in each.
    """

    top_k: int | str | None = BEST
    function_to_apply: str | None = None
    return_all_scores: bool = False
    aggregation: str = "mean"

    none_counts = (*StrideOptions.none_counts, "top_k")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k not in (None, BEST):
            check_count("top_k", self.top_k)
        self._set("aggregation", check_choice("aggregation", self.aggregation, AGGREGATIONS))
        if self.function_to_apply is not None:
            self._set("function_to_apply", check_choice("function_to_apply", self.function_to_apply, _FUNCTIONS))


@accepts()
class TextClassificationPipeline(Pipeline[TextClassificationOptions]):
    """Score the labels for a text, or for a pair given as {"text": ..., "text_pair": ...}.

    The results nest as in HF. Without top_k an input has one dict with `label` and `score`, in a list where the input
    is a single text; with top_k it has a list of such dicts. (A top_k given when the pipeline is built puts the list of
    a single text into another list.) The first token has global attention.
    """

    task = "text-classification"
    other_names = ("sentiment-analysis",)
    model_class = LongformerForSequenceClassification
    options_class = TextClassificationOptions

    @overload
    def __call__(self, inputs: str, **options: Unpack[TextClassificationArguments]) -> list[LabelScore] | Any: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, inputs: Mapping[str, str], *, top_k: int | None, **options: Unpack[BestLabelArguments]
    ) -> list[LabelScore]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, inputs: Mapping[str, str], **options: Unpack[TextClassificationArguments]
    ) -> LabelScore | Any: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, inputs: Iterator[str | Mapping[str, str]], **options: Unpack[TextClassificationArguments]
    ) -> Iterator[Any]: ...

    @overload
    def __call__(
        self,
        inputs: Iterable[str | Mapping[str, str]],
        *,
        top_k: int | None,
        **options: Unpack[BestLabelArguments],
    ) -> list[list[LabelScore]]: ...

    @overload
    def __call__(
        self, inputs: Iterable[str | Mapping[str, str]], **options: Unpack[TextClassificationArguments]
    ) -> list[LabelScore] | Any: ...

    def __call__(
        self,
        inputs: str | Mapping[str, str] | Iterable[str | Mapping[str, str]],
        **options: Unpack[TextClassificationArguments],
    ) -> Any:
        """Classify one text or pair, or each of a list.

        inputs: the texts and pairs; options: as for `TextClassificationOptions`.
        Returns the result that the class describes.
        """
        results = self._answer(inputs, self._choose(options))
        return [results] if isinstance(inputs, str) and options.get("top_k", BEST) == BEST else results

    def _item(self, name: str, given: Any, options: TextClassificationOptions) -> tuple[str, ...]:
        if not isinstance(given, Mapping):
            if isinstance(given, list | tuple):
                raise InputError(
                    f'{name} is a {type(given).__name__}; a pair is given as {{"text": ..., "text_pair": ...}}'
                )
            return (check_text(name, given),)
        if "text" not in given or not given.keys() <= {"text", "text_pair"}:
            raise InputError(
                f"{name} must have the key text, and may have text_pair, got {', '.join(map(str, given)) or 'none'}"
            )
        keys = ("text",) if given.get("text_pair") is None else ("text", "text_pair")
        text, *pair = (check_text(f"{key} of {name}", given[key]) for key in keys)
        return (text, *filter(None, pair))  # as in HF, an empty second text is none

    def _rows(self, name: str, item: tuple[str, ...], options: TextClassificationOptions) -> list[Row]:
        ids = self._ids(*item)
        longest = max(range(len(ids)), key=lambda index: len(ids[index]))
        return self._windows(name, options, ids, FIRST_TOKEN, cut=longest)

    def _run(self, batch: Batch, options: TextClassificationOptions) -> Iterable[Array]:
        return self._call(**batch.inputs).logits

    def _finish(self, prepared: Prepared, options: TextClassificationOptions) -> Any:
        config = self.model.config
        new = new_tokens([row.part for row in prepared.rows])
        logits = aggregate(np.stack(prepared.findings), new, options.aggregation)
        scores = apply(options.function_to_apply or self._default_function(), logits)
        most = 1 if isinstance(options.top_k, str) else options.top_k
        in_order = options.return_all_scores and options.top_k == BEST
        labels = range(len(scores)) if in_order else best(scores, most)
        answers = [{"label": config.id2label[int(label)], "score": float(scores[label])} for label in labels]
        return answers[0] if options.top_k == BEST and not in_order else answers

    def _default_function(self) -> str:
        config = self.model.config
        if config.problem_type == "regression":
            return "none"
        return "sigmoid" if config.problem_type == "multi_label_classification" or config.num_labels == 1 else "softmax"


def apply(function: str, logits: Array) -> Array:
    """Scores from logits by a function, in float64.  # [labels] -> [labels]"""
    if function == "none":
        return logits.astype(np.float64)
    return softmax(logits) if function == "softmax" else sigmoid(logits)
