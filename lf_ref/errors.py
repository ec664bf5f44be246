"""The errors that lf_ref raises on purpose, so that a caller can catch them by cause."""


class LfRefError(Exception):
    """Base of every error that lf_ref raises on purpose."""


class ConfigError(LfRefError, ValueError):
    """A configuration that cannot be: a missing, contradicting or unsupported field."""


class CheckpointError(LfRefError, ValueError):
    """Files that cannot be used: not found, damaged, hostile, or not those of a Longformer."""


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
