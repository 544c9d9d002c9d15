"""Jobs and when they run: the pure scheduler, without waiting."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.scheduler.engine import SPARE_ENTRIES, Scheduler
from ucam_faas.emulator.scheduler.jobs import (
    Firing,
    Job,
    JobState,
    PubsubTarget,
    RetryConfig,
)
from ucam_faas.emulator.targets.target import HttpTarget, OauthToken, OidcToken
from ucam_faas.gcp.cron import Cron, ScheduleError

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
PREFIX = "projects/p/locations/l/jobs/"
TARGET = PubsubTarget(topic="projects/p/topics/t", data=b"x")


def job(name: str = "j", schedule: str = "0 * * * *", **fields: Any) -> Job:
    return Job(name=PREFIX + name, schedule=schedule, target=TARGET, **fields)


class Saved(dict[str, Job]):
    """The last arguments of `save`."""

    def __call__(self, name: str, stored: Job | None) -> None:
        if stored is None:
            del self[name]
        else:
            self[name] = stored


@pytest.fixture
def saved() -> Saved:
    return Saved()


@pytest.fixture
def scheduler(saved: Saved) -> Scheduler:
    return Scheduler(saved)


def only(firings: Any) -> Firing:
    (firing,) = firings
    assert isinstance(firing, Firing)
    return firing


def drive(
    scheduler: Scheduler, until: float, *, ok: bool = True, takes: float = 0.0
) -> Iterator[tuple[float, Firing]]:
    """Make every attempt when it is due, each of which ends before the next time is looked at."""
    while (at := scheduler.next_due()) is not None and at <= until:
        for firing in scheduler.due(at):
            yield at, firing
            scheduler.finished(firing, ok, at + takes)


def starts(scheduler: Scheduler, until: float, **options: Any) -> list[float]:
    return [at - START for at, _ in drive(scheduler, until, **options)]


# -- by the schedule ------------------------------------------------------------------------------


def test_a_new_job_waits_for_its_next_time(scheduler: Scheduler) -> None:
    made = scheduler.create(job(), START + 1)

    assert made.schedule_time == scheduler.next_due() == START + HOUR
    assert (made.state, made.user_update_time) == (JobState.ENABLED, START + 1)
    assert (made.last_attempt_time, made.status_code) == (None, None)


def test_nothing_is_due_before_its_time(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)

    assert scheduler.due(START + HOUR - 0.001) == []
    assert only(scheduler.due(START + HOUR)).scheduled_time == START + HOUR
    assert scheduler.due(START + HOUR) == []


def test_a_firing_says_what_to_do(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)

    firing = only(scheduler.due(START + HOUR + 2))

    assert firing.job == scheduler.get(PREFIX + "j")
    assert (firing.attempt, firing.forced) == (1, False)
    assert (firing.scheduled_time, firing.first_attempt_time) == (START + HOUR, START + HOUR + 2)
    assert firing.job.last_attempt_time == START + HOUR + 2
    assert firing.job.schedule_time == START + 2 * HOUR


def test_runs_come_in_the_order_of_time_over_all_jobs(scheduler: Scheduler) -> None:
    for name, schedule in [("a", "30 * * * *"), ("b", "15 * * * *"), ("c", "45 * * * *")]:
        scheduler.create(job(name, schedule), START)

    runs = [firing.job.name[-1] for _, firing in drive(scheduler, START + 2 * HOUR)]

    assert runs == ["b", "a", "c", "b", "a", "c"]


def test_a_time_zone_and_its_clock_changes_count(scheduler: Scheduler) -> None:
    before = datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp()
    scheduler.create(job(schedule="0 9 * * *", time_zone="Europe/London"), before)

    runs = [at - before for at, _ in drive(scheduler, before + 2 * DAY)]

    assert runs == [20 * HOUR, 44 * HOUR]


@pytest.mark.parametrize("late", [1e-6, 3e-7, 0.4e-6, 0.25])
def test_a_time_just_before_a_run_does_not_round_over_it(scheduler: Scheduler, late: float) -> None:
    made = scheduler.create(job(), START + HOUR - late)

    assert made.schedule_time == START + HOUR


def test_runs_missed_while_the_process_slept_are_made_up_for_once(scheduler: Scheduler) -> None:
    scheduler.create(job(schedule="* * * * *"), START)

    firing = only(scheduler.due(START + 8 * HOUR + 30))

    assert firing.scheduled_time == START + MINUTE
    assert firing.job.schedule_time == START + 8 * HOUR + MINUTE
    scheduler.finished(firing, True, START + 8 * HOUR + 31)
    assert scheduler.due(START + 8 * HOUR + 59) == []


def test_a_run_that_comes_due_during_another_starts_when_that_ends(scheduler: Scheduler) -> None:
    scheduler.create(job(schedule="* * * * *"), START)
    first = only(scheduler.due(START + MINUTE))

    assert scheduler.next_due() is None
    assert scheduler.due(START + 5 * MINUTE) == []
    scheduler.finished(first, True, START + 5 * MINUTE + 30)
    second = only(scheduler.due(START + 5 * MINUTE + 30))

    assert second.scheduled_time == START + 2 * MINUTE
    scheduler.finished(second, True, START + 5 * MINUTE + 40)
    assert scheduler.next_due() == START + 6 * MINUTE


def test_every_n_minutes_counts_from_the_end_of_the_run_before(scheduler: Scheduler) -> None:
    scheduler.create(job(schedule="every 5 minutes"), START + 17)

    runs = starts(scheduler, START + 20 * MINUTE, takes=MINUTE)

    assert runs == [17 + 5 * MINUTE, 17 + 11 * MINUTE, 17 + 17 * MINUTE]


def test_a_job_that_never_runs_again_is_never_due(scheduler: Scheduler) -> None:
    end = datetime(9999, 12, 31, 23, 59, tzinfo=UTC).timestamp()

    made = scheduler.create(job(), end)

    assert made.schedule_time is None
    assert scheduler.next_due() is None


def test_a_year_of_schedules_takes_well_under_a_second(scheduler: Scheduler) -> None:
    """365 runs of each of ten jobs and their saving; it takes about 0.1 s."""
    for number in range(10):
        zone = "Europe/London" if number % 2 else "UTC"
        scheduler.create(job(f"j{number}", f"{number} 3 * * *", time_zone=zone), START)

    count = sum(1 for _ in drive(scheduler, START + 365 * DAY))

    assert count == 3650


# -- after a failure ------------------------------------------------------------------------------


def test_without_a_retry_config_a_failure_waits_for_the_schedule(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)

    assert starts(scheduler, START + 2 * HOUR, ok=False) == [HOUR, 2 * HOUR]


@pytest.mark.parametrize(
    ("config", "delays"),
    [
        (RetryConfig(min_backoff=10, max_backoff=300, max_doublings=3), [10, 20, 40, 80, 160, 240]),
        (RetryConfig(), [5, 10, 20, 40, 80, 160, 320, 480, 640]),
        (RetryConfig(max_doublings=0), [5, 10, 15, 20]),
        (RetryConfig(max_doublings=1, max_backoff=25), [5, 10, 20, 25, 25]),
        (RetryConfig(min_backoff=7, max_backoff=7), [7, 7, 7]),
    ],
)
def test_backoff_doubles_then_grows_by_steps_up_to_its_limit(
    config: RetryConfig, delays: list[float]
) -> None:
    assert [config.backoff(retry) for retry in range(1, len(delays) + 1)] == delays


def test_backoff_stays_a_number_whatever_is_asked_for() -> None:
    config = RetryConfig(max_doublings=2**31 - 1, max_backoff=3e11)

    assert config.backoff(10**6) == 3e11


def test_no_limits_are_no_retries() -> None:
    assert not RetryConfig().allows(1, 0.0)


def test_retries_follow_the_backoff_until_they_are_used_up(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(retry_count=3)), START)

    attempts = [
        (at - START, firing.attempt, firing.scheduled_time - START, firing.first_attempt_time)
        for at, firing in drive(scheduler, START + 2 * HOUR, ok=False, takes=1)
    ]

    assert attempts[:5] == [
        (HOUR, 1, HOUR, START + HOUR),
        (HOUR + 6, 2, HOUR, START + HOUR),
        (HOUR + 17, 3, HOUR, START + HOUR),
        (HOUR + 38, 4, HOUR, START + HOUR),
        (2 * HOUR, 1, 2 * HOUR, START + 2 * HOUR),
    ]


def test_the_next_time_shown_may_be_a_retry(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(retry_count=1)), START)

    scheduler.finished(only(scheduler.due(START + HOUR)), False, START + HOUR + 2)

    assert scheduler.get(PREFIX + "j").schedule_time == START + HOUR + 7


def test_a_success_ends_the_retries(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(retry_count=5)), START)
    scheduler.finished(only(scheduler.due(START + HOUR)), False, START + HOUR)

    scheduler.finished(only(scheduler.due(START + HOUR + 5)), True, START + HOUR + 6)

    assert scheduler.next_due() == START + 2 * HOUR


def test_retries_without_a_count_go_on_for_the_duration(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(max_retry_duration=35)), START)

    assert starts(scheduler, START + HOUR + MINUTE, ok=False) == [
        HOUR,
        HOUR + 5,
        HOUR + 15,
        HOUR + 35,
    ]


@pytest.mark.parametrize(
    ("count", "duration", "retries"), [(1, 35, 3), (3, 1, 3), (1, 0, 1), (0, 0, 0), (0, 14.9, 1)]
)
def test_with_both_limits_retries_go_on_until_both_are_reached(
    scheduler: Scheduler, count: int, duration: float, retries: int
) -> None:
    config = RetryConfig(retry_count=count, max_retry_duration=duration)
    scheduler.create(job(retry=config), START)

    assert len(starts(scheduler, START + HOUR + 30 * MINUTE, ok=False)) == 1 + retries


def test_a_run_that_comes_before_the_retry_takes_its_place(scheduler: Scheduler) -> None:
    config = RetryConfig(retry_count=5, min_backoff=25)
    scheduler.create(job(schedule="* * * * *", retry=config), START)

    runs = [(at - START, f.attempt) for at, f in drive(scheduler, START + 190, ok=False)]

    assert runs == [(60, 1), (85, 2), (120, 1), (145, 2), (180, 1)]


def test_a_run_at_the_time_of_the_retry_takes_its_place(scheduler: Scheduler) -> None:
    config = RetryConfig(retry_count=5, min_backoff=60)
    scheduler.create(job(schedule="* * * * *", retry=config), START)

    assert [f.attempt for _, f in drive(scheduler, START + 180, ok=False)] == [1, 1, 1]


def test_a_retry_and_a_run_missed_in_sleep_are_one_run(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(retry_count=1)), START)
    scheduler.finished(only(scheduler.due(START + HOUR)), False, START + HOUR)

    firing = only(scheduler.due(START + 5 * HOUR + 1))

    assert (firing.attempt, firing.scheduled_time) == (1, START + 2 * HOUR)
    scheduler.finished(firing, True, START + 5 * HOUR + 2)
    assert scheduler.next_due() == START + 6 * HOUR


def test_the_status_is_that_of_the_last_attempt(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)

    def end(hours: int, ok: bool, **options: Any) -> tuple[int | None, str]:
        firing = only(scheduler.due(START + hours * HOUR))
        scheduler.finished(firing, ok, START + hours * HOUR, **options)
        job = scheduler.get(PREFIX + "j")
        return job.status_code, job.status_message

    assert end(1, False, message="answered 500") == (2, "answered 500")
    assert end(2, False, message="took too long", code=4) == (4, "took too long")
    assert end(3, True) == (0, "")


def test_an_attempt_that_ends_twice_ends_once(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(retry_count=5)), START)
    firing = only(scheduler.due(START + HOUR))
    scheduler.finished(firing, True, START + HOUR)

    scheduler.finished(firing, False, START + HOUR, "again")

    assert scheduler.get(PREFIX + "j").status_code == 0
    assert scheduler.next_due() == START + 2 * HOUR


# -- what users do --------------------------------------------------------------------------------


def test_a_name_can_be_taken_once(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)

    with pytest.raises(RpcError) as caught:
        scheduler.create(job(schedule="* * * * *"), START)

    assert caught.value.code == "ALREADY_EXISTS"
    assert scheduler.get(PREFIX + "j").schedule == "0 * * * *"


def test_what_is_not_there_is_not_found(scheduler: Scheduler) -> None:
    for act in (
        lambda: scheduler.get("x"),
        lambda: scheduler.delete("x"),
        lambda: scheduler.pause("x", START),
        lambda: scheduler.resume("x", START),
        lambda: scheduler.run("x", START),
        lambda: scheduler.update(job("x"), START),
    ):
        with pytest.raises(RpcError) as caught:
            act()
        assert caught.value.code == "NOT_FOUND"


def test_a_bad_schedule_changes_nothing(scheduler: Scheduler, saved: Saved) -> None:
    with pytest.raises(ScheduleError):
        scheduler.create(job(schedule="bad"), START)
    assert (list(scheduler.list()), saved, scheduler.next_due()) == ([], {}, None)

    made = scheduler.create(job(), START)
    with pytest.raises(ScheduleError):
        scheduler.update(job(time_zone="bad"), START)

    assert scheduler.get(PREFIX + "j") == saved[PREFIX + "j"] == made


def test_jobs_are_listed_by_name(scheduler: Scheduler) -> None:
    for name in "cab":
        scheduler.create(job(name), START)
    scheduler.create(replace(job(), name="projects/q/locations/l/jobs/d"), START)

    assert [each.name[-1] for each in scheduler.list(PREFIX)] == ["a", "b", "c"]
    assert [each.name[-1] for each in scheduler.list()] == ["a", "b", "c", "d"]


def test_a_deleted_job_does_not_run(scheduler: Scheduler, saved: Saved) -> None:
    scheduler.create(job(), START)

    scheduler.delete(PREFIX + "j")

    assert (scheduler.due(START + DAY), scheduler.next_due(), saved) == ([], None, {})


def test_an_attempt_of_a_deleted_job_does_not_touch_its_namesake(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)
    firing = only(scheduler.due(START + HOUR))
    scheduler.delete(PREFIX + "j")
    scheduler.finished(firing, False, START + HOUR)

    made = scheduler.create(job(retry=RetryConfig(retry_count=5)), START + HOUR)
    scheduler.finished(firing, False, START + HOUR)

    assert scheduler.get(PREFIX + "j") == made


def test_a_paused_job_does_not_run_until_it_is_resumed(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)

    paused = scheduler.pause(PREFIX + "j", START)
    assert (paused.state, paused.schedule_time) == (JobState.PAUSED, None)
    assert scheduler.due(START + DAY) == []

    resumed = scheduler.resume(PREFIX + "j", START + DAY + 1)
    assert resumed.state is JobState.ENABLED
    assert resumed.schedule_time == scheduler.next_due() == START + DAY + HOUR


def test_pausing_drops_a_retry(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(retry_count=5)), START)
    scheduler.finished(only(scheduler.due(START + HOUR)), False, START + HOUR)

    scheduler.pause(PREFIX + "j", START + HOUR)

    assert scheduler.next_due() is None
    scheduler.resume(PREFIX + "j", START + HOUR)
    assert scheduler.next_due() == START + 2 * HOUR


def test_an_attempt_that_fails_after_the_pause_is_not_retried(scheduler: Scheduler) -> None:
    scheduler.create(job(schedule="every 5 minutes", retry=RetryConfig(retry_count=5)), START)
    firing = only(scheduler.due(START + HOUR))
    scheduler.pause(PREFIX + "j", START + HOUR)

    scheduler.finished(firing, False, START + HOUR, "late")

    assert scheduler.get(PREFIX + "j").status_message == "late"
    assert scheduler.next_due() is None


def test_resuming_during_an_attempt_does_not_start_another(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)
    firing = only(scheduler.due(START + HOUR))
    scheduler.pause(PREFIX + "j", START + HOUR)
    scheduler.resume(PREFIX + "j", START + HOUR)

    assert scheduler.due(START + 2 * HOUR) == []
    scheduler.finished(firing, True, START + 2 * HOUR)
    assert only(scheduler.due(START + 2 * HOUR)).scheduled_time == START + 2 * HOUR


def test_only_enabled_jobs_pause_and_only_paused_ones_resume(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)

    with pytest.raises(
        RpcError, match="ENABLED: only a job that is PAUSED can be resumed"
    ) as resuming:
        scheduler.resume(PREFIX + "j", START)
    scheduler.pause(PREFIX + "j", START)
    with pytest.raises(
        RpcError, match="PAUSED: only a job that is ENABLED can be paused"
    ) as pausing:
        scheduler.pause(PREFIX + "j", START)

    assert resuming.value.code == pausing.value.code == "FAILED_PRECONDITION"


def test_a_new_schedule_counts_from_the_update(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)

    made = scheduler.update(job(schedule="*/10 * * * *"), START + 5)

    assert made.schedule_time == scheduler.next_due() == START + 10 * MINUTE
    assert made.user_update_time == START + 5


def test_another_time_zone_is_another_schedule(scheduler: Scheduler) -> None:
    scheduler.create(job(schedule="0 9 * * *"), START)

    made = scheduler.update(job(schedule="0 9 * * *", time_zone="Asia/Tokyo"), START + 5)

    assert made.schedule_time == START + DAY


def test_other_changes_leave_the_next_time_and_the_status_alone(scheduler: Scheduler) -> None:
    scheduler.create(job(schedule="every 5 minutes"), START)
    scheduler.finished(only(scheduler.due(START + HOUR)), False, START + HOUR, "no")
    before = scheduler.get(PREFIX + "j")

    after = scheduler.update(job(schedule="every 5 minutes", description="new"), START + HOUR + 9)

    assert after == replace(before, description="new", user_update_time=START + HOUR + 9)
    assert scheduler.next_due() == before.schedule_time


def test_an_updated_job_stays_paused(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)
    scheduler.pause(PREFIX + "j", START)

    made = scheduler.update(job(schedule="* * * * *"), START)

    assert (made.state, made.schedule_time, scheduler.next_due()) == (JobState.PAUSED, None, None)
    assert scheduler.resume(PREFIX + "j", START).schedule_time == START + MINUTE


def test_a_retry_sends_what_the_job_says_by_then(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(retry_count=1)), START)
    scheduler.finished(only(scheduler.due(START + HOUR)), False, START + HOUR)

    scheduler.update(job(description="new", retry=RetryConfig(retry_count=1)), START + HOUR)

    firing = only(scheduler.due(START + HOUR + 5))
    assert (firing.attempt, firing.job.description) == (2, "new")


# -- run by force ---------------------------------------------------------------------------------


def test_a_forced_run_leaves_the_schedule_alone(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)

    firing = scheduler.run(PREFIX + "j", START + 5)

    assert (firing.forced, firing.attempt, firing.scheduled_time) == (True, 1, START + 5)
    assert firing.job.last_attempt_time == START + 5
    assert scheduler.next_due() == START + HOUR
    scheduler.finished(firing, True, START + 6)
    assert scheduler.get(PREFIX + "j").status_code == 0
    assert scheduler.next_due() == START + HOUR


def test_a_job_runs_by_force_even_if_it_is_running(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)
    first = only(scheduler.due(START + HOUR))

    second, third = scheduler.run(PREFIX + "j", START + HOUR), scheduler.run(PREFIX + "j", START)

    assert len({first.id, second.id, third.id}) == 3
    scheduler.finished(second, True, START + HOUR)
    assert scheduler.next_due() is None, "the scheduled run goes on"
    scheduler.finished(first, True, START + HOUR)
    assert scheduler.next_due() == START + 2 * HOUR, "a forced one holds nothing up"


def test_a_paused_job_runs_by_force_and_is_not_retried(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(retry_count=5)), START)
    scheduler.pause(PREFIX + "j", START)

    firing = scheduler.run(PREFIX + "j", START)
    scheduler.finished(firing, False, START, "no")

    paused = scheduler.get(PREFIX + "j")
    assert (paused.state, paused.status_message) == (JobState.PAUSED, "no")
    assert scheduler.next_due() is None


def test_a_forced_run_that_fails_is_retried(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(retry_count=1)), START)

    scheduler.finished(scheduler.run(PREFIX + "j", START), False, START + 1)

    firing = only(scheduler.due(START + 6))
    assert (firing.attempt, firing.forced, firing.scheduled_time) == (2, True, START)


def test_a_forced_run_that_fails_does_not_disturb_a_scheduled_one(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(retry_count=1)), START)
    scheduled = only(scheduler.due(START + HOUR))

    scheduler.finished(scheduler.run(PREFIX + "j", START + HOUR), False, START + HOUR)

    assert scheduler.next_due() is None
    scheduler.finished(scheduled, True, START + HOUR + 1)
    assert scheduler.next_due() == START + 2 * HOUR


def test_a_forced_run_that_fails_does_not_replace_a_retry(scheduler: Scheduler) -> None:
    scheduler.create(job(retry=RetryConfig(retry_count=3)), START)
    scheduler.finished(only(scheduler.due(START + HOUR)), False, START + HOUR)

    scheduler.finished(scheduler.run(PREFIX + "j", START + HOUR + 4), False, START + HOUR + 4)

    firing = only(scheduler.due(START + HOUR + 5))
    assert (firing.attempt, firing.forced) == (2, False)


def test_a_forced_run_that_ends_twice_ends_once(scheduler: Scheduler) -> None:
    scheduler.create(job(), START)
    firing = scheduler.run(PREFIX + "j", START)
    scheduler.finished(firing, True, START)

    scheduler.finished(firing, False, START, "again")

    assert scheduler.get(PREFIX + "j").status_code == 0


def test_a_forced_run_does_not_move_every_n_minutes(scheduler: Scheduler) -> None:
    scheduler.create(job(schedule="every 5 minutes"), START)

    scheduler.finished(scheduler.run(PREFIX + "j", START + 60), True, START + 61)

    assert scheduler.next_due() == START + 5 * MINUTE


# -- what is kept ---------------------------------------------------------------------------------


def test_every_change_is_saved(scheduler: Scheduler, saved: Saved) -> None:
    name = PREFIX + "j"
    firing: list[Firing] = []
    for act in (
        lambda: scheduler.create(job(), START),
        lambda: firing.append(only(scheduler.due(START + HOUR))),
        lambda: scheduler.finished(firing[0], False, START + HOUR, "no"),
        lambda: scheduler.pause(name, START + HOUR),
        lambda: scheduler.update(job(description="new"), START + HOUR),
        lambda: scheduler.resume(name, START + HOUR),
        lambda: scheduler.run(name, START + HOUR + 1),
    ):
        before = saved.get(name)
        act()
        assert saved == {name: scheduler.get(name)}
        assert saved[name] != before


def test_after_a_restart_missed_runs_are_not_made_up_for(
    scheduler: Scheduler, saved: Saved
) -> None:
    stored = job(schedule_time=START + HOUR, last_attempt_time=START, status_code=2)

    scheduler.restore([stored], START + DAY + 5)

    assert scheduler.due(START + DAY + 5) == []
    assert scheduler.list() == [replace(stored, schedule_time=START + DAY + HOUR)]
    assert scheduler.next_due() == START + DAY + HOUR
    assert saved == {}, "a restart writes nothing"


def test_a_paused_job_is_paused_after_a_restart(scheduler: Scheduler) -> None:
    scheduler.restore([job(state=JobState.PAUSED)], START)

    assert scheduler.next_due() is None
    assert scheduler.resume(PREFIX + "j", START).schedule_time == START + HOUR


def test_a_job_whose_zone_is_gone_is_disabled_and_an_update_mends_it(scheduler: Scheduler) -> None:
    scheduler.restore([job(time_zone="Europe/Atlantis"), job("other")], START)

    broken = scheduler.get(PREFIX + "j")
    assert (broken.state, broken.status_code) == (JobState.DISABLED, 3)
    assert "'Europe/Atlantis'" in broken.status_message
    assert [f.job.name for f in scheduler.due(START + HOUR)] == [PREFIX + "other"]

    repaired = scheduler.update(job(), START)
    assert (repaired.state, repaired.schedule_time) == (JobState.ENABLED, START + HOUR)


def test_a_disabled_job_is_enabled_at_a_restart_that_can_read_it(scheduler: Scheduler) -> None:
    scheduler.restore([job(state=JobState.DISABLED)], START)

    assert scheduler.get(PREFIX + "j").state is JobState.ENABLED
    assert scheduler.next_due() == START + HOUR


def test_a_disabled_job_can_be_run_and_deleted_but_not_resumed(scheduler: Scheduler) -> None:
    scheduler.restore([job(schedule="bad", retry=RetryConfig(retry_count=1))], START)

    scheduler.finished(scheduler.run(PREFIX + "j", START), False, START)
    with pytest.raises(RpcError, match="DISABLED"):
        scheduler.resume(PREFIX + "j", START)

    assert scheduler.next_due() is None
    scheduler.delete(PREFIX + "j")


TEXTS = st.text(max_size=8)
MAPS = st.dictionaries(TEXTS, TEXTS, max_size=3)
TIMES = st.floats(0, 4e9)
JOBS = st.builds(
    Job,
    name=TEXTS,
    schedule=TEXTS,
    target=st.builds(PubsubTarget, topic=TEXTS, data=st.binary(max_size=8), attributes=MAPS)
    | st.builds(
        HttpTarget,
        uri=TEXTS,
        method=TEXTS,
        headers=MAPS,
        body=st.binary(max_size=8),
        oidc=st.none()
        | st.builds(OidcToken, service_account_email=TEXTS, audience=st.none() | TEXTS),
        oauth=st.none()
        | st.builds(OauthToken, service_account_email=TEXTS, scope=st.none() | TEXTS),
    ),
    retry=st.builds(RetryConfig, retry_count=st.integers(0, 5), min_backoff=TIMES),
    state=st.sampled_from(JobState),
    schedule_time=st.none() | TIMES,
    status_code=st.none() | st.integers(0, 16),
    status_message=TEXTS,
)


@given(JOBS)
@settings(max_examples=50)
def test_a_job_survives_json(original: Job) -> None:
    assert Job.from_dict(json.loads(json.dumps(original.to_dict()))) == original


def test_the_heap_does_not_grow_with_what_users_do(scheduler: Scheduler) -> None:
    for number in range(9):
        scheduler.create(job(str(number), f"{number} 0 2 1 *"), START)

    for number in itertools.chain(*([range(9, 0, -1)] * 50)):
        name = f"{PREFIX}{number % 9}"
        scheduler.pause(name, START)
        scheduler.resume(name, START)
        assert scheduler.next_due() == START + DAY, "jobs do not get lost"

    assert len(scheduler._heap) <= 2 * 9 + SPARE_ENTRIES
    runs = [firing.job.name[-1] for firing in scheduler.due(START + 2 * DAY)]
    assert runs == [str(number) for number in range(9)], "and keep their order"


# -- against models -------------------------------------------------------------------------------


def expected(
    cron: Cron, config: RetryConfig, ends: Iterator[tuple[float, bool]], until: float
) -> list[tuple[float, int]]:
    """Return starts and attempts of one job, by the documentation's words and without a heap."""

    def after(now: float) -> float:
        run = cron.after(datetime.fromtimestamp(int(now), UTC))
        assert run is not None
        return run.timestamp()

    run: list[tuple[float, int]] = []
    free, regular = START, after(START)
    while (start := max(regular, free)) <= until:
        first, regular = start, after(start)
        for attempt in itertools.count(1):
            run.append((start, attempt))
            takes, ok = next(ends)
            free = start + takes
            if cron.counts_from_end:
                regular = after(free)
            retry_at = free + config.backoff(attempt)
            by_count, by_time = config.retry_count, config.max_retry_duration
            more = attempt <= by_count or 0 < retry_at - first <= by_time
            if ok or not more or retry_at >= regular or retry_at > until:
                break
            start = retry_at
    return run


