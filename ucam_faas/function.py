"""Turn a function into a task function, and register its task.

Called with its own argument, a task function just runs. Called by functions-framework (with a Flask
request, or a CloudEvent that isn't its own argument), it goes through the pipeline and answers as
our own server would.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_origin

from ucam_faas.events import envelopes
from ucam_faas.events.execution_info import ExecutionInfo, ExecutionStatus
from ucam_faas.events.model_errors import describe_error
from ucam_faas.exceptions import ExecutionAbortedException, TaskDefinitionError
from ucam_faas.execution import runtime
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.outcomes import (
    InvalidPayload,
    MalformedEvent,
    WrongEventType,
    name as outcome_name,
)
from ucam_faas.tasks import outer_decorators, registry, unnamed_functions
from ucam_faas.tasks.arguments import check_takes_payload, of_payload
from ucam_faas.tasks.options import TriggerOf, naming
from ucam_faas.tasks.task import HEALTH_PATHS, Kind, Task

if TYPE_CHECKING:
    from cloudevents.abstract import CloudEvent as AnyCloudEvent


def make(
    function: Any,
    kind: Kind,
    name: str | None,
    chosen: Callable[[], tuple[TriggerOf, Mapping[str, Any]]],
    read: Callable[[Any], Mapping[str, Any]],
    *,
    in_batches: bool = False,
) -> Any:
    """Make a task function, and register its task.

    Args:
        function: the user's function.
        kind: the kind of task.
        name: the task's; None: the function's.
        chosen: returns the trigger for a task's name, and the other fields that options decide.
        read: returns the fields that depend on the function.
        in_batches: it takes lists of messages.

    Raises:
        TaskDefinitionError: the function can't be a task, or not with these options.
    """
    function_name = _function_name(function)
    task_name = name or function_name
    inner = naming(task_name, lambda: _of_payload_alone(function, None if in_batches else kind))
    if kind is not Kind.HTTP:
        check_takes_payload(inner)
    (trigger_of, fields), read_fields = naming(task_name, lambda: (chosen(), read(inner)))
    _refuse_reserved(task_name)
    fields = {**read_fields, **fields}
    if function_name == unnamed_functions.UNNAMED:
        function, inner = map(unnamed_functions.as_function, (function, inner))
    run = _of_request(inner, fields["path"]) if kind is Kind.HTTP else of_payload(inner)
    task = Task(
        name=task_name,
        function_name=function_name,
        module=function.__module__ or "__main__",
        module_spec=function.__globals__.get("__spec__"),
        kind=kind,
        function=run,
        trigger=trigger_of(task_name),
        **fields,
    )
    _check_scheduled_data(task)

    def called(*args: Any, **kwargs: Any) -> Any:
        task: Task = attributes.task  # a collection may have replaced it
        if len(args) == 1 and not kwargs:
            payload = outer_decorators.payload_for(run, args[0])
            if payload:
                return run(*payload)
            if _is_flask_request(args[0], task):
                # By name: serving depends on this module, not the other way round.
                adapter = importlib.import_module("ucam_faas.serving.functions_framework")
                return adapter.respond(task, args[0])
            if _is_foreign_event(args[0], task):
                return _execute(args[0])
            if task.kind is Kind.CLOUD_EVENT and task.parse is not None and _is_event(args[0]):
                return run(task.parse(args[0]))
        return function(*args, **kwargs)

    async def called_async(*args: Any, **kwargs: Any) -> Any:
        value = called(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    # Decorators above look for coroutine functions; functions-framework cannot call these.
    is_async = task.is_async and "functions_framework" not in sys.modules
    task_function = functools.wraps(function)(called_async if is_async else called)

    def _conclude(event: AnyCloudEvent) -> Conclusion:
        envelope = envelopes.of_cloud_event(event)
        return execute(Execution(attributes.task, envelope, runtime.of_environment()))

    def _execute(event: AnyCloudEvent) -> ExecutionInfo:
        conclusion = _conclude(event)
        completed = conclusion.info.execution.status is ExecutionStatus.COMPLETED
        if completed or isinstance(
            conclusion.value, ExecutionInfo
        ):  # the function chose the status
            return conclusion.info
        if isinstance(conclusion.error, ExecutionAbortedException):
            raise conclusion.error
        raise _aborted(attributes.task.name, conclusion) from conclusion.error

    attributes: Any = task_function
    setattr(task_function, outer_decorators.TASK_FUNCTION, task_function)
    attributes.task = task
    attributes.execute = _execute
    for verb in ("send", "send_async", "send_many", "send_many_async"):
        setattr(task_function, verb, functools.partial(_send, task_function, verb))
    attributes.publish = functools.partial(_publish, task_function)
    attributes.execute_for_result = lambda event: _conclude(event).info
    attributes.__ucam_wrapped__ = function
    if function_name == unnamed_functions.UNNAMED:
        take_name = functools.partial(_name, task_function, trigger_of, name)
        setattr(task_function, unnamed_functions.TAKE_NAME, take_name)
        return task_function
    registry.register(task, function.__qualname__)
    if "functions_framework" in sys.modules:
        _tell_functions_framework(task_function)
    return task_function


_MARKERS = "ucam_faas.tasks.dependencies"


def _of_payload_alone(function: Any, kind: Kind | None) -> Any:
    """Return a function without the parameters that have a marker, such as `Depends`."""
    annotations = getattr(function, "__annotations__", {}).values()
    texts = [each for each in annotations if isinstance(each, str)]
    may_have_some = any("Depends(" in each or "Attribute(" in each for each in texts)
    if not may_have_some and _MARKERS not in sys.modules:
        return function
    from ucam_faas.tasks.injection import injected  # kept off the start

    return injected(function, kind)


def _of_request(function: Any, path: str) -> Any:
    from ucam_faas.tasks.path_parameters import of_request  # HTTP tasks only: kept off the start

    return of_request(function, path)


def _publish(task_function: Any, *args: Any, **kwargs: Any) -> str:
    from ucam_faas.sending.publication import publish  # kept off the start

    return publish(task_function.task, *args, **kwargs)


def _send(task_function: Any, verb: str, *args: Any, **kwargs: Any) -> Any:
    from ucam_faas.sending import sends  # kept off the start

    return getattr(sends, verb)(task_function.task, *args, **kwargs)


def _name(task_function: Any, trigger_of: TriggerOf, name: str | None, bound: str) -> None:
    """Name a function without a name after what it is bound to, and its task if it has none."""
    name = name or bound
    _refuse_reserved(name)
    task = replace(task_function.task, name=name, function_name=bound, trigger=trigger_of(name))
    put(task_function, task)


def _aborted(name: str, conclusion: Conclusion) -> ExecutionAbortedException:
    """Return the exception that `execute` raises; the texts are those of 1.0."""
    error, outcome = conclusion.error, conclusion.outcome
    if isinstance(outcome, InvalidPayload):
        text = "message_parser failed to parse message"
    elif isinstance(outcome, WrongEventType | MalformedEvent):
        text = f"{name} input parser rejected input"
    elif error is not None:
        text = f"{name} handler threw an exception"
    else:
        text = f"{name} was aborted: {outcome_name(outcome)}"
    aborted = ExecutionAbortedException(text, execution_info=conclusion.info)
    if error is not None:
        aborted.add_note(f"{type(error).__qualname__}: {error}")
    return aborted


def remade(task: Task, chosen: Callable[[], tuple[TriggerOf, Mapping[str, Any]]]) -> Task:
    """Return a task with other options.

    Raises:
        TaskDefinitionError: the function can't be a task with them.
    """
    trigger_of, fields = naming(task.name, chosen)
    new = replace(task, trigger=trigger_of(task.name), **fields)
    _check_scheduled_data(new)
    return new


def put(task_function: Any, task: Task) -> None:
    """Replace a task function's task."""
    registry.exchange(task_function.task, task)
    task_function.task = task


