"""The list of jobs in terminals of different widths."""

from __future__ import annotations

import pytest

from ucam_faas.cli._job_table import print_jobs

LONG_ID = "an-order-of-2026-11-28-with-a-rather-long-id-0000000000001"
ROWS = [
    ("o5", "invoice", "SUCCESS", "2 s ago", "1", ""),
    ("95a023adfe7d0f57cfde74737dd56500", "charge", "PENDING", "4 s ago", "", "starts in 59 min"),
    (LONG_ID, "charge", "FAILURE", "5 s ago", "1", "DeadLetter"),
]


def lines_of(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_jobs(ROWS)
    return capsys.readouterr().out.splitlines()


def test_a_long_id_and_a_long_note_have_lines_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lines_of(80, monkeypatch, capsys) == [
        "JOB                               TASK     STATE    SENT     RUNS  NOTE",
        "o5                                invoice  SUCCESS  2 s ago  1",
        "95a023adfe7d0f57cfde74737dd56500  charge   PENDING  4 s ago",
        "    starts in 59 min",
        LONG_ID,
        "                                  charge   FAILURE  5 s ago  1     DeadLetter",
    ]


def test_a_long_id_leaves_the_notes_of_other_jobs_beside_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(100, monkeypatch, capsys)

    assert lines[2].endswith("4 s ago        starts in 59 min")
    assert lines[3] == LONG_ID


def test_a_wide_terminal_has_a_line_for_each_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(120, monkeypatch, capsys)

    assert len(lines) == 4
    assert lines[3].startswith(LONG_ID)


@pytest.mark.parametrize("columns", [30, 50, 60, 80, 100])
def test_no_line_is_wider_than_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(columns, monkeypatch, capsys)

    assert max(map(len, lines)) <= max(columns, 49)  # blocks are as wide as 40 columns need
