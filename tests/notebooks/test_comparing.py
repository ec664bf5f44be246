"""The comparison of outputs fails when it should."""

from __future__ import annotations

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from notebooks.comparing import MEASURED, close, differences, text_difference


def notebook(*outputs, tags=()):
    cell = new_code_cell("show()", outputs=list(outputs), metadata={"tags": list(tags)}, id="one")
    return new_notebook(cells=[new_markdown_cell("text", id="text"), cell])


def printed(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(**data):
    return new_output("display_data", data={kind.replace("_", "/"): value for kind, value in data.items()})


@pytest.mark.parametrize(
    ("one", "other"),
    [("3", "3"), ("0.25", "0.26"), ("0.25", "0.2"), ("2.460", "2.459"), ("-1.5", "-1.4"), ("1.2e-5", "1.3e-05")],
)
def test_values_that_differ_by_rounding_are_the_same(one, other):
    assert close(one, other)
    assert close(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("3", "4"), ("0.25", "0.27"), ("1.5", "-1.5"), ("1.2e-5", "1.2e-4"), ("3", "3.4"), ("99", "100")],
)
def test_other_values_are_not(one, other):
    assert not close(one, other)
    assert not close(other, one)


def test_the_width_of_white_space_does_not_count():
    assert not text_difference("loss   9.99 now\n", "loss  10.00 now")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("loss 1.25", "loss 1.29"),
        ("3 tokens", "4 tokens"),
        ("the door", "the window"),
        ("float32", "float64"),
        ("a\nb", "a"),
        ("a", ""),
        ("one 1", "one"),
        ("(1, 256)", "(1, 255)"),
        ("0.107 door", "0.107 window"),
    ],
)
def test_other_texts_differ(old, new):
    assert text_difference(old, new)
    assert text_difference(new, old)
    assert differences(notebook(printed(old)), notebook(printed(new)))


def test_measured_values_may_differ_but_words_may_not():
    stored = notebook(printed("loops 12.5 ms\nkernel 3 ms"), tags=[MEASURED])
    assert not differences(stored, notebook(printed("loops 840.1 ms\nkernel 7 ms"), tags=[MEASURED]))
    assert differences(stored, notebook(printed("loops 12.5 s\nkernel 3 ms"), tags=[MEASURED]))
    assert differences(stored, notebook(tags=[MEASURED]))
    assert differences(notebook(printed("12.5 ms")), notebook(printed("840.1 ms")))


def test_pictures_may_differ_but_not_be_missing():
    stored = notebook(shown(image_png="AAAA", text_plain="<Figure size 640x480>"))
    assert not differences(stored, notebook(shown(image_png="BBBB", text_plain="<Figure size 100x100>")))
    assert differences(stored, notebook())
    assert differences(notebook(), stored)
    assert differences(stored, notebook(shown(text_plain="<Figure size 640x480>")))


def test_a_stream_in_parts_is_the_same_stream():
    assert not differences(notebook(printed("a\nb\n")), notebook(printed("a\n"), printed("b\n")))


@pytest.mark.parametrize(
    "output",
    [
        printed("careful", name="stderr"),
        new_output("error", ename="AssertionError", evalue="", traceback=[]),
        shown(text_html="<b>a</b>"),
    ],
)
def test_other_kinds_of_output_differ(output):
    assert differences(notebook(printed("careful")), notebook(output))
    assert differences(notebook(printed("careful")), notebook(printed("careful"), output))


def test_html_is_compared_like_text():
    stored = notebook(shown(text_html="<b>door 0.25</b>"))
    assert not differences(stored, notebook(shown(text_html="<b>door 0.26</b>")))
    assert differences(stored, notebook(shown(text_html="<b>room 0.25</b>")))


def test_comparing_changes_nothing():
    stored, fresh = notebook(printed("a"), printed("b")), notebook(printed("c"))
    before = nbformat.writes(stored), nbformat.writes(fresh)
    differences(stored, fresh)
    assert (nbformat.writes(stored), nbformat.writes(fresh)) == before
