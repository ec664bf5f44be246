"""Every fault of the NumPy port is found and placed; the port without a fault passes."""

from __future__ import annotations

from functools import cache

import pytest

from lf_ref import testing
from model.building import build
from oracles.fault_cases import case
from oracles.fault_table import BOTH
from oracles.faulty_ports import FAULTS
from oracles.port import Port


@cache
def expected(class_name, batch):
    fields, state, inputs = case(class_name, batch)
    return testing.trace(build(class_name, fields, state), **inputs)


def port(make, class_name, batch, precision):
    fields, state, _ = case(class_name, batch)
    return make(class_name, fields, state, precision)


def test_there_are_enough_faults_in_both_precisions():
    assert sum(fault.precisions == BOTH for fault in FAULTS.values()) >= 40


@pytest.mark.parametrize("precision", BOTH)
@pytest.mark.parametrize(("class_name", "batch"), FAULTS.cases())
def test_the_port_passes(class_name, batch, precision):
    report = testing.compare(port(Port, class_name, batch, precision), expected(class_name, batch), precision=precision)
    assert report.passed, str(report)


@pytest.mark.parametrize(("name", "precision"), FAULTS.planted())
def test_a_fault_is_found_where_it_is(name, precision):
    fault = FAULTS[name]
    candidate = port(fault.plant, fault.class_name, fault.batch, precision)
    report = testing.compare(candidate, expected(fault.class_name, fault.batch), precision=precision)
    assert report.first_divergence is not None, f"{name} went unnoticed"
    assert report.first_divergence.name == fault.tensor, str(report)
