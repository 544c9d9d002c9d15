from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest

import ucam_faas
from ucam_faas import RetryPolicy, State, local_testing
from ucam_faas.config import Settings

from . import main
from .main import notify_of_failure

SETTINGS = Settings(events_topic="events")


@pytest.fixture
def import_members() -> Any:
    """A task that fails."""

    @ucam_faas.message_handler(events="all", retry=RetryPolicy(max_attempts=2))
    def import_members(files: list[str]) -> int:
        if "bad.csv" in files:
            raise ValueError("bad.csv")
        return len(files)

    return import_members


@pytest.fixture
def emails(monkeypatch: pytest.MonkeyPatch) -> list[EmailMessage]:
    """The emails that were sent."""
    emails: list[EmailMessage] = []
    monkeypatch.setattr(main, "deliver", emails.append)
    return emails


@pytest.mark.slow
def test_people_hear_of_a_job_that_fails_and_of_no_other(
    import_members: Any,
    emails: list[EmailMessage],
    ucam_faas_local: local_testing.LocalCloudFactory,
) -> None:
    local = ucam_faas_local(import_members, notify_of_failure, settings=SETTINGS)

    good, bad = import_members.send(["good.csv"]), import_members.send(["bad.csv"])
    local.wait_idle()

    assert (good.status, bad.status) == (State.SUCCESS, State.FAILURE)
    (email,) = emails
    assert email["Subject"] == "import_members: a job ended as FAILURE"
    assert "2 failed attempts: failed (ValueError)" in email.get_content().replace("\n", " ")
    assert "bad.csv" not in email.get_content()


@pytest.mark.slow
def test_an_email_that_is_sent_twice_has_one_message_id(
    import_members: Any,
    emails: list[EmailMessage],
    ucam_faas_local: local_testing.LocalCloudFactory,
) -> None:
    tasks = import_members, notify_of_failure
    local = ucam_faas_local(*tasks, deliveries="hostile", settings=SETTINGS)

    import_members.send(["bad.csv"])
    local.wait_idle()

    assert len(emails) > 1
    assert len({email["Message-ID"] for email in emails}) == 1
