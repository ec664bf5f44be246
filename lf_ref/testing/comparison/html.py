"""Reports as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

# They show on white and on black pages.
_FAILED, _FIRST = "background:rgba(220,50,40,.12)", "background:rgba(220,50,40,.35);font-weight:bold"


def page(before: str, header: Sequence[str], rows: Iterable[tuple[Sequence[str], str]], after: str = "") -> str:
    """A table with a text before it and one after it.

    header: of the columns. rows: their cells, and a style as from `row_style`; a row with one cell spans the table.
    """
    head = "".join(f"<th style='text-align:left'>{escape(name)}</th>" for name in header)
    body = "".join(_row(cells, style, len(header)) for cells, style in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return "".join([_text(before), table, _text(after) if after else ""])


def row_style(passed: bool, first: bool) -> str:
    """The style of a row: of the first that failed, of another that did, or none."""
    return _FIRST if first else "" if passed else _FAILED


def _row(cells: Sequence[str], style: str, columns: int) -> str:
    span = f" colspan='{columns}'" if len(cells) == 1 else ""
    shown = "".join(f"<td{span} style='text-align:left'>{escape(cell)}</td>" for cell in cells)
    return f"<tr style='{style}'>{shown}</tr>"


def _text(text: str) -> str:
    return f"<pre style='white-space:pre-wrap'>{escape(text)}</pre>"
