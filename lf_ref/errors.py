"""The errors that lf_ref raises on purpose, so that a caller can catch them by cause."""


class LfRefError(Exception):
    """Base of every error that lf_ref raises on purpose."""


class ConfigError(LfRefError, ValueError):
    """A configuration that cannot be: a missing, contradicting or unsupported field."""


class CheckpointError(LfRefError, ValueError):
    """Files that cannot be used: not found, damaged, hostile, or not those of a Longformer."""


class InputError(LfRefError, ValueError):
    """Arguments of a call that do not fit the model, the tokenizer or each other."""
