"""Rules of schedules: those that run less, more or otherwise than they seem to."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ucam_faas.deploy.checks import daylight
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.subject import Subject, decorated
from ucam_faas.deploy.findings import Fault
from ucam_faas.deploy.plan import PlannedTask
from ucam_faas.gcp import cron
from ucam_faas.gcp.cron import Times
from ucam_faas.tasks.triggers import Schedule

YEARS_AHEAD = 10
RARE = timedelta(days=366)
_DAYS_OF_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_IN_UTC = 'Say time_zone="Etc/UTC"'


def _schedules(subject: Subject) -> Iterator[tuple[PlannedTask, Schedule, Times]]:
    for one in subject.planned:
        for schedule in one.task.trigger.schedules if one.task.trigger else ():
            yield one, schedule, cron.parse(schedule.expression)


def _fault(one: PlannedTask, schedule: Schedule, text: str, fix: str) -> Fault:
    what = f"Schedule({schedule.expression!r}) of the task {one.task.name!r} {text}"
    return Fault(decorated(one.task), what, fix, one.task.name)


@rule(
    "schedule-on-either-day",
    why="Cron runs on a day that matches either of the two, not both: far more often.",
)
def either_day(subject: Subject) -> Iterator[Fault]:
    """A schedule with a day of the month and a day of the week."""
    for one, schedule, times in _schedules(subject):
        if not times.any_day and not times.any_weekday:
            _, _, days, _, weekdays = schedule.expression.split()
            yield _fault(
                one,
                schedule,
                f"runs on the days {days} of the month, and besides on each {weekdays}.",
                "If that is meant, write two schedules; if both are meant together, let cron look "
                "at one of them and the task at the other.",
            )


@rule("schedule-skips-months", why="In the others it does not run, and nothing says so.")
def skips_months(subject: Subject) -> Iterator[Fault]:
    """A schedule for the 29th, 30th or 31st in months that have no such day."""
    for one, schedule, times in _schedules(subject):
        if not times.any_weekday or _is_rare(times, subject.today):
            continue
        skipped = [
            f"{date(2001, month, 1):%B}"
            for month in sorted(times.months)
            if min(times.days) > _DAYS_OF_MONTHS[month - 1]
        ]
        if skipped:
            years = " (but in leap years)" if min(times.days) == 29 else ""
            yield _fault(
                one,
                schedule,
                f"does not run in {', '.join(skipped)}{years}.",
                "Run it on the 1st, or daily from the 28th and let the task see whether it is the "
                "last day; or name the months that are meant.",
            )


@rule("schedule-rare", why="It is years until anybody sees whether it works.")
def rare(subject: Subject) -> Iterator[Fault]:
    """A schedule with more than a year between two runs, or that is never due."""
    for one, schedule, times in _schedules(subject):
        if _is_rare(times, subject.today):
            due = next(filter(times.has_day, _days(subject.today)), None)
            yield _fault(
                one,
                schedule,
                f"is next due on {due}, and then not for more than a year."
                if due
                else f"is not due in {YEARS_AHEAD} years.",
                "Check the day and the month.",
            )


def _is_rare(times: Times, today: date) -> bool:
    due = [day for day in _days(today) if times.has_day(day)]
    return len(due) < 2 or any(two - one > RARE for one, two in itertools.pairwise(due))


def _days(first: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range(366 * YEARS_AHEAD))


@rule("schedule-skipped", why="That run is left out, and is not made up for.")
def skipped(subject: Subject) -> Iterator[Fault]:
    """A schedule at a time that the clocks of its time zone leap over in spring."""
    for one, schedule, at in _at_changes(subject, skips=True):
        text = f"does not run on {at:%Y-%m-%d}: in {schedule.time_zone} there is no {at:%H:%M}."
        yield _fault(one, schedule, text, f"{_IN_UTC}, or choose another hour.")


@rule("schedule-repeated", why="The task does its work twice that day.")
def repeated(subject: Subject) -> Iterator[Fault]:
    """A schedule at a time that the clocks of its time zone show twice in autumn."""
    for one, schedule, at in _at_changes(subject, skips=False):
        text = f"runs twice on {at:%Y-%m-%d}: {schedule.time_zone} has {at:%H:%M} twice."
        yield _fault(one, schedule, text, f"{_IN_UTC}, or choose another hour.")


def _at_changes(
    subject: Subject, *, skips: bool
) -> Iterator[tuple[PlannedTask, Schedule, datetime]]:
    """Yield the schedules that a change of the clocks meets, and the first time that it does.

    What runs every hour does so on such days, too.
    """
    until = subject.today + timedelta(days=365 * YEARS_AHEAD)
    for one, schedule, times in _schedules(subject):
        if schedule.time_zone in ("UTC", "Etc/UTC") or len(times.hours) == 24:
            continue
        found = daylight.changes(ZoneInfo(schedule.time_zone), subject.today, until)
        hits = (daylight.hit(times, change) for change in found if change.skips is skips)
        at = next((hit for hit in hits if hit), None)
        if at:
            yield one, schedule, at


@rule("schedules-coincide", why="The task does the same work twice at that minute.")
def coincide(subject: Subject) -> Iterator[Fault]:
    """Two schedules of a task that send the same message at the same minute."""
    for one in subject.planned:
        found = one.task.trigger.schedules if one.task.trigger else ()
        for first, second in itertools.combinations(found, 2):
            same = (first.data, first.attributes) == (second.data, second.attributes)
            paused = first.paused or second.paused
            zones = {
                "Etc/UTC" if one.time_zone == "UTC" else one.time_zone for one in (first, second)
            }
            if same and not paused and len(zones) == 1:
                at = _together(first, second, subject.today)
                if at:
                    text = f"and Schedule({second.expression!r}) both run at {at:%Y-%m-%d %H:%M}."
                    yield _fault(one, first, text, "Leave one out, or give them other data.")


def _together(first: Schedule, second: Schedule, today: date) -> datetime | None:
    """Return when two schedules are first due at the same time."""
    both = cron.parse(first.expression), cron.parse(second.expression)
    minutes, hours = both[0].minutes & both[1].minutes, both[0].hours & both[1].hours
    if not minutes or not hours:
        return None
    days = _days(today + timedelta(days=1))
    day = next((day for day in days if both[0].has_day(day) and both[1].has_day(day)), None)
    if day is None:
        return None
    return datetime(day.year, day.month, day.day, min(hours), min(minutes))


RULES = (either_day, skips_months, rare, skipped, repeated, coincide)
