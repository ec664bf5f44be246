"""What HF's fast tokenizer answered, kept in files: so parity is tested without it too. See the maker beside them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tokenizer.vocabularies import vocabulary

from lf_ref.tokenizer import LongformerTokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "tokenizer"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_tokenizer_make", GOLDEN / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["texts", "rows"])
@pytest.mark.parametrize("name", ["demo", "roberta"])
def test_answers_are_those_of_hf(make: ModuleType, name: str, kind: str) -> None:
    folder = vocabulary(name)
    content: dict[str, Any] = json.loads((GOLDEN / f"{name}_{kind}.json").read_text())
    calls = {"texts": make.text_calls, "rows": make.row_calls}[kind]()
    assert [case["call"] for case in content["cases"]] == json.loads(json.dumps(calls)), "make the files anew"
    loaded: dict[str, LongformerTokenizer] = {}
    for case in content["cases"]:
        loading = case["call"]["loading"]
        if repr(loading) not in loaded:
            loaded[repr(loading)] = LongformerTokenizer.from_pretrained(folder, **loading)
        assert make.answer(loaded[repr(loading)], case["call"]) == case["answer"], case["call"]


def test_files_are_small_and_say_what_made_them() -> None:
    files = sorted(GOLDEN.glob("*.json"))
    assert len(files) == 4
    for file in files:
        assert file.stat().st_size < 200_000
        assert set(json.loads(file.read_text())["made_by"]) == {"transformers", "tokenizers"}
