"""The process of a `Parser`. Run as a module; it imports the sources, and answers questions.

It sends jobs to the store that its environment or a question names; see `Parser.send`.
It gets two inherited descriptors, and the sources: a socket for questions and answers, each a line
of JSON, and a pipe whose other end its parent holds. When the parent ends, however it ends, so does
this process, also while the code of a task runs.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import os
import re
import socket
import sys
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from ucam_faas.actions.message_data import in_its_form, made_up
from ucam_faas.actions.topic_schemas import TopicSchema
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.events import envelopes
from ucam_faas.events.deliveries import Delivery
from ucam_faas.events.messages import MessagePublishedData, PubsubMessage
from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.execution import pipeline, runtime
from ucam_faas.execution.decisions import fault, of_msgspec, refusal
from ucam_faas.execution.execution import Decision, Execution
from ucam_faas.execution.inbox import JOB_ATTRIBUTE
from ucam_faas.execution.preparation import prepare
from ucam_faas.execution.runtime import Runtime
from ucam_faas.job_runs.adoption import Adoption
from ucam_faas.jobs.send_options import SendOptions
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.local_state import LocalCloud
from ucam_faas.logs.records import readable
from ucam_faas.outcomes import Done, Ignore, Outcome, Refused, name
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.sending import sends
from ucam_faas.sending.publication import NO_PAYLOAD
from ucam_faas.sending.sender import local_runtime
from ucam_faas.serving.processes.program import end_with_parent
from ucam_faas.tasks import environment, registry, startup
from ucam_faas.tasks.needs import needs_of, with_dead_letter_topic
from ucam_faas.tasks.payload_schemas import form_schema
from ucam_faas.tasks.several_sources import tasks_of
from ucam_faas.tasks.task import Kind, Task

MAX_ERRORS = 100
"""Of one payload."""
_OF_MSGSPEC = re.compile(r"(?P<text>.*) - at `\$(?P<path>.*)`", re.DOTALL)
_PARTS = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")


def main(channel: socket.socket, sources: list[str]) -> None:
    """Import the sources, and answer until the other end of the channel is closed."""
    logging.getLogger("ucam_faas").addHandler(logging.NullHandler())  # the answers say it all
    try:
        tasks = {task.name: task for task in tasks_of(sources, None)}
    except UCAMFAASException as error:
        _tell(channel, failure=str(error))
        return
    _tell(channel)
    started: set[str] = set()
    with channel.makefile("rb") as lines:
        for line in lines:
            question = json.loads(line)
            if question["act"] == "tasks":
                _tell(channel, tasks=[_described(task) for task in tasks.values()])
                continue
            task = tasks.get(question["task"])
            if task is None:
                unknown = registry.no_such_task(question["task"], ", ".join(sources), tasks)
                _tell(channel, failure=str(unknown), unknown=True)
                continue
            with environment.HERE.during([task]):
                if question["act"] == "send":
                    said = send(task, question, _sender(json.dumps(question["cloud"])))
                elif question["act"] == "form":
                    said = form(task, question)
                elif question["act"] == "run":
                    said = _run(task, _delivery(task, question), started)
                else:
                    delivery = _delivery(task, question)
                    gc.disable()  # a large payload makes a million objects, and no garbage
                    said = _check(task, delivery)
                    gc.enable()
            _tell(channel, **said)


def _tell(channel: socket.socket, **answer: Any) -> None:
    channel.sendall(json.dumps(answer).encode() + b"\n")


def _described(task: Task) -> dict[str, Any]:
    settings = Settings.from_environ()
    needs = needs_of(with_dead_letter_topic(task, settings), settings)
    return {"needs": needs.to_json(), "schema": form_schema(task)}


def _delivery(task: Task, question: dict[str, Any]) -> Delivery:
    data = base64.b64decode(question["data"])
    if task.kind is Kind.RAW:
        return envelopes.raw(data, {})
    message = PubsubMessage(
        data=data,
        attributes=question["attributes"],
        message_id="try",
        publish_time=datetime.now(UTC),
        ordering_key=question["key"],
    )
    return envelopes.of_message(MessagePublishedData(message=message))


def _check(task: Task, delivery: Delivery) -> dict[str, Any]:
    """Return the errors of a payload, and the payload as the task reads it."""
    execution = Execution(task, delivery, Runtime(Settings(), SystemClock()))
    try:
        payload = execution.context.run(prepare, execution)
    except (Exception, SystemExit) as error:
        return {"errors": list(_errors(error))[:MAX_ERRORS], "payload": ""}
    refused = refusal(execution, payload)
    if refused is not None:
        text = f"The parser returned {_told(refused.outcome)}."
        return {"errors": [([], text, name(refused.outcome))], "payload": ""}
    return {"errors": [], "payload": _shown(payload)}


def form(task: Task, question: dict[str, Any]) -> dict[str, Any]:
    """Return data in the form in which they are sent, or made up; or why that isn't possible."""
    data, fields = question["data"], question["topic_schema"]
    schema = None if fields is None else TopicSchema(**fields)
    try:
        if data is None:
            made = made_up(task, schema)
        else:
            made = in_its_form(task, base64.b64decode(data), schema)
    except UCAMFAASException as error:
        return {"refused": str(error)}
    return {"data": base64.b64encode(made).decode()}


