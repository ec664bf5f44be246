"""`lf-ref bench` on tiny models: what it prints, and that both sides compute the same. No time is judged."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from bench.running import ALL, chosen, run

from lf_ref.bench import engines, lanes, peer, roofline, sdpa, size, timing
from lf_ref.bench.runs import names
from lf_ref.checkpoint import expected_shapes
from lf_ref.model.heads import LongformerForMaskedLM, LongformerForSequenceClassification

DIFFERENCE = 1e-4  # of float32 values near 1, some ten for logits, after two layers


@pytest.fixture(scope="module")
def alone():
    return json.loads(run("--json", *chosen(*ALL)))


def test_everything_chosen_is_measured(alone):
    found = [row["name"] for row in [*alone["works"], *alone["figures"]]]
    assert len(set(found)) == len(found)
    assert set(ALL) <= set(found)


def test_figures_are_times_and_sizes(alone):
    for work in alone["works"]:
        figures = work["lf_ref"]
        if work["name"].startswith("memory"):
            assert figures["bytes"] > 0
        else:
            assert len(figures["runs"]) == 2
            assert min(figures["runs"]) <= figures["seconds"] <= max(figures["runs"])
            assert figures["seconds"] > 0
        assert "transformers" not in work
        assert "ratio" not in work
        assert work["wanted"] is work["holds"] is None
    for figure in alone["figures"]:
        assert math.isfinite(figure["value"])
        assert figure["value"] > 0


def test_the_machine_is_reported(alone):
    machine = alone["machine"]
    assert machine["cpu"]
    assert machine["cores"] >= 1
    assert machine["versions"]["numpy"] == np.__version__
    assert machine["date"].startswith("20")
    assert "torch" not in machine["versions"]
    assert (alone["dtype"], alone["peer"], alone["peer_dtype"]) == ("float32", None, None)
    assert alone["size"] == {"layers": 2, "heads": 2, "window": 16, "tokens": 96, "vocabulary": 61}


def test_one_work_alone_as_a_table():
    printed = run(*chosen("encoder-short", "linear-rate"))
    assert "encoder, 3 tokens" in printed
    assert "sgemm" not in printed.split("linear layers")[1]
    assert "at least 0.75" in printed
    assert "banded attention" not in printed


def test_an_unknown_name_is_refused_with_the_known_ones():
    message = run(*chosen("encoder-shortest"), code=2)
    assert "encoder-shortest" in message
    assert all(name in message for name in names())


def test_an_odd_window_is_refused():
    assert "--window must be even, got 9" in run("--window", "9", code=2)


@pytest.mark.parametrize(
    ("function", "arguments", "remedy"),
    [
        ((peer, "import_module"), ["--against", "transformers"], "pip install 'lf-ref[parity]'"),
        ((engines, "find_spec"), ["--against", "openvino"], "pip install 'lf-ref[engines]'"),
        ((sdpa, "import_module"), ["--against", "torch-sdpa"], "needs torch: pip install 'lf-ref[parity]'"),
        ((engines, "find_spec"), ["--against", "openvino-sdpa"], "openvino-sdpa needs openvino, torch: pip install"),
        ((engines, "find_spec"), ["--against", "onnxruntime"], "needs onnxruntime, onnx, torch, transformers"),
        ((roofline, "import_module"), ["--roofline", "plot.png"], "pip install 'lf-ref[notebooks]'"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(function, arguments, remedy, monkeypatch):
    def missing(name):
        if function[1] == "import_module":
            raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(*function, missing)
    assert remedy in run(*arguments, code=2)


@pytest.mark.parametrize(
    ("plot", "message"),
    [("missing/plot.png", "there is no folder missing"), ("plot.jpog", "the ending must be one of")],
)
def test_a_plot_that_cannot_be_written_is_refused_before_the_measuring(plot, message, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(roofline, "measure_parts", None)
    assert message in run("--roofline", plot, "--work", "encoder-short", code=2)


def test_linear_layers_are_counted_from_the_shapes():
    one = size.Size(layers=3, heads=5, window=16, tokens=96, vocabulary=61)
    shapes = expected_shapes(one.config, "encoder")
    products = [
        math.prod(s) for name, s in shapes.items() if ".layer." in name and len(s) == 2 and "global" not in name
    ]
    assert one.linear_flop_per_token == 2 * sum(products)


def test_the_checkpoint_is_the_same_every_time_and_fits_both_heads(tmp_path):
    one = size.Size(layers=1, heads=1, window=8, tokens=64, vocabulary=61)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        one.write_checkpoint(tmp_path / name)
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second"))
    assert first == second
    for kind in (LongformerForMaskedLM, LongformerForSequenceClassification):
        output = kind.from_pretrained(tmp_path / "first", backend="numpy")(one.text(7))
        assert np.isfinite(output.logits).all()
        assert np.ptp(output.logits) > 0.1


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_a_checkpoint_in_reduced_precision_is_the_same_model(dtype, tmp_path):
    one = size.Size(layers=1, heads=1, window=8, tokens=64, vocabulary=61)
    one.write_checkpoint(tmp_path / "whole")
    one.write_checkpoint(tmp_path / "short", dtype)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "short")]
    assert sizes[1] < 0.9 * sizes[0]
    whole, short = (
        LongformerForMaskedLM.from_pretrained(tmp_path / name, dtype=dtype)(one.text(7)).logits
        for name in ("whole", "short")
    )
    assert np.array_equal(whole, short)


def test_things_take_turns():
    order = []
    runs = timing.in_turns([lambda: order.append("a"), lambda: order.append("b")], repeats=3)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"
    assert [len(one.seconds) for one in runs] == [3, 3]


def test_ratios_are_taken_pair_by_pair():
    slow, fast = timing.Runs([6.0, 10.0, 4.0]), timing.Runs([2.0, 5.0, 1.0])
    assert timing.ratios(slow, fast) == [3.0, 2.0, 4.0]


def test_the_largest_difference_sees_signs_and_nan():
    one = np.array([1.0, -2.0, 3.0], np.float32)
    assert timing.largest_difference(one, np.array([1.5, 1.0, 3.0], np.float32)) == 3.0
    assert math.isnan(timing.largest_difference(one, np.array([1.0, np.nan, 3.0], np.float32)))


def test_the_plot_is_drawn(tmp_path):
    plot = tmp_path / "plot.svg"
    facts = json.loads(run("--json", "--roofline", str(plot), *chosen("encoder-short")))
    text = plot.read_text(encoding="utf-8")
    assert text.startswith("<?xml")
    assert len(facts["roofline"]["parts"]) == 6
    assert all(part["gflops"] > 0 for part in facts["roofline"]["parts"])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("dtype", "largest"), [("float32", 1e-5), ("float64", 1e-12), ("bfloat16", 0.03), ("int8", 0.05)]
)
def test_the_matmul_alone(dtype, largest, threads):
    rng = np.random.default_rng(5)
    x, weight = rng.standard_normal((67, 64), np.float32), rng.standard_normal((257, 64), np.float32) / 8
    run = lanes.matmul(x, weight, dtype, threads)
    for _ in range(2):
        np.testing.assert_allclose(np.asarray(run()), x.astype(np.float64) @ weight.T, rtol=largest, atol=largest)


@pytest.mark.parametrize(("count", "window"), [(5, 4), (67, 16), (67, 200)])
def test_the_band_attention_alone(count, window):
    rng = np.random.default_rng(6)
    query, key, value = rng.standard_normal((3, count, 128), np.float32)
    run = lanes.band_attention(query, key, value, 2, window, 2)
    for found in (np.asarray(run()), np.asarray(run())):
        for row in range(count):
            near = slice(max(0, row - window // 2), row + window // 2 + 1)
            for head in (slice(0, 64), slice(64, 128)):
                powers = np.exp(key[near, head] @ query[row, head] / 8)
                wanted = powers @ value[near, head] / powers.sum()
                np.testing.assert_allclose(found[row, head], wanted, rtol=0, atol=1e-5)
