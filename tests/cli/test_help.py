"""The help of every command, and its examples: they run."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from cli.running import examples, run
from pipelines.building import CLASSES

import lf_ref
from lf_ref.cli import main


def names_of(group, above=()):
    """The commands of a group and of the groups in it, each as the words that call it."""
    for name, command in group.commands.items():
        yield (*above, name)
        if isinstance(command, click.Group):
            yield from names_of(command, (*above, name))


COMMANDS = list(names_of(main))


def marked(line):
    """An example; HF's side of a comparison is there only in the parity suite."""
    return pytest.param(line, marks=pytest.mark.parity if "--against transformers" in line else [])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example(command):
    lines = examples(*command)
    assert lines
    assert all(shlex.split(line)[1:][: len(command)] == list(command) for line in lines)


# Those of commands in commands need files that only their own tests know how to make.
EXAMPLES = [line for command in COMMANDS if len(command) == 1 for line in examples(*command)] + re.findall(
    r"^ +(lf-ref .+)$", run(), re.M
)


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


def test_version():
    assert run("--version") == f"lf-ref, version {lf_ref.__version__}\n"
