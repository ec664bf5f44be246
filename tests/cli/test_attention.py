"""`lf-ref attention`: what the cells of its picture hold, what it refuses, and the files that it writes."""

from __future__ import annotations

import base64
import re
import tracemalloc
from html import escape

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from pipelines.building import LIMIT, demo_tokenizer, model_for, save_checkpoint

from lf_ref import (
    InputError,
    LongformerForMaskedLM,
    LongformerModel,
    attention_explorer,
    attention_map,
    dense_attentions,
)
from lf_ref.bench import roofline
from lf_ref.cli import main
from lf_ref.explorer import explorer
from model.building import build
from oracles.attention import keys_seen
from oracles.explorer_page import data_of
from oracles.weights import fields_of, state_of

TEXT = "The leaf moved towards the light, and the old gardener walked slowly along the river to the house."


def ids_of(text):
    return demo_tokenizer()(text)["input_ids"]


def run(*arguments, stdin=None):
    """What a command that succeeds says on standard error; on standard output it says nothing."""
    done = CliRunner().invoke(main, ["attention", *map(str, arguments)], input=stdin, prog_name="lf-ref")
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    return done.stderr


def fails(*arguments):
    """The one line that a command ends with."""
    done = CliRunner().invoke(main, ["attention", *map(str, arguments)], prog_name="lf-ref")
    assert (done.exit_code, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    return line


# --- cells ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 31), st.integers(1, 7), st.integers(0, 2**16))
def test_cells_sum_over_keys_and_average_over_queries(length, per_cell, seed):
    dense = np.random.default_rng(seed).random((length, length))
    dense /= dense.sum(axis=1, keepdims=True)
    found = attention_map.together(dense, per_cell)
    cells = [list(range(start, min(start + per_cell, length))) for start in range(0, length, per_cell)]
    for row, queries in enumerate(cells):
        for column, keys in enumerate(cells):
            expected = sum(dense[query, key] for query in queries for key in keys) / len(queries)
            assert found[row, column] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@given(st.data())
def test_a_cell_is_in_reach_if_any_of_its_queries_sees_any_of_its_keys(data):
    length = data.draw(st.integers(1, 31), label="length")
    is_global = data.draw(st.lists(st.booleans(), min_size=length, max_size=length), label="is_global")
    one_sided, per_cell = data.draw(st.integers(1, 9), label="window"), data.draw(st.integers(1, 7), label="per cell")
    dilations = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=3), label="dilations")
    causal = data.draw(st.booleans(), label="causal")
    cells = -(-length // per_cell)
    expected = np.zeros((cells, cells), bool)
    for query in range(length):
        for dilation in dilations:
            for key in keys_seen(query, [True] * length, is_global, one_sided, dilation, causal):
                expected[query // per_cell, key // per_cell] = True
    found = attention_map.reach(np.array(is_global), one_sided, per_cell, dilations, causal)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("positions", [[], [0], [3, -1]])
@pytest.mark.parametrize(("layer", "head"), [(0, 2), (1, None)])
def test_the_map_is_the_models_attention(layer, head, positions):
    model, ids = model_for("feature-extraction"), ids_of(TEXT)
    found = attention_map.attention_map(model, ids, positions, layer, head)
    mask = [[int(place in positions or place - len(ids) in positions) for place in range(len(ids))]]
    output = model([ids], global_attention_mask=mask, output_attentions=True)
    heads = range(3) if head is None else [head]
    one_sided = (4, 6)[layer] // 2
    for query in range(len(ids)):
        for key in range(len(ids)):
            shares = []
            for one in heads:
                if mask[0][query]:
                    column = [place for place, flag in enumerate(mask[0]) if flag].index(query)
                    shares.append(output.global_attentions[layer][0, one, key, column])
                elif mask[0][key]:
                    column = [place for place, flag in enumerate(mask[0]) if flag].index(key)
                    shares.append(output.attentions[layer][0, one, query, column])
                elif abs(query - key) <= one_sided:
                    column = len(positions) + key - query + one_sided
                    shares.append(output.attentions[layer][0, one, query, column])
                else:
                    shares.append(0)
            assert found.weights[query, key] == pytest.approx(np.mean(shares), abs=1e-12)
    assert found.globals == [place for place, flag in enumerate(mask[0]) if flag]
    np.testing.assert_array_equal(found.weights > 0, found.reached)


@pytest.mark.parametrize("head", [None, 1])
@pytest.mark.parametrize("causal", [False, True])
def test_the_map_of_a_dilated_layer(head, causal):
    """Each head has keys of its own; the map of all is their mean."""
    fields = fields_of(attention_dilation=[1, [1, 3, 2]], autoregressive=causal, attention_window=[4, 6])
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=9), "numpy")
    ids, marked = np.random.default_rng(10).integers(4, 53, 29).tolist(), [3, 20]
    mask = np.isin(np.arange(29), marked).astype(int)[None]
    output = model([ids], global_attention_mask=mask, output_attentions=True)
    dense = dense_attentions(output.attentions[1], output.global_attentions[1], mask, dilation=[1, 3, 2])[0]
    found = attention_map.attention_map(model, ids, marked, 1, head)
    np.testing.assert_allclose(found.weights, dense.mean(axis=0) if head is None else dense[head], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.weights > 0, found.reached)
    assert f"window 6, dilation {'1, 2, 3' if head is None else '3'}{', causal' if causal else ''}, 29" in found.title


