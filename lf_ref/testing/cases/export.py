"""Export of cases, as folders that a candidate in any framework can read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...checkpoint.saving import write_checkpoint
from ...checkpoint.stored import StoredTensor
from ...errors import InputError
from ...files import replacing
from .case import Case

INPUTS = "inputs.npz"


def export_cases(cases: Iterable[Case], folder: str | os.PathLike[str]) -> list[Path]:
    """Write each case into a folder of its name: `inputs.npz`, and a checkpoint, `config.json` and `model.safetensors`.

    If the weights are those of a checkpoint, only the inputs are written. Existing files are replaced.

    Returns the folders.

    Raises:
        InputError: a folder or file cannot be written.
    """
    written = []
    try:
        for case in cases:
            target = Path(folder) / case.name
            target.mkdir(parents=True, exist_ok=True)
            if case.seed is not None:
                weights = {name: StoredTensor(array.dtype.name, array) for name, array in case.weights().items()}
                write_checkpoint(target, weights, case.config)
            with replacing(target / INPUTS) as temporary, open(temporary, "wb") as file:
                np.savez(file, **case.arguments())  # type: ignore[arg-type]
            written.append(target)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}") from error
    return written
