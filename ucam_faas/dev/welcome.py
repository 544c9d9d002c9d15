"""The texts that `ucam-faas dev` opens with: places, tasks, commands, waiting dead letters."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from ucam_faas.dev.options import DevOptions
from ucam_faas.local_state import LocalCloud
from ucam_faas.logs.columns import cut, fold, printable
from ucam_faas.tasks.needs import TaskNeeds, job_id

_WIDEST_NAME, _WIDEST_TYPE = 40, 24
_OF_JOBS = ("BatchEnded", "JobEvent")
"""Messages that ucam_faas makes at the end of jobs."""
_PLACE = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")
_VALUES = {"int": "17", "float": "1.5", "uuid": "00000000-0000-4000-8000-000000000000"}
"""Of places in the path of an HTTP task, by their kinds; others get their names."""


def places(options: DevOptions, cloud: LocalCloud) -> str:
    """Return where the tasks, Pub/Sub, Cloud Scheduler and the state are."""
    state = "in memory" if options.state is None else f"in {options.state}/"
    services = f"Pub/Sub and Cloud Scheduler on {cloud.pubsub}"
    if options.external is not None:
        external = f"Pub/Sub of {cloud.pubsub or 'Google'} (project {cloud.project})"
        services = f"{external}\nCloud Scheduler on {cloud.scheduler}"
    return f"\nTasks on {cloud.url}\n{services}\nState {state}\n"


def table(
    plans: Sequence[TaskNeeds], next_runs: Mapping[str, float | None], columns: int
) -> list[str]:
    """Return the heading and the rows of the table of tasks.

    Args:
        plans: the tasks.
        next_runs: epoch seconds by the schedule's name; None: it is paused.
        columns: the width.
    """
    rows = [("TASK", "TAKES", "TRIGGER")]
    for plan in plans:
        first, *more = _triggers(plan, next_runs)
        takes = cut(printable(plan.takes), _WIDEST_TYPE)
        rows.append((cut(printable(plan.name), _WIDEST_NAME), takes, first))
        rows += [("", "", text) for text in more]
    names, types = (max(len(row[column]) for row in rows) for column in (0, 1))
    room = max(columns - names - types - 6, 20)
    lines: list[str] = []
    for name, takes, trigger in rows:
        first, *more = fold(printable(trigger), room)
        lines.append(f"  {name:<{names}}  {takes:<{types}}  {first}".rstrip())
        lines += [f"  {'':<{names}}  {'':<{types}}  {part}" for part in more]
    return lines


def commands(
    plans: Sequence[TaskNeeds],
    *,
    pubsub: str,
    project: str,
    url: str = "",
    inboxes: bool = False,
) -> str:
    """Return commands that try the tasks, with an empty line between two.

    Args:
        plans: the tasks.
        pubsub: `host:port` of Pub/Sub; empty for Google's.
        project: of the topics.
        url: where the tasks are served.
        inboxes: they get jobs.
    """
    blocks: list[str] = []
    first = min((plan for plan in plans if plan.topic), key=_hardness, default=None)
    if first is not None:
        data, message = "", "--attribute ucam_faas_trigger=publish"
        if first.sample != "":
            data = f" {'DATA' if first.sample is None else shlex.quote(first.sample)}"
            message = f"--message{data}"
        blocks.append(f"  ucam-faas publish {first.name}{data}")
        if inboxes and first.lanes and first.gets_messages:
            blocks.append(f"  ucam-faas send {first.name}{data} --wait")
        gcloud = _gcloud_environment(pubsub, project)
        blocks.append(f"  {gcloud} gcloud pubsub topics publish {first.topic} {message}")
    elif url and plans:
        called = min(plans, key=lambda plan: "GET" not in plan.methods)
        path = _PLACE.sub(lambda place: _VALUES.get(place[1], place[2]), called.path)
        method = "" if "GET" in called.methods else f"-X {called.methods[0]} "
        blocks.append(f"  curl {method}{shlex.quote(url + path)}")
    # A Cloud Run job may need resources that only the cloud has.
    scheduled = min(
        (plan for plan in plans if plan.schedules),
        key=lambda plan: plan.run_as == "cloud-run-job",
        default=None,
    )
    if scheduled is not None:
        blocks.append(f"  ucam-faas schedules run {job_id(scheduled, 0)}")
    return "\n\n".join(blocks)


def dead_letters(counts: Mapping[str, int]) -> str:
    """Return the paragraph that says where dead letters wait, or an empty text.

    Args:
        counts: messages by subscription.
    """
    if not counts:
        return ""
    places = ", ".join(f"{count} in {name}" for name, count in counts.items())
    total = sum(counts.values())
    letters = "1 dead letter is" if total == 1 else f"{total} dead letters are"
    return (
        f"{letters} waiting: {places}. To see why they died, and to send them again:\n\n"
        "  ucam-faas dlq\n\n"
    )


def _gcloud_environment(pubsub: str, project: str) -> str:
    """Return the variables that make gcloud use a Pub/Sub, for a shell, in lines of their own.

    Args:
        pubsub: `host:port`; empty for Google's.
        project: of the topics.
    """
    if not pubsub:
        return f"CLOUDSDK_CORE_PROJECT={project}"
    return (
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=http://{pubsub}/ \\\n"
        f"  CLOUDSDK_AUTH_ACCESS_TOKEN=local CLOUDSDK_CORE_PROJECT={project} \\\n "
    )


def _triggers(plan: TaskNeeds, next_runs: Mapping[str, float | None]) -> list[str]:
    """Return a task's trigger, filter and schedules, a line each."""
    if plan.topic is None:
        return [f"HTTP {plan.path}"]
    job = ", Cloud Run job" if plan.run_as == "cloud-run-job" else ""
    lines = [f"topic {plan.topic}{', in order' * plan.ordered}{job}"]
    if plan.filter:
        lines.append(f"if {plan.filter}")
    if len(plan.lanes) > 1:
        lines.append(f"lanes {', '.join(plan.lanes)}")
    for number, schedule in enumerate(plan.schedules):
        run = _next_run(job_id(plan, number), next_runs)
        lines.append(f"{schedule.expression}  {schedule.time_zone}{', ' * bool(run)}{run}")
    return lines


def _next_run(job: str, next_runs: Mapping[str, float | None]) -> str:
    if job not in next_runs:
        return ""
    time = next_runs[job]
    if time is None:
        return "paused"
    return f"next {datetime.fromtimestamp(time, UTC).astimezone():%a %d %b %H:%M %Z}"


def _hardness(plan: TaskNeeds) -> tuple[bool, bool, bool, bool]:
    """Sort first the tasks that surely accept a sample message."""
    # Any message suits a task that takes bytes: a task with a type shows more.
    says_little = plan.takes in ("bytes", "nothing")
    return plan.takes in _OF_JOBS, plan.filter is not None, plan.sample is None, says_little
