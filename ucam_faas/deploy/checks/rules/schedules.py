"""Rules of schedules: those that run more or less often than they seem to."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from ucam_faas.deploy.checks import clock_changes
from ucam_faas.deploy.checks.inputs import Inputs, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.rules.payloads import refuses
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.payloads import overlap
from ucam_faas.deploy.terraform_variables import PlannedTask
from ucam_faas.events.messages import TOPIC_PATH
from ucam_faas.gcp import cron, filters
from ucam_faas.gcp.cron import Times
from ucam_faas.tasks.needs import full_topic
from ucam_faas.tasks.triggers import Schedule

YEARS_AHEAD = 10
RARE = timedelta(days=366)
_DAYS_OF_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_IN_UTC = 'Say time_zone="Etc/UTC"'


def _schedules(inputs: Inputs) -> Iterator[tuple[PlannedTask, Schedule, Times]]:
    for planned in inputs.planned:
        for schedule in planned.task.trigger.schedules if planned.task.trigger else ():
            yield planned, schedule, cron.parse(schedule.expression)


def _finding(planned: PlannedTask, schedule: Schedule, text: str, fix: str) -> Finding:
    what = f"Schedule({schedule.expression!r}) of the task {planned.task.name!r} {text}"
    return Finding(decorated(planned.task), what, fix, planned.task.name)


@rule(
    "schedule-on-either-day",
    why="Cron runs on a day that matches either of the two, not both: far more often.",
)
def either_day(inputs: Inputs) -> Iterator[Finding]:
    """A schedule with a day of the month and a day of the week."""
    for planned, schedule, times in _schedules(inputs):
        if not times.any_day and not times.any_weekday:
            _, _, days, _, weekdays = schedule.expression.split()
            yield _finding(
                planned,
                schedule,
                f"runs on the days {days} of the month, and also on each {weekdays}.",
                "If you want that, write two schedules. If both must match, put one into the "
                "schedule, and let the task check the other.",
            )


@rule("schedule-skips-months", why="It does not run in the other months, and no error says so.")
def skips_months(inputs: Inputs) -> Iterator[Finding]:
    """A schedule for the 29th, 30th or 31st in months that have no such day."""
    for planned, schedule, times in _schedules(inputs):
        if not times.any_weekday or _is_rare(times, inputs.today):
            continue
        skipped = [
            f"{date(2001, month, 1):%B}"
            for month in sorted(times.months)
            if min(times.days) > _DAYS_OF_MONTHS[month - 1]
        ]
        if skipped:
            years = " (but in leap years)" if min(times.days) == 29 else ""
            yield _finding(
                planned,
                schedule,
                f"does not run in {', '.join(skipped)}{years}.",
                "Run it on the 1st, or daily from the 28th and let the task look for the last "
                "day of the month; or name the months.",
            )


@rule("schedule-rare", why="Its first run, and its first failure, may be years away.")
def rare(inputs: Inputs) -> Iterator[Finding]:
    """A schedule with more than a year between two runs, or that is never due."""
    for planned, schedule, times in _schedules(inputs):
        if _is_rare(times, inputs.today):
            due = next(filter(times.has_day, _days(inputs.today)), None)
            yield _finding(
                planned,
                schedule,
                f"is next due on {due}, and then not for more than a year."
                if due
                else f"is not due in {YEARS_AHEAD} years.",
                "Check the day and the month.",
            )


@lru_cache(maxsize=256)
def _is_rare(times: Times, today: date) -> bool:
    due = [day for day in _days(today) if times.has_day(day)]
    return len(due) < 2 or any(second - first > RARE for first, second in itertools.pairwise(due))


def _days(first: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range(366 * YEARS_AHEAD))


@rule("schedule-skipped", why="Cloud Scheduler leaves that run out.")
def skipped(inputs: Inputs) -> Iterator[Finding]:
    """A schedule at a time that the clocks of its time zone skip in spring."""
    for planned, schedule, at in _at_changes(inputs, skips=True):
        text = f"does not run on {at:%Y-%m-%d}: in {schedule.time_zone} there is no {at:%H:%M}."
        yield _finding(planned, schedule, text, f"{_IN_UTC}, or choose another hour.")


@rule("schedule-repeated", why="The task does its work twice that day.")
def repeated(inputs: Inputs) -> Iterator[Finding]:
    """A schedule at a time that the clocks of its time zone show twice in autumn."""
    for planned, schedule, at in _at_changes(inputs, skips=False):
        text = f"runs twice on {at:%Y-%m-%d}: {schedule.time_zone} has {at:%H:%M} twice."
        yield _finding(planned, schedule, text, f"{_IN_UTC}, or choose another hour.")


def _at_changes(inputs: Inputs, *, skips: bool) -> Iterator[tuple[PlannedTask, Schedule, datetime]]:
    """Yield the schedules that a clock change affects, with the first affected time.

    Hourly schedules run hourly on those days, too.
    """
    until = inputs.today + timedelta(days=365 * YEARS_AHEAD)
    for planned, schedule, times in _schedules(inputs):
        if schedule.time_zone in ("UTC", "Etc/UTC") or len(times.hours) == 24:
            continue
        changes = clock_changes.changes(ZoneInfo(schedule.time_zone), inputs.today, until)
        hits = (clock_changes.hit(times, change) for change in changes if change.skips is skips)
        at = next((hit for hit in hits if hit), None)
        if at:
            yield planned, schedule, at


@rule("schedules-coincide", why="The task does the same work twice at that minute.")
def coincide(inputs: Inputs) -> Iterator[Finding]:
    """Two schedules of a task that send the same message at the same minute."""
    for planned in inputs.planned:
        schedules = planned.task.trigger.schedules if planned.task.trigger else ()
        for first, second in itertools.combinations(schedules, 2):
            same = (first.data, first.attributes) == (second.data, second.attributes)
            paused = first.paused or second.paused
            zones = {
                "Etc/UTC" if schedule.time_zone == "UTC" else schedule.time_zone
                for schedule in (first, second)
            }
            if same and not paused and len(zones) == 1:
                at = _together(first, second, inputs.today)
                if at:
                    text = f"and Schedule({second.expression!r}) both run at {at:%Y-%m-%d %H:%M}."
                    yield _finding(planned, first, text, "Leave one out, or give them other data.")


def _together(first: Schedule, second: Schedule, today: date) -> datetime | None:
    """Return the first time at which two schedules are both due."""
    both = cron.parse(first.expression), cron.parse(second.expression)
    minutes, hours = both[0].minutes & both[1].minutes, both[0].hours & both[1].hours
    if not minutes or not hours:
        return None
    days = _days(today + timedelta(days=1))
    day = next((day for day in days if both[0].has_day(day) and both[1].has_day(day)), None)
    if day is None:
        return None
    return datetime(day.year, day.month, day.day, min(hours), min(minutes))


@rule(
    "schedule-topic-elsewhere",
    why="Cloud Scheduler publishes to topics of its own project only: `terraform apply` fails.",
)
def topic_elsewhere(inputs: Inputs) -> Iterator[Finding]:
    """A schedule of a task whose topic is in another project."""
    project = inputs.plan.project if inputs.plan else None
    for planned, schedule, _ in _schedules(inputs):
        path = TOPIC_PATH.fullmatch(planned.needs.topic or "")
        if project and path and planned.gets_messages and path["project"] != project:
            yield _finding(
                planned,
                schedule,
                f"publishes to {planned.needs.topic}, and the deployment is in {project}.",
                "Give the schedule to a second task, with a topic of this project.",
            )


@rule("schedule-misread", why="It becomes a dead letter there, each time.")
def misread(inputs: Inputs) -> Iterator[Finding]:
    """A schedule whose message another task gets, too, and refuses."""
    project = (inputs.plan and inputs.plan.project) or "-"
    for planned, schedule, _ in _schedules(inputs):
        topic = full_topic(planned.needs.topic or "", project)
        for other in inputs.receivers if planned.gets_messages else ():
            same = full_topic(other.needs.topic or "", project) == topic
            if other is planned or not same or not _passes(other, schedule):
                continue
            known = overlap.clash(planned.payload, other.payload)  # a finding already
            if known is None and refuses(other.task, schedule.data):
                yield _finding(
                    planned,
                    schedule,
                    f"sends a message to {planned.needs.topic!r}; and {other.name!r}, which reads "
                    f"the topic, too, refuses it.",
                    f"Give {planned.name!r} a topic of its own, or {other.name!r} a filter.",
                )


def _passes(planned: PlannedTask, schedule: Schedule) -> bool:
    text = planned.needs.filter
    return text is None or filters.parse(text)(schedule.attributes)


RULES = (misread, either_day, skips_months, rare, skipped, repeated, coincide, topic_elsewhere)
