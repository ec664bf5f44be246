"""The results of the cases, in a line and as a table."""

from __future__ import annotations

import re

import pytest

from lf_ref import testing
from lf_ref.testing import CaseResult, CaseResults
from lf_ref.testing.conformance.case_results import narrowed
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


def test_a_mistake_has_a_name_where_at_most_three_would_do():
    few, many = (
        CaseResult("few", "", "wrong", causes=("a", "b", "c")),
        CaseResult("many", "", "wrong", causes=tuple("abcd")),
    )
    assert (few.named, many.named) == (("a", "b", "c"), ())
    assert few.line() == "FAILED  few: wrong; mistake: a or b or c"
    assert many.line() == "FAILED  many: wrong"
    assert (few.to_dict()["causes"], many.to_dict()["causes"]) == (("a", "b", "c"), ())
    html = CaseResults("a port", (few,))._repr_html_()
    assert "wrong; mistake: a or b or c" in html


def test_cases_that_do_not_tell_mistakes_apart_follow_those_that_do():
    results = [
        CaseResult("1", "counts", "logits: wrong", first_divergence="logits", causes=tuple("abcd")),
        CaseResult("2", "scales", "pooler: wrong", first_divergence="pooler", causes=("b",)),
        CaseResult("3", "masks", "logits: wrong", first_divergence="logits"),
        CaseResult("4", "sorts", "logits: wrong", first_divergence="logits", causes=("e",)),
    ]
    found = narrowed(results)
    assert [result.causes for result in found] == [("b",), ("b",), (), ("e",)]
    assert str(CaseResults("a port", found)).splitlines() == [
        "FAILED: a port: 4 failed; mistake: b (in 2), and e (in 1)",
        "FAILED  1: logits: wrong; mistake: b",
        "        the same in 1 more case: 2",
        "FAILED  3: logits: wrong",
        "        this case detects: masks",
        "FAILED  4: logits: wrong; mistake: e",
    ]


def test_cases_that_pass_unexpectedly_are_not_the_same():
    first, second = (CaseResult(name, "", expected_to_fail="known") for name in "12")
    assert first.group != second.group


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
