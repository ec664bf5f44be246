"""Text in, answers out: HF's pipelines by HF's task names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, overload

from ..config import LongformerConfig
from ..errors import InputError, PipelineException
from ..files import DEMO
from ..hf_names import Alias, Fixed, Ignored, accepts_names
from ..model.base import LongformerPreTrainedModel
from ..tokenizer import LongformerTokenizer
from .arguments import (
    Building,
    FeatureExtractionBuilding,
    FillMaskBuilding,
    MultipleChoiceBuilding,
    QuestionAnsweringBuilding,
    TextClassificationBuilding,
    TokenClassificationBuilding,
    ZeroShotClassificationBuilding,
)
from .base import BUILDING, Pipeline, not_ours
from .feature_extraction import FeatureExtractionOptions, FeatureExtractionPipeline
from .fill_mask import FillMaskOptions, FillMaskPipeline
from .loading import check_demo, is_name, load_config, load_tokenizer, split_arguments, task_of
from .multiple_choice import MultipleChoiceOptions, MultipleChoicePipeline
from .options import Options, read
from .question_answering import QuestionAnsweringOptions, QuestionAnsweringPipeline
from .results import DocumentAnswer, FilledMask, LabelScore, RankedChoice, RankedLabels
from .text_classification import TextClassificationOptions, TextClassificationPipeline
from .token_classification import TokenClassificationOptions, TokenClassificationPipeline
from .zero_shot_classification import ZeroShotClassificationOptions, ZeroShotClassificationPipeline

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "TASKS",
    "DocumentAnswer",
    "FeatureExtractionOptions",
    "FeatureExtractionPipeline",
    "FillMaskOptions",
    "FillMaskPipeline",
    "FilledMask",
    "LabelScore",
    "MultipleChoiceOptions",
    "MultipleChoicePipeline",
    "Options",
    "Pipeline",
    "PipelineException",
    "QuestionAnsweringOptions",
    "QuestionAnsweringPipeline",
    "RankedChoice",
    "RankedLabels",
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
    **{name: kind for kind in _KINDS for name in kind.other_names},
}
_LOADING = ("dtype", "backend", "num_threads")

_Name = str | os.PathLike[str] | None
_Model = _Name | LongformerPreTrainedModel
_Config = _Name | LongformerConfig
_Tokenizer = _Name | LongformerTokenizer


_HF_NAMES = {
    **BUILDING,
    "torch_dtype": Alias("dtype"),
    "use_auth_token": Alias("token"),
    "use_fast": Ignored("there is only one tokenizer here"),
    "trust_remote_code": Fixed((None, False), "leave it out: code from a repository is never run"),
    "pipeline_class": Fixed((None,), "call the class itself, such as FillMaskPipeline(model, tokenizer)"),
}


@overload
def pipeline(
    task: Literal["fill-mask"],
    model: _Model = None,
    config: _Config = None,
    tokenizer: _Tokenizer = None,
    **options: Unpack[FillMaskBuilding],
) -> FillMaskPipeline: ...


@overload
def pipeline(
    task: Literal["feature-extraction", "embeddings"],
    model: _Model = None,
    config: _Config = None,
    tokenizer: _Tokenizer = None,
    **options: Unpack[FeatureExtractionBuilding],
) -> FeatureExtractionPipeline: ...


@overload
def pipeline(
    task: Literal["text-classification", "sentiment-analysis"],
    model: _Model = None,
    config: _Config = None,
    tokenizer: _Tokenizer = None,
    **options: Unpack[TextClassificationBuilding],
) -> TextClassificationPipeline: ...


@overload
def pipeline(
    task: Literal["zero-shot-classification"],
    model: _Model = None,
    config: _Config = None,
    tokenizer: _Tokenizer = None,
    **options: Unpack[ZeroShotClassificationBuilding],
) -> ZeroShotClassificationPipeline: ...


@overload
def pipeline(
    task: Literal["token-classification", "ner"],
    model: _Model = None,
    config: _Config = None,
    tokenizer: _Tokenizer = None,
    **options: Unpack[TokenClassificationBuilding],
) -> TokenClassificationPipeline: ...


@overload
def pipeline(
    task: Literal["question-answering"],
    model: _Model = None,
    config: _Config = None,
    tokenizer: _Tokenizer = None,
    **options: Unpack[QuestionAnsweringBuilding],
) -> QuestionAnsweringPipeline: ...


@overload
def pipeline(
    task: Literal["multiple-choice"],
    model: _Model = None,
    config: _Config = None,
    tokenizer: _Tokenizer = None,
    **options: Unpack[MultipleChoiceBuilding],
) -> MultipleChoicePipeline: ...


@overload
def pipeline(
    task: str | None = None,
    model: _Model = None,
    config: _Config = None,
    tokenizer: _Tokenizer = None,
    **options: Unpack[Building],
) -> Pipeline[Any]: ...


@accepts_names(_HF_NAMES)
def pipeline(
    task: str | None = None,
    model: _Model = None,
    config: _Config = None,
    tokenizer: _Tokenizer = None,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    model_kwargs: Mapping[str, Any] | None = None,
    batch_tokens: int = 4096,
    quiet: bool = False,
    **options: Any,
) -> Pipeline[Any]:
    """Build the pipeline of a task.

    Args:
        task: one of `TASKS`; by default that of the model's class, or of the class that its config names.
        model: a folder, a Hub repository id, a loaded model, or None for the bundled demo model, which can fill masks
            and extract features.
        config: in place of the model's own: a config, or the name of the checkpoint that has it.
        tokenizer: a tokenizer, or the name of the checkpoint that has it; by default that of the model.
        revision, cache_dir, token, local_files_only: as in `LongformerPreTrainedModel.from_pretrained`.
        model_kwargs: further arguments of that.
        batch_tokens: how many tokens, padding included, are run through the model at once; as for `Pipeline`.
        quiet: no progress bar.
        options: dtype, backend and num_threads of the model; the task's own options, for calls that do not give them.

    Raises:
        InputError: the task is unknown or does not fit the model, or an option is not one of its options.
        CheckpointError, ConfigError: the checkpoint cannot be loaded, or has no head for the task.
    """
    if task is not None and (not isinstance(task, str) or task not in TASKS):
        raise InputError(f"unknown task {task!r}; the tasks are {', '.join(TASKS)}")
    loading = {name: options.pop(name) for name in _LOADING if name in options}
    picked = {"revision": revision, "cache_dir": cache_dir, "token": token, "local_files_only": local_files_only}
    source, loading = split_arguments(picked, loading, model_kwargs)
    if task is None:
        task = task_of(model, config, source, _KINDS)
    kind = TASKS[task]
    others = (signature(pipeline).parameters.keys() - {"options"}) | {*_LOADING, *_HF_NAMES}
    checked = read(kind.options_class, "pipeline()", options, others)
    kind.options_class(**checked)  # before anything is downloaded
    if not isinstance(model, LongformerPreTrainedModel) and not is_name(model):
        raise not_ours(f"model must be a {kind.model_class.__name__} or the name of one", model, kind.model_class)
    by_name = None if isinstance(model, LongformerPreTrainedModel) else model  # a loaded one has no files to look into
    home, read_further = kind.located(by_name, source)
    if config is not None:
        config = load_config(config, source)
        if not isinstance(model, LongformerPreTrainedModel) or config != model.config:
            loading["config"] = config
    if isinstance(model, LongformerPreTrainedModel):
        if loading:
            raise InputError(f"{', '.join(loading)}: the model is loaded already; pass this when loading it")
    elif model is None or model == DEMO:
        check_demo(kind)
    elif config is None:
        load_config(model, home)  # so that another kind of model is refused as such, not for its tokenizer
    tokenizer = load_tokenizer(model, tokenizer, home if tokenizer is None else source)
    if not isinstance(model, LongformerPreTrainedModel):
        model = kind.model_class.from_pretrained(model, **home, **loading)
    further = read_further(model.config)
    return kind(model, tokenizer, task=task, batch_tokens=batch_tokens, quiet=quiet, **further, **checked)