@pytest.mark.slow
@given(
    schedule=st.sampled_from(["* * * * *", "*/5 * * * *", "every 3 minutes", "0,1,30 * * * *"]),
    config=st.builds(
        RetryConfig,
        retry_count=st.integers(0, 5),
        max_retry_duration=st.sampled_from([0, 7, 60, 400]),
        min_backoff=st.sampled_from([1, 5, 20]),
        max_backoff=st.sampled_from([20, 50, 3600]),
        max_doublings=st.integers(0, 5),
    ),
    ends=st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 3.0, 61.0, 200.0]), st.booleans()), min_size=1
    ),
)
@settings(max_examples=100)
def test_attempts_are_those_that_the_documentation_asks_for(
    schedule: str, config: RetryConfig, ends: list[tuple[float, bool]]
) -> None:
    scheduler, until = Scheduler(Saved()), START + HOUR
    scheduler.create(job(schedule=schedule, retry=config), START)
    outcomes = itertools.cycle(ends)

    runs, now = [], START
    while (at := scheduler.next_due()) is not None and max(at, now) <= until:
        now = max(at, now)
        firing = only(scheduler.due(now))
        runs.append((now, firing.attempt))
        takes, ok = next(outcomes)
        now += takes
        scheduler.finished(firing, ok, now)

    assert runs == expected(Cron(schedule, "UTC"), config, itertools.cycle(ends), until)


