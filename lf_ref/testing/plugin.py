"""The pytest plugin: fixtures for those who test another implementation of Longformer.

pytest loads it by itself where lf_ref is installed. It costs nothing then: NumPy and the rest of lf_ref are imported
when a fixture is used.
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

_TINY = "masked-lm"  # the standard case whose model the fixtures give
_MADE = pytest.StashKey[set[Path]]()  # golden files that this run has made


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that begin with --lf-ref-."""
    group = parser.getgroup("lf-ref", "lf_ref, an oracle for Longformer")
    group.addoption(
        "--lf-ref-regen", action="store_true", help="Make the golden files again that tests ask lf_ref_golden for."
    )
    group.addoption(
        "--lf-ref-precision",
        choices=arguments.PRECISIONS,
        default="float32",
        help="What candidates compute in, where a test does not say it (default: float32).",
    )
    group.addoption(
        "--lf-ref-tolerance",
        metavar=arguments.TOLERANCE,
        type=_tolerance,
        help="How far candidates may be off, where a test does not say it (default: calibrated).",
    )
    group.addoption(
        "--lf-ref-target",
        metavar="PACKAGE.MODULE:CALLABLE",
        help="The candidate that the fixture lf_ref_target gives; called as target(config, weights, inputs).",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers", "lf_ref_cases(*names): the standard cases that lf_ref_case takes; all by default"
    )
    config.stash[_MADE] = set()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for lf_ref_case once for each case."""
    if "lf_ref_case" not in metafunc.fixturenames or _parametrized(metafunc, "lf_ref_case"):
        return
    from ..errors import InputError
    from .cases.case import choose
    from .cases.standard_cases import standard_cases

    mark = metafunc.definition.get_closest_marker("lf_ref_cases")
    try:
        cases = choose(standard_cases(), mark.args if mark else ["standard"])
    except InputError as error:
        raise pytest.fail.Exception(f"lf_ref_cases: {error}", pytrace=False) from None
    metafunc.parametrize("lf_ref_case", cases, ids=[case.name for case in cases], indirect=True)


@pytest.fixture
def lf_ref_case(request: pytest.FixtureRequest) -> Case:
    """A standard case; the test runs once for each, or for those of the mark lf_ref_cases."""
    if not hasattr(request, "param"):
        pytest.fail("lf_ref_case must be an argument of the test, or of a fixture that the test takes", pytrace=False)
    return request.param


@pytest.fixture(scope="session")
def lf_ref_tiny_model() -> LongformerForMaskedLM:
    """A tiny LongformerForMaskedLM of lf_ref, in float64 by the definition: an oracle."""
    return _tiny_case().model()


@pytest.fixture(scope="session")
def lf_ref_tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a checkpoint of that model, as HF's from_pretrained reads it, with inputs in inputs.npz."""
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
    """Give golden files: lf_ref_golden(name, cases="standard", model=None), by a path relative to the test's folder.

    With --lf-ref-regen the file is made anew, once in a run, as `lf_ref.testing.make_golden` does.
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
            pytest.fail(f"{path} is not there: pytest --lf-ref-regen makes it", pytrace=False)
        found = load_golden(path)
        if not isinstance(cases, str) and [case.name for case in found.cases] != list(cases):
            pytest.fail(f"{path} is of other cases: pytest --lf-ref-regen makes it again", pytrace=False)
        return found

    return golden


@pytest.fixture(scope="session")
def lf_ref_target(pytestconfig: pytest.Config) -> Target:
    """The callable that --lf-ref-target names."""
    from ..errors import InputError
    from .conformance.targets import load_target

    name = pytestconfig.getoption("--lf-ref-target")
    if name is None:
        pytest.fail("this test needs a candidate: give --lf-ref-target package.module:callable", pytrace=False)
    try:
        return load_target(name)
    except InputError as error:
        raise pytest.fail.Exception(f"--lf-ref-target: {error}", pytrace=False) from None


def _tiny_case() -> Case:
    from .cases.case import choose
    from .cases.standard_cases import standard_cases

    return choose(standard_cases(), [_TINY])[0]


def _tolerance(text: str) -> str | float:
    """As `arguments.tolerance`; argparse shows the message of this error alone."""
    from argparse import ArgumentTypeError

    try:
        return arguments.tolerance(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _parametrized(metafunc: pytest.Metafunc, name: str) -> bool:
    """Whether a test says itself what a fixture is to be."""
    named = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    return any(
        name in ([part.strip() for part in each.split(",")] if isinstance(each, str) else each) for each in named
    )
