"""The statements of a year: a long job that goes on where it was, and a task that announces them.

`STATEMENTS_FOLDER` names the folder of the statements; without it, it is `statements`.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, Field

import ucam_faas

REVIEW = timedelta(days=1)
"""The wait between the last statement and the announcements."""


class Year(BaseModel):
    """The accounts that get a statement of a year."""

    year: int = Field(ge=2000, examples=[2026])
    accounts: list[str] = Field(min_length=1, examples=[["ada", "grace"]])


class Statement(BaseModel):
    """A statement that is written."""

    account: str = Field(examples=["ada"])
    file: str = Field(examples=["2026-ada.txt"])


@ucam_faas.message_handler(sends=["announce"])
def write_statements(year: Year) -> int:
    """Write the statements of a year, and announce them a day later."""
    job = ucam_faas.current_job()
    statements = []
    for done, account in enumerate(year.accounts, 1):
        # Stored at once: an attempt after a crash goes on with the account in flight.
        statements.append(job.step(f"statement {account}", write_statement, account, year.year))
        job.progress(done, len(year.accounts), account)
    job.sleep(REVIEW, name="review")  # no instance runs meanwhile
    announce.send_many(statements, id=lambda statement: statement.file)
    return len(statements)


def write_statement(account: str, year: int) -> Statement:
    """Write the statement of an account."""
    folder = Path(os.environ.get("STATEMENTS_FOLDER", "statements"))
    folder.mkdir(parents=True, exist_ok=True)
    statement = Statement(account=account, file=f"{year}-{account}.txt")
    (folder / statement.file).write_text(f"Statement of {account} for {year}\n")
    return statement


@ucam_faas.message_handler
def announce(statement: Statement) -> str:
    """Tell an account about its statement."""
    return f"To {statement.account}: your statement is in {statement.file}."
