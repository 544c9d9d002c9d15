"""Differences are cut where they are long, say so, and stay quick for the largest payloads."""

from __future__ import annotations

import difflib
import json
from typing import Any

import pytest

from ucam_faas.dead_letters.differences import changes, difference
from ucam_faas.dead_letters.letters import Content


def lines_of(before: Any, after: Any) -> list[str]:
    contents = (Content(json.dumps(value).encode(), {}) for value in (before, after))
    return list(difference(*contents).lines)


def test_a_change_in_a_large_payload_is_the_one_that_diff_finds() -> None:
    before = {"items": [{"sku": f"a{number}"} for number in range(3_000)]}
    after = json.loads(json.dumps(before))
    after["items"][1_500] = {"price": 1, "sku": "b"}
    texts = (json.dumps(value, indent=2).splitlines() for value in (before, after))

    lines = lines_of(before, after)

    expected = difflib.unified_diff(*texts, "data as it died", "data to send", lineterm="")
    assert lines == list(expected)


def test_a_line_that_looks_like_a_place_is_shown_as_it_is() -> None:
    before = "\n".join([*"abcdefgh", "@@ -1 +1 @@ a patch"])
    after = before.replace("a patch", "another")

    diff = difference(Content(before.encode(), {}), Content(after.encode(), {}))

    assert diff.lines[2:] == (
        *("@@ -6,4 +6,4 @@", " f", " g", " h"),
        *("-@@ -1 +1 @@ a patch", "+@@ -1 +1 @@ another"),
    )


def test_too_many_changed_lines_are_not_compared_and_the_first_are_shown() -> None:
    lines = lines_of([*range(5_000)], [*range(7_000, 14_000)])

    assert lines[2] == "@@ -1,5002 +1,7002 @@ too many lines to compare each"
    assert lines[3:5] == ["-[", "-  0,"]
    assert [line for line in lines if "more lines" in line] == [
        "-… 4,962 more lines",
        "+… 6,962 more lines",
    ]
    assert len(lines) == 3 + 2 * 41


def test_a_long_line_is_cut() -> None:
    lines = lines_of(["x" * 6_000_000], ["y" * 1_000])

    assert [line[-25:] for line in lines if line[0] in "-+"][2:] == [
        " 5,999,505 more characters"[-25:],
        "xx… 505 more characters".replace("x", "y").rjust(25, "y"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1.0}, ["- a: 1", "+ a: 1.0"]),
        ({"a": 1}, {"a": True}, ["- a: 1", "+ a: true"]),
        ([1, 2], [1], ["- 1: 2"]),
        ({"a": {"b": [1]}}, {"a": 3}, ["- a.b.0: 1", "+ a: 3"]),
        ({"a": {}}, {}, ["- a: {}", "+ payload: {}"]),
        ("x", "y", ['- payload: "x"', '+ payload: "y"']),
        ({"a": [{"b": None}]}, {"a": [{"b": None}]}, []),
    ],
)
def test_changes_are_those_of_the_innermost_values(
    before: Any, after: Any, expected: list[str]
) -> None:
    assert list(changes(before, after)) == expected


def test_changes_beyond_a_hundred_are_counted_up_to_a_limit() -> None:
    many = list(changes([*range(1_000)], [*range(1, 1_001)]))
    most = list(changes([*range(20_000)], [*range(1, 20_001)]))

    assert (len(many), many[-1]) == (201, "and 900 more")
    assert most[-1] == "and at least 10,000 more"
