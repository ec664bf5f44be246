"""What the guide of lf_ref.testing says of golden files, the generator and the standard cases is what they are."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from lf_ref import testing
from lf_ref.testing import generator
from lf_ref.testing.comparison.calibration import ExpectedError
from oracles import golden_page
from oracles.documents import ROOT, read

PAGE = read(ROOT / "lf_ref" / "testing" / "README.md")


def section(title):
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_table_of_cases():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\w+) \| (.+) \|$", section("The standard cases"), re.M)
    assert rows == [
        (case.name, case.class_name.removeprefix("Longformer"), case.about) for case in testing.standard_cases()
    ]


SHAPES = {
    "embeddings.word_embeddings.weight": (61, 24),
    "encoder.layer.0.attention.self.key_global.weight": (47, 24),
    "encoder.layer.1.output.LayerNorm.weight": (24,),
    "lm_head.bias": (61,),
}
ROWS = re.findall(r"^\| (\d+), `(.+?)`.*? \| (.+) \| (.+) \| (.+) \| (.+) \| (.+) \| (.+) \|$",
                  section("The generator of weights"), re.M)  # fmt: skip


def test_the_page_has_test_vectors():
    assert [row[1] for row in ROWS] == list(SHAPES)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_the_test_vectors(row):
    seed, name, fnv, *words, integers, elements = row
    places, shape = (0, 1, 1000), SHAPES[name]
    assert int(fnv, 16) == golden_page.fnv(name)
    found = [int(generator.words(int(seed), name, 1, place)[0]) for place in places]
    assert [int(word, 16) for word in words] == found
    assert [int(number) for number in integers.split(", ")] == [(word >> 48) - 32768 for word in found]
    made = generator.tensor(int(seed), name, shape).ravel()
    assert [float(number) for number in elements.split(", ")] == made[:2].tolist()


def test_constants_of_the_generator():
    text = "".join(re.findall(r"^    .*\n", section("The generator of weights"), re.M))
    assert sorted(re.findall(r"0x[0-9A-F]{16}\b", text)) == sorted(
        f"0x{number:016X}"
        for number in (
            0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xCBF29CE484222325, 0x00000100000001B3,
        )
    )  # fmt: skip


def test_fields_of_the_manifest(tmp_path):
    golden = testing.make_golden(tmp_path / "golden.safetensors", ["one-token"])
    text = section("The format of a golden file")
    entry = golden.manifest["cases"][0]
    for name in (*golden.manifest, *entry, *entry["expected"][0], *(field.name for field in fields(ExpectedError))):
        assert f"`{name}`" in text, name
    assert f"`{generator.NAME}`, {generator.VERSION}" in text
    for name in golden_page.read(golden.path).tensors:
        assert f"`{name.split('/')[0]}/CASE/" in text, name