def _errors(error: BaseException) -> Iterable[tuple[list[str | int], str, str]]:
    """Return path, text and kind of each error of a payload."""
    reason = error.__cause__ if isinstance(error, Refused) and error.__cause__ else error
    if isinstance(reason, ValidationError):
        for item in reason.errors(include_url=False, include_context=False, include_input=False):
            yield list(item["loc"]), item["msg"], item["type"]
        return
    kind, text = type(reason).__qualname__, readable(reason)
    place = _OF_MSGSPEC.fullmatch(text) if type(reason).__module__ == "msgspec" else None
    if place is not None:
        parts = _PARTS.findall(place["path"])
        yield [int(index) if index else part for index, part in parts], place["text"], kind
    elif isinstance(reason, Refused):
        yield [], f"{_told(reason)}.", kind
    else:
        yield [], f"{kind}: {text}" if text else kind, kind


def _told(outcome: Outcome) -> str:
    kind = type(outcome).__name__
    return f"{kind}: {outcome.reason}" if outcome.reason else kind


def _shown(payload: Any) -> str:
    try:
        return to_json(payload, fallback=of_msgspec).decode()
    except Exception:  # whatever a user's value does when it is looked at
        return ""


def send(task: Task, question: dict[str, Any], here: Runtime) -> dict[str, Any]:
    """Send a job, and return its id, or why it was refused."""
    data, named = base64.b64decode(question["data"]), question["options"]
    options = SendOptions(attributes=question["attributes"], ordering_key=question["key"])
    if named["lane"]:
        options["lane"] = named["lane"]
    if named["id"]:
        options["id"] = named["id"]
    if named["delay_seconds"]:
        options["delay"] = timedelta(seconds=named["delay_seconds"])
    payload = NO_PAYLOAD if task.takes_nothing and not data else data
    try:
        return {"id": sends.send_from(here, task, payload, options).id}
    except (UCAMFAASException, ValueError) as error:
        return {"refused": str(error)}
    except Exception as error:  # the task's id=, unique= and limit= raise anything
        return {"refused": f"{type(error).__qualname__}: {readable(error)}"}


@cache
def _sender(cloud: str) -> Runtime:
    """Return the runtime that sends; `cloud`: the local cloud that gets the jobs, as JSON."""
    here, values = runtime.of_environment(), json.loads(cloud)
    if values is None:
        return here
    return local_runtime(here, LocalCloud(**{**values, "sources": tuple(values["sources"])}))


def _run(task: Task, delivery: Delivery, started: set[str]) -> dict[str, Any]:
    """Run the function, after the start-up code of its task, and return its end.

    It runs as a job, so that it can use `current_job()`.
    """
    clock, topics = SystemClock(), _Topics()
    if task.name not in started:
        try:
            startup.run_here(task, clock)
        except UCAMFAASException as error:
            return {"outcome": "crashed", "error": str(error)}
        started.add(task.name)
    with closing(SqliteStore(":memory:", clock)) as store:
        here = Runtime(Settings(project="try"), clock, MemoryPublisher(topics), store=store)
        job = None if task.batch is not None else Adoption(here.settings.app, task)
        execution = Execution(task, delivery, here, job=job)
        decision = execution.context.run(_decision, execution)
        if job is not None and execution.holds_job:
            job.settle(execution, decision)
        messages = [message for topic in topics.values() for message in topic]
        wakes = sum(JOB_ATTRIBUTE in message.attributes for message in messages)
        jobs = len(store.find(here.settings.app)) - (job is not None)
    failed = not isinstance(decision.outcome, Done | Ignore)
    text = "" if decision.error is None else readable(decision.error)
    return {
        "outcome": name(decision.outcome),
        "reason": decision.outcome.reason or "",
        "error": f"{type(decision.error).__qualname__}: {text}" if decision.error else "",
        "fingerprint": fault(task, decision).fingerprint if failed else "",
        "published": len(messages) - wakes + jobs,
    }


def _decision(execution: Execution) -> Decision:
    if execution.task.is_async:
        return asyncio.run(pipeline.call_async(execution))
    decision = pipeline.call(execution)
    assert decision is not None, "it runs here"
    return decision


class _Topics(defaultdict[str, list[PubsubMessage]]):
    """Topics that are there when they are asked for."""

    def __init__(self) -> None:
        super().__init__(list)

    def __contains__(self, name: object) -> bool:
        return True


if __name__ == "__main__":
    descriptor, lifeline = map(int, sys.argv[1:3])
    os.set_inheritable(descriptor, False)
    os.set_inheritable(lifeline, False)
    end_with_parent(lifeline)
    main(socket.socket(fileno=descriptor), sys.argv[3:])
