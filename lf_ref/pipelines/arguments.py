"""Types of the arguments of pipelines, for type checkers: the options of each task, and the arguments of `pipeline`.

Names and types are those of the options' own classes and of `pipeline`, which a test compares.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from ..config_rules import Label


class Building(TypedDict, total=False):
    """Arguments of `pipeline` for every task, by name."""

    revision: str | None
    cache_dir: str | os.PathLike[str] | None
    token: str | bool | None
    local_files_only: bool
    model_kwargs: Mapping[str, Any] | None
    batch_tokens: int
    quiet: bool
    dtype: Any
    backend: str
    num_threads: int | None


class Arguments(TypedDict, total=False):
    """The options of every task."""

    truncation: bool | str | None
    max_length: int | None
    padding: bool | str
    on_error: str


class StrideArguments(Arguments, total=False):
    """The options of tasks that can read a long text in windows."""

    stride: int | None


class FillMaskArguments(Arguments, total=False):
    """The options of fill-mask."""

    top_k: int
    targets: str | Sequence[str] | None


class PoolingArguments(StrideArguments, total=False):
    """The options of feature-extraction, but for return_tensors, which decides the type of the result."""

    pooling: str | None
    normalize: bool
    prompt: str | None
    prompt_name: str | None
    strip: bool
    global_attention: str | Callable[..., Any]


class FeatureExtractionArguments(PoolingArguments, total=False):
    """The options of feature-extraction."""

    return_tensors: bool


class BestLabelArguments(StrideArguments, total=False):
    """The options of text-classification, but for top_k, which decides how the result nests."""

    function_to_apply: str | None
    return_all_scores: bool
    aggregation: str


class TextClassificationArguments(BestLabelArguments, total=False):
    """The options of text-classification."""

    top_k: int | str | None


class ZeroShotClassificationArguments(StrideArguments, total=False):
    """The options of zero-shot-classification."""

    candidate_labels: str | Sequence[str] | None
    hypothesis_template: str
    multi_label: bool
    aggregation: str


class TokenClassificationArguments(StrideArguments, total=False):
    """The options of token-classification."""

    aggregation_strategy: str
    ignore_labels: Sequence[Label]
    is_split_into_words: bool
    delimiter: str
    grouped_entities: bool | None
    ignore_subwords: bool | None


class BestAnswerArguments(Arguments, total=False):
    """The options of question-answering, but for top_k, which decides how the result nests."""

    max_answer_len: int
    max_seq_len: int | None
    doc_stride: int | None
    max_question_len: int | None
    handle_impossible_answer: bool
    align_to_words: bool


class QuestionAnsweringArguments(BestAnswerArguments, total=False):
    """The options of question-answering."""

    top_k: int


class MultipleChoiceArguments(Arguments, total=False):
    """The options of multiple-choice."""

    top_k: int | None


class FillMaskBuilding(Building, FillMaskArguments, total=False):
    """Arguments of `pipeline` for fill-mask."""


class FeatureExtractionBuilding(Building, FeatureExtractionArguments, total=False):
    """Arguments of `pipeline` for feature-extraction."""


class TextClassificationBuilding(Building, TextClassificationArguments, total=False):
    """Arguments of `pipeline` for text-classification."""


class ZeroShotClassificationBuilding(Building, ZeroShotClassificationArguments, total=False):
    """Arguments of `pipeline` for zero-shot-classification."""


class TokenClassificationBuilding(Building, TokenClassificationArguments, total=False):
    """Arguments of `pipeline` for token-classification."""


class QuestionAnsweringBuilding(Building, QuestionAnsweringArguments, total=False):
    """Arguments of `pipeline` for question-answering."""


class MultipleChoiceBuilding(Building, MultipleChoiceArguments, total=False):
    """Arguments of `pipeline` for multiple-choice."""
