"""Text in, answers out: HF's pipelines by HF's task names."""

from __future__ import annotations

import os
from typing import Any

from ..errors import InputError
from ..model.base import LongformerPreTrainedModel
from ..tokenizer import LongformerTokenizer
from .base import Pipeline
from .fill_mask import FillMaskPipeline

__all__ = ["TASKS", "FillMaskPipeline", "Pipeline", "pipeline"]

TASKS: dict[str, type[Pipeline]] = {
    "fill-mask": FillMaskPipeline,
}


def pipeline(
    task: str,
    model: str | os.PathLike[str] | LongformerPreTrainedModel | None = None,
    tokenizer: str | os.PathLike[str] | LongformerTokenizer | None = None,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    **options: Any,
) -> Pipeline:
    """Build the pipeline of a task.

    Args:
        task: one of `TASKS`.
        model: a folder, a Hub repository id, a loaded model, or None for the bundled demo model.
        tokenizer: the same; by default that of the model.
        revision, cache_dir, token, local_files_only: as in `from_pretrained`.
        options: dtype, backend and num_threads of the model; the task's own parameters, as defaults of its calls.

    Raises:
        InputError: the task is unknown, or does not fit the model.
        CheckpointError, ConfigError: the checkpoint cannot be loaded.
    """
    if task not in TASKS:
        raise InputError(f"unknown task {task!r}; the tasks are {', '.join(TASKS)}")
    kind = TASKS[task]
    source: dict[str, Any] = {
        "revision": revision,
        "cache_dir": cache_dir,
        "token": token,
        "local_files_only": local_files_only,
    }
    if tokenizer is None:
        if isinstance(model, LongformerPreTrainedModel):
            raise InputError("a loaded model does not say which tokenizer it goes with: pass tokenizer= too")
        tokenizer = model
    if not isinstance(tokenizer, LongformerTokenizer):
        tokenizer = LongformerTokenizer.from_pretrained(tokenizer, **source)
    if not isinstance(model, LongformerPreTrainedModel):
        loading = {key: options.pop(key) for key in ("dtype", "backend", "num_threads") if key in options}
        model = kind.model_class.from_pretrained(model, **source, **loading)
    return kind(model, tokenizer, **options)
