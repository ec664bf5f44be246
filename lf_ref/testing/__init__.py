"""The oracle: find where another implementation of Longformer goes wrong.

>>> import numpy as np
>>> from lf_ref import LongformerModel, testing
>>> oracle = LongformerModel.from_pretrained(dtype="float64")
>>> expected = testing.trace(oracle, input_ids=[[0, 250, 251, 2]])
>>> candidate = {name: values.astype(np.float32) for name, values in expected.items()}
>>> testing.compare(candidate, expected, precision="float32").passed
True

Nothing is imported but NumPy and lf_ref; the names are loaded on first use.
"""

from importlib import import_module as _import_module
from sys import modules as _modules
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

# The modules are not called like the functions in them: a submodule becomes an attribute of its package.
_HOME = {
    "trace": "tracing",
    "Trace": "tracing",
    "capture_torch": "capturing",
    "compare": "comparing",
    "Report": "report",
    "Tensor": "report",
    "calibrate": "calibration",
    "Calibration": "calibration",
    "FIXED": "tolerances",
    "Case": "cases",
    "standard_cases": "cases",
    "drawn_cases": "drawing",
    "make_golden": "golden",
    "load_golden": "golden",
    "Golden": "golden",
    "check_golden": "checking",
    "check_target": "checking",
    "CaseResults": "results",
    "CaseResult": "results",
    "assert_matches_oracle": "asserting",
}
_MODULES = ("generator", "strategies")

__all__ = [*_HOME, *_MODULES]

if _TYPE_CHECKING:
    from . import generator as generator
    from . import strategies as strategies
    from .asserting import assert_matches_oracle as assert_matches_oracle
    from .calibration import Calibration as Calibration
    from .calibration import calibrate as calibrate
    from .capturing import capture_torch as capture_torch
    from .cases import Case as Case
    from .cases import standard_cases as standard_cases
    from .checking import check_golden as check_golden
    from .checking import check_target as check_target
    from .comparing import compare as compare
    from .drawing import drawn_cases as drawn_cases
    from .golden import Golden as Golden
    from .golden import load_golden as load_golden
    from .golden import make_golden as make_golden
    from .report import Report as Report
    from .report import Tensor as Tensor
    from .results import CaseResult as CaseResult
    from .results import CaseResults as CaseResults
    from .tolerances import FIXED as FIXED
    from .tracing import Trace as Trace
    from .tracing import trace as trace


def __getattr__(name: str) -> _Any:
    if name in _HOME:
        return getattr(_import_module(f".{_HOME[name]}", __name__), name)
    if name in _MODULES:
        return _import_module(f".{name}", __name__)
    from ..hf_names import unknown_attribute

    raise unknown_attribute(_modules[__name__], name, {})


def __dir__() -> list[str]:
    return sorted(__all__)
