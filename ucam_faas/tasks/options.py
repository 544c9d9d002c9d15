"""Checking and merging options, and making the fields of a task of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.job_policy import JobPolicy
from ucam_faas.tasks.lanes import Lane, lanes_of
from ucam_faas.tasks.mounts import check_mounts
from ucam_faas.tasks.option import Option
from ucam_faas.tasks.option_table import OPTIONS
from ucam_faas.tasks.policies import JOB_RETRY, Policy
from ucam_faas.tasks.resources import check_together
from ucam_faas.tasks.task import HandlerExecutionOptions, Kind, check_function
from ucam_faas.tasks.triggers import Trigger, trigger_maker

_IN_POLICY = frozenset(Policy.__dataclass_fields__)
_IN_JOBS = frozenset(JobPolicy.__dataclass_fields__)
_IN_TRIGGER = frozenset({"topic", "filter", "schedule", "ordered", "subscription"})
_IN_TASK = frozenset({"create_default_info", "options", "propagate_lane", "run_in_process"})


ResultT = TypeVar("ResultT")


def naming(name: str, make: Callable[[], ResultT]) -> ResultT:
    """Return the result of a function whose errors are about a task's options.

    Args:
        name: the task's.
        make: the function.

    Raises:
        TaskDefinitionError: its error, with the task's name before it.
    """
    try:
        return make()
    except TaskDefinitionError as error:
        raise TaskDefinitionError(f"task {name!r}: {error}") from error


def check_options(taker: str, said: Mapping[str, Any]) -> None:
    """Refuse options that a decorator or a collection does not take, and values that are wrong.

    Args:
        taker: the name of the decorator, or TaskCollection.
        said: the options.

    Raises:
        TaskDefinitionError: with the options that it takes, or the one of a similar name.
    """
    known = sorted(name for name, option in OPTIONS.items() if taker in option.taken_by)
    for name in said.keys() - known:
        import difflib

        like = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {like[0]!r}?" if like else f"it has {', '.join(known)}."
        raise TaskDefinitionError(f"{taker} has no option {name!r}: {hint}")
    signature = "(*, execution: ExecutionResult) -> ExecutionInfo"
    check_function("create_default_info", said.get("create_default_info"), signature)
    options = said.get("options")
    if options is not None and not isinstance(options, HandlerExecutionOptions):
        raise TaskDefinitionError(f"options={options!r}: expected HandlerExecutionOptions(…).")
    for name, value in said.items():
        if value is not None:
            _check_value(OPTIONS[name], value)


def _check_value(option: Option, value: Any) -> None:
    is_list = option.merge == "list"
    if is_list and (not isinstance(value, Sequence) or isinstance(value, str)):
        raise TaskDefinitionError(f"{option.name}={value!r}: expected a list of {option.takes}.")
    for item in value if is_list else [value]:
        text = problem_of(option, item)
        if text is not None:
            raise TaskDefinitionError(f"{text}.")


def problem_of(option: Option, value: Any, name: str = "") -> str | None:
    """Return the problem of a value, an item or an entry, with the option's name, or None.

    Args:
        name: of an option in a table, its full name.
    """
    name = name or option.name
    try:
        if option.check is not None:
            option.check(value)
    except TaskDefinitionError as error:
        text = str(error).rstrip(".")
        return text if text.startswith((f"{name}=", f"{name}:")) else f"{name}: {text}"
    return None


Path = tuple[str, ...]
"""Of a value in a layer: ("memory",), ("environment", "MODE"), ("publishes_to", "orders")."""


RIVALS = {"environment": "secrets", "secrets": "environment"}
"""A variable is in one of them: the last layer decides."""


def lay_over(
    values: dict[str, Any], layer: Mapping[str, Any], options: Mapping[str, Option]
) -> list[Path]:
    """Lay a layer over values, in place, and return the paths that the layer decided.

    None, and names that are not options, are skipped.
    """
    decided: list[Path] = []
    for name, option in options.items():
        said = layer.get(name)
        if said is None:
            continue
        if option.merge == "value":
            values[name] = said
            decided.append((name,))
        elif option.merge == "list":
            items = values.setdefault(name, [])
            for item in said:
                if item not in items:
                    items.append(item)
                    decided.append((name, item))
        elif option.merge == "map":
            values.setdefault(name, {}).update(said)
            decided += [(name, entry) for entry in said]
            _drop_rivals(name, values, layer)
        else:
            inner = lay_over(values.setdefault(name, {}), said, option.options)
            decided += [(name, *path) for path in inner]
    return decided


def combine(options: Mapping[str, Option], *layers: Mapping[str, Any]) -> dict[str, Any]:
    """Lay layers over each other, the strongest last."""
    values: dict[str, Any] = {}
    for layer in layers:
        lay_over(values, layer, options)
    return values


def _drop_rivals(name: str, values: dict[str, Any], layer: Mapping[str, Any]) -> None:
    rival = RIVALS.get(name, "")
    if rival in values:
        for entry in layer[name].keys() - (layer.get(rival) or {}).keys():
            values[rival].pop(entry, None)


TriggerOf = Callable[[str], Trigger | None]
"""From a task's name to its trigger."""


