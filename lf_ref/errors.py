"""The errors that lf_ref raises on purpose, so that a caller can catch them by cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class LfRefError(Exception):
    """Base of every error that lf_ref raises on purpose."""


class ConfigError(LfRefError, ValueError):
    """A configuration that cannot be: a missing, contradicting or unsupported field."""


class CheckpointError(LfRefError, ValueError):
    """Files that cannot be used: not found, damaged, hostile, or not those of a Longformer."""


class CheckpointFileError(CheckpointError, OSError):
    """A file, folder, repository or revision that is not there or cannot be read; also an `OSError`, as in HF."""


class DownloadError(CheckpointFileError):
    """A file could not be downloaded from the Hub; a later attempt may succeed."""


class WeightsError(CheckpointError):
    """Weights that do not fit the class; the message shows some of the names, and the attributes hold all.

    missing: parameters without weights, by HF's names of them. unexpected: stored names that the class does not use.
    misshapen: weights of another shape, each its stored name, its shape and the one that is wanted.
    """

    def __init__(
        self,
        message: str,
        missing: Sequence[str] = (),
        unexpected: Sequence[str] = (),
        misshapen: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]] = (),
    ) -> None:
        super().__init__(message)
        self.missing = list(missing)
        self.unexpected = list(unexpected)
        self.misshapen = list(misshapen)


class JobError(LfRefError, RuntimeError):
    """A job that could not go on: its workers ended, or its output could not be written. It resumes."""


class InputError(LfRefError, ValueError):
    """Arguments of a call that do not fit the model, the tokenizer or each other."""


class PipelineException(InputError):  # noqa: N818 - the name is HF's
    """An input that a pipeline cannot answer, such as a text without a mask.

    Args:
        task: of the pipeline.
        model: what kind of model it has.
        reason: the message.
    """

    def __init__(self, task: str, model: str, reason: str) -> None:
        super().__init__(reason)
        self.task = task
        self.model = model

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.task, self.model, str(self))
