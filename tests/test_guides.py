"""The guides that are part of the package: every row of their tables and every block is run."""

import re
from pathlib import Path

import numpy as np
import pytest

import lf_ref

GUIDE = Path(lf_ref.__file__).parent / "guides" / "coming_from_hf.md"
TEXT = GUIDE.read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| (.+?) \|$", TEXT, re.M)
CLASSES = {
    thing
    for name in lf_ref.__all__
    for thing in getattr(getattr(lf_ref, name), "__mro__", ())
    if thing.__module__.startswith("lf_ref")
}


@pytest.fixture(scope="module")
def names():
    (block,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    space = {}
    exec(block, space)
    return space


@pytest.mark.parametrize(("code", "gives"), ROWS, ids=[code for code, _ in ROWS])
def test_a_row_gives_the_stated_result(code, gives, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = code.replace(r"\|", "|")
    if gives.startswith("`InputError`"):
        with pytest.raises(lf_ref.InputError) as error:
            eval(code, dict(names))
        wanted = re.findall(r"`(.+?)`", gives)[1:]
        assert wanted, "the row must quote the part of the message that says what to do"
        assert all(part in str(error.value) for part in wanted)
    else:
        (expected,) = re.findall(r"^`(.+)`$", gives)
        got = eval(code, dict(names))
        np.testing.assert_equal(got, eval(expected.replace(r"\|", "|"), dict(names)))


def test_each_table_row_is_a_row_of_the_test():
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    assert len(lines) == len(ROWS) + 2 * lines.count("| code | gives |")


@pytest.mark.parametrize("cls", sorted(CLASSES, key=str), ids=lambda cls: cls.__name__)
def test_each_name_of_hf_has_a_row(cls):
    named = {
        name for value in vars(cls).values() for name in getattr(getattr(value, "__func__", value), "hf_names", {})
    }
    code = " ".join(code for code, _ in ROWS)
    assert not {name for name in named if not re.search(rf"\b{name}\b", code)}
