from __future__ import annotations

import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from ucam_faas import DeadLetter, Ignore, Retry, testing
from ucam_faas.config import Settings

from . import mail, main
from .events import NewUser
from .main import send_welcome_email

ADA = NewUser(user_id="u-1", name="Ada", email="ada@example.org")
DEAD_LETTERS = "projects/p/topics/dead"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[EmailMessage]:
    """The emails that were sent."""
    emails: list[EmailMessage] = []
    monkeypatch.setattr(main, "deliver", emails.append)
    return emails


def fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def deliver(message: EmailMessage) -> None:
        raise error

    monkeypatch.setattr(main, "deliver", deliver)


def test_a_new_user_gets_an_email(sent: list[EmailMessage]) -> None:
    assert send_welcome_email(ADA) == {"sent": 1}

    assert [email["To"] for email in sent] == ["ada@example.org"]
    assert "Dear Ada," in sent[0].get_content()


def test_a_second_delivery_sends_the_same_message_id(sent: list[EmailMessage]) -> None:
    send_welcome_email(ADA)
    send_welcome_email(ADA)

    assert sent[0]["Message-ID"] == sent[1]["Message-ID"]


def test_who_wants_no_email_gets_none(sent: list[EmailMessage]) -> None:
    quiet = ADA.model_copy(update={"wants_email": False})

    with pytest.raises(Ignore):
        send_welcome_email(quiet)

    assert sent == []


def test_a_run_reports_the_result(sent: list[EmailMessage]) -> None:
    info = testing.run(send_welcome_email, ADA)

    assert info.execution.status == "COMPLETED"
    assert info.result == {"sent": 1}


def test_a_mail_server_that_is_down_means_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(smtplib.SMTPServerDisconnected("bye"), monkeypatch)

    conclusion = testing.conclude(send_welcome_email, ADA)

    assert isinstance(conclusion.outcome, Retry)


def test_a_refused_address_means_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(mail.AddressRefusedError(), monkeypatch)

    conclusion = testing.conclude(send_welcome_email, ADA)

    assert isinstance(conclusion.outcome, DeadLetter)


@pytest.mark.parametrize(
    ("code", "raised"), [(550, mail.AddressRefusedError), (450, smtplib.SMTPRecipientsRefused)]
)
def test_only_a_permanent_refusal_is_final(
    code: int, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    class RefusingServer:
        def __init__(self, host: str, timeout: float) -> None: ...

        def __enter__(self) -> RefusingServer:
            return self

        def __exit__(self, *error: Any) -> None: ...

        def send_message(self, message: EmailMessage) -> None:
            raise smtplib.SMTPRecipientsRefused({message["To"]: (code, b"no")})

    monkeypatch.setenv("SMTP_HOST", "mail.example.org")
    monkeypatch.setattr(smtplib, "SMTP", RefusingServer)

    with pytest.raises(raised):
        mail.deliver(main.compose(ADA))


def test_a_push_is_acknowledged(
    sent: list[EmailMessage], ucam_faas_client: Callable[..., testing.Client]
) -> None:
    client = ucam_faas_client(send_welcome_email)

    response = client.push("send_welcome_email", ADA)

    assert (response.status, len(sent)) == (200, 1)


def test_a_push_to_be_retried_says_when(
    monkeypatch: pytest.MonkeyPatch, ucam_faas_client: Callable[..., testing.Client]
) -> None:
    fail_with(ConnectionRefusedError(), monkeypatch)
    client = ucam_faas_client(send_welcome_email)

    response = client.push("send_welcome_email", ADA)

    assert (response.status, response.headers["retry-after"]) == (429, "60")


def test_a_dead_letter_is_published_and_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
    ucam_faas_client: Callable[..., testing.Client],
    ucam_faas_publisher: testing.MemoryPublisher,
) -> None:
    fail_with(mail.AddressRefusedError(), monkeypatch)
    ucam_faas_publisher.topics[DEAD_LETTERS] = []
    settings = Settings(dead_letter_topic=DEAD_LETTERS)
    client = ucam_faas_client(send_welcome_email, publisher=ucam_faas_publisher, settings=settings)

    response = client.push("send_welcome_email", ADA)

    letter = ucam_faas_publisher.topics[DEAD_LETTERS][0]
    assert response.status == 200
    assert letter.attributes["ucam_faas_reason"] == "the mail server refused the address"
    assert NewUser.model_validate_json(letter.data) == ADA


def test_a_message_without_an_address_is_refused(
    sent: list[EmailMessage], ucam_faas_client: Callable[..., testing.Client]
) -> None:
    client = ucam_faas_client(send_welcome_email)

    response = client.push("send_welcome_email", {"user_id": "u-1", "name": "Ada"})

    assert (response.status, sent) == (400, [])
