"""Targets of the conformance suite: callables that run a candidate on a case.

A target is called as `target(config, weights, inputs)`:

- config: a dict, all fields of a `config.json`; `config["architectures"][0]` is the class, "LongformerForMaskedLM" say;
- weights: a dict of new float32 NumPy arrays by the names in HF's checkpoints, with the `longformer.` prefix in the
  classes with a head; without a tied decoder (`lm_head.decoder.weight`, `lm_head.decoder.bias`);
- inputs: a dict of new NumPy arrays by the names of HF's arguments, int64, or float32 for `inputs_embeds`.

It returns a mapping of HF's output names (`last_hidden_state`, `logits`, ...) and, optionally, names of intermediates
to arrays of any library; or one array, the first output.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import operator
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ...errors import InputError
from ..cases.case import Case

Target = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], Any]


class TargetError(Exception):
    """The target raised an exception, which is the cause of this error."""


def load_target(name: str) -> Target:
    """Import a target by its name, `package.module:callable`; the working folder is on the import path.

    Raises:
        InputError: the module or callable does not exist, or its import fails.
    """
    module_name, colon, path = name.partition(":")
    if not (colon and module_name and path):
        raise InputError(f"a target is named package.module:callable, got {name!r}")
    if module_name.endswith(".py"):
        raise InputError(f"a target's module is named without .py and with dots for folders, got {module_name!r}")
    folder = os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        sys.path.insert(0, folder)
    try:
        with prints_to_stderr():
            found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise InputError(
                f"there is no module {error.name!r} for the target {name}: run the command in its folder, or set "
                "PYTHONPATH"
            ) from error
        raise InputError(f"the target's module {module_name} cannot be imported: {error}") from error
    except Exception as error:
        raise InputError(
            f"the target's module {module_name} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    try:
        found = operator.attrgetter(path)(found)
    except AttributeError as error:
        raise InputError(f"the target's module {module_name} has no {path!r}") from error
    if not callable(found):
        raise InputError(f"the target {name} is not callable, got {type(found).__name__}")
    return found


def run_target(target: Target, case: Case) -> Any:
    """The outputs of the target for a case.

    Raises:
        TargetError: the target raised an exception. InputError: the weights of the case are those of a checkpoint.
    """
    weights = case.weights()
    try:
        with prints_to_stderr():
            return target(copy.deepcopy(dict(case.config)), weights, case.arguments())
    except (Exception, SystemExit) as error:
        raise TargetError(f"raised {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Send to standard error what a candidate prints, by Python or by C code or a program that it starts."""
    _flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()
        os.dup2(saved, 1)
        os.close(saved)


def _flush() -> None:
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