# --- what the options choose ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small random encoder of two layers and three heads."""
    return save_checkpoint("feature-extraction", tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def drawn(monkeypatch):
    """The maps that the command draws, and the tokens that it names."""
    maps = []
    draw = attention_map.draw

    def spy(found, tokens, path, kind):
        maps.append((found, tokens))
        draw(found, tokens, path, kind)

    monkeypatch.setattr(attention_map, "draw", spy)
    return maps


def on(folder):
    return ["--model", folder, "--backend", "numpy", "--num-threads", "1"]


@pytest.mark.parametrize(
    ("arguments", "positions", "layer", "head"),
    [
        ([], [0], 1, None),
        (["--layer", "0", "--head", "2"], [0], 0, 2),
        (["--no-global"], [], 1, None),
        (["--global", "4", "--global", "-1"], [4, -1], 1, None),
    ],
)
def test_options_choose_layer_head_and_global_tokens(arguments, positions, layer, head, folder, drawn, tmp_path):
    said = run(TEXT, *arguments, *on(folder), "--dtype", "float64", "--out", tmp_path / "map.png")
    expected = attention_map.attention_map(model_for("feature-extraction"), ids_of(TEXT), positions, layer, head)
    [(found, tokens)] = drawn
    np.testing.assert_allclose(found.weights, expected.weights, rtol=0, atol=1e-12)
    assert (found.globals, found.title) == (expected.globals, expected.title)
    assert tokens == demo_tokenizer().tokenize(TEXT, add_special_tokens=True)
    assert said == f"wrote {tmp_path / 'map.png'}: {expected.title}\n"


def test_texts_from_files_are_truncated_only_on_request(folder, drawn, tmp_path):
    (tmp_path / "long.txt").write_text(f"{TEXT} " * 9, encoding="utf-8")
    arguments = ["--file", tmp_path / "long.txt", *on(folder), "--quiet", "--out", tmp_path / "map.png"]
    assert f"this model takes at most {LIMIT}: shorten it or split it into pieces, or let --trunc" in fails(*arguments)
    assert run(*arguments, "--truncation") == ""
    assert run(*arguments, "--truncation", "--max-length", "23") == ""
    assert [found.length for found, _ in drawn] == [LIMIT, 23]
    assert drawn[1][1][-1] == "</s>"
    run("--file", "-", *on(folder), "--out", tmp_path / "map.png", stdin=TEXT)
    assert drawn[2][0].length == len(ids_of(TEXT))


def test_a_long_text_has_several_tokens_in_a_cell(folder, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(attention_map, "_MOST_CELLS", 7)
    said = run(TEXT, *on(folder), "--out", tmp_path / "map.png")
    [(found, tokens)] = drawn
    per_cell = -(-len(tokens) // 7)
    assert found.weights.shape == found.reached.shape == (-(-len(tokens) // per_cell),) * 2
    assert f"{len(tokens)} tokens, {per_cell} x {per_cell} tokens in a cell" in said


@pytest.mark.parametrize("backend", ["numpy", pytest.param("numba", marks=pytest.mark.jit)])
def test_of_many_layers_one_is_recorded(backend):
    """A layer holds tokens x (window + 1) elements for each head, in the reference implementation tokens x tokens."""
    layers, window = 11, 130
    fields = fields_of(num_hidden_layers=layers, attention_window=window, max_position_embeddings=300, vocab_size=20)
    state = state_of("LongformerModel", fields, seed=5)
    model = build("LongformerModel", fields, state, backend, "float64")
    ids = [3] * 257
    attention_map.attention_map(model, ids, [0], 0, None)  # compiles
    tracemalloc.start()
    attention_map.attention_map(model, ids, [0], layers - 1, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    of_a_layer = 8 * fields["num_attention_heads"] * len(ids) * (window + 2 if backend == "numba" else len(ids))
    assert peak < layers / 2 * of_a_layer


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["A text."], "'--out'"),
        (["--out", "map.png"], "give either a text as an argument or --file PATH"),
        (["A text.", "--out", "map.gif"], "--out must end in .png, .svg, .pdf or .html, got map.gif"),
        (["A text.", "--out", "missing/map.png"], "there is no folder missing"),
        (["A text.", "--out", "/proc/map.png"], "--out /proc/map.png cannot be written"),
        (
            ["A text.", "--out", "map.png", "--layer", "4"],
            "--layer 4 does not exist: this model has 4, from 0 to 3",
        ),
        (
            ["A text.", "--out", "map.png", "--head", "4"],
            "--head 4 does not exist: this model has 4, from 0 to 3",
        ),
        (["A text.", "--out", "map.png", "--layer", "-1"], "--layer"),
        (["A text.", "--out", "map.png", "--global", "6"], "position 6 lies outside the sequence of 5 tokens"),
        (["A text.", "--out", "map.png", "--global", "0", "--no-global"], "either --global or --no-global"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors_are_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in fails(*arguments, "--backend", "numpy")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_extra_is_named(monkeypatch, tmp_path):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(roofline, "import_module", missing)
    assert "pip install 'lf-ref[notebooks]'" in fails(TEXT, "--out", tmp_path / "map.png")


def test_what_cannot_be_drawn_leaves_the_file_as_it_was(folder, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise InputError("no pen")

    (tmp_path / "map.png").write_bytes(b"before")
    monkeypatch.setattr(Figure, "savefig", broken)
    assert "no pen" in fails(TEXT, *on(folder), "--out", tmp_path / "map.png")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]
    assert (tmp_path / "map.png").read_bytes() == b"before"


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_each_ending_has_its_format_and_the_same_map_is_the_same_file(folder, tmp_path):
    for name, start in (("a.png", b"\x89PNG\r\n\x1a\n"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF-")):
        path = tmp_path / name
        run(TEXT, *on(folder), "--out", path)
        first = path.read_bytes()
        assert first.startswith(start)
        run(TEXT, *on(folder), "--out", path)
        assert path.read_bytes() == first


def words_of(path):
    """The texts of an SVG, which matplotlib notes beside their outlines."""
    return re.findall(r"^ +<!-- (.*) -->$", path.read_text(encoding="utf-8"), re.M)


def test_few_tokens_are_named_along_both_axes_and_many_counted(folder, tmp_path):
    path = tmp_path / "map.svg"
    text = "A $x$ of 日本 & _y_ <mask>."
    run(text, "--out", path, "--no-global", *on(folder))
    tokens = demo_tokenizer().convert_ids_to_tokens(ids_of(text))
    words = words_of(path)
    for token in tokens:
        assert words.count(escape(token.replace("Ġ", "·"), quote=False)) >= 2, token
    assert "global token" not in words
    assert {"key", "query"} <= set(words)
    run("word " * 65, "--out", path, *on(folder))
    assert {"key (position in tokens)", "query (position in tokens)", "global token", "60"} <= set(words_of(path))


def test_dollars_in_tokens_are_no_formula(tmp_path):
    ids = [0, 5, 2]
    found = attention_map.attention_map(model_for("feature-extraction"), ids, [0], 0, None)
    attention_map.draw(found, ["<s>", "$\\frac$", "</s>"], tmp_path / "map.svg", "svg")
    assert words_of(tmp_path / "map.svg").count("$\\frac$") == 2


def test_a_token_is_drawn_in_letters_that_the_font_has():
    assert attention_map._drawable("Ġcafé") == "·café"
    assert attention_map._drawable("<日>\n") == "<\\u65e5>\\n"


def test_a_map_shows_itself_in_a_notebook():
    model = model_for("feature-extraction")
    found = attention_map.attention_map(model, [0, 5, 6, 7, 2], [0], 1, None)
    assert repr(found) == f"<AttentionMap: {found.title}>"
    data = re.search("src='data:image/png;base64,(.*?)'", found._repr_html_())[1]
    assert base64.b64decode(data).startswith(b"\x89PNG")


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["fill-mask", "feature-extraction", "text-classification"])
def test_a_page_is_the_explorer_of_the_text(task, tmp_path):
    """With the predicted words of its masks, if the checkpoint has the head for them."""
    folder, text = save_checkpoint(task, tmp_path / "model"), "The <mask> moved."
    options = ["--layers", "-1,0", "--heads", "2", "--global", "0", "--global", "4", *on(folder)]
    said = run(text, *options, "--dtype", "float64", "--out", tmp_path / "explorer.html")
    model_class = LongformerForMaskedLM if task == "fill-mask" else LongformerModel
    model = model_class.from_pretrained(folder, backend="numpy", dtype="float64")
    chosen = {"layers": [-1, 0], "heads": [2], "global_positions": [0, 4]}
    expected = attention_explorer(model, demo_tokenizer(), text, **chosen)
    written = (tmp_path / "explorer.html").read_bytes().decode()
    assert written == expected.html
    assert bool(data_of(written)["predictions"]) == (task == "fill-mask")
    assert said == f"wrote {tmp_path / 'explorer.html'}: {expected.title}\n"


def test_options_of_a_page(folder, tmp_path):
    path = tmp_path / "explorer.html"
    (tmp_path / "long.txt").write_text(f"{TEXT} " * 9, encoding="utf-8")
    assert (
        run("--file", tmp_path / "long.txt", "--truncation", "--no-global", "--quiet", *on(folder), "--out", path) == ""
    )
    data = data_of(path.read_text(encoding="utf-8"))
    assert (len(data["tokens"]), data["globals"], data["heads"], len(data["layers"])) == (LIMIT, [], [0, 1, 2], 2)
    run("--file", "-", "--heads", "mean", *on(folder), "--out", path, stdin=TEXT)
    data = data_of(path.read_text(encoding="utf-8"))
    assert (len(data["tokens"]), data["globals"], data["heads"]) == (len(ids_of(TEXT)), [0], [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--out e.html --layer 0", "--layer and --head are for pictures: --layers and --heads choose those of a page"),
        ("--out e.html --head 0", "--layer and --head are for pictures"),
        ("--out e.png --layers 0", "--layers and --heads are for pages (.html)"),
        ("--out e.svg --heads mean", "--layers and --heads are for pages (.html)"),
        ("--out e.html --layers 0,2", "--layers 2 does not exist: this model has 2, from 0 to 1"),
        ("--out e.html --heads -1", "--heads -1 does not exist: this model has 3, from 0 to 2"),
        ("--out e.html --layers 0,x", "'0,x' is not a list of whole numbers such as 0,2"),
        ("--out e.html --layers mean", "'mean' is not a list of whole numbers such as 0,2"),
        ("--out e.html --heads some", "'some' is not a list of whole numbers such as 0,2, or mean"),
        ("--out e.html --global 99", "position 99 lies outside the sequence"),
        ("--out missing/e.html", "there is no folder missing"),
    ],
)
def test_usage_errors_of_pages(options, message, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in fails(TEXT, *options.split(), *on(folder))
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_is_too_large_names_the_options(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(explorer, "_MOST_MEGABYTES", 0.001)
    assert "choose with --layers and --heads; the last layer" in fails(TEXT, *on(folder), "--out", tmp_path / "e.html")
    assert list(tmp_path.iterdir()) == []
