"""The report: its text, its JSON and its plot."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
from testing.building import as_float32, case_of, model_of, trace_of

from lf_ref import InputError, testing

# --- text -----------------------------------------------------------------------------------------------------------

SELF = "encoder.layer.0.attention.self"


def spoiled(*names, precision="float32"):
    trace = trace_of()
    candidate = {**as_float32(trace), "extra": 1}
    for name in names:
        candidate[name] = candidate[name] + 1
    return testing.compare(candidate, trace, precision=precision)


def test_the_text_of_a_pass():
    lines = str(spoiled()).splitlines()
    assert lines[0] == "PASSED: 52 tensors agree in float32"
    assert lines[1].startswith("  the largest error is ")
    assert "  ... 27 between; text(everything=True) shows all" in lines
    assert lines[2] == "  not compared, since the trace has no such tensor: extra"


@pytest.mark.parametrize(("count", "between"), [(24, []), (25, []), (26, ["  ... 1 between"])])
def test_what_the_table_leaves_out_is_counted(count, between):
    trace = trace_of()
    candidate = {name: trace[name].astype(np.float32) for name in trace.canonical_names[:count]}
    lines = str(testing.compare(candidate, trace)).splitlines()
    assert [line.partition(";")[0] for line in lines if " between" in line] == between
    last = lines[lines.index("  ratio: the error / the expected rounding error of float32") - 1]
    assert trace.canonical_names[count - 1][-47:] in last


def test_the_text_of_a_divergence():
    name = "encoder.layer.1.attention.self.key"
    report = spoiled(name, "logits")
    text = str(report)
    lines = text.splitlines()
    assert lines[0] == f"DIVERGES first at {name}"
    assert lines[1] == "  its error is too large"
    assert lines[2].startswith("  worst at [")
    assert " x the expected error" in lines[2]
    last = "encoder.layer.1.attention.self.query"
    assert f"  2 of 52 tensors diverge; the last that agrees: {last}" in lines
    assert [line for line in lines if line.startswith("! ")] == [
        line for line in lines if f"! {name} " in line or "! logits" in line
    ]
    assert "  ... 19 before" in lines
    assert max(map(len, lines)) <= 100
    whole = report.text(everything=True)
    for shown in (*trace_of().canonical_names, name):
        assert shown in whole or f"...{shown[-47:]}" in whole


def test_the_text_of_a_pass_of_one_tensor():
    trace = trace_of()
    assert str(testing.compare(trace["logits"], trace)).startswith("PASSED: 1 tensor agrees in float32")


def test_the_first_tensor_of_all():
    assert "the last that agrees: none" in str(spoiled("embeddings.word_embeddings"))


def test_missing_tensors_between_are_listed():
    trace = trace_of()
    right = as_float32(trace)
    some = {
        name: right[name] for name in ("encoder.layer.0.attention.output.dense", "encoder.layer.0.output.LayerNorm")
    }
    wrong = {**some, "encoder.layer.0.output.LayerNorm": some["encoder.layer.0.output.LayerNorm"] + 1}
    text = " ".join(str(testing.compare(wrong, trace)).split())
    between = [f"encoder.layer.0.{name}" for name in ("attention.output.sum", "attention.output.LayerNorm")]
    between += [f"encoder.layer.0.{name}" for name in ("intermediate.dense", "intermediate.intermediate_act_fn")]
    between += [f"encoder.layer.0.{name}" for name in ("output.dense", "output.sum")]
    assert f"missing in between, perhaps the first to diverge: {', '.join(between)} candidate:" in text
    wrong = {"embeddings.position_embeddings": right["embeddings.position_embeddings"] + 1}
    assert "perhaps the first to diverge: embeddings.word_embeddings candidate:" in " ".join(
        str(testing.compare(wrong, trace)).split()
    )
    assert "in between" not in str(spoiled("logits"))


def test_aliases_of_a_tensor_are_listed_once():
    trace = trace_of()
    values = trace["encoder.layer.0"].astype(np.float32)
    both = {"encoder.layer.0.output.LayerNorm": values, "encoder.layer.0": values}
    assert str(testing.compare(both, trace)).count("encoder.layer.0 ") == 0
    both["encoder.layer.0"] = values + 1
    report = testing.compare(both, trace)
    assert report.first_divergence is not None
    assert report.first_divergence.name == "encoder.layer.0"
    assert "! encoder.layer.0 " in str(report)
    alone = testing.compare({"encoder.layer.0": values}, trace)
    assert "  encoder.layer.0 " in str(alone)


def test_tensors_under_several_names_count_once():
    trace = trace_of()
    candidate = {name: values.astype(np.float32) for name, values in trace.items()}
    assert len(candidate) > len(trace.canonical_names) == 52
    assert str(testing.compare(candidate, trace)).startswith("PASSED: 52 tensors agree in float32")
    for name in ("encoder.layer.1.output.LayerNorm", "encoder.layer.1.output", "encoder.layer.1", "logits"):
        candidate[name] = candidate[name] + 1
    assert "  2 of 52 tensors diverge; the last that agrees:" in str(testing.compare(candidate, trace))


def test_a_misspelt_name_is_listed_at_the_top():
    trace = trace_of()
    candidate = as_float32(trace)
    candidate["encoder.layer.1.attention.self.quary"] = candidate.pop("encoder.layer.1.attention.self.query")
    told = (
        "not compared, since the trace has no such tensor: encoder.layer.1.attention.self.quary (is it "
        "encoder.layer.1.attention.self.query?) candidate: dict"
    )
    report = testing.compare(candidate, trace)
    assert report.passed
    assert told in " ".join(str(report).split())
    candidate["logits"] = candidate["logits"] + 1
    assert told in " ".join(str(testing.compare(candidate, trace)).split())


def test_a_name_that_only_another_trace_has_is_no_slip():
    model, inputs = model_of(), case_of("LongformerForMaskedLM")[2]
    part = testing.trace(model, names=["*.0.*.query", "*.0.*.key"], **inputs)
    candidate = {f"encoder.layer.{layer}.attention.self.query": part[f"{SELF}.query"] for layer in (0, 1)}
    lines = str(testing.compare(candidate, part, tolerance=1e-4)).splitlines()
    assert "  not compared, since the trace has no such tensor: encoder.layer.1.attention.self.query" in lines


def test_dtypes_layouts_and_padding_are_reported():
    trace = trace_of()
    name = f"{SELF}.query"
    turned = trace[name].swapaxes(0, 1).astype(np.float64)
    text = " ".join(str(testing.compare({name: turned}, trace, ignore_padding=True)).split())
    assert "dtype: some tensors are float64, not float32" in text
    assert "layouts: (seq, batch, hidden) transposed" in text
    assert "; without masked tokens" in text
    assert "missing: embeddings.word_embeddings, embeddings.position_embeddings," in text


# --- JSON and plot --------------------------------------------------------------------------------------------------


def test_json_holds_everything():
    trace = trace_of()
    candidate = as_float32(trace)
    candidate["logits"][0, 0, 0] = np.nan
    report = testing.compare({**candidate, "lm_head.dense": object()}, trace)
    facts = json.loads(report.to_json(indent=1))
    assert (facts["passed"], facts["first_divergence"]) == (False, "lm_head.dense")
    assert [entry["name"] for entry in facts["tensors"]] == list(report.tensors)
    logits = facts["tensors"][-1]
    assert (logits["nan"], logits["max_abs"], logits["index"], logits["got"]) == (1, "inf", [0, 0, 0], "nan")
    assert logits["rmse"] == report.tensors["logits"].rmse
    for field in ("precision", "tolerance", "candidate", "expected", "missing", "unknown", "ignore_padding"):
        assert field in facts
    assert json.loads(testing.compare(as_float32(trace), trace).to_json())["first_divergence"] is None


@pytest.mark.parametrize("suffix", ["png", "svg"])
@pytest.mark.parametrize("tolerance", ["calibrated", "fixed"])
def test_the_plot(suffix, tolerance, tmp_path):
    pytest.importorskip("matplotlib")
    trace = trace_of()
    candidate = as_float32(trace)
    candidate["logits"][0, 0, 0] = np.inf
    for number, values in enumerate((candidate, as_float32(trace), {"encoder.layer.0": trace["encoder.layer.0"]})):
        path = tmp_path / f"{number}.{suffix}"
        testing.compare(values, trace, tolerance=tolerance).plot(path)
        assert path.stat().st_size > 1000


def test_what_the_plot_shows(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "plot.svg"
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        spoiled("encoder.layer.1.attention.self.key").plot(path)
    drawn = path.read_text(encoding="utf-8")
    for text in (
        "diverges first at encoder.layer.1.attention.self.key",
        "attention.self.key",
        " layer 1",
        "logits",
        "passes",
    ):
        assert f">{text}<" in drawn, text


def test_the_plot_distinguishes_by_shape(monkeypatch, tmp_path):
    """In print, and to the colour-blind, red and blue dots are the same."""
    axes = pytest.importorskip("matplotlib.axes").Axes
    plot, markers = axes.plot, []
    monkeypatch.setattr(
        axes, "plot", lambda self, x, y, how, **rest: (markers.append(how), plot(self, x, y, how, **rest))
    )
    spoiled().plot(tmp_path / "plot.png")
    assert len(markers) == 2
    assert len(set(markers)) == 2


def test_the_plot_shows_what_cannot_be_measured(monkeypatch, tmp_path):
    axes = pytest.importorskip("matplotlib.axes").Axes
    plot, shown = axes.plot, {}
    monkeypatch.setattr(
        axes, "plot", lambda self, x, y, how, **rest: (shown.update({how: list(x)}), plot(self, x, y, how, **rest))
    )
    trace = trace_of()
    candidate = as_float32(trace)
    candidate["logits"] = candidate["logits"][:, :-1]
    report = testing.compare(candidate, trace)
    report.plot(tmp_path / "plot.png")
    assert report.first_divergence.name == "logits"
    assert len(shown["X"]) == sum(not tensor.passed for tensor in report.tensors.values()) >= 1


def test_a_plot_that_cannot_be(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    report = spoiled()
    with pytest.raises(InputError, match="the plot cannot be written"):
        report.plot(tmp_path / "plot.nonsense")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match="the plot needs matplotlib: pip install"):
        report.plot(tmp_path / "plot.png")


@pytest.mark.parametrize("off", [1e-2, 1e-7, 1e-15])
def test_the_worst_element_shows_two_different_values(off):
    expected = testing.trace(model_of(), input_ids=[[0, 5, 2]])
    candidate = {"logits": expected["logits"] * (1 + off)}
    report = testing.compare(candidate, expected, tolerance=0.0 if off > 1e-14 else 1e-17)
    (line,) = [line for line in str(report).splitlines() if "worst at" in line]
    got, wanted = re.search(r"got ([^,]+), expected ([^,]+)", line).groups()
    assert got != wanted


def test_a_representation_that_fits_a_line():
    assert repr(spoiled()) == str(spoiled()).splitlines()[0].join(["<Report: ", ">"])
    place = "encoder.layer.1.output.dense"
    assert repr(spoiled(place)) == f"<Report: DIVERGES first at {place}, 1 of 52 tensors diverge in float32>"


def test_html_shows_what_the_text_shows_and_marks_the_first_divergence():
    place, later = "encoder.layer.1.output.dense", "encoder.layer.1.output.LayerNorm"
    report = spoiled(place, later)
    html = report._repr_html_()
    rows = re.findall("<tr style='(.*?)'>(.*?)</tr>", html)
    [marked] = [cells for style, cells in rows if "bold" in style]
    first = report.first_divergence.name
    assert f"{first} ← first divergence" in marked
    assert sum("background" in style for style, _ in rows) == str(report).count("\n! ")
    for name in re.findall(r"^! (\S+)", str(report), re.M):
        assert f"<td style='text-align:left'>{name}" in html
    assert f"DIVERGES first at {first}" in html
    assert len(html) < 10_000
    assert "bold" not in spoiled()._repr_html_()


def test_html_is_escaped():
    expected = trace_of()
    html = testing.compare(as_float32(expected) | {"<script>": np.zeros(3)}, expected)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