def task_fields(
    kind: Kind,
    said: Mapping[str, Any],
    defaults: Sequence[Mapping[str, Any]] = (),
    *,
    in_batches: bool = False,
) -> tuple[TriggerOf, dict[str, Any]]:
    """Return the fields of a task that its options and those of its collections decide.

    Args:
        kind: of the task.
        said: the decorator's options, which were checked one by one.
        defaults: those of its collections, the outermost first.
        in_batches: it takes batches, so a worker runs it.

    Raises:
        TaskDefinitionError: the options together can never work, or are outside Google's limits.
    """
    own, inherited = combine(OPTIONS, said), combine(OPTIONS, *defaults)
    if kind is Kind.HTTP:
        inherited = {n: value for n, value in inherited.items() if "http" in OPTIONS[n].taken_by}
    if in_batches:
        inherited = _of_batches(inherited)
        own.setdefault("run_as", "worker")
    options = combine(OPTIONS, inherited, own)
    check_together(options)
    check_mounts(options)
    _check_subscription(options)
    run_as = options.get("run_as", "service")
    if run_as == "cloud-run-job":
        _check_cloud_run_job(own)
        options.setdefault("retry", JOB_RETRY)
    fields = {
        "policy": Policy(**_part(options, _IN_POLICY)),
        "jobs": JobPolicy(**_part(options, _IN_JOBS)),
        "own_options": own,
        "collection_options": inherited,
        "run_as": run_as,
        "lanes": _lanes(options, run_as),
        "init": tuple(options.get("init", ())),
        "publishes": tuple(options.get("publishes", ())),
        "sends": tuple(options.get("sends", ())),
        "middleware": tuple(options.get("middleware", ())),
        **_part(options, _IN_TASK),
    }
    if kind is Kind.HTTP:
        return lambda name: None, fields
    return trigger_maker(run_as=run_as, **_part(options, _IN_TRIGGER)), fields


_PROMISES = frozenset({"idempotent", "run_in_process"})
"""Options of collections that a batch task must not ignore: it can't keep them."""


def _of_batches(inherited: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of collections that concern a task of batches."""
    return {
        name: value
        for name, value in inherited.items()
        if name != "run_as" and ("batch_handler" in OPTIONS[name].taken_by or name in _PROMISES)
    }


def _lanes(options: Mapping[str, Any], run_as: str) -> tuple[Lane, ...]:
    if "lanes" not in options or run_as == "cloud-run-job":
        return ()
    return lanes_of(options["lanes"])


def _part(options: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in names}


_OF_THE_OWNER = ("filter", "ordered", "dead_letter_topic")


def _check_subscription(options: Mapping[str, Any]) -> None:
    """Refuse options that only the owner of a subscription can set; `retry` is that of jobs."""
    subscription = options.get("subscription")
    if subscription is None:
        return
    for name in _OF_THE_OWNER:
        if options.get(name):
            raise TaskDefinitionError(
                f"{name}={options[name]!r} with subscription={subscription!r}: the owner of the "
                f"subscription sets that. Leave out {name}, here and in the collection."
            )
    if options.get("schedule"):
        raise TaskDefinitionError(
            f"schedule={options['schedule']!r} with subscription={subscription!r}: the deployment "
            "doesn't know the topic of another owner's subscription, to which the schedule would "
            "publish. Give the schedule to another task."
        )


def _check_cloud_run_job(own: Mapping[str, Any]) -> None:
    for name, value in own.items():
        if OPTIONS[name].concerns == "services":
            raise TaskDefinitionError(
                f'{name}={value!r} with run_as="cloud-run-job": a Cloud Run job runs its function '
                "once and ends. Leave it out."
            )
