"""The tasks of a university's service: what an ordinary team has, in three stages."""

from datetime import timedelta

from pydantic import BaseModel

import ucam_faas
from ucam_faas import RetryPolicy, Schedule


class Enrolment(BaseModel):
    """A student takes a course."""

    crsid: str
    course: str
    credits: int = 0


class Notice(BaseModel):
    """A text for a person."""

    crsid: str
    text: str


class Audit(BaseModel):
    """Something that happened."""

    crsid: str
    kind: str


@ucam_faas.message_handler(
    topic="enrolments",
    ordered=True,
    timeout=timedelta(seconds=60),
    retry=RetryPolicy(max_attempts=10),
    sends=["notify"],
)
def enrol(enrolment: Enrolment) -> None:
    """Enrol a student."""


@ucam_faas.message_handler(topic="enrolments", concurrency=10)
def count_places(enrolment: Enrolment) -> None:
    """Count the places of a course."""


@ucam_faas.message_handler(secrets={"SMTP_PASSWORD": "smtp-password"}, max_instances=3)
async def notify(notice: Notice) -> None:
    """Send a mail."""


@ucam_faas.message_handler(topic="audit", filter='attributes.kind = "login"')
def log_login(audit: Audit) -> None:
    """Log a login."""


@ucam_faas.message_handler(topic="audit", filter='attributes.kind = "grade"')
def log_grade(audit: Audit) -> None:
    """Log a change of a grade."""


@ucam_faas.message_handler(
    schedule=Schedule("*/30 8-18 * * MON-FRI", time_zone="Europe/London"),
    timeout=timedelta(minutes=5),
)
def import_timetable() -> None:
    """Import the timetable."""


@ucam_faas.raw_event(
    run_as="cloud-run-job",
    timeout=timedelta(hours=4),
    schedule=Schedule("30 3 * * *", time_zone="Europe/London"),
    memory="2Gi",
)
def sync_directory(body: object) -> None:
    """Copy the directory."""


@ucam_faas.raw_event(run_as="cloud-run-job", schedule="0 4 * * SUN")
def report(body: object) -> None:
    """Write the weekly report."""


@ucam_faas.message_handler(
    run_as="worker", topic="videos", timeout=timedelta(hours=2), memory="4Gi", cpu=2
)
def encode(video: bytes) -> None:
    """Encode a lecture's video."""


@ucam_faas.http(path="/rooms/<room>", methods=["GET"])
def show_room(room: str) -> str:
    """Show a room."""
    return ""


@ucam_faas.http(path="/hooks/payments")
def take_payment() -> str:
    """Take the notice of a payment."""
    return ""