def _check_scheduled_data(task: Task) -> None:
    """Refuse a schedule whose messages the task would always reject."""
    of_type = isinstance(task.message_type, type) or get_origin(task.message_type) is not None
    if task.trigger is None or task.parse is None or not of_type or task.run_as == "cloud-run-job":
        return  # functions are not called here: they may do anything; Cloud Run jobs get no message
    for schedule in task.trigger.schedules:
        try:
            task.parse(schedule.data)
        except ValueError as error:
            raise TaskDefinitionError(
                f"Schedule({schedule.expression!r}) sends data that the task {task.name!r} "
                f"rejects: {describe_error(error)}. Write Schedule(…, data=…), or let the function "
                "take no argument."
            ) from error
        except Exception:
            continue  # not every model is complete while its module is imported


def _function_name(function: Any) -> str:
    """Return the name of a function that can be a task."""
    if registry.task_of(function) is not None:
        raise TaskDefinitionError(
            f"{function.__name__!r} is a task already: use one decorator for one function."
        )
    unnamed = unnamed_functions.is_unnamed(function)
    if not inspect.isfunction(function) and not unnamed:
        raise TaskDefinitionError(
            f"{function!r} cannot be a task: expected a function. A decorator with options is "
            "called with keyword arguments only, such as @message_handler(message_type=MyModel)."
        )
    name = unnamed_functions.UNNAMED if unnamed else str(function.__name__)
    inner = inspect.unwrap(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise TaskDefinitionError(
            f"{name!r} cannot be a task: it yields, so calling it would run nothing."
        )
    return name


def _refuse_reserved(name: str) -> None:
    if f"/{name}" in HEALTH_PATHS:
        raise TaskDefinitionError(
            f"A task cannot be named {name!r}: the path /{name} answers health checks."
        )


def _is_flask_request(value: Any, task: Task) -> bool:
    """Return True if this is functions-framework calling its target with a Flask request."""
    flask = sys.modules.get("flask")
    if flask is None or not isinstance(value, flask.Request):
        return False
    # An HTTP task's own argument is a Flask request, too. A service of jobs has no other caller,
    # and no name yet: functions-framework knows its variable.
    return task.kind is not Kind.HTTP or (
        "functions_framework" in sys.modules
        and (
            task.serves_jobs or os.environ.get("FUNCTION_TARGET") in (task.name, task.function_name)
        )
    )


def _is_foreign_event(value: Any, task: Task) -> bool:
    """Return True if the value is a CloudEvent that the function itself does not take."""
    if task.kind in (Kind.CLOUD_EVENT, Kind.HTTP):
        return False
    return _is_event(value)


def _is_event(value: Any) -> bool:
    cloudevents = sys.modules.get("cloudevents.abstract")
    return cloudevents is not None and isinstance(value, cloudevents.CloudEvent)


def _tell_functions_framework(task_function: Any) -> None:
    """Ask functions-framework, which loads this module, for the raw request.

    Its targets are names in the module: there the task is also found by its own name.
    """
    functions = importlib.import_module("functions_framework._function_registry")
    task: Task = task_function.task
    for name in (task.name, task.function_name):
        functions.REGISTRY_MAP[name] = functions.HTTP_SIGNATURE_TYPE
    module = inspect.unwrap(task_function).__globals__

    @functools.wraps(task_function)
    def target(request: Any) -> Any:  # what the module has in the end: with decorators above
        return module.get(task.function_name, task_function)(request)

    if task.name != task.function_name:
        module.setdefault(task.name, target)
