"""The page of the attention explorer: its data, its size, and that no text of a stranger is more than text.

What it does in a browser is in `test_browser.py`.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines.building import CLASSES, LIMIT, demo_tokenizer, model_for

import lf_ref
from lf_ref import CheckpointError, InputError, attention_explorer, dense_attentions
from lf_ref.explorer import explorer, page, weights
from model.building import build
from oracles.explorer_page import data_of, dense
from oracles.weights import fields_of, state_of

TEXT = "The <mask> moved towards the light, and Déjà 日本 walked\n\n slowly along the <mask> to 👩‍👩‍👧 the house."
HOSTILE = "</script><script>a(1)</script> <!-- \u2028 &lt; $title <img onerror=a()> \"'"


def explored(text=TEXT, task="fill-mask", **options):
    return attention_explorer(model_for(task), demo_tokenizer(), text, **options)


def ids_of(text):
    return demo_tokenizer()(text)["input_ids"]


# --- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["numpy", pytest.param("numba", marks=pytest.mark.jit)])
@pytest.mark.parametrize("positions", [[], [0], [3, 4, -1]], ids=str)
@pytest.mark.parametrize("words", [1, 40])
def test_the_weights_are_the_dense_attentions_within_half_a_step(words, positions, backend):
    fields = fields_of(vocab_size=8192, max_position_embeddings=LIMIT + 2)
    state = state_of("LongformerModel", fields, seed=3)
    model = build("LongformerModel", fields, state, backend, "float32")
    text = "leaf " * words
    data = data_of(attention_explorer(model, demo_tokenizer(), text, heads=[2, 0], global_positions=positions).html)
    ids = np.array([ids_of(text)])
    mask = lf_ref.global_attention.on_positions(ids, np.array(positions, int))
    output = model(ids, global_attention_mask=mask, output_attentions=True)
    assert [layer["number"] for layer in data["layers"]] == [0, 1]
    assert data["globals"] == np.flatnonzero(mask).tolist()
    for number in (0, 1):
        of_globals = None if output.global_attentions is None else output.global_attentions[number]
        whole = dense_attentions(output.attentions[number], of_globals, mask)[0]
        for kept, expected in enumerate([whole.mean(axis=0), whole[2], whole[0]]):
            got, half_steps = map(np.array, dense(data, number, kept))
            assert (abs(got - expected) <= half_steps + 1e-6).all()
            assert half_steps.max() <= 0.5 / 255
            np.testing.assert_allclose(2 * 255 * half_steps.max(axis=1), expected.max(axis=1), rtol=1e-5)


@given(st.integers(0, 2**16), st.integers(1, 3), st.integers(1, 5), st.integers(1, 7))
def test_quantized_weights_are_off_by_half_a_step_at_most(seed, heads, queries, columns):
    given_weights = np.random.default_rng(seed).random((heads, queries, columns)) ** 9
    found = weights.quantized(given_weights)
    error = abs(found.step[:, :, None] * found.values.astype(float) - given_weights)
    assert (error <= given_weights.max(axis=2, keepdims=True) / 255 * 0.5001).all()
    assert found.values.max() == 255


def test_layers_and_heads_are_those_chosen_in_order_and_once():
    data = data_of(explored(layers=[-1, 0, 1], heads=(2,)).html)
    assert ([layer["number"] for layer in data["layers"]], data["heads"]) == ([1, 0], [2])
    assert [layer["window"] for layer in data["layers"]] == [6, 4]
    data = data_of(explored(layers=np.array([0]), heads=[]).html)
    assert ([layer["number"] for layer in data["layers"]], data["heads"], data["allHeads"]) == ([0], [], 3)


@pytest.mark.parametrize("task", sorted(set(CLASSES)))
def test_models_of_every_class(task):
    assert data_of(explored("A text.", task).html)["globals"] == [0]


def test_attention_that_is_nan_is_an_error():
    fields = fields_of(vocab_size=8192, max_position_embeddings=LIMIT + 2)
    state = state_of("LongformerModel", fields, seed=3)
    state = {name: np.full_like(value, np.nan) if "query.bias" in name else value for name, value in state.items()}
    model = build("LongformerModel", fields, state, "numpy")
    with pytest.raises(CheckpointError, match="NaN"):
        attention_explorer(model, demo_tokenizer(), "A text.")


def test_nothing_of_the_caller_changes():
    layers, positions = [1, 0], [0]
    model = model_for("fill-mask")
    before = {name: array.copy() for name, array in model.weights.items()}
    explored(layers=layers, global_positions=positions)
    assert (layers, positions, model._observer) == ([1, 0], [0], None)
    for name, array in model.weights.items():
        np.testing.assert_array_equal(array, before[name])


# --- text and predictions ---------------------------------------------------------------------------------------------


@given(st.text(st.sampled_from("ab \n\té日👩\u200d<&>"), max_size=12))
def test_the_tokens_make_up_the_text_as_it_was_written(text):
    data = page.token_data(demo_tokenizer(), text, np.array(ids_of(text)))
    shown = [before + own for place, (before, own, _) in enumerate(data["tokens"]) if place not in data["special"]]
    assert "".join(shown) == text
    assert data["special"] == [0, len(data["tokens"]) - 1]
    assert [data["tokens"][place][1] for place in data["special"]] == ["<s>", "</s>"]
    assert all(name.strip() for _, _, name in data["tokens"])


def test_names_of_tokens():
    data = data_of(explored("a \n日").html)
    names = [name for _, _, name in data["tokens"]]
    assert names == ["<s>", "a", "' '", "'\\n'", "日", "日 (part)", "日 (part)", "</s>"]


@pytest.mark.parametrize(("side", "expected"), [("right", "one two three"), ("left", "four five six")])
def test_what_is_cut_off_is_not_shown(side, expected):
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained(truncation_side=side)
    text = "one two three four five six"
    found = attention_explorer(model_for("fill-mask"), tokenizer, text, max_length=5)
    tokens = data_of(found.html)["tokens"]
    assert "".join(before + own for before, own, _ in tokens[1:-1]) == expected


def test_words_are_predicted_under_the_attention_that_is_shown():
    model = model_for("fill-mask")
    data = data_of(explored(global_positions=[0, 5]).html)
    ids = np.array([ids_of(TEXT)])
    mask = lf_ref.global_attention.on_positions(ids, [0, 5])
    logits = model(ids, global_attention_mask=mask).logits[0]
    places = np.flatnonzero(ids[0] == demo_tokenizer().mask_token_id)
    assert [found["position"] for found in data["predictions"]] == places.tolist()
    assert len(places) == 2
    for place, found in zip(places, data["predictions"], strict=True):
        probabilities = np.exp(logits[place]) / np.exp(logits[place]).sum()
        best = np.argsort(-probabilities)[:5]
        assert [word for word, _ in found["words"]] == [demo_tokenizer().decode([token]) for token in best]
        np.testing.assert_allclose([share for _, share in found["words"]], probabilities[best], rtol=1e-9)


def test_without_masks_or_their_head_nothing_is_predicted():
    assert data_of(explored("No gaps.").html)["predictions"] == []
    assert data_of(explored(TEXT, "feature-extraction").html)["predictions"] == []


# --- the page ---------------------------------------------------------------------------------------------------------


def test_a_hostile_text_and_a_hostile_name_stay_text():
    model = model_for("fill-mask", seed=4)
    model.name_or_path = HOSTILE
    written = attention_explorer(model, demo_tokenizer(), HOSTILE, layers=[0], heads=[]).html
    assert written.count("<script") == written.count("</script") == 2
    head, _, rest = written.partition('<script id="data"')
    assert not re.findall(r"<img|\u2028|<!--", rest)
    assert not re.findall(r"<img|<!--", head)
    data = data_of(written)
    assert data["title"].startswith(HOSTILE)
    assert "".join(before + own for before, own, _ in data["tokens"][1:-1]) == HOSTILE
    [title] = re.findall("<title>(.*?)</title>", written)
    assert html.unescape(title) == data["title"]


def test_the_name_of_a_folder_may_be_no_utf_8(tmp_path):
    model = model_for("fill-mask", seed=5)
    model.name_or_path = "model\udcff"
    found = attention_explorer(model, demo_tokenizer(), "A text.")
    found.save(tmp_path / "explorer.html")
    assert found.title.startswith("model\\udcff: layers 0, 1")


def test_the_policy_admits_this_program_and_no_network():
    written = explored().html
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', written)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for kind, element in (("style", "style"), ("script", 'script type="module"')):
        [content] = re.findall(rf"<{element}>(.*?)</{kind}>", written, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    assert not re.findall(
        r"https?:|\bsrc=|\bhref=|@import|url\(|fetch\(|\bimport\b", written.partition('<script id="data"')[0]
    )


def test_in_a_notebook_it_is_a_frame_that_reaches_nothing_else():
    found = explored(HOSTILE)
    shown = found._repr_html_()
    [(sandbox, content)] = re.findall(r'<iframe [^>]*sandbox="([^"]*)"[^>]* srcdoc="([^"]*)"></iframe>$', shown)
    assert sandbox == "allow-scripts"
    assert html.unescape(content) == found.html
    assert repr(found) == f"<AttentionExplorer: {found.title}>"


def test_it_is_saved_whole(tmp_path):
    found = explored()
    found.save(tmp_path / "explorer.html")
    assert (tmp_path / "explorer.html").read_text(encoding="utf-8") == found.html
    assert [path.name for path in tmp_path.iterdir()] == ["explorer.html"]
    assert found.title == "LongformerForMaskedLM: layers 0, 1, mean of 3 heads and heads 0, 1, 2, 50 tokens"


# --- size -------------------------------------------------------------------------------------------------------------


@pytest.mark.jit
def test_a_thousand_tokens_and_four_layers_stay_under_5_mb():
    model, text = lf_ref.LongformerForMaskedLM.from_pretrained(), "The leaf moved towards the light. " * 200
    sizes = {
        length: len(attention_explorer(model, demo_tokenizer(), text, max_length=length).html) for length in (500, 1000)
    }
    assert sizes[1000] < 5e6
    assert sizes[1000] < 2.1 * sizes[500]  # not four times as much


def test_the_size_is_known_before_the_work(monkeypatch):
    shapes = []
    monkeypatch.setattr(explorer, "_check_size", shapes.extend)
    data = data_of(explored(layers=[1], heads=[1], global_positions=[0, 4]).html)
    stored = [data["layers"][0][kind][part] for kind in ("local", "global") for part in ("values", "steps")]
    assert sum(len(base64.b64decode(part)) for part in stored) == sum(shape.nbytes for shape in shapes)


def test_a_page_that_is_too_large_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(explorer, "_MOST_MEGABYTES", 0.004)
    with pytest.raises(
        InputError, match=r"more than the .* MB .* choose with layers= and heads=; the last layer .* MB"
    ):
        explored()
    assert explored(layers=[0], heads=[])


def test_of_many_layers_one_is_in_memory_as_floats():
    """In the reference implementation a layer holds heads x tokens x tokens elements of float64."""
    layers, window = 11, 130
    fields = fields_of(num_hidden_layers=layers, attention_window=window, max_position_embeddings=300, vocab_size=8192)
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=5), "numpy", "float64")
    text = "leaf " * 255
    tracemalloc.start()
    attention_explorer(model, demo_tokenizer(), text, heads=[])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < layers / 2 * 8 * fields["num_attention_heads"] * 257 * 257


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": []}, "layers must name a layer at least, got none"),
        ({"layers": [2]}, "layers=2 does not exist: this model has 2, from 0 to 1"),
        ({"layers": 1}, r"layers must be a list of numbers, such as layers=\[0\], got 1"),
        ({"heads": [-1]}, "heads=-1 does not exist: this model has 3, from 0 to 2"),
        ({"heads": "mean"}, "heads must be a list of numbers"),
        ({"heads": [0.5]}, "heads must be an integer, got 0.5"),
        ({"global_positions": [50]}, "position 50 lies outside the sequence of 50 tokens"),
        ({"text": "x" + " x" * 80}, "the text has 83 tokens, and this model takes at most 71"),
        ({"global_positions": [0.5]}, "positions must be integers"),
        ({"global_positions": "first"}, "positions must be"),
        ({"text": None}, "text must be a text"),
        ({"text": "\ud800"}, "lone surrogate"),
        ({"model": object()}, "needs a LongformerModel, got object"),
        ({"tokenizer": object()}, "tokenizer must be a LongformerTokenizer, got object"),
        ({"layer": 1}, "takes no argument 'layer': the nearest is 'layers'"),
    ],
    ids=lambda part: part if isinstance(part, str) else "-".join(part),
)
def test_errors_say_what_came_and_what_was_wanted(options, message):
    arguments = {"model": model_for("fill-mask"), "tokenizer": demo_tokenizer(), "text": TEXT, **options}
    with pytest.raises(InputError, match=message):
        attention_explorer(**arguments)


@pytest.mark.parametrize("windows", [{"attention_dilation": 2}, {"autoregressive": True}], ids=str)
def test_windows_that_are_not_plain_are_refused(windows):
    fields = fields_of(vocab_size=8192, max_position_embeddings=LIMIT + 2, **windows)
    model = build("LongformerForMaskedLM", fields, state_of("LongformerForMaskedLM", fields, seed=3))
    with pytest.raises(InputError, match=r"the page shows plain windows, and this model has .*: use attention_map"):
        attention_explorer(model, demo_tokenizer(), TEXT)
