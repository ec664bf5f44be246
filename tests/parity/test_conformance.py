"""The conformance kit on HF transformers: it passes in float32, bfloat16 and float16, but for what HF cannot do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lf_ref import testing
from lf_ref.testing.cases.export import export_cases
from lf_ref.testing.conformance.suite import check_target
from parity import hf_target

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]

TESTS = Path(__file__).parents[1]
CANNOT = Path(__file__).with_name("conformance_xfail.txt")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_hf_passes_the_kit(precision):
    """By the command, as a user runs it."""
    command = [sys.executable, "-m", "lf_ref.testing", f"parity.hf_target:{precision}", "--json", "--no-isolate"]
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [*command, "--precision", precision, "--xfail", str(CANNOT)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    states = [case["state"] for case in json.loads(done.stdout)["cases"]]
    assert states.count("xfailed") == len(CANNOT.read_text().splitlines())
    assert states.count("passed") >= 60


def test_what_hf_cannot_do_it_refuses_but_for_the_fields_that_it_ignores():
    reasons = dict(line.split(": ", 1) for line in CANNOT.read_text().splitlines())
    names = list(reasons)
    cases = [case for case in testing.standard_cases() if case.name in names]
    results = check_target(hf_target.float32, cases)
    assert {result.case for result in results.failures} == set(names)
    refused = [result.case for result in results.results if result.problem.startswith("raised ")]
    assert refused == [name for name in names if "ignores" not in reasons[name]]


def test_the_kit_shows_the_float32_softmax_inside_double():
    def double(config, weights, inputs):
        return hf_target.answer(config, weights, inputs, "float64")

    cases = [case for case in testing.standard_cases() if case.name in ("two-windows", "ragged-globals", "one-token")]
    results = check_target(double, cases, precision="float64")
    assert {result.case for result in results.failures} == {"two-windows", "ragged-globals"}
    assert check_target(double, cases, precision="float32").passed


@pytest.mark.parametrize("name", ["query_global", "key_global", "value_global"])
def test_a_fault_in_hf_is_found(name):
    def wrong(config, weights, inputs):
        for stored in [stored for stored in weights if f".{name}." in stored]:
            weights[stored] = weights[stored.replace("_global", "")].copy()
        return hf_target.float32(config, weights, inputs)

    cases = [case for case in testing.standard_cases() if case.name in ("global-projections", "no-globals")]
    results = check_target(wrong, cases)
    assert [result.case for result in results.failures] == ["global-projections"]


def test_hf_reads_what_export_writes(tmp_path):
    import numpy as np
    import torch
    import transformers

    golden = testing.make_golden(tmp_path / "golden.safetensors", ["masked-lm", "two-windows"])
    export_cases(golden.cases, tmp_path)
    found = {}
    for case in golden.cases:
        model = getattr(transformers, case.class_name).from_pretrained(tmp_path / case.name)
        inputs = {name: torch.from_numpy(array) for name, array in np.load(tmp_path / case.name / "inputs.npz").items()}
        with torch.no_grad():
            found[case.name] = dict(model(**inputs))
    assert testing.check_golden(golden, found).passed
