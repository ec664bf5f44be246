"""The pytest plugin: fixtures to test another implementation of Longformer.

pytest loads it automatically where lf_ref is installed. NumPy and the rest of lf_ref are imported when a fixture is
used, so that loading is cheap.
"""

from __future__ import annotations

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

_TINY = "masked-lm"  # the standard case whose model the fixtures return
_MADE = pytest.StashKey[set[Path]]()  # golden files that this run has written


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


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line("markers", "lf_ref_cases(*names): the standard cases of lf_ref_case; all by default")
    config.stash[_MADE] = set()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests that use lf_ref_case with the cases."""
    if "lf_ref_case" not in metafunc.fixturenames or _parametrized(metafunc, "lf_ref_case"):
        return
    from ..errors import InputError
    from .cases.case import cases_of_classes, select_cases
    from .cases.standard_cases import standard_cases
    from .conformance.expected_failures import read_expected_to_fail

    path = metafunc.config.getoption("--lf-ref-xfail")
    mark = metafunc.definition.get_closest_marker("lf_ref_cases")
    try:
        cases = select_cases(standard_cases(), mark.args if mark else ["standard"])
        cases = cases_of_classes(cases, metafunc.config.getoption("--lf-ref-class"))
        reasons = {} if path is None else read_expected_to_fail(path, [case.name for case in standard_cases()])
    except InputError as error:
        raise pytest.fail.Exception(f"lf_ref_cases: {error}", pytrace=False) from None
    marks = {name: pytest.mark.xfail(reason=reason, strict=True) for name, reason in reasons.items()}
    params = [pytest.param(case, id=case.name, marks=marks.get(case.name, ())) for case in cases]
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
    )


@pytest.fixture
def lf_ref_golden(request: pytest.FixtureRequest) -> Callable[..., Golden]:
    """Load golden files: lf_ref_golden(name, cases="standard", model=None), by a path relative to the test's folder.

    With --lf-ref-regen, `lf_ref.testing.make_golden` writes the file again, once in a run.
    """

    def golden(name: str, cases: str | Sequence[str] = "standard", model: Any = None) -> Golden:
        from .golden.creation import make_golden
        from .golden.golden_file import load_golden

        path, made = request.path.parent / name, request.config.stash[_MADE]
        if request.config.getoption("--lf-ref-regen") and path not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            make_golden(path, cases, model=model, command="pytest --lf-ref-regen")
            made.add(path)
        if not path.exists():
            pytest.fail(f"{path} does not exist: write it with pytest --lf-ref-regen", pytrace=False)
        found = load_golden(path)
        if not isinstance(cases, str) and [case.name for case in found.cases] != list(cases):
            pytest.fail(f"{path} has other cases: write it again with pytest --lf-ref-regen", pytrace=False)
        return found

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


def _parametrized(metafunc: pytest.Metafunc, name: str) -> bool:
    """Whether a test parametrizes the fixture itself."""
    named = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    return any(
        name in ([part.strip() for part in each.split(",")] if isinstance(each, str) else each) for each in named
    )
