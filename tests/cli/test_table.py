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
