"""The options that decorators take: what they are, how those of collections are handed down, and
what of a task is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypedDict

from ucam_faas.events.execution_info import ExecutionInfo
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.policies import Policy, RetryPolicy
from ucam_faas.tasks.resources import RIVALS, Resources, RunAs
from ucam_faas.tasks.startup import check_callable
from ucam_faas.tasks.task import HandlerExecutionOptions, Kind, check_function
from ucam_faas.tasks.triggers import Schedule, Trigger, trigger_maker


class HttpOptions(TypedDict, total=False):
    """What every decorator takes; `message_handler` says what each is."""

    timeout: timedelta | None
    concurrency: int | None
    memory: str | None
    cpu: float | str | None
    min_instances: int | None
    max_instances: int | None
    secrets: Mapping[str, str] | None
    environment: Mapping[str, str] | None
    init: Sequence[Callable[[], Any]] | None


class TaskDefaults(HttpOptions, total=False):
    """What a TaskCollection hands down."""

    retry: RetryPolicy | None
    dead_letter_topic: str | None
    run_as: RunAs | None


class TaskOptions(TaskDefaults, total=False):
    """What every decorator but `http` takes."""

    topic: str | None
    filter: str | None
    schedule: Schedule | Sequence[Schedule] | None
    ordered: bool


class HandlerOptions(TaskOptions, total=False):
    """What the decorators of handlers take besides."""

    create_default_info: Callable[..., ExecutionInfo] | None
    options: HandlerExecutionOptions | None


_IN_POLICY = frozenset(Policy.__dataclass_fields__)
_IN_RESOURCES = frozenset(Resources.__dataclass_fields__)
_IN_TRIGGER = frozenset({"topic", "filter", "schedule", "ordered"})
_NOT_OF_JOBS = ("min_instances", "max_instances", "concurrency")


def check_options(owner: str, kind: Any, given: Mapping[str, Any]) -> None:
    """Refuse options that a decorator does not have: `**given` would take any.

    Args:
        owner: what takes them.
        kind: the class above that lists them.
        given: the options.

    Raises:
        TaskDefinitionError: with what it has, or what is spelled like it.
    """
    known = sorted(kind.__optional_keys__)
    for name in given.keys() - known:
        import difflib

        like = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {like[0]!r}?" if like else f"it has {', '.join(known)}."
        raise TaskDefinitionError(f"{owner} has no option {name!r}: {hint}")
    signature = "(*, execution: ExecutionResult) -> ExecutionInfo"
    check_function("create_default_info", given.get("create_default_info"), signature)
    options = given.get("options")
    if options is not None and not isinstance(options, HandlerExecutionOptions):
        raise TaskDefinitionError(f"options={options!r}: expected HandlerExecutionOptions(…).")
    _check_init(given.get("init"))


def combine(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Lay options over each other: the later win; maps are updated, and lists run on.

    >>> combine({"memory": "1Gi", "environment": {"A": "1"}}, {"environment": {"B": "2"}})
    {'memory': '1Gi', 'environment': {'A': '1', 'B': '2'}}
    """
    found: dict[str, Any] = {}
    for layer in layers:
        for name, rival in RIVALS.items():
            for variable in layer.get(name) or ():
                if rival in found and variable not in (layer.get(rival) or ()):
                    found[rival] = {k: v for k, v in found[rival].items() if k != variable}
        for name, value in layer.items():
            if value is None:
                continue
            before = found.get(name)
            if name == "init":
                value = [*(before or ()), *(one for one in value if one not in (before or ()))]
            elif isinstance(value, Mapping) and isinstance(before, Mapping):
                value = {**before, **value}
            found[name] = value
    return found


TriggerOf = Callable[[str], Trigger | None]
"""From a task's name to its trigger."""


def task_fields(
    kind: Kind, given: Mapping[str, Any], defaults: Sequence[Mapping[str, Any]] = ()
) -> tuple[TriggerOf, dict[str, Any]]:
    """Return what of a task is decided by its options and those of its collections.

    Args:
        kind: of the task.
        given: the decorator's options.
        defaults: those of its collections, the outermost first.

    Raises:
        TaskDefinitionError: a value can never work, or is outside Google's limits.
    """
    inherited = combine(*defaults)
    if kind is Kind.HTTP:
        inherited = {
            name: inherited[name] for name in inherited.keys() & HttpOptions.__optional_keys__
        }
    options = combine(inherited, given)
    resources = Resources(**_part(options, _IN_RESOURCES))  # together they must work, too
    if resources.run_as == "job":
        _check_job(combine(given))
    fields = {
        "policy": Policy(**_part(options, _IN_POLICY)),
        "resources": Resources(**_part(combine(given), _IN_RESOURCES)),
        "collection_resources": Resources(**_part(inherited, _IN_RESOURCES)),
        "run_as": resources.run_as or "service",
        "init": tuple(options.get("init", ())),
        **_part(options, frozenset({"create_default_info", "options"})),
    }
    if kind is Kind.HTTP:
        return lambda name: None, fields
    return trigger_maker(run_as=fields["run_as"], **_part(options, _IN_TRIGGER)), fields


def _part(options: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in names}


def _check_job(given: Mapping[str, Any]) -> None:
    for name in _NOT_OF_JOBS:
        if name in given:
            raise TaskDefinitionError(
                f'{name}={given[name]!r} with run_as="job": a job runs its function once and ends. '
                "Leave it out."
            )


def _check_init(given: Any) -> None:
    if given is None:
        return
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise TaskDefinitionError(
            f"init={given!r}: expected a list of functions without arguments or of Defer objects, "
            "such as init=[connect]."
        )
    for one in given:
        check_callable("init=[…]", one)
