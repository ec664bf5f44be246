"""A softmax in lower precision is named, however it rounds; whatever else is in lower precision is not called one."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from lf_ref import testing
from lf_ref.testing import Case
from lf_ref.testing.comparison.calibration import calibrate
from lf_ref.testing.mistakes import naming, of_attention
from lf_ref.testing.mistakes.variant import Variant
from oracles.fault_cases import case as fault_case
from oracles.rounding_faults import OTHERS, ROUNDINGS, SOFTMAXES, in_precision

# Of many outputs, and of a few.
CLASSES = ("LongformerModel", "LongformerForSequenceClassification")


@cache
def known(class_name):
    """The case, its trace, its tolerance, and the softmaxes in lower precision."""
    fields, state, inputs = fault_case(class_name, "ragged")
    weights = {name: np.asarray(array, np.float32) for name, array in state.items()}
    case = Case("port", "", class_name, {**fields, "architectures": [class_name]}, inputs, 0, weights)
    expected = testing.trace(case.model(), **inputs)
    softmaxes = [pair for pair in of_attention.softmaxes(Variant.of(case, expected)) if pair[1].approximate]
    return case, expected, calibrate(expected, "float32"), softmaxes


def causes_of(fault, class_name, precision, monkeypatch, intermediates=False):
    case, expected, tolerance, softmaxes = known(class_name)
    monkeypatch.setattr(naming, "known_mistakes", lambda right, tables=(): iter(softmaxes))
    port = in_precision(fault, precision)(class_name, case.config, case.weights(), "float32")
    given = port(**case.inputs)
    if not intermediates:
        given = {name: given[name] for name in expected.run.outputs}
    options = {"precision": "float32", "tolerance": tolerance, "ignore_padding": False}
    report = testing.compare(given, expected, **options)
    assert not report.passed
    return naming.causes(case, given, expected, report, options)


@pytest.mark.parametrize("class_name", CLASSES)
@pytest.mark.parametrize("precision", ROUNDINGS)
@pytest.mark.parametrize("fault", SOFTMAXES, ids=lambda fault: fault.__name__)
def test_a_softmax_in_lower_precision_is_named(fault, precision, class_name, monkeypatch):
    assert causes_of(fault, class_name, precision, monkeypatch) == (f"a softmax in {precision}",)


@pytest.mark.parametrize("class_name", CLASSES)
@pytest.mark.parametrize("precision", ROUNDINGS)
@pytest.mark.parametrize("fault", OTHERS, ids=lambda fault: fault.__name__)
def test_what_else_is_in_lower_precision_is_not_called_a_softmax(fault, precision, class_name, monkeypatch):
    assert causes_of(fault, class_name, precision, monkeypatch) == ()


def test_intermediates_count_too(monkeypatch):
    """Outputs may look alike where what is computed before them does not."""
    fault = SOFTMAXES[0]
    assert causes_of(fault, CLASSES[0], "bfloat16", monkeypatch, intermediates=True) == ("a softmax in bfloat16",)

    class AndEmbeddings(fault):
        def __call__(self, **inputs):
            found = super().__call__(**inputs)
            return {**found, "embeddings.word_embeddings": found["embeddings.word_embeddings"] + 1}

    assert causes_of(AndEmbeddings, CLASSES[0], "bfloat16", monkeypatch, intermediates=True) == ()
