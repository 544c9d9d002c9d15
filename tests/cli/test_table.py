"""Tables for people, in terminals of different widths."""

from __future__ import annotations

import pytest

from ucam_faas.cli._table import print_table

HEADINGS = ("TASK", "TRIGGER", "SUMMARY")
SUMMARY = "Store an order in the database, and tell the people who wait for it."
ROWS = [("store", "orders (filtered, ordered)\n0 3 * * *  Europe/London", SUMMARY)]


@pytest.mark.parametrize(("columns", "headings"), [(60, 3), (100, 1), (200, 1)])
def test_a_table_fits_and_is_folded_at_words(
    columns: int,
    headings: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    print_table(HEADINGS, ROWS)

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert sum(line.startswith(HEADINGS) for line in lines) == headings
    words = " ".join(lines).split()
    assert [word for word in words if word in SUMMARY.split()][-5:] == SUMMARY.split()[-5:]


def test_columns_of_wide_characters_and_several_lines_are_aligned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    print_table(("TASK", "TAKES"), [("日本", "Order\nor none"), ("store", "bytes")], spaced=True)

    assert capsys.readouterr().out.splitlines() == [
        *("TASK   TAKES", "", "日本   Order", "       or none", "", "store  bytes")
    ]


def test_a_folded_table_stays_side_by_side(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "24")

    print_table(("NAME", "VALUE"), [("min_instances", "one of each region")], fold=True)

    assert capsys.readouterr().out.splitlines() == [
        *("NAME         VALUE", "min_instanc  one of each", "es           region")
    ]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_only_terminals_get_colours(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)

    print_table(("NAME",), [("default",)], is_dim=lambda row: True)

    painted = ["\033[1mNAME\033[0m", "\033[2mdefault\033[0m"]
    assert capsys.readouterr().out.splitlines() == (painted if is_terminal else ["NAME", "default"])
