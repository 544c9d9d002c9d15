"""Sends emails through the server that `SMTP_HOST` names."""

from __future__ import annotations

import logging
import os
import smtplib
from email.message import EmailMessage

logger = logging.getLogger(__name__)


class AddressRefusedError(Exception):
    """The mail server will never deliver to this address."""


def deliver(message: EmailMessage) -> None:
    """Hand an email to the mail server; without one, only log that there was an email.

    Raises:
        AddressRefusedError: trying again is useless.
        OSError: trying again later may help. All errors of smtplib are OSErrors.
    """
    host = os.environ.get("SMTP_HOST")
    if not host:
        logger.warning("SMTP_HOST is not set: an email was not sent")
        return
    with smtplib.SMTP(host, timeout=10) as server:
        try:
            server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            if all(code >= 500 for code, _ in error.recipients.values()):
                raise AddressRefusedError from error
            raise
