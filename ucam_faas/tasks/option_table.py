"""The table of options: a field, with its type and its `Option`, is all that an option costs.

The classes are the signatures of the decorators and of `TaskCollection`. How options are checked
and merged, the keys of the configuration, the plan for Terraform and the tables in the
documentation follow from the table. The keys that only the configuration has are in `deploy.keys`.
"""

# The annotations are read at run time, so they are not postponed.
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from ucam_faas.events.execution_info import ExecutionInfo
from ucam_faas.tasks import job_policy, resources, topics
from ucam_faas.tasks.job_policy import Events, OnDuplicate
from ucam_faas.tasks.lanes import Lane, Priority, lanes_of
from ucam_faas.tasks.limit import Limit, check_limit
from ucam_faas.tasks.option import Option, check_flag
from ucam_faas.tasks.policies import RetryPolicy
from ucam_faas.tasks.resource_options import ResourceOptions
from ucam_faas.tasks.resources import RunAs
from ucam_faas.tasks.startup import StartUp, takes_name
from ucam_faas.tasks.task import HandlerExecutionOptions, check_name
from ucam_faas.tasks.triggers import Schedule, check_subscription

if TYPE_CHECKING:
    from ucam_faas.tasks.middleware import Middleware

SUBSCRIPTION = "triggers.subscriptions.*"


def _check_middleware(value: Any) -> None:
    from ucam_faas.tasks.middleware import check_middleware  # kept off the start

    check_middleware(value)


class _Name(TypedDict, total=False):
    """The option of every decorator that a TaskCollection lacks."""

    name: Annotated[
        str | None,
        Option(
            doc="the task's name: its path, topic, subscription, service and schedules have it",
            takes="letters, digits, `-` and `_`, a letter first; default: the function's name. "
            "With `name=` the function can be renamed without a change in the cloud",
            check=check_name,
        ),
    ]


class _OfAll(ResourceOptions, total=False):
    """The options of every decorator and of a TaskCollection."""

    init: Annotated[
        Sequence[StartUp] | None,
        Option(
            doc="start-up code: run once in each process, before the task's first execution",
            takes="functions without arguments, or with one for the task's name, and `Defer` "
            "objects, such as init=[connect]",
            check=takes_name,
            merge="list",
        ),
    ]
    middleware: Annotated[
        Sequence["Middleware"] | None,
        Option(
            doc="functions around the task's function, the first outermost",
            takes="functions `(delivery, call_next)`, sync for sync tasks and async for async "
            "ones, or pairs of both",
            check=_check_middleware,
            merge="list",
        ),
    ]
    publishes: Annotated[
        Sequence[Any] | None,
        Option(
            doc="tasks and topics that the task publishes to: it is granted the permission",
            takes="tasks, or topics: `T` or `projects/P/topics/T`",
            check=topics.check_target,
            merge="list",
            terraform="function.publishes_to",
            computed=True,
        ),
    ]
    sends: Annotated[
        Sequence[Any] | None,
        Option(
            doc="tasks that the task sends jobs to: it is granted the permission, and they have "
            "an inbox",
            takes='tasks, or their names: `"charge"` or `"shop.tasks.charge"`',
            check=topics.check_receiver,
            merge="list",
            terraform="function.publishes_to",
            computed=True,
        ),
    ]


class HttpOptions(_Name, _OfAll, total=False):
    """The options of `http`, which every decorator takes."""


