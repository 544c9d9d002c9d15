"""Sends an email about each job that fails, whichever task it belongs to."""

from __future__ import annotations

import logging
import os
import smtplib
from email.message import EmailMessage

import ucam_faas
from ucam_faas import MESSAGE_CONTEXT, JobEvent

logger = logging.getLogger(__name__)


@ucam_faas.message_handler(topic="events", filter='attributes.state != "SUCCESS"')
def notify_of_failure(event: JobEvent) -> None:
    """Send an email about a job that failed or expired."""
    deliver(compose(event, MESSAGE_CONTEXT.get().pubsub_message.attributes.get("ce-id", event.id)))


def compose(event: JobEvent, event_id: str) -> EmailMessage:
    """Write the email.

    An event may come twice. Both emails then have one Message-ID, by which many mail programs
    show them as one.
    """
    message = EmailMessage()
    message["From"] = "jobs@example.org"
    message["To"] = os.environ.get("NOTICES_TO", "team@example.org")
    message["Subject"] = f"{event.task}: a job ended as {event.state}"
    message["Message-ID"] = f"<{event_id}@example.org>"
    reason = event.cause if event.error is None else f"{event.cause} ({event.error})"
    message.set_content(
        f"The job {event.id} of {event.task} ended as {event.state} after {event.attempts} failed "
        f"attempts: {reason}.\n\n"
        f"See it:   ucam-faas jobs show {event.id} --task {event.task}\n"
        f"Run it:   ucam-faas jobs retry {event.id} --task {event.task}\n"
    )
    return message


def deliver(message: EmailMessage) -> None:
    """Hand an email to the server that SMTP_HOST names; without one, only log that there was one.

    A server that doesn't answer raises an OSError: Pub/Sub delivers the event again.
    """
    host = os.environ.get("SMTP_HOST")
    if not host:
        logger.warning("SMTP_HOST is not set: an email was not sent")
        return
    with smtplib.SMTP(host, timeout=10) as server:
        server.send_message(message)
