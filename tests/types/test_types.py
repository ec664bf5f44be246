"""Type checkers know the options and the results of each task, on a user's file and on the blocks of the README."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import fields
from inspect import signature
from pathlib import Path

import pytest

import lf_ref
from lf_ref import pipelines
from lf_ref.pipelines import arguments

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
# A page annotates no functions and no dictionaries, and knows that what it asks for is there.
PAGE = '# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="arg-type,index,union-attr"\n'
KINDS = list(dict.fromkeys(pipelines.TASKS.values()))


def mypy(folder, *files):
    """The lines with errors, by file, as mypy sees them in a project that has no settings of its own."""
    pytest.importorskip("mypy")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--allow-redefinition",
        "--config-file",
        os.devnull,
        "--cache-dir",
        str(folder),
    ]
    command += ["--follow-imports", "silent", *map(str, files)]
    environment = {**os.environ, "MYPYPATH": str(Path(lf_ref.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert done.returncode in (0, 1), done.stderr
    found = {file.name: {} for file in files}
    for name, line, message in re.findall(r"^(?:.*/)?(\w+\.py):(\d+): error: (.*)$", done.stdout, re.M):
        found[name].setdefault(int(line), message)
    assert done.returncode == any(found.values()), done.stdout
    return found


def test_mypy_on_a_users_file_on_mistakes_and_on_the_readme(tmp_path):
    """One run for all: most of its time goes into NumPy's types."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    page = tmp_path / "readme.py"
    page.write_text(PAGE + "".join(blocks), encoding="utf-8")
    found = mypy(tmp_path, HERE / "user.py", HERE / "mistakes.py", page)
    wrong = (HERE / "mistakes.py").read_text(encoding="utf-8").splitlines()
    assert sorted(found.pop("mistakes.py")) == [
        number for number, line in enumerate(wrong, start=1) if line.endswith("# wrong")
    ]
    assert found == {"user.py": {}, "readme.py": {}}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.task)
def test_the_types_of_a_task_are_those_of_its_options(kind):
    name = kind.__name__.removesuffix("Pipeline")
    options = {field.name: field.type for field in fields(kind.options_class)}
    assert annotations(getattr(arguments, f"{name}Arguments")) == options
    building = annotations(getattr(arguments, f"{name}Building"))
    assert building == options | annotations(arguments.Building)


def annotations(kind):
    """The types of a typed dictionary, as they are written."""
    return {name: getattr(given, "__forward_arg__", given) for name, given in kind.__annotations__.items()}


def test_what_pipeline_takes_for_every_task_is_what_it_says():
    by_place = ("task", "model", "config", "tokenizer")
    named = set(signature(pipelines.pipeline).parameters) - {*by_place, "options"}
    assert set(arguments.Building.__annotations__) == named | {"dtype", "backend", "num_threads"}


def test_all_is_written_out():
    """Type checkers read `__all__` as it is written, and cannot run it."""
    tree = ast.parse(Path(lf_ref.__file__).read_text(encoding="utf-8"))
    [written] = [node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"]
    assert ast.literal_eval(written) == lf_ref.__all__
    assert lf_ref.__all__[-len(lf_ref._HOME) - len(lf_ref._SAME) :] == [*lf_ref._HOME, *lf_ref._SAME]
