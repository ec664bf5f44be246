"""`lf-ref quantize` and `lf-ref precision`: what they write and measure."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

import lf_ref
from lf_ref.cli import errors_of_dtypes, main

TEXT = "He opened the door of the old house and went into the room, where a lamp stood on the table by the window."


def run(*arguments):
    """Standard output and error of a command that ends well."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="lf-ref")
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantized")
    _, told = run("quantize", "demo", folder)
    assert told.startswith(f"wrote {folder}: ")
    return folder


def test_quantize_makes_a_checkpoint_for_every_command(quantized):
    facts = json.loads(run("info", "--json", quantized)[0])
    demo = json.loads(run("info", "--json", "--dtype", "int8", "demo")[0])
    assert facts["dtype"] == "int8"
    for name in ("tasks", "parameters", "memory_bytes"):
        assert facts[name] == demo[name], name
    assert facts["stored_bytes"] < 0.6 * demo["stored_bytes"]  # of float16
    question = "He opened the <mask> and went into the room."
    answers = [
        json.loads(run("fill-mask", "--json", "--model", model, *dtype, question)[0])
        for model, dtype in ((quantized, []), ("demo", ["--dtype", "int8"]))
    ]
    assert answers[0] == answers[1]


def test_quantize_names_what_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["quantize", "demo", str(tmp_path / "file" / "out")])
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return json.loads(run("precision", "--json", "--file", path)[0])


def test_precision_measures_the_errors_that_it_prints(measured):
    """Loss, answers and errors of one dtype again, round by round, from whole logits."""
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained()
    ids = np.array(tokenizer(TEXT)["input_ids"])
    is_global = np.zeros((1, len(ids)), int)
    is_global[0, 0] = 1
    exact, rounded = (lf_ref.LongformerForMaskedLM.from_pretrained(dtype=dtype) for dtype in ("float64", "int8"))
    losses, right, agreed = [], [], []
    errors, sizes = [[] for _ in range(5)], [[] for _ in range(5)]
    for first in range(1, 8):
        places = np.arange(first, len(ids) - 1, 7)
        masked = ids.copy()
        masked[places] = tokenizer.mask_token_id
        labels = np.full_like(ids, -100)
        labels[places] = ids[places]
        found = rounded(masked[None], global_attention_mask=is_global, labels=labels[None], output_hidden_states=True)
        wanted = exact(masked[None], global_attention_mask=is_global, output_hidden_states=True)
        losses += [float(found.loss)] * len(places)
        best = found.logits[0, places].argmax(axis=-1)
        right += (best == ids[places]).tolist()
        agreed += (best == wanted.logits[0, places].argmax(axis=-1)).tolist()
        for layer in range(5):
            errors[layer].append((found.hidden_states[layer] - wanted.hidden_states[layer]).ravel())
            sizes[layer].append(wanted.hidden_states[layer].ravel())
    facts = measured["dtypes"]["int8"]
    assert measured["tokens"] == len(ids)
    assert measured["masked"] == len(ids) - 2 == len(losses)
    assert facts["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert facts["top_1"] == pytest.approx(np.mean(right))
    assert facts["agreement"] == pytest.approx(np.mean(agreed))
    for layer in range(5):
        error, size = np.concatenate(errors[layer]), np.concatenate(sizes[layer])
        assert facts["largest_error"][layer] == pytest.approx(np.abs(error).max(), rel=1e-6)
        assert facts["relative_error"][layer] == pytest.approx(np.linalg.norm(error) / np.linalg.norm(size), rel=1e-6)


def test_reduced_precision_makes_larger_errors(measured):
    facts = measured["dtypes"]
    assert list(facts) == ["float64", "float32", "bfloat16", "int8"]
    assert facts["float64"]["agreement"] == 1
    assert not any(facts["float64"]["largest_error"])
    names = list(facts)
    for name in ("relative_error", "largest_error"):
        worst = [max(facts[dtype][name]) for dtype in names]
        assert worst == sorted(worst)
    sizes = [facts[dtype]["weight_bytes"] for dtype in names]
    assert sizes == sorted(sizes, reverse=True)
    # Bounds about three times what the demo model shows.
    assert facts["bfloat16"]["relative_error"][-1] < 0.01
    assert facts["int8"]["relative_error"][-1] < 0.05


def test_precision_for_people(monkeypatch, tmp_path):
    monkeypatch.setattr(errors_of_dtypes, "JUDGED", ("bfloat16",))
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    shown, _ = run("precision", "--file", path)
    assert re.match(r"demo: (\d+) of \d+ tokens masked, 7 rounds$", shown.splitlines()[0])
    lines = [line.split()[0] for line in shown.splitlines() if line.startswith(("float", "bfloat"))]
    assert lines == ["float64", "bfloat16"] * 2


def test_a_text_that_is_too_short(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("A word", encoding="utf-8")
    done = CliRunner().invoke(main, ["precision", "--file", str(path)])
    assert done.exit_code == 2
    assert "at least 7 are needed" in done.stderr
