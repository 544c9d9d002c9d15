"""Sends an email to those who sign up: a task for a pydantic message."""

from __future__ import annotations

from datetime import timedelta
from email.message import EmailMessage

import ucam_faas

from .events import NewUser
from .mail import AddressRefusedError, deliver


@ucam_faas.message_handler(timeout=timedelta(seconds=30))
def send_welcome_email(user: NewUser) -> dict[str, int]:
    """Send a new user a welcome email."""
    if not user.wants_email:
        raise ucam_faas.Ignore("the user wants no email")
    try:
        deliver(compose(user))
    except AddressRefusedError as error:
        # Reasons are logged: nothing personal goes into them.
        raise ucam_faas.DeadLetter("the mail server refused the address") from error
    except OSError as error:
        raise ucam_faas.Retry(after=timedelta(minutes=1), reason="no mail server") from error
    return {"sent": 1}


def compose(user: NewUser) -> EmailMessage:
    """Write the email.

    Pub/Sub may deliver a message twice. Both emails then have one Message-ID, by which many
    mail programs show them as one.
    """
    message = EmailMessage()
    message["From"] = "hello@example.org"
    message["To"] = user.email
    message["Subject"] = "Welcome"
    message["Message-ID"] = f"<welcome.{user.user_id}@example.org>"
    message.set_content(f"Dear {user.name},\n\nit is good to have you here.\n")
    return message
