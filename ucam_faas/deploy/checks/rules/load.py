"""Rules of load: schedules that overtake their tasks, quotas of all tasks together, and threads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from fractions import Fraction

from ucam_faas.deploy.checks.inputs import Inputs, configured, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.terraform.deployments import deployments
from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.deploy.instances import most_instances, size_of
from ucam_faas.deploy.plan import THREADS
from ucam_faas.deploy.problems import TASK, where_for_all
from ucam_faas.deploy.terraform_variables import PlannedTask
from ucam_faas.gcp import cron
from ucam_faas.gcp.limits import QUOTA_GIBIBYTES_FOR_A_CPU
from ucam_faas.tasks.resources import MEBIBYTE, memory_bytes

_GIBIBYTE = 1024 * MEBIBYTE
_DAYS_AHEAD = timedelta(days=60)
_MOST_RUNS = 1500
"""More than a day of a schedule that runs each minute."""


@rule(
    "schedule-overtakes-task",
    why="Runs overlap, and do the same work at the same time, or they pile up.",
)
def overtakes(inputs: Inputs) -> Iterator[Finding]:
    """A schedule that starts a task again while its last run may still be working.

    Attempts count if the code says how many: the default is meant for any message.
    """
    for planned in inputs.planned:
        for schedule in planned.task.trigger.schedules if planned.task.trigger else ():
            timeout, attempts = _longest_run(planned)
            interval = _shortest_interval(cron.parse(schedule.expression), inputs)
            if not schedule.paused and interval is not None and timeout * attempts > interval:
                several = f"{attempts} attempts of " if attempts > 1 else ""
                fits = max(1, int(interval * 0.9 / attempts))
                yield Finding(
                    decorated(planned.task),
                    f"Schedule({schedule.expression!r}) starts the task {planned.name!r} after "
                    f"{interval:g} s again, and a run may take {several}{timeout:g} s, its "
                    f"timeout{'' if planned.task.policy.timeout else ' by default'}.",
                    f"Set a timeout that fits, such as timeout=timedelta(seconds={fits}), or a "
                    "rarer schedule.",
                    planned.name,
                )


def _longest_run(planned: PlannedTask) -> tuple[float, int]:
    """Return the seconds that an attempt may take, and how many attempts count."""
    task, timeout = planned.task, float(planned.timeout_seconds)
    if planned.is_cloud_run_job:
        return timeout, 1  # each execution counts its own
    if task.policy.timeout is not None:
        timeout = task.policy.timeout.total_seconds()
    own = {**task.collection_options, **task.own_options}
    said = own.get("retry") is not None and own.get("timeout") is not None
    return timeout, (task.policy.retry.max_attempts or 1) if said else 1


def _shortest_interval(times: cron.Times, inputs: Inputs) -> float | None:
    """Return the seconds between two runs at least; None: the next are months away."""
    start = datetime.combine(inputs.today, time())
    due = itertools.islice(times.after(start), _MOST_RUNS)
    near = list(itertools.takewhile(lambda at: at < start + _DAYS_AHEAD, due))
    gaps = (second - first for first, second in itertools.pairwise(near))
    return min((gap.total_seconds() for gap in gaps), default=None)


@rule(
    "instances-over-quota-together",
    why="The instances for which there is no room don't start: messages wait, and requests are "
    "answered 429.",
)
def over_quota_together(inputs: Inputs) -> Iterator[Finding]:
    """Tasks that fit the region's quotas one by one, and not together.

    They are counted with the instances that always run, and those that are allowed to one task.
    """
    for what, key in (("keep", "min_instances"), ("may need", "max_instances")):
        users = [
            (planned, count)
            for planned in inputs.planned
            if (count := _instances(planned, key)) and not planned.is_cloud_run_job
        ]
        if len(users) < 2 or any(_over_alone(*user) for user in users):
            continue
        quota = users[0][0].merged["cpu_quota"]
        # A quota that isn't set is a guess, and not all tasks are busy at a time.
        is_guess = users[0][0].merged.origin("cpu_quota").layer == "default"
        room = quota * (2 if is_guess and key == "max_instances" else 1)
        sizes = [(size_of(user.merged.values), count) for user, count in users]
        cpus = sum(size.cpus * count for size, count in sizes)
        memory = Fraction(sum(size.memory * count for size, count in sizes), _GIBIBYTE)
        if cpus > room or memory > room * QUOTA_GIBIBYTES_FOR_A_CPU:
            largest, _ = max(users, key=lambda user: size_of(user[0].merged.values).cpus * user[1])
            yield Finding(
                configured(largest, key),
                f"{len(users)} tasks {what} {float(cpus):g} CPUs and {float(memory):g} GiB at a "
                f"time: a quota of {quota} CPUs in the region allows {quota} CPUs and "
                f"{quota * QUOTA_GIBIBYTES_FOR_A_CPU} GiB.",
                f"Lower {key}, or set cpu_quota to the region's quota "
                f"{where_for_all(inputs.config)}.",
            )
            return


def _instances(planned: PlannedTask, key: str) -> int:
    """Return the instances that always run, or the most that are set for this task alone."""
    kept: int = planned.merged["min_instances"]
    if key == "min_instances":
        return kept
    origin, most = planned.merged.origin(key), planned.merged[key]
    own = origin.layer == "decorator" or f"{TASK}.{planned.name}" in origin.layer
    return max(kept, most) if own and most is not None else kept


def _over_alone(planned: PlannedTask, count: int) -> bool:
    return count > most_instances(planned.merged.values)


@rule(
    "concurrency-over-threads",
    why="The process never runs as many at a time, and the deployment asks for more than it gets.",
)
def over_threads(inputs: Inputs) -> Iterator[Finding]:
    """A concurrency that is higher than the threads that run `def` functions."""
    for planned, threads, place in _threads(inputs):
        limit = planned.task.policy.concurrency or planned.at_a_time
        concerned = not (planned.task.is_async or planned.task.run_in_process)
        if concerned and limit and threads.isdecimal() and 0 < int(threads) < limit:
            yield Finding(
                place,
                f"The task {planned.name!r} has concurrency={limit}, and {THREADS} is {threads}.",
                f"Leave {THREADS} out: the plan sets it as the concurrency needs.",
                planned.name,
            )


def _threads(inputs: Inputs) -> Iterator[tuple[PlannedTask, str, Place]]:
    """Yield the threads of tasks, in the configuration and in Terraform."""
    for planned in inputs.planned:
        place = configured(planned, "environment", THREADS)
        yield planned, planned.environment.get(THREADS, ""), place
    for deployment in deployments(inputs):
        value = deployment.environ.get(THREADS)
        if isinstance(value, str) and value != deployment.planned.environment.get(THREADS):
            yield deployment.planned, value, deployment.run.place


@rule("concurrency-over-memory", why="Cloud Run ends the instance, and all its running work fails.")
def over_memory(inputs: Inputs) -> Iterator[Finding]:
    """Less than 1 MiB of memory for each of the executions that run at a time."""
    for planned in inputs.planned:
        limit, memory = planned.at_a_time, planned.merged["memory"]
        if limit and memory_bytes(memory) < limit * MEBIBYTE:
            yield Finding(
                configured(planned, "memory"),
                f"The task {planned.name!r} runs {limit} executions at a time in {memory}.",
                "Give it more memory, or a lower concurrency.",
                planned.name,
            )


RULES = (overtakes, over_quota_together, over_threads, over_memory)
