"""The oracle: find the first tensor at which another implementation of Longformer diverges.

>>> import numpy as np
>>> from lf_ref import LongformerModel, testing
>>> oracle = LongformerModel.from_pretrained(dtype="float64")
>>> expected = testing.trace(oracle, input_ids=[[0, 250, 251, 2]])
>>> candidate = {name: values.astype(np.float32) for name, values in expected.items()}
>>> testing.compare(candidate, expected, precision="float32").passed
True

Names are imported on first use; the oracle needs nothing but NumPy and lf_ref.
"""

from importlib import import_module as _import_module
from sys import modules as _modules
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

# By name, the module that has it. No room is called like a function of `__all__`: a submodule becomes an attribute of
# its package.
_HOME = {
    "trace": "traces.trace",
    "Trace": "traces.trace",
    "capture_torch": "traces.torch_hooks",
    "compare": "comparison.divergence",
    "Report": "comparison.report",
    "Tensor": "comparison.report",
    "calibrate": "comparison.calibration",
    "Calibration": "comparison.calibration",
    "FIXED": "comparison.tolerances",
    "Case": "cases.case",
    "standard_cases": "cases.standard_cases",
    "drawn_cases": "cases.random_cases",
    "make_golden": "golden.creation",
    "load_golden": "golden.golden_file",
    "Golden": "golden.golden_file",
    "check_golden": "conformance.suite",
    "check_target": "conformance.suite",
    "CaseResults": "conformance.case_results",
    "CaseResult": "conformance.case_results",
    "assert_matches_oracle": "conformance.assertion",
}
_MODULES = ("generator", "strategies")

__all__ = [*_HOME, *_MODULES]

if _TYPE_CHECKING:
    from . import generator as generator
    from . import strategies as strategies
    from .cases.case import Case as Case
    from .cases.random_cases import drawn_cases as drawn_cases
    from .cases.standard_cases import standard_cases as standard_cases
    from .comparison.calibration import Calibration as Calibration
    from .comparison.calibration import calibrate as calibrate
    from .comparison.divergence import compare as compare
    from .comparison.report import Report as Report
    from .comparison.report import Tensor as Tensor
    from .comparison.tolerances import FIXED as FIXED
    from .conformance.assertion import assert_matches_oracle as assert_matches_oracle
    from .conformance.case_results import CaseResult as CaseResult
    from .conformance.case_results import CaseResults as CaseResults
    from .conformance.suite import check_golden as check_golden
    from .conformance.suite import check_target as check_target
    from .golden.creation import make_golden as make_golden
    from .golden.golden_file import Golden as Golden
    from .golden.golden_file import load_golden as load_golden
    from .traces.torch_hooks import capture_torch as capture_torch
    from .traces.trace import Trace as Trace
    from .traces.trace import trace as trace


def __getattr__(name: str) -> _Any:
    if name in _HOME:
        return getattr(_import_module(f".{_HOME[name]}", __name__), name)
    if name in _MODULES:
        return _import_module(f".{name}", __name__)
    from ..hf_names import unknown_attribute

    raise unknown_attribute(_modules[__name__], name, {})


def __dir__() -> list[str]:
    return sorted(__all__)
