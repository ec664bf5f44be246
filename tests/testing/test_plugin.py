"""The pytest plugin, run on small test suites of its own; and that it costs nothing until a fixture is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lf_ref import InputError, LongformerConfig, testing
from lf_ref.testing.cases import export  # noqa: F401 - NumPy cannot be imported twice, as pytester would do
from lf_ref.testing.conformance import assertion  # noqa: F401
from lf_ref.testing.golden import creation

pytest_plugins = ["pytester"]

PORT = """
import lf_ref
from lf_ref import LongformerConfig

def model(config, weights):
    return getattr(lf_ref, config["architectures"][0])(LongformerConfig.from_dict(config), weights, backend="numpy")

def target(config, weights, inputs):
    return model(config, weights)(**inputs)

def without_epsilon(config, weights, inputs):
    return target({**config, "layer_norm_eps": 1e-5}, weights, inputs)
"""
PLUGIN = ["-p", "lf_ref.testing.plugin", "-p", "no:cacheprovider"]


@pytest.fixture
def suite(pytester):
    """Write a test file beside port.py, and run it with options."""
    pytester.makepyfile(port=PORT)
    pytester.syspathinsert()

    def run(text, *options):
        pytester.makepyfile(test_port=text)
        return pytester.runpytest_inprocess(*PLUGIN, "--strict-markers", "-W", "error", *options)

    return run


def test_every_standard_case_by_name(suite):
    result = suite(
        "import port\n"
        "def test_port(lf_ref_case, assert_matches_oracle):\n"
        "    assert_matches_oracle(port.without_epsilon, lf_ref_case)\n",
        "-v",
    )
    count = len(testing.standard_cases())
    result.assert_outcomes(passed=count - 1, failed=1)
    result.stdout.fnmatch_lines(["*::test_port[[]one-window[]] PASSED*", "*::test_port[[]layer-norm-eps[]] FAILED*"])
    result.stdout.fnmatch_lines(["E *FAILED  layer-norm-eps: last_hidden_state: *"])
    result.stdout.no_fnmatch_line("*assertion.py*")  # the failure points into the user's test


def test_cases_of_a_class_and_expected_failures(suite, pytester):
    text = (
        "import port\n"
        "def test_port(lf_ref_case, assert_matches_oracle):\n"
        "    assert_matches_oracle(port.without_epsilon, lf_ref_case)\n"
    )
    suite(text, "--lf-ref-class", "LongformerForMaskedLM").assert_outcomes(passed=2)
    pytester.path.joinpath("xfail.txt").write_text("layer-norm-eps: known\n")
    some = ["-k", "layer-norm-eps or one-token", "--lf-ref-xfail", "xfail.txt"]
    suite(text, *some).assert_outcomes(passed=1, xfailed=1)
    suite(text.replace("without_epsilon", "target"), *some).assert_outcomes(passed=1, failed=1)
    result = suite(text, "--lf-ref-class", "Longformer")
    result.stdout.fnmatch_lines(["*there is no class 'Longformer'; choose from*"])


def test_some_cases_by_a_mark(suite):
    result = suite(
        "import pytest\n"
        "@pytest.mark.lf_ref_cases('two-windows', 'one-window')\n"
        "def test_port(lf_ref_case):\n"
        "    assert lf_ref_case.inputs['input_ids'].shape[1] in (8, 16)\n"
    )
    result.assert_outcomes(passed=2)


def test_cases_of_the_tests_own(suite):
    result = suite(
        "import pytest\n"
        "@pytest.mark.parametrize('lf_ref_case', [1, 2, 3])\n"
        "def test_one(lf_ref_case): assert lf_ref_case in (1, 2, 3)\n"
        "@pytest.mark.parametrize('x, lf_ref_case', [(4, 5)])\n"
        "def test_two(x, lf_ref_case): assert (x, lf_ref_case) == (4, 5)\n"
        "@pytest.mark.parametrize(['lf_ref_case', 'x'], [(4, 5)])\n"
        "def test_three(x, lf_ref_case): assert (x, lf_ref_case) == (5, 4)\n"
        "@pytest.mark.parametrize('x', [1])\n"
        "@pytest.mark.lf_ref_cases('one-window')\n"
        "def test_four(x, lf_ref_case): assert lf_ref_case.name == 'one-window'\n"
    )
    result.assert_outcomes(passed=6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import pytest\n@pytest.mark.lf_ref_cases('one-windw')\ndef test_port(lf_ref_case): pass\n",
            "*lf_ref_cases: there is no case 'one-windw' among the 53; names of cases: one-window, *",
        ),
        (
            "def test_port(request): request.getfixturevalue('lf_ref_case')\n",
            "*lf_ref_case must be an argument of the test, or of a fixture that the test takes*",
        ),
        ("def test_port(lf_ref_target): pass\n", "*pass --lf-ref-target package.module:callable*"),
        (
            "def test_port(lf_ref_golden): lf_ref_golden('golden.safetensors')\n",
            "*golden.safetensors does not exist: write it with pytest --lf-ref-regen*",
        ),
    ],
)
def test_usage_errors_are_explained(text, message, suite):
    result = suite(text)
    assert result.ret != 0
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*another exception*")


def test_the_tiny_model_and_its_checkpoint_are_one(suite):
    result = suite(
        "import numpy as np, pytest, lf_ref\n"
        "def test_port(lf_ref_tiny_model, lf_ref_tiny_checkpoint, assert_matches_oracle):\n"
        "    assert lf_ref_tiny_model.dtype == 'float64'\n"
        "    inputs = dict(np.load(lf_ref_tiny_checkpoint / 'inputs.npz'))\n"
        "    port = lf_ref.LongformerForMaskedLM.from_pretrained(lf_ref_tiny_checkpoint, backend='numpy')\n"
        "    report = assert_matches_oracle(port, lf_ref_tiny_model, inputs)\n"
        "    assert 'logits' in report.tensors\n"
        "    with pytest.raises(AssertionError, match='DIVERGES first at logits'):\n"
        "        assert_matches_oracle(port(**inputs).logits + 1e-3, lf_ref_tiny_model, inputs)\n"
    )
    result.assert_outcomes(passed=1)


GOLDEN = (
    "import port\n"
    "def test_port(lf_ref_golden, assert_matches_oracle):\n"
    "    golden = lf_ref_golden('golden/port.safetensors', cases=['one-window', 'layer-norm-eps'])\n"
    "    assert_matches_oracle(port.target, golden)\n"
    "def test_again(lf_ref_golden):\n"
    "    assert len(lf_ref_golden('golden/port.safetensors', ['one-window', 'layer-norm-eps']).cases) == 2\n"
)


def test_golden_files_are_made_on_request_and_reused(suite, pytester, monkeypatch):
    path = pytester.path / "golden" / "port.safetensors"
    suite(GOLDEN).assert_outcomes(failed=2)
    assert not path.exists()
    made = []
    original = creation.make_golden
    monkeypatch.setattr(creation, "make_golden", lambda *args, **options: made.append(original(*args, **options)))
    suite(GOLDEN, "--lf-ref-regen").assert_outcomes(passed=2)
    assert len(made) == 1
    assert made[0].manifest["command"] == "pytest --lf-ref-regen"
    written = path.stat().st_mtime_ns
    suite(GOLDEN).assert_outcomes(passed=2)
    assert path.stat().st_mtime_ns == written


def test_a_golden_file_of_other_cases_is_old(suite):
    suite(GOLDEN, "--lf-ref-regen").assert_outcomes(passed=2)
    result = suite("def test_port(lf_ref_golden): lf_ref_golden('golden/port.safetensors', ['one-token'])\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*has other cases: write it again with pytest --lf-ref-regen*"])


SHARED = (
    "import port\n"
    "def test_one(lf_ref_golden, assert_matches_oracle):\n"
    "    golden = lf_ref_golden('port.safetensors', cases=['two-windows', 'one-window'])\n"
    "    assert [case.name for case in golden.cases] == ['two-windows', 'one-window']\n"
    "    assert_matches_oracle(port.target, golden)\n"
    "def test_other(lf_ref_golden, assert_matches_oracle):\n"
    "    golden = lf_ref_golden('port.safetensors', 'one-token')\n"
    "    assert [case.name for case in golden.cases] == ['one-token']\n"
    "    assert_matches_oracle(port.target, golden)\n"
)


def test_tests_share_a_golden_file(suite, pytester):
    path = pytester.path / "port.safetensors"
    result = suite(SHARED, "--lf-ref-regen")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["lf_ref wrote port.safetensors: 3 cases, 0.? MB"])
    assert [case.name for case in testing.load_golden(path).cases] == ["one-token", "one-window", "two-windows"]
    made = path.read_bytes()
    result = suite(SHARED)
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("lf_ref wrote *")
    suite(SHARED, "--lf-ref-regen", "-k", "other").assert_outcomes(passed=1, deselected=1)
    assert path.read_bytes() == made  # of any tests, in any order
    suite(SHARED).assert_outcomes(passed=2)
    path.write_text("damaged")
    suite(SHARED, "--lf-ref-regen", "-k", "other").assert_outcomes(passed=1, deselected=1)
    assert [case.name for case in testing.load_golden(path).cases] == ["one-token"]


def test_a_golden_file_of_all_cases_and_of_one(suite, monkeypatch, pytester):
    made = []
    original = creation.make_golden

    def make(path, names, **options):
        made.append(names)
        return original(path, ["one-token", "one-window"] if names == ["standard"] else names, **options)

    monkeypatch.setattr(creation, "make_golden", make)
    text = (
        "def test_one(lf_ref_golden): assert len(lf_ref_golden('port.safetensors', ['one-token']).cases) == 1\n"
        "def test_all(lf_ref_golden): assert len(lf_ref_golden('port.safetensors').cases) == 2\n"
        "def test_two(lf_ref_golden): assert len(lf_ref_golden('port.safetensors', ['one-window']).cases) == 1\n"
    )
    suite(text, "--lf-ref-regen").assert_outcomes(passed=3)
    assert made == [["one-token"], ["standard"]]


def test_tests_that_cannot_share_a_golden_file(suite):
    result = suite(
        "def test_one(lf_ref_golden): lf_ref_golden('port.safetensors', ['one-token'])\n"
        "def test_all(lf_ref_golden): lf_ref_golden('port.safetensors', ['one-token'], intermediates='all')\n",
        "--lf-ref-regen",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*InputError: port.safetensors is wanted with {'model': None, 'intermediates': None*"])


def test_a_golden_file_of_another_model_is_replaced(suite, pytester, monkeypatch):
    """Its cases are those of that model."""
    given, original = [], creation.make_golden
    testing.make_golden(pytester.path / "port.safetensors", ["two-windows"])

    def make(path, names, model, **options):
        given.append(names)
        return original(path, names, **options)

    monkeypatch.setattr(creation, "make_golden", make)
    text = "def test_port(lf_ref_golden): lf_ref_golden('port.safetensors', ['one-token'], model='demo')\n"
    suite(text, "--lf-ref-regen").assert_outcomes(passed=1)
    assert given == [["one-token"]]


def test_the_summary_line_names_case_and_place(suite, pytester, monkeypatch):
    pytester.makepyfile(
        raising="import port\ndef target(config, weights, inputs):\n    raise IndexError('index 3 is out of bounds')\n"
    )
    text = (
        "import port, pytest, raising\n"
        "@pytest.mark.lf_ref_cases('layer-norm-eps')\n"
        "def test_port(lf_ref_case, assert_matches_oracle):\n"
        "    assert_matches_oracle(port.without_epsilon, lf_ref_case)\n"
        "def test_golden(lf_ref_golden, assert_matches_oracle):\n"
        "    assert_matches_oracle(raising.target, lf_ref_golden('port.safetensors', ['one-token', 'one-window']))\n"
        "def test_model(lf_ref_tiny_model, assert_matches_oracle):\n"
        "    assert_matches_oracle({'logits': [[[0.0]]]}, lf_ref_tiny_model, {'input_ids': [[3]]})\n"
    )
    monkeypatch.setenv("CI", "1")  # lines are not cut off
    result = suite(text, "--lf-ref-regen")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "FAILED test_port.py::test_port[[]layer-norm-eps[]] - AssertionError: layer-norm-eps: last_hidden_state: "
            "its error is too large, worst at *; mistake: a layer_norm_eps of 1e-05",
            "FAILED test_port.py::test_golden - AssertionError: one-token: raising.py:3, in target: raised IndexError: "
            "index 3 is out of bounds; 1 more failed",
            "FAILED test_port.py::test_model - AssertionError: DIVERGES first at logits, 1 of 1 tensors diverge in *",
        ]
    )


def test_what_was_not_offered_is_listed_on_request(suite):
    text = (
        "import port, pytest\n"
        "@pytest.mark.lf_ref_cases('layer-norm-eps')\n"
        "def test_port(lf_ref_case, assert_matches_oracle):\n"
        "    assert_matches_oracle(port.without_epsilon, lf_ref_case)\n"
    )
    result = suite(text)
    result.stdout.fnmatch_lines(["E *DIVERGES first at last_hidden_state"])
    result.stdout.no_fnmatch_line("*missing*")
    result.stdout.no_fnmatch_line("*embeddings.word_embeddings*")
    result = suite(text, "-v")
    result.stdout.fnmatch_lines(["E *missing in between, perhaps the first to diverge: *", "E *  missing: *"])


def test_a_fixed_shape(suite, pytester):
    text = (
        "import port\n"
        "def target(config, weights, inputs):\n"
        "    assert inputs['input_ids'].shape[-1] == 13\n"
        "    return port.target(config, weights, inputs)\n"
        "def test_port(lf_ref_case, assert_matches_oracle):\n"
        "    assert_matches_oracle(target, lf_ref_case)\n"
    )
    some = ["-k", "one-window or two-windows-less", "-rs"]
    result = suite(text, "--lf-ref-pad-to", "13", *some)
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * --lf-ref-pad-to: more than 13 tokens"])


def test_a_test_without_a_case_of_the_class_is_skipped(suite):
    text = "import pytest\n@pytest.mark.lf_ref_cases('one-window')\ndef test_port(lf_ref_case): pass\n"
    suite(text, "--lf-ref-class", "LongformerForMaskedLM").assert_outcomes(skipped=1)


TARGET = (
    "def test_port(lf_ref_target, assert_matches_oracle, lf_ref_tiny_checkpoint):\n"
    "    from lf_ref import testing\n"
    "    cases = [case for case in testing.standard_cases() if case.name == 'layer-norm-eps']\n"
    "    assert_matches_oracle(lf_ref_target, cases[0])\n"
)


def test_the_options(suite):
    suite(TARGET, "--lf-ref-target", "port:target").assert_outcomes(passed=1)
    wrong = ["--lf-ref-target", "port:without_epsilon"]
    suite(TARGET, *wrong).assert_outcomes(failed=1)
    suite(TARGET, *wrong, "--lf-ref-tolerance", "1").assert_outcomes(passed=1)
    suite(TARGET, *wrong, "--lf-ref-tolerance", "fixed").assert_outcomes(failed=1)
    suite(TARGET, "--lf-ref-target", "port:target", "--lf-ref-precision", "float64").assert_outcomes(failed=1)
    suite(TARGET, "--lf-ref-target", "port:target", "--lf-ref-precision", "bfloat16").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lf-ref-tolerance", "much"], "*--lf-ref-tolerance: must be calibrated, fixed or a number*got 'much'"),
        (["--lf-ref-tolerance", "nan"], "*must be calibrated, fixed or a number of at least 0, got 'nan'"),
        (["--lf-ref-pad-to", "0"], "*--lf-ref-pad-to: must be an integer of at least 1, got '0'"),
        (["--lf-ref-precision", "int8"], "*--lf-ref-precision: invalid choice: 'int8'*"),
    ],
)
def test_options_that_cannot_be(options, message, suite):
    result = suite("def test_port(): pass\n", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_target_that_is_none(suite):
    result = suite(TARGET, "--lf-ref-target", "port:nothing")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*--lf-ref-target: the target's module port has no 'nothing'*"])
    result.stdout.no_fnmatch_line("*exception*")


def test_help_shows_options_and_fixtures(suite):
    result = suite("def test_port(): pass\n", "--help")
    result.stdout.fnmatch_lines(["lf_ref, an oracle for Longformer:", "*--lf-ref-regen*"])
    result = suite("def test_port(): pass\n", "--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.lf_ref_cases(*names): *"])
    result = suite("def test_port(): pass\n", "--fixtures")
    for fixture in ("lf_ref_case *", "assert_matches_oracle *"):  # in no order that stays
        result.stdout.fnmatch_lines([fixture])


UNUSED = (
    "import sys\n"
    "def test_nothing_of_lf_ref_is_used():\n"
    "    held = {name for name in sys.modules if name.startswith('lf_ref')}\n"
    "    assert held == {'lf_ref', 'lf_ref.errors', 'lf_ref.version', 'lf_ref.testing', 'lf_ref.testing.plugin',\n"
    "                    'lf_ref.testing.conformance', 'lf_ref.testing.conformance.arguments'}, held\n"
    "    assert not {'numpy', 'numba', 'safetensors', 'hypothesis', 'click', 'tqdm'} & set(sys.modules)\n"
)


def test_loading_costs_nothing_until_a_fixture_is_used(tmp_path):
    """In a process of its own, without the plugins of other packages."""
    (tmp_path / "test_unused.py").write_text(UNUSED)
    command = [sys.executable, "-m", "pytest", "-q", *PLUGIN, "test_unused.py"]
    environment = {**__import__("os").environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_public_names_resolve():
    assert dir(testing) == sorted(testing.__all__)
    for name in testing.__all__:
        assert getattr(testing, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = testing.no_such_name


# --- the assertion itself ---------------------------------------------------------------------------------------------

CASE = testing.standard_cases()[5]


def test_every_kind_of_oracle():
    model, inputs = CASE.model(), dict(CASE.inputs)
    port = CASE.model("float32")
    output = port(**inputs)
    assert_matches = testing.assert_matches_oracle
    for report in (
        assert_matches(lambda config, weights, given: port(**given), CASE),
        assert_matches(output, CASE),
        assert_matches(output.last_hidden_state, CASE),
        assert_matches(port, model, inputs),
        assert_matches(lambda **given: port(**given).last_hidden_state, model, inputs),
        assert_matches(output, model, inputs),
        assert_matches(output.last_hidden_state, testing.trace(model, **inputs)),
        assert_matches(output, testing.trace(model, **inputs), tolerance=1e-5),
    ):
        assert report.passed
    with pytest.raises(AssertionError, match="FAILED  one-window-and-one: last_hidden_state: "):
        assert_matches(output.last_hidden_state * 2, CASE)
    with pytest.raises(AssertionError, match="DIVERGES first at last_hidden_state"):
        assert_matches(output.last_hidden_state * 2, model, inputs)
    wrong = output.last_hidden_state.copy()
    wrong[1, -1] += 1  # padding
    with pytest.raises(AssertionError):
        assert_matches(wrong, CASE)
    assert assert_matches(wrong, CASE, ignore_padding=True).passed


def test_a_golden_file_as_oracle(tmp_path):
    golden = testing.make_golden(tmp_path / "golden.safetensors", [CASE.name])
    output = CASE.model("float32")(**CASE.inputs)
    for oracle in (golden, golden.path, str(golden.path)):
        assert testing.assert_matches_oracle({CASE.name: output}, oracle).passed
    with pytest.raises(AssertionError, match="FAILED  one-window-and-one"):
        testing.assert_matches_oracle({f"{CASE.name}/last_hidden_state": output[0] + 1}, golden)


@pytest.mark.parametrize(
    ("oracle", "inputs", "message"),
    [
        (CASE, {"input_ids": [[1]]}, "pass inputs with a model, and only then"),
        (CASE.model(), None, "pass inputs with a model, and only then"),
        (3, None, "oracle must be a case, a golden file, a model or a trace, got int"),
        (LongformerConfig(), None, "got LongformerConfig"),
    ],
    ids=["case", "model", "number", "config"],
)
def test_what_is_no_oracle(oracle, inputs, message):
    with pytest.raises(InputError, match=message):
        testing.assert_matches_oracle({}, oracle, inputs)
