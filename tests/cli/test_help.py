"""The help of every command, and its examples: they run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import click
import pytest
from cli.running import examples, run
from click.testing import CliRunner
from pipelines.building import CLASSES

import lf_ref
from lf_ref.cli import main
from lf_ref.testing import standard_cases


def names_of(group, above=()):
    """The commands of a group and of the groups in it, each as the words that call it."""
    for name, command in group.commands.items():
        yield (*above, name)
        if isinstance(command, click.Group):
            yield from names_of(command, (*above, name))


COMMANDS = list(names_of(main))


def marked(line):
    """An example; peers on torch are there only in the parity suite."""
    on_torch = any(f"--against {peer}" in line for peer in ("transformers", "torch-sdpa"))
    return pytest.param(line, marks=pytest.mark.parity if on_torch else [])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example(command):
    lines = examples(*command)
    assert lines
    assert all(shlex.split(line)[1:][: len(command)] == list(command) for line in lines)


# Those of commands in commands need files that only their own tests know how to make; `serve` does not end.
ALONE = [command for command in COMMANDS if len(command) == 1 and command != ("serve",)]
EXAMPLES = [line for command in ALONE for line in examples(*command)] + re.findall(r"^ +(lf-ref .+)$", run(), re.M)


@pytest.mark.parametrize("line", [marked(line) for line in dict.fromkeys(EXAMPLES)])
def test_the_examples_run(line, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)
    assert run(*(folders[words[1]] if word == "FOLDER" else word for word in words[1:])) or list(tmp_path.iterdir())


def test_help_lists_every_command_in_order():
    text = run("--help")
    listed = re.findall(r"^  ([a-z-]+) {2,}\S.*[^.]\.$", text.partition("Commands:")[2], re.M)
    assert listed == list(main.commands)
    assert listed[: len(CLASSES)] == list(CLASSES)
    assert run("-h") == text == run()


@pytest.mark.parametrize("width", [80, 120, 180])
def test_the_help_uses_the_width_of_the_terminal(width):
    command = [sys.executable, "-m", "lf_ref", "feature-extraction", "--help"]  # click's runner has 80 columns
    environment = {**os.environ, "COLUMNS": str(width)}
    lines = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()
    assert width - 12 < max(len(line) for line in lines if not line.startswith("    lf-ref")) <= width


SECTIONS = ["Task options", "Input and output options", "Model options", "Performance options", "Other options"]


@pytest.mark.parametrize("command", CLASSES)
def test_options_stand_in_sections(command):
    text = run(command, "--help")
    assert re.findall(r"^(\w.* options):$", text, re.M) == SECTIONS
    parts = re.split(r"^\w.* options:$", text, flags=re.M)[1:]
    found = dict(zip(SECTIONS, (re.findall(r"^  (?:-h, )?(--[a-z-]+)", part, re.M) for part in parts), strict=True))
    assert {"--file", "--lines", "--json", "--truncation"} <= set(found["Input and output options"])
    model = ["--model", "--revision", "--token", "--cache-dir", "--local-files-only", "--tokenizer"]
    assert found["Model options"] == model
    assert found["Performance options"] == ["--num-threads", "--dtype", "--backend", "--batch-tokens"]
    assert found["Other options"] == ["--quiet", "--help"]
    assert sum(map(len, found.values())) == len({flag for flags in found.values() for flag in flags})


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_options_stand_outside_of_a_section(command):
    text = run(*command, "--help")
    titles = re.findall(r"^(.*[Oo]ptions):$", text, re.M)
    assert titles[-1:] == (["Options"] if "Commands:" in text else ["Other options"])
    assert len(titles) == 1 or set(titles) <= set(SECTIONS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_whole_numbers_are_called_n(command):
    text = run(*command, "--help")
    assert "INTEGER" not in text


def completions(*words):
    """The completions of the last of these words."""
    environment = {
        "_LF_REF_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["lf-ref", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = CliRunner().invoke(main, [], env=environment, prog_name="lf-ref", complete_var="_LF_REF_COMPLETE")
    return [line.split(",", 1) for line in done.output.splitlines()]


def test_shells_complete_commands_folders_files_and_cases():
    assert ["plain", "fill-mask"] in completions("fi")
    assert ["plain", "--model"] in completions("fill-mask", "--mo")
    assert completions("fill-mask", "--model", "some") == [["dir", "some"]]
    assert completions("info", "some") == [["dir", "some"]]
    assert completions("fill-mask", "--lines", "some") == [["file", "some"]]
    cases = [case.name for case in standard_cases() if case.name.startswith("one-w")]
    assert len(cases) > 1
    for words in (["check", "--case"], ["run", "--case"], ["make", "--cases"]):
        assert completions("oracle", *words, "one-w") == [["plain", name] for name in cases]
    assert completions("oracle", "make", "--cases", "a,one-w") == [["plain", f"a,{name}"] for name in cases]


def test_the_help_explains_shell_completion():
    lines = re.findall(r"^ +(?:bash|zsh|fish) +(.*)$", run("--help"), re.M)
    assert len(lines) == 3
    for line in lines:
        [shell] = re.findall(r"_LF_REF_COMPLETE=(\w+)_source lf-ref", line)
        script = CliRunner().invoke(
            main, [], env={"_LF_REF_COMPLETE": f"{shell}_source"}, prog_name="lf-ref", complete_var="_LF_REF_COMPLETE"
        )
        assert f"_LF_REF_COMPLETE={shell}_complete" in script.output


def test_the_help_documents_the_exit_codes():
    assert re.findall(r"^ {4}(\d+) +\w", run("--help"), re.M) == ["0", "1", "2", "130"]


def test_version():
    assert run("--version") == f"lf-ref, version {lf_ref.__version__}\n"
