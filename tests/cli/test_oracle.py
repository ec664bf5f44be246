"""`lf-ref oracle` and `python -m lf_ref.testing`: golden files, cases, conformance suite on the command line."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import lf_ref
from lf_ref import InputError, testing
from lf_ref.cli import main
from lf_ref.testing.__main__ import main as kit
from lf_ref.testing.conformance import suite

PORT = """
import lf_ref

def target(config, weights, inputs):
    made = lf_ref.LongformerConfig.from_dict(config)
    return getattr(lf_ref, config["architectures"][0])(made, weights, backend="numpy")(**inputs)

def without_epsilon(config, weights, inputs):
    return target({**config, "layer_norm_eps": 1e-5}, weights, inputs)
"""


def run(*arguments, code=0):
    """Standard output and error of a command that ends with `code`."""
    done = CliRunner().invoke(main, ["oracle", *map(str, arguments)], prog_name="lf-ref")
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout, done.stderr


def fails(*arguments):
    """The one line that a command ends with."""
    out, err = run(*arguments, code=2)
    assert out == ""
    [line] = err.splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder in which the command runs, with port.py in it."""
    (tmp_path / "port.py").write_text(PORT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    path = tmp_path_factory.mktemp("golden") / "golden.safetensors"
    out, err = run("make", "--cases", "one-window, layer-norm-eps", "--out", path)
    assert out == ""
    assert re.fullmatch(rf"wrote {path}: 2 cases, 0\.\d MB\n", err)
    return path


@pytest.fixture(scope="module")
def outputs(golden):
    """What float32 gives, by CASE/NAME."""
    found = {}
    for case in testing.load_golden(golden).cases:
        found |= {f"{case.name}/{name}": value for name, value in case.model("float32")(**case.inputs).items()}
    return found


@pytest.fixture
def candidate(outputs, tmp_path):
    def write(name="outputs.npz", **changed):
        np.savez(tmp_path / name, **{**outputs, **changed})
        return tmp_path / name

    return write


# --- make -------------------------------------------------------------------------------------------------------------


def test_make_writes_what_the_library_writes(tmp_path):
    run("make", "--out", tmp_path / "all.safetensors", "--quiet")
    manifest = testing.load_golden(tmp_path / "all.safetensors").manifest
    assert manifest["command"] == "lf-ref oracle make --cases standard"
    assert [case["name"] for case in manifest["cases"]] == [case.name for case in testing.standard_cases()]
    testing.make_golden(tmp_path / "again.safetensors", command=manifest["command"])
    assert (tmp_path / "all.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_make_takes_cases_one_by_one(tmp_path):
    """--case of the other commands may be repeated, and the last one must not win here."""
    one, other = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    run("make", "--cases", "one-token", "--cases", "one-window", "--out", one)
    run("make", "--cases", "one-token,one-window", "--out", other)
    assert [case.name for case in testing.load_golden(one).cases] == ["one-token", "one-window"]
    assert one.read_bytes() == other.read_bytes()


def test_make_takes_no_checkpoint_by_default(tmp_path):
    path = tmp_path / "golden.safetensors"
    run("make", "--cases", "one-token", "--out", path)
    assert testing.load_golden(path).manifest.get("checkpoint") is None
    out, _ = run("make", "--help")
    assert "bundled demo" not in out


def test_make_of_a_checkpoint(tmp_path):
    path = tmp_path / "demo.safetensors"
    arguments = ["--cases", "one-token", "--model", "demo", "--revision", "main"]
    assert run("make", *arguments, "--out", path, "--quiet") == ("", "")
    manifest = testing.load_golden(path).manifest
    assert manifest["command"] == "lf-ref oracle make --cases one-token --model demo --revision main"
    assert list(manifest["checkpoint"]["sha256"]) == ["config.json", "model.safetensors"]


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_of_a_sound_candidate(golden, candidate):
    path = candidate()
    out, err = run("check", golden, "--candidate", path)
    assert out == f"PASSED: {path} in float32 against {golden}: 2 passed\n"
    assert err == ""
    out, _ = run("check", golden, "--candidate", path, "--verbose", "--precision", "bfloat16")
    assert out.splitlines()[1:] == ["passed  one-window", "passed  layer-norm-eps"]


def test_check_of_a_wrong_candidate(golden, candidate, outputs):
    wrong = outputs["one-window/last_hidden_state"].copy()
    wrong[2, 5, 11] += 0.01
    path = candidate(**{"one-window/last_hidden_state": wrong})
    out, err = run("check", golden, "--candidate", path, code=1)
    assert err == ""
    assert out.startswith(f"FAILED: {path} in float32 against {golden}: 1 passed, 1 failed\nFAILED  one-window: last_h")
    assert "worst at [2, 5, 11]" in out
    assert "DIVERGES first at last_hidden_state" in out
    facts = json.loads(run("check", golden, "--candidate", path, "--json", code=1)[0])
    assert [case["state"] for case in facts["cases"]] == ["failed", "passed"]
    for options in (["--case", "layer-norm-eps"], ["--tolerance", "0.1"], ["--precision", "bfloat16"]):
        run("check", golden, "--candidate", path, *options)


def test_check_leaves_padding_out(golden, candidate, outputs):
    wrong = outputs["one-window/last_hidden_state"].copy()
    wrong[1, -1] = 7
    path = candidate(**{"one-window/last_hidden_state": wrong})
    run("check", golden, "--candidate", path, code=1)
    run("check", golden, "--candidate", path, "--ignore-padding")


def test_usage_errors_are_one_line(golden, candidate, place):
    path = candidate()
    np.savez(place / "other.npz", x=np.zeros(3))
    (place / "text.safetensors").write_text("text")
    for arguments, message in (
        (["check", golden], "Missing option '--candidate'"),
        (["check", "missing.safetensors", "--candidate", path], "missing.safetensors cannot be read: No such file"),
        (["check", golden, "--candidate", "missing.npz"], "missing.npz cannot be read: No such file"),
        (
            ["check", golden, "--candidate", "other.npz"],
            "its names are x; name them CASE/NAME, as one-window/last_h",
        ),
        (["check", "text.safetensors", "--candidate", path], "text.safetensors"),
        (["check", path, "--candidate", path], "a golden file ends in .safetensors; pass outputs as the candidate"),
        (["check", golden, "--candidate", path, "--class", "Bert"], "there is no class 'Bert'; choose from Long"),
        (
            ["check", golden, "--candidate", path, "--class", "LongformerForMaskedLM"],
            "none of the 2 cases is of LongformerForMaskedLM",
        ),
        (["run", "port.py:target"], "a target's module is named without .py and with dots for folders, got 'port.py'"),
        (
            ["check", golden, "--candidate", path, "--case", "one-windw"],
            "no case 'one-windw' among the 2; names of cases: one-window",
        ),
        (["check", golden, "--candidate", path, "--tolerance", "-1"], "at least 0, got '-1'"),
        (["check", golden, "--candidate", path, "--precision", "int8"], "'int8' is not one of"),
        (["make"], "Missing option '--out'"),
        (["make", "--out", "golden.npz"], "a golden file ends in .safetensors, got golden.npz"),
        (
            ["make", "--out", "no/golden.safetensors"],
            "the folder no does not exist; create it to write golden",
        ),
        (["make", "--out", "g.safetensors", "--cases", "two-window"], "no case 'two-window'"),
        (["make", "--out", "g.safetensors", "--model", "./missing"], "there is no folder ./missing"),
        (["make", "--out", "g.safetensors", "--model", "demo", "--cases", "gelu-new"], "no case 'gelu-new'"),
        (["cases", "missing.safetensors"], "missing.safetensors cannot be read"),
        (["export", golden, "--out", "port.py"], "port.py cannot be written: "),
        (["run", "port"], "a target is named package.module:callable, got 'port'"),
        (["run", "no_port:target"], "there is no module 'no_port'"),
        (["run", "port:nothing"], "the target's module port has no 'nothing'"),
        (["run", "port:target", "--xfail", "missing.txt"], "missing.txt cannot be read"),
        (["run", "port:target", "--case", "drawn-0-99"], "no case 'drawn-0-99' among the 66"),
        (
            ["run", "port:target", "--class", "Longformer"],
            "there is no class 'Longformer'; choose from LongformerM",
        ),
        (["run", "port:target", "--draws", "-1"], "-1 is not in the range"),
        (["run", "port:target", "--seed", str(2**64)], "is not in the range"),
        (["check", golden, "--candidate", path, "--no-such-option"], "--no-such-option"),
        (["nothing"], "No such command 'nothing'"),
    ):
        assert message in fails(*arguments), arguments
    assert "(see lf-ref oracle make --help)" in fails("make")


# --- cases and export -------------------------------------------------------------------------------------------------


def test_cases_are_listed(golden):
    lines = run("cases")[0].splitlines()
    assert len(lines) == len(testing.standard_cases())
    assert re.fullmatch(r"one-window +Model +exactly one window: .*", lines[4])
    assert [line.split()[0] for line in run("cases", golden)[0].splitlines()] == ["one-window", "layer-norm-eps"]
    facts = json.loads(run("cases", "--json")[0])
    assert facts[4]["name"] == "one-window"
    assert np.shape(facts[4]["inputs"]["input_ids"]) == (3, 8)
    assert facts[4]["config"]["attention_window"] == 8
    by_name = {case["name"]: case for case in facts}
    assert len(by_name["bfloat16-rounding"]["changed_weights"]) == 3


def test_export_writes_checkpoints_that_anything_reads(golden, tmp_path):
    assert run("export", golden, "--out", tmp_path / "cases")[0] == f"wrote 2 folders to {tmp_path / 'cases'}\n"
    loaded = testing.load_golden(golden)
    for case in loaded.cases:
        folder = tmp_path / "cases" / case.name
        model = lf_ref.LongformerModel.from_pretrained(folder, backend="numpy")
        inputs = dict(np.load(folder / "inputs.npz"))
        assert {name: array.dtype for name, array in inputs.items()} == {
            name: array.dtype for name, array in case.inputs.items()
        }
        assert testing.check_golden(loaded, {case.name: model(**inputs)}, cases=[case.name]).passed


def test_export_of_a_checkpoints_golden_file_has_inputs_only(tmp_path):
    testing.make_golden(tmp_path / "g.safetensors", ["one-token"], model="demo")
    run("export", tmp_path / "g.safetensors", "--out", tmp_path / "cases")
    assert [path.name for path in (tmp_path / "cases" / "one-token").iterdir()] == ["inputs.npz"]


# --- the kit ----------------------------------------------------------------------------------------------------------


def test_run_reports_which_cases_fail_and_where(place):
    out, err = run("run", "port:target", "--draws", "2")
    assert (out, err) == ("PASSED: port:target in float32: 48 passed\n", "")
    out, _ = run("run", "port:without_epsilon", "--draws", "0", code=1)
    assert out.startswith(
        "FAILED: port:without_epsilon in float32: 45 passed, 1 failed\nFAILED  layer-norm-eps: last_hid"
    )
    facts = json.loads(run("run", "port:without_epsilon", "--case", "layer-norm-eps", "--json", code=1)[0])
    assert facts["cases"][0]["first_divergence"] == "last_hidden_state"
    out, _ = run("run", "port:target", "--class", "LongformerForMaskedLM", "--class", "LongformerForQuestionAnswering")
    assert out == "PASSED: port:target in float32: 3 passed\n"
    run("run", "port:target", "--case", "drawn-7-1", "--seed", "7", "--precision", "bfloat16")


def test_run_with_expected_failures(place):
    (place / "xfail.txt").write_text("layer-norm-eps: it is a constant there\n")
    some = ["--case", "layer-norm-eps", "--case", "one-window", "--xfail", "xfail.txt"]
    assert run("run", "port:without_epsilon", *some)[0].endswith("1 passed, 1 xfailed\n")
    assert "XPASSED layer-norm-eps: passes, but" in run("run", "port:target", *some, code=1)[0]


def test_the_module_is_the_command(place, capsys):
    assert kit(["port:target", "--case", "one-window"]) == 0
    assert capsys.readouterr().out == "PASSED: port:target in float32: 1 passed\n"
    assert kit(["port:without_epsilon", "--case", "layer-norm-eps"]) == 1
    assert "layer-norm-eps" in capsys.readouterr().out
    assert kit(["--help"]) == 0
    assert "Usage: python -m lf_ref.testing [OPTIONS] PACKAGE.MODULE:CALLABLE" in capsys.readouterr().out
    for arguments, message in (
        ([], "Missing argument 'PACKAGE.MODULE:CALLABLE'"),
        (["port:nothing"], "the target's module port has no 'nothing'"),
        (["port:target", "--case", "one-windw"], "there is no case 'one-windw'"),
    ):
        assert kit(arguments) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("Error: ")
        assert message in line


def test_the_module_ends_with_the_code(place, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lf_ref.testing", "port:target", "--case", "one-window"])
    # Not by runpy: pytest imports what belongs to a plugin through a loader that gives no code.
    path = Path(testing.__file__).with_name("__main__.py")
    code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
    with pytest.raises(SystemExit) as end:
        exec(code, {"__name__": "__main__", "__package__": "lf_ref.testing"})
    assert end.value.code == 0


def test_interruption_of_the_module(place, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "check_target", interrupted)
    assert kit(["port:target"]) == 130


@pytest.mark.parametrize(
    ("error", "code"),
    [(OSError(28, "No space left on device"), 1), (FileNotFoundError(2, "no such file"), 2), (InputError("no"), 2)],
)
def test_exit_codes_of_the_module(error, code, place, monkeypatch, capsys):
    def failing(*_, **__):
        raise error

    monkeypatch.setattr(suite, "check_target", failing)
    assert kit(["port:target"]) == code
    assert capsys.readouterr().err == f"Error: {error}\n"


def test_the_module_in_a_process_of_its_own(place):
    """The working folder is looked in, and help does not load NumPy."""
    command = [sys.executable, "-m", "lf_ref.testing"]
    done = subprocess.run(
        [*command, "port:without_epsilon", "--draws", "0"], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAILED  layer-norm-eps: last_hidden_state" in done.stdout
    done = subprocess.run([*command, "port"], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: a target is named package.module:callable, got 'port'\n"
    script = (
        "import sys\n"
        "from lf_ref.testing.__main__ import main\n"
        "assert main(['--help']) == 0\n"
        "assert 'numpy' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=300).returncode == 0


# --- help -------------------------------------------------------------------------------------------------------------


def test_help_lists_the_commands():
    text = run()[0]
    assert text == run("--help")[0]
    listed = re.findall(r"^  ([a-z]+) {2,}\S.*\.$", text.partition("Commands:")[2], re.M)
    assert listed == ["make", "check", "cases", "export", "run"]


@pytest.mark.parametrize("command", ["make", "check", "cases", "export", "run"])
def test_examples_of_the_help_run(command, place):
    [line] = re.findall(r"^ +(lf-ref oracle .+)$", run(command, "--help")[0], re.M)
    if command in ("check", "export"):
        run("make", "--out", "golden.safetensors", "--cases", "one-window")
        case = testing.load_golden("golden.safetensors").cases[0]
        np.savez("outputs.npz", **{"one-window/last_hidden_state": case.model("float32")(**case.inputs)[0]})
    words = shlex.split(line)
    assert words[:3] == ["lf-ref", "oracle", command]
    run(*words[2:])