class _OfMessages(_OfAll, total=False):
    """The options of tasks that get messages, and of a TaskCollection."""

    run_as: Annotated[
        RunAs | None,
        Option(
            doc="`service`: Pub/Sub pushes messages to it. `worker`: `ucam-faas worker` pulls "
            "them. `cloud-run-job`: a schedule or a person starts it, and it runs once to its end",
            takes='`"service"`, `"worker"` or `"cloud-run-job"`. A Cloud Run job has no `topic`, '
            "`filter`, `ordered`, `concurrency` or instances, and its schedules have no data",
            check=resources.check_run_as,
            default="service",
            configurable="shown",
            terraform="function.run_as",
        ),
    ]
    retry: Annotated[
        RetryPolicy | None,
        Option(
            doc="how often and how soon Pub/Sub delivers a message again",
            takes="`RetryPolicy`; default: 8 deliveries in 20 minutes, 10 to 600 seconds apart, "
            "then the dead-letter topic. A Cloud Run job: 4 runs",
            terraform=f"{SUBSCRIPTION}.retry",
            computed=True,
        ),
    ]
    dead_letter_topic: Annotated[
        str | None,
        Option(
            doc="topic for messages that failed",
            takes="as `topic`; default: UCAM_FAAS_DEAD_LETTER_TOPIC, or a topic of the task's own",
            terraform=f"{SUBSCRIPTION}.dead_letter.topic",
            computed=True,
        ),
    ]


class TaskDefaults(_OfMessages, total=False):
    """The options of a TaskCollection."""

    retention: Annotated[
        timedelta | None,
        Option(
            doc="how long a job is kept after its end",
            takes="positive `timedelta`; default: 7 days, the least with `idempotent` or `id`",
            check=job_policy.check_retention,
            concerns="services",
        ),
    ]
    max_pending: Annotated[
        int | None,
        Option(
            doc="the most jobs that wait at a time: sending another raises `QueueFull`",
            takes="whole number, from 1; default: no limit",
            check=job_policy.check_max_pending,
            concerns="services",
        ),
    ]
    events: Annotated[
        Events | None,
        Option(
            doc="the ends of jobs that are published to `UCAM_FAAS_EVENTS_TOPIC`",
            takes='`"failures"`, the default, `"all"` or `"none"`',
            check=job_policy.check_events,
            concerns="services",
        ),
    ]
    idempotent: Annotated[
        bool,
        Option(
            doc="a message on the topic is a job, with the message's id: it runs once",
            takes="`True` or `False`",
            check=lambda value: check_flag("idempotent", value),
            concerns="services",
        ),
    ]
    lanes: Annotated[
        Sequence[str | Lane] | int | type[Priority] | None,
        Option(
            doc="parallel inboxes: a backlog in one doesn't hold back the others",
            takes="names and `Lane(name, max_concurrency=…, weight=…)`, `lanes=3` for `default`, "
            "`lane-1` and `lane-2`, or `Priority` for `high`, `default` and `low`; default: "
            "`default`, which every task has",
            check=lanes_of,
            concerns="services",
        ),
    ]
    propagate_lane: Annotated[
        bool,
        Option(
            doc="the task's sends stay in the lane from which it runs, where the receiver has it",
            takes="`True`, the default, or `False`",
            check=lambda value: check_flag("propagate_lane", value),
            concerns="services",
        ),
    ]
    run_in_process: Annotated[
        bool,
        Option(
            doc="the function runs in a process of its own, for work that computes: it is killed "
            "at its deadline, and a crash ends one execution",
            takes="`True` or `False`, the default; for sync functions that don't return an HTTP "
            "response. `concurrency` is the number of processes; default: as many as CPUs",
            check=lambda value: check_flag("run_in_process", value),
            concerns="services",
        ),
    ]


