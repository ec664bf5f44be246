"""Zero-shot classification: labels of your own, scored by a model for natural language inference (NLI).

The method is that of HF's pipeline (Yin, Hay, Roth 2019, arXiv 1909.00161).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..errors import InputError
from ..hf_names import Alias, accepts
from ..model.base import LongformerPreTrainedModel
from ..model.heads import LongformerForSequenceClassification
from ..reference.ops import Array
from ..tokenizer import LongformerTokenizer
from .arguments import ZeroShotClassificationArguments
from .base import Pipeline
from .options import StrideOptions, check_choice
from .results import RankedLabels
from .rows import Batch, Prepared, Row
from .scores import best, sigmoid, softmax
from .text_classification import FIRST_TOKEN
from .texts import check_text, check_texts
from .windows import AGGREGATIONS, aggregate, new_tokens

if TYPE_CHECKING:
    from typing_extensions import Unpack


@accepts()
@dataclass(frozen=True)
class ZeroShotClassificationOptions(StrideOptions):
    """The options of zero-shot-classification, besides those of every task with windows.

    Args:
        candidate_labels: a list, or one text with commas between them.
        hypothesis_template: the hypothesis, with {} for the label.
        multi_label: score each label independently, entailment against contradiction; else by a softmax over labels.
        truncation: here cuts the text, never the hypothesis, which also stands whole in each window (stride).
        aggregation: of the windows of a text (stride): "mean" of the logits, weighted by the tokens that a window adds,
            or "max", those of the window that entails the label most.
    """

    candidate_labels: str | Sequence[str] | None = None
    hypothesis_template: str = "This example is {}."
    multi_label: bool = False
    aggregation: str = "mean"

    hf_names = {**StrideOptions.hf_names, "multi_class": Alias("multi_label")}  # noqa: RUF012
    none_counts = (*StrideOptions.none_counts, "candidate_labels")
    strategies = ("only_first",)
    is_cut_by_hf = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("aggregation", check_choice("aggregation", self.aggregation, AGGREGATIONS))
        if not isinstance(self.hypothesis_template, str):
            raise InputError(f"hypothesis_template must be a text, got {type(self.hypothesis_template).__name__}")
        if self.hypothesis("a") == self.hypothesis("b"):
            raise InputError(f"hypothesis_template must have {{}} for the label, got {self.hypothesis_template!r}")
        if self.candidate_labels is not None and not self.labels:
            raise InputError("candidate_labels must name at least one label, got none")

    @property
    def labels(self) -> list[str]:
        """The labels one by one."""
        given = self.candidate_labels
        if isinstance(given, str):
            return [label.strip() for label in given.split(",") if label.strip()]
        return [] if given is None else check_texts("candidate_labels", given)

    def hypothesis(self, label: str) -> str:
        """The hypothesis that `label` is right.

        Raises:
            InputError: the template has another field than {}.
        """
        try:
            return self.hypothesis_template.format(label)
        except (LookupError, ValueError, AttributeError) as error:
            raise InputError(
                f"hypothesis_template must have {{}} for the label and no other field, got {self.hypothesis_template!r}"
            ) from error


@dataclass(frozen=True)
class Premise:
    """A text to classify, and for each label the rows of text and hypothesis: one, or one for each window."""

    text: str
    rows: list[list[Row]]


@accepts()
class ZeroShotClassificationPipeline(Pipeline[ZeroShotClassificationOptions]):
    """Rank labels for a text by the probability that the text entails "This example is LABEL.".

    Each result is a dict with `sequence` (the text), `labels`, the best first, and their `scores`. The entailment score
    is that of the model's label that begins with "entail"; without one, of the last label, with a warning, as in HF.
    The first token has global attention.
    """

    task = "zero-shot-classification"
    model_class = LongformerForSequenceClassification
    options_class = ZeroShotClassificationOptions

    def __init__(self, model: LongformerPreTrainedModel, tokenizer: LongformerTokenizer, **options: Any) -> None:
        super().__init__(model, tokenizer, **options)
        config = model.config
        if config.num_labels < 2:
            raise InputError(
                f"{self.task} needs a model trained on inference, with labels for entailment and contradiction; this "
                f"one has the label {config.id2label[0]!r} alone"
            )
        entailing = [index for index, label in config.id2label.items() if str(label).lower().startswith("entail")]
        if not entailing:
            labels = ", ".join(map(str, config.id2label.values()))
            warnings.warn(
                f"none of the model's labels ({labels}) begins with 'entail', so the last "
                "is taken for entailment; name them in id2label of its config.json to be sure",
                stacklevel=2,
            )
        self.entailment_id = entailing[0] if entailing else config.num_labels - 1
        self.contradiction_id = config.num_labels - 1 if self.entailment_id == 0 else 0

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, sequences: str, *labels: str | Sequence[str], **options: Unpack[ZeroShotClassificationArguments]
    ) -> RankedLabels: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self,
        sequences: Iterator[str],
        *labels: str | Sequence[str],
        **options: Unpack[ZeroShotClassificationArguments],
    ) -> Iterator[RankedLabels]: ...

    @overload
    def __call__(
        self,
        sequences: Iterable[str],
        *labels: str | Sequence[str],
        **options: Unpack[ZeroShotClassificationArguments],
    ) -> list[RankedLabels]: ...

    def __call__(
        self,
        sequences: str | Iterable[str],
        *labels: str | Sequence[str],
        **options: Unpack[ZeroShotClassificationArguments],
    ) -> Any:
        """Classify one text, or each text of a list.

        sequences: the text or texts; labels: candidate_labels, which may also be given by name; options: as for
        `ZeroShotClassificationOptions`. Returns the result that the class describes.
        """
        if labels:
            if len(labels) > 1 or "candidate_labels" in options:
                raise InputError("candidate_labels are given more than once: give them as one list")
            options["candidate_labels"] = labels[0]
        return self._answer(sequences, self._choose(options))

    def _item(self, name: str, given: Any, options: ZeroShotClassificationOptions) -> Premise:
        if not options.labels:
            raise InputError("candidate_labels are missing: name the labels to choose from")
        text = check_text(name, given)
        if not text:
            raise InputError(f"{name} is empty: it must have something in it that a label can fit")
        premise, *hypotheses = self._ids(text, *map(options.hypothesis, options.labels))
        pairs = ([premise, hypothesis] for hypothesis in hypotheses)
        return Premise(text, [self._windows(name, options, pair, FIRST_TOKEN) for pair in pairs])

    def _rows(self, name: str, item: Premise, options: ZeroShotClassificationOptions) -> list[Row]:
        return [row for rows in item.rows for row in rows]

    def _run(self, batch: Batch, options: ZeroShotClassificationOptions) -> Iterable[Array]:
        return self._call(**batch.inputs).logits

    def _finish(self, prepared: Prepared, options: ZeroShotClassificationOptions) -> RankedLabels:
        item: Premise = prepared.item
        alone = options.multi_label or len(item.rows) == 1
        found = iter(prepared.findings)
        entailment = np.empty(len(item.rows))  # of each candidate
        for index, rows in enumerate(item.rows):
            logits = np.stack([next(found) for _ in rows]).astype(np.float64)  # [windows, labels of the model]
            support = logits[:, self.entailment_id] - (logits[:, self.contradiction_id] if alone else 0.0)
            entailment[index] = aggregate(support, new_tokens([row.part for row in rows]), options.aggregation)
        scores = sigmoid(entailment) if alone else softmax(entailment)
        order = best(scores)
        return {
            "sequence": item.text,
            "labels": [options.labels[index] for index in order],
            "scores": scores[order].tolist(),
        }
