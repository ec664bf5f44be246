"""The results of the cases, in a line and as a table."""

from __future__ import annotations

import re

import pytest

from lf_ref import testing
from lf_ref.testing import CaseResult, CaseResults
from lf_ref.testing.conformance.command import complete_case

RESULTS = CaseResults(
    "a port",
    (
        CaseResult("one", "counts"),
        CaseResult("two", "scales", problem="wrong by <3>"),
        CaseResult("three", "masks", problem="wrong too"),
        CaseResult("four", "sorts", problem="wrong", expected_to_fail="known"),
    ),
)


def test_the_repr_is_one_line():
    assert repr(RESULTS) == "<CaseResults of a port: 2 of 4 cases failed>"


def test_the_table_marks_the_first_failure_and_escapes_what_it_shows():
    html = RESULTS._repr_html_()
    rows = re.findall(r"<tr style='(.*?)'>(.*?)</tr>", html)
    assert [re.findall(r">([^<>]*)</td>", cells) for _, cells in rows] == [
        ["passed", "one", ""],
        ["FAILED", "two", "wrong by &lt;3&gt;"],
        ["FAILED", "three", "wrong too"],
        ["xfailed", "four", "wrong"],
    ]
    styles = [style for style, _ in rows]
    assert styles[0] == styles[3] == ""
    assert len({styles[0], styles[1], styles[2]}) == 3, "the first failure has a style of its own"
    assert "2 of 4 cases failed" in html


def test_a_table_without_failures_marks_nothing():
    html = CaseResults("a port", RESULTS.results[:1])._repr_html_()
    assert re.findall(r"<tr style='(.*?)'", html) == [""]


@pytest.mark.parametrize("before", ["", "other,", "a,b,"])
def test_names_of_cases_are_completed_after_the_last_comma(before):
    names = [case.name for case in testing.standard_cases()]
    start = names[0][:3]
    expected = [before + name for name in names if name.startswith(start)]
    assert expected
    assert complete_case(None, None, before + start) == expected
    assert complete_case(None, None, before + "no such case") == []