class _Subscribed(TypedDict, total=False):
    """The options of a task's topic."""

    topic: Annotated[
        str | None,
        Option(
            doc="topic whose messages the task gets",
            takes="`T`, a topic that the deployment makes, or `projects/P/topics/T`, one that "
            "exists; default: named after the task. 3 to 255 of `A-Z a-z 0-9 - _ . ~ + %`, a "
            "letter first, not beginning with `goog`",
            concerns="pushes",
            terraform=f"{SUBSCRIPTION}.topic",
            computed=True,
        ),
    ]
    subscription: Annotated[
        str | None,
        Option(
            doc="subscription of another owner, in the deployment's project: it isn't made, and "
            "its owner sets the filter, the order, retries and dead letters; `retry` is then that "
            "of jobs and replays alone",
            takes="`S`, its short name. `topic` then names the topic in `ucam-faas dev` alone; "
            "default: the deployment makes a subscription named after the task",
            check=check_subscription,
            concerns="pushes",
        ),
    ]
    filter: Annotated[
        str | None,
        Option(
            doc="which messages the task gets, by their attributes; the others are acknowledged",
            takes="Pub/Sub's filter language, up to 256 bytes; default: all",
            concerns="pushes",
            terraform=f"{SUBSCRIPTION}.filter",
            computed=True,
        ),
    ]
    schedule: Annotated[
        str | Schedule | Sequence[str | Schedule] | None,
        Option(
            doc="when Cloud Scheduler publishes to the topic, or starts the Cloud Run job",
            takes='cron expression such as `"0 3 * * *"`, `Schedule`, or a list of them',
            terraform="triggers.cron_schedules",
            computed=True,
        ),
    ]
    ordered: Annotated[
        bool,
        Option(
            doc="messages with one ordering key come one after the other",
            takes="`True` or `False`",
            concerns="pushes",
            terraform=f"{SUBSCRIPTION}.ordered",
            computed=True,
        ),
    ]


class TaskOptions(_Name, TaskDefaults, _Subscribed, total=False):
    """The options of every decorator but `http` and `batch_handler`."""

    id: Annotated[
        Callable[[Any], object] | None,
        Option(
            doc="the id of a payload's job, where `send` gives none. As with `idempotent`, a "
            "message on the topic is a job",
            takes="function from the payload to a text or a number: `lambda order: order.id`",
            check=lambda value: job_policy.check_key("id", value),
            concerns="services",
        ),
    ]
    unique: Annotated[
        Callable[[Any], object] | None,
        Option(
            doc="one job of a key at a time: until it has ended, sending another makes none",
            takes="function from the payload to a text or a number",
            check=lambda value: job_policy.check_key("unique", value),
            concerns="services",
        ),
    ]
    on_duplicate: Annotated[
        OnDuplicate | None,
        Option(
            doc="sending a second job of a `unique` key: returns the first, or raises",
            takes='`"return"`, the default, or `"raise"`',
            check=job_policy.check_on_duplicate,
            concerns="services",
        ),
    ]
    limit: Annotated[
        Limit | None,
        Option(
            doc="the most jobs of a key that run at a time; the others wait, first in, first out. "
            "As with `idempotent`, a message on the topic is a job",
            takes="`Limit(key, n=1)`: a function from the payload to the key, or one text for all "
            "jobs of the task",
            check=check_limit,
            concerns="services",
        ),
    ]


class HandlerOptions(TaskOptions, total=False):
    """The options of `message_handler` and `cloud_event_handler`."""

    create_default_info: Annotated[
        Callable[..., ExecutionInfo] | None,
        Option(
            doc="makes the report when the function returns none",
            takes="function `(*, execution: ExecutionResult) -> ExecutionInfo`",
        ),
    ]
    options: Annotated[
        HandlerExecutionOptions | None,
        Option(
            doc="replacements for the log line and the HTTP response",
            takes="`HandlerExecutionOptions`",
        ),
    ]


class BatchOptions(_Name, _OfMessages, _Subscribed, total=False):
    """The options of `batch_handler`, which has no jobs, and no lanes for them."""


COLLECTION = "TaskCollection"
_TAKERS: dict[str, Any] = {
    "http": HttpOptions,
    COLLECTION: TaskDefaults,
    "raw_event": TaskOptions,
    "cloud_event": TaskOptions,
    "cloud_event_handler": HandlerOptions,
    "message_handler": HandlerOptions,
    "batch_handler": BatchOptions,
}


def _table() -> dict[str, Option]:
    taken = {taker: frozenset(kind.__annotations__) for taker, kind in _TAKERS.items()}
    return {
        name: annotation.__metadata__[0]._replace(
            name=name, taken_by=frozenset(taker for taker in taken if name in taken[taker])
        )
        for name, annotation in HandlerOptions.__annotations__.items()
    }


OPTIONS = _table()
"""All options of the code, by name."""
