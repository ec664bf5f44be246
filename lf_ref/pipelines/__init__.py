"""Text in, answers out: HF's pipelines by HF's task names."""

from __future__ import annotations

import os
from typing import Any

from ..config import CONFIG_NAME, LongformerConfig
from ..errors import CheckpointError, InputError
from ..files import DEMO, locate
from ..model.base import LongformerPreTrainedModel
from ..tokenizer import LongformerTokenizer
from .base import Pipeline
from .feature_extraction import FeatureExtractionOptions, FeatureExtractionPipeline
from .fill_mask import FillMaskOptions, FillMaskPipeline
from .multiple_choice import MultipleChoiceOptions, MultipleChoicePipeline
from .options import Options, choose
from .question_answering import QuestionAnsweringOptions, QuestionAnsweringPipeline
from .text_classification import TextClassificationOptions, TextClassificationPipeline
from .token_classification import TokenClassificationOptions, TokenClassificationPipeline
from .zero_shot_classification import ZeroShotClassificationOptions, ZeroShotClassificationPipeline

__all__ = [
    "TASKS",
    "FeatureExtractionOptions",
    "FeatureExtractionPipeline",
    "FillMaskOptions",
    "FillMaskPipeline",
    "MultipleChoiceOptions",
    "MultipleChoicePipeline",
    "Options",
    "Pipeline",
    "QuestionAnsweringOptions",
    "QuestionAnsweringPipeline",
    "TextClassificationOptions",
    "TextClassificationPipeline",
    "TokenClassificationOptions",
    "TokenClassificationPipeline",
    "ZeroShotClassificationOptions",
    "ZeroShotClassificationPipeline",
    "pipeline",
]

_KINDS: tuple[type[Pipeline[Any]], ...] = (
    FillMaskPipeline,
    FeatureExtractionPipeline,
    TextClassificationPipeline,
    ZeroShotClassificationPipeline,
    TokenClassificationPipeline,
    QuestionAnsweringPipeline,
    MultipleChoicePipeline,
)
TASKS: dict[str, type[Pipeline[Any]]] = {
    **{kind.task: kind for kind in _KINDS},
    "sentiment-analysis": TextClassificationPipeline,
    "ner": TokenClassificationPipeline,
}
_LOADING = ("dtype", "backend", "num_threads")


def pipeline(
    task: str,
    model: str | os.PathLike[str] | LongformerPreTrainedModel | None = None,
    tokenizer: str | os.PathLike[str] | LongformerTokenizer | None = None,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    batch_tokens: int = 4096,
    quiet: bool = False,
    **options: Any,
) -> Pipeline[Any]:
    """Build the pipeline of a task.

    Args:
        task: one of `TASKS`.
        model: a folder, a Hub repository id, a loaded model, or None for the bundled demo model, which can fill masks
            and extract features.
        tokenizer: the same; by default that of the model.
        revision, cache_dir, token, local_files_only: as in `LongformerPreTrainedModel.from_pretrained`.
        batch_tokens: how many tokens, padding included, are run through the model at once; as for `Pipeline`.
        quiet: no progress bar.
        options: dtype, backend and num_threads of the model; the task's own options, for calls that do not give them.

    Raises:
        InputError: the task is unknown or does not fit the model, or an option is not one of its options.
        CheckpointError, ConfigError: the checkpoint cannot be loaded, or has no head for the task.
    """
    if not isinstance(task, str) or task not in TASKS:
        raise InputError(f"unknown task {task!r}; the tasks are {', '.join(TASKS)}")
    kind = TASKS[task]
    source: dict[str, Any] = {
        "revision": revision,
        "cache_dir": cache_dir,
        "token": token,
        "local_files_only": local_files_only,
    }
    loading = {name: options.pop(name) for name in _LOADING if name in options}
    choose(kind.options_class, task, options)  # before anything is downloaded
    if isinstance(model, LongformerPreTrainedModel):
        if loading:
            raise InputError(f"{', '.join(loading)}: the model is loaded already; say this when loading it")
        if tokenizer is None:
            raise InputError("a loaded model does not say which tokenizer it goes with: pass tokenizer= too")
    elif tokenizer is None:
        tokenizer = model
    if model is None or model == DEMO:
        _check_demo(kind)
    if not isinstance(tokenizer, LongformerTokenizer):
        tokenizer = LongformerTokenizer.from_pretrained(tokenizer, **source)
    if not isinstance(model, LongformerPreTrainedModel):
        model = kind.model_class.from_pretrained(model, **source, **loading)
    return kind(model, tokenizer, batch_tokens=batch_tokens, quiet=quiet, **options)


def _check_demo(kind: type[Pipeline[Any]]) -> None:
    """Refuse a task that the bundled model has no head for; the encoder every model has.

    Raises:
        CheckpointError: says what the model is and the way out.
    """
    held = LongformerConfig.from_json_file(locate(DEMO).require(CONFIG_NAME)).architectures or []
    wanted = kind.model_class.__name__
    if wanted not in ("LongformerModel", *held):
        raise CheckpointError(
            f"the bundled demo model is a {' and '.join(held)}, with no other head, so it cannot do {kind.task}, which "
            f"needs a {wanted}: name a checkpoint that was trained for it with model="
        )
