"""What holds for the repository as a whole."""

import re
from importlib import metadata
from pathlib import Path

import pytest

import lf_ref

ROOT = Path(__file__).parent.parent
TOP_LEVEL = {"pyproject.toml", "lf_ref", "tests", "notebooks", "README.md", "LICENSE"}
# What tools and users leave in a checkout without asking: .gitignore keeps it out of commits.
LEFT_BEHIND = {"build", "dist", "__pycache__", "PKG-INFO"}


def test_the_top_level_is_as_documented():
    names = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert names - LEFT_BEHIND - TOP_LEVEL == set()


def test_the_installed_package_is_this_one():
    assert lf_ref.__version__ == metadata.version("lf-ref")


def test_every_dependency_has_a_reason():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.S | re.M)
    extras = re.search(r"^\[project.optional-dependencies\]\n(.*?)^\[project", text, re.S | re.M)
    assert block
    assert extras
    entries = [line for line in (block[1] + extras[1]).splitlines() if line.startswith("    ")]
    assert len(entries) > 10
    for line in entries:
        assert re.fullmatch(r'    "[^"]+", +# .{10,}', line), line


def test_modules_stay_short():
    for path in (ROOT / "lf_ref").rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "vocab.json", "merges.txt", "MODEL_CARD.md", "passage.txt"]
)
def test_the_demo_checkpoint_is_part_of_the_package(name):
    assert (Path(lf_ref.__file__).parent / "demo" / name).stat().st_size > 0
