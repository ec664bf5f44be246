"""The pytest plugin: fixtures to test another implementation of Longformer.

pytest loads it automatically where lf_ref is installed. NumPy and the rest of lf_ref are imported when a fixture is
used, so that loading is cheap.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conformance import arguments

if TYPE_CHECKING:
    from ..model.heads import LongformerForMaskedLM
    from .cases.case import Case
    from .conformance.targets import Target
    from .golden.golden_file import Golden
    from .golden.regeneration import Written

_TINY = "masked-lm"  # the standard case whose model the fixtures return
_WRITTEN = pytest.StashKey[dict[Path, "Written"]]()  # the golden files of this run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options --lf-ref-*."""
    group = parser.getgroup("lf-ref", "lf_ref, an oracle for Longformer")
    group.addoption("--lf-ref-regen", action="store_true", help="Write the golden files of lf_ref_golden again.")
    group.addoption(
        "--lf-ref-precision",
        choices=arguments.PRECISIONS,
        default="float32",
        help="Dtype that candidates compute in, unless a test sets it (default: float32).",
    )
    group.addoption(
        "--lf-ref-tolerance",
        metavar=arguments.TOLERANCE,
        type=_tolerance,
        help="Tolerance of candidates, unless a test sets it (default: calibrated).",
    )
    group.addoption(
        "--lf-ref-target",
        metavar="PACKAGE.MODULE:CALLABLE",
        help="Candidate of the fixture lf_ref_target, called as target(config, weights, inputs).",
    )
    group.addoption(
        "--lf-ref-class",
        metavar="NAME",
        action="append",
        default=[],
        help="Run lf_ref_case with cases of this HF class only; repeatable.",
    )
    group.addoption(
        "--lf-ref-xfail",
        metavar="FILE",
        help="Expected failures of lf_ref_case: on each line a case and the reason; one that passes is a failure.",
    )
    group.addoption(
        "--lf-ref-pad-to",
        metavar="TOKENS",
        type=_pad_to,
        help="Pad each input to so many tokens, and cut the outputs, unless a test sets it; skip cases with more.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line("markers", "lf_ref_cases(*names): the standard cases of lf_ref_case; all by default")
    config.stash[_WRITTEN] = {}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Report the golden files that were written."""
    for path, written in config.stash[_WRITTEN].items():
        terminalreporter.write_line(f"lf_ref wrote {os.path.relpath(path, config.invocation_params.dir)}: {written}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests that use lf_ref_case with the cases."""
    if "lf_ref_case" not in metafunc.fixturenames or _parametrized(metafunc, "lf_ref_case"):
        return
    from ..errors import InputError
    from .cases.case import cases_of_classes, select_cases
    from .cases.standard_cases import standard_cases
    from .conformance.expected_failures import read_expected_to_fail
    from .conformance.fixed_shapes import misfit

    option, known = metafunc.config.getoption, standard_cases()
    path, mark = option("--lf-ref-xfail"), metafunc.definition.get_closest_marker("lf_ref_cases")
    try:
        cases = select_cases(known, mark.args if mark else ["standard"])
        of_class = {case.name for case in cases_of_classes(known, option("--lf-ref-class"))}
        reasons = {} if path is None else read_expected_to_fail(path, [case.name for case in known])
    except InputError as error:
        raise pytest.fail.Exception(f"lf_ref_cases: {error}", pytrace=False) from None
    params = []
    for case in cases:
        why, reason = misfit(case, option("--lf-ref-pad-to")), reasons.get(case.name)
        marks = [pytest.mark.skip(reason=f"--lf-ref-pad-to: {why}")] if why else []
        marks += [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
        if case.name in of_class:
            params.append(pytest.param(case, id=case.name, marks=marks))
    metafunc.parametrize("lf_ref_case", params, indirect=True)


@pytest.fixture
def lf_ref_case(request: pytest.FixtureRequest) -> Case:
    """A standard case; the test runs for each, or for those of the mark lf_ref_cases."""
    if not hasattr(request, "param"):
        pytest.fail("lf_ref_case must be an argument of the test, or of a fixture that the test takes", pytrace=False)
    return request.param


@pytest.fixture(scope="session")
def lf_ref_tiny_model() -> LongformerForMaskedLM:
    """A tiny LongformerForMaskedLM of lf_ref in float64, by the reference implementation: an oracle."""
    return _tiny_case().model()


@pytest.fixture(scope="session")
def lf_ref_tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a checkpoint of lf_ref_tiny_model, for HF's from_pretrained, with inputs in inputs.npz."""
    from .cases.export import export_cases

    [folder] = export_cases([_tiny_case()], tmp_path_factory.mktemp("lf_ref"))
    return folder


@pytest.fixture
def assert_matches_oracle(pytestconfig: pytest.Config) -> Callable[..., Any]:
    """`lf_ref.testing.assert_matches_oracle`, with the options of the command line as defaults."""
    from .conformance.assertion import assert_matches_oracle as function

    return partial(
        function,
        precision=pytestconfig.getoption("--lf-ref-precision"),
        tolerance=pytestconfig.getoption("--lf-ref-tolerance"),
        pad_to=pytestconfig.getoption("--lf-ref-pad-to"),
        verbose=pytestconfig.get_verbosity() > 0,
    )


@pytest.fixture
def lf_ref_golden(request: pytest.FixtureRequest) -> Callable[..., Golden]:
    """Load golden files: lf_ref_golden(name, cases="standard", model=None, intermediates=None).

    name: a path relative to the test's folder; the others are arguments of `lf_ref.testing.make_golden`, which writes
    the file with --lf-ref-regen. Tests may share a file: it holds the cases of all of them, and each gets its own.
    """

    def golden(
        name: str, cases: str | Sequence[str] = "standard", model: Any = None, intermediates: Any = None
    ) -> Golden:
        from ..errors import InputError
        from .golden.golden_file import load_golden
        from .golden.regeneration import regenerate

        path, written = request.path.parent / name, request.config.stash[_WRITTEN]
        if request.config.getoption("--lf-ref-regen"):
            given = {"model": model, "intermediates": intermediates, "command": "pytest --lf-ref-regen"}
            regenerate(path, cases, written, **given)
        if not path.exists():
            pytest.fail(f"{path} does not exist: write it with pytest --lf-ref-regen", pytrace=False)
        try:
            return load_golden(path).with_cases(cases)
        except InputError as error:
            text = f"{path} has other cases: write it again with pytest --lf-ref-regen ({error})"
            raise pytest.fail.Exception(text, pytrace=False) from None

    return golden


@pytest.fixture(scope="session")
def lf_ref_target(pytestconfig: pytest.Config) -> Target:
    """The callable that --lf-ref-target names."""
    from ..errors import InputError
    from .conformance.targets import load_target

    name = pytestconfig.getoption("--lf-ref-target")
    if name is None:
        pytest.fail("this test needs a candidate: pass --lf-ref-target package.module:callable", pytrace=False)
    try:
        return load_target(name)
    except InputError as error:
        raise pytest.fail.Exception(f"--lf-ref-target: {error}", pytrace=False) from None


def _tiny_case() -> Case:
    from .cases.case import select_cases
    from .cases.standard_cases import standard_cases

    return select_cases(standard_cases(), [_TINY])[0]


def _tolerance(text: str) -> str | float:
    """As `arguments.tolerance`, with an error whose message argparse prints."""
    from argparse import ArgumentTypeError

    try:
        return arguments.tolerance(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _pad_to(text: str) -> int:
    """A number of tokens, with an error whose message argparse prints."""
    from argparse import ArgumentTypeError

    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"must be an integer of at least 1, got {text!r}")
    return int(text)


def _parametrized(metafunc: pytest.Metafunc, name: str) -> bool:
    """Whether a test parametrizes the fixture itself."""
    named = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    return any(
        name in ([part.strip() for part in each.split(",")] if isinstance(each, str) else each) for each in named
    )
