"""Type checkers know the options and the results of each task, on a user's file and on the blocks of the README."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
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
PACKAGE = Path(lf_ref.__file__).parents[1]  # where the checkers find it
PAGE = "# mypy: allow-untyped-defs, allow-untyped-calls\n"  # a page annotates no functions
KINDS = list(dict.fromkeys(pipelines.TASKS.values()))
# What types no result of lf_ref, so that reading it only takes time.
SKIPPED = ["torch", "huggingface_hub", "matplotlib", "hypothesis", "IPython", "coverage", "numba", "requests", "pytest"]


def mypy(folder):
    """Name and line of each error in a folder, as mypy sees it in a project that has no settings of its own."""
    settings = folder / "mypy.ini"
    names = ",".join(f"{name}.*" for name in SKIPPED)
    settings.write_text(f"[mypy]\n[mypy-{names}]\nfollow_imports = skip\n", encoding="utf-8")
    printed = run("mypy", folder, "--strict", "--allow-redefinition", "--follow-imports", "silent", ".")
    return {(name, int(line)) for name, line in re.findall(r"^(\w+\.py):(\d+): error: ", printed, re.M)}


def pyright(folder):
    """As `mypy`, by what underlines errors in editors."""
    settings = {"extraPaths": [str(PACKAGE)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    printed = run("pyright", folder, "--pythonpath", sys.executable, "--outputjson")
    found = [one for one in json.loads(printed)["generalDiagnostics"] if one["severity"] == "error"]
    return {(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in found}


def run(checker, folder, *arguments):
    """What a checker prints; it ends with 1 where it finds errors, and with more where it cannot work."""
    environment = {**os.environ, "MYPYPATH": str(PACKAGE), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    command = [sys.executable, "-m", checker, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_checkers_on_a_users_file_on_mistakes_and_on_the_readme(checker, tmp_path):
    """One run for all: most of its time goes into NumPy's types."""
    pytest.importorskip(checker.__name__)
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    (tmp_path / "readme.py").write_text(PAGE + "".join(blocks), encoding="utf-8")
    for name in ("user.py", "mistakes.py"):
        shutil.copy(HERE / name, tmp_path)
    wrong = (HERE / "mistakes.py").read_text(encoding="utf-8").splitlines()
    expected = {("mistakes.py", line) for line, text in enumerate(wrong, start=1) if text.endswith("# wrong")}
    assert checker(tmp_path) == expected


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