class AnyUse(RuleBasedStateMachine):
    """The invariants hold whatever users and drivers do, in any order."""

    names = Bundle("names")
    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.saved = Saved()
        self.scheduler = Scheduler(self.saved)
        self.running: dict[str, int] = {}
        self.numbers = itertools.count()

    @rule(
        target=names,
        schedule=st.sampled_from(["* * * * *", "7 * * * *", "every 2 minutes"]),
        retries=st.integers(0, 2),
    )
    def create(self, schedule: str, retries: int) -> str:
        made = job(str(next(self.numbers)), schedule, retry=RetryConfig(retry_count=retries))
        return self.scheduler.create(made, self.now).name

    @rule(name=names, schedule=st.sampled_from(["* * * * *", "0 0 29 2 *"]))
    def update(self, name: str, schedule: str) -> None:
        job = self.scheduler.get(name)
        self.scheduler.update(replace(job, schedule=schedule), self.now)

    @rule(name=names)
    def pause_or_resume(self, name: str) -> None:
        enabled = self.scheduler.get(name).state is JobState.ENABLED
        (self.scheduler.pause if enabled else self.scheduler.resume)(name, self.now)

    @rule(name=consumes(names))
    def delete(self, name: str) -> None:
        self.scheduler.delete(name)
        self.running.pop(name, None)

    @rule(target=attempts, name=names)
    def run(self, name: str) -> Firing:
        return self.scheduler.run(name, self.now)

    @rule(seconds=st.sampled_from([0.0, 0.3, 5.0, 59.0, 60.0, 1000.0]), data=st.data())
    def work(self, seconds: float, data: st.DataObject) -> None:
        self.now += seconds
        for firing in self.scheduler.due(self.now):
            assert firing.job.name not in self.running, "two attempts overlap"
            assert firing.job.state is JobState.ENABLED
            assert firing.scheduled_time <= self.now
            self.running[firing.job.name] = firing.id
            if data.draw(st.booleans()):
                self.end(firing, data.draw(st.booleans()))
        due = self.scheduler.next_due()
        assert due is None or due > self.now or self.scheduler.due(self.now) == []

    @rule(firing=consumes(attempts), ok=st.booleans())
    def end_forced(self, firing: Firing, ok: bool) -> None:
        self.end(firing, ok)

    @rule(ok=st.booleans())
    def end_all(self, ok: bool) -> None:
        for name, number in list(self.running.items()):
            stub = self.scheduler.get(name)
            self.end(
                Firing(job=stub, id=number, scheduled_time=self.now, first_attempt_time=self.now),
                ok,
            )

    @rule()
    def restart(self) -> None:
        stored = [Job.from_dict(each.to_dict()) for each in self.saved.values()]
        self.scheduler = Scheduler(self.saved)
        self.scheduler.restore(stored, self.now)
        self.running.clear()

    def end(self, firing: Firing, ok: bool) -> None:
        if self.running.get(firing.job.name) == firing.id:
            del self.running[firing.job.name]
        self.scheduler.finished(firing, ok, self.now)

    @invariant()
    def what_is_next_is_the_first_of_all_that_can_start(self) -> None:
        times = [
            each.schedule_time
            for each in self.scheduler.list()
            if each.schedule_time is not None and each.name not in self.running
        ]
        assert self.scheduler.next_due() == min(times, default=None)

    @invariant()
    def only_enabled_jobs_have_a_next_time(self) -> None:
        for each in self.scheduler.list():
            assert (each.schedule_time is not None) == (each.state is JobState.ENABLED)

    @invariant()
    def what_is_kept_is_what_was_saved(self) -> None:
        def bare(jobs: Any) -> list[Job]:
            return [replace(each, schedule_time=None) for each in jobs]

        kept = self.scheduler.list()
        assert bare(kept) == bare(self.saved[name] for name in sorted(self.saved))


TestAnyUse = pytest.mark.slow(AnyUse.TestCase)
TestAnyUse.settings = settings(max_examples=100, stateful_step_count=40)
