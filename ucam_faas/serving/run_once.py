"""Running a task once, to its end, as a Cloud Run job does.

The input is a file's bytes, or nothing: the body of a raw task, the data of a message or of a
CloudEvent. The exit code says how it went: 0 done; 1 aborted; 2 a raw or CloudEvent task raised
something unexpected; 3 the input cannot be loaded; and a task's own of `sys.exit`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ucam_faas._optional import require
from ucam_faas.config import Settings
from ucam_faas.events import envelopes
from ucam_faas.events.context import CloudEventAttributes
from ucam_faas.events.deliveries import Delivery
from ucam_faas.exceptions import (
    InputNotLoadedError,
    MissingExtraError,
    UCAMFAASCouldNotLoadTarget,
)
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import Crashed, MalformedEvent, answer
from ucam_faas.serving.runner import Runner
from ucam_faas.tasks import startup
from ucam_faas.tasks.task import Kind, Task

EVENT_TYPE = "ucam_faas.task.run"


def run(task: Task, runtime: Runtime) -> tuple[Conclusion, int]:
    """Run a task once, and return its end and the process's exit code.

    Raises:
        InputNotLoadedError: the input cannot be read; the exit code for it is 3.
        UCAMFAASCouldNotLoadTarget: an HTTP task, which needs a request; or the task's start-up
            code fails.
    """
    if task.kind is Kind.HTTP:
        raise UCAMFAASCouldNotLoadTarget(
            f"{task.name!r} is an HTTP task and needs a request: it cannot be run once. "
            "Give the Cloud Run job a task that takes an event."
        )
    delivery = delivery_of(task, read_input(runtime.settings), os.environ)
    if task.is_async or task.policy.timeout is not None:
        conclusion = asyncio.run(_run(task, delivery, runtime))
    else:
        startup.run_here(task, runtime.clock)
        # In the main thread, where it may handle signals.
        conclusion = execute(Execution(task, delivery, runtime, call=_call))
    return conclusion, _exit_code(task, conclusion)


def _exit_code(task: Task, conclusion: Conclusion) -> int:
    """Return the code of the outcome's table, but for two that Cloud Run jobs of 1.0 had."""
    if isinstance(conclusion.error, SystemExit):
        return conclusion.error.code if isinstance(conclusion.error.code, int) else 1
    if isinstance(conclusion.outcome, Crashed) and not task.returns_response:
        return 1
    return answer(conclusion.outcome).exit_code


def _call(function: Callable[..., Any], payload: Any) -> Any:
    """Call a task; `sys.exit(0)` ends it as `return` does."""
    try:
        return function(payload)
    except SystemExit as ended:
        if ended.code:
            raise
        return None


async def _call_async(function: Callable[..., Any], payload: Any) -> Any:
    try:
        return await function(payload)
    except SystemExit as ended:
        if ended.code:
            raise
        return None


async def _run(task: Task, delivery: Delivery, runtime: Runtime) -> Conclusion:
    """Run until the deadline, or until the grace after SIGTERM ends."""
    await startup.run([task], runtime.clock)
    runner = Runner([task], runtime, limit_by_default=False)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, runner.drain)
    call = _call_async if task.is_async else _call
    return await runner.run(Execution(task, delivery, runtime, call=call))


def read_input(settings: Settings) -> bytes:
    """Read the input: from a bucket, from a local file, or none.

    Raises:
        InputNotLoadedError: it is not there, or cannot be read.
    """
    name, bucket = settings.input_file, settings.input_bucket
    if name is None:
        if bucket is not None:
            raise InputNotLoadedError(
                f"INPUT_BUCKET is {bucket!r} and INPUT_FILE is not set: name the object with "
                "--input-file."
            )
        return b""
    if bucket is None:
        try:
            return Path(name).read_bytes()
        except OSError as error:
            raise InputNotLoadedError(f"Cannot read {name}: {error.strerror}.") from error
    storage = require(
        "google.cloud.storage", extra="storage", purpose="read the input from a bucket"
    )
    try:
        content: bytes = storage.Client().bucket(bucket).blob(name).download_as_bytes()
    except MissingExtraError:
        raise
    except Exception as error:  # authentication, transport and storage errors share no base
        raise InputNotLoadedError(
            f"Cannot read gs://{bucket}/{name}: {type(error).__name__}. Check the names, and that "
            "the service account may read the bucket (roles/storage.objectViewer)."
        ) from error
    return content


def delivery_of(task: Task, content: bytes, environ: Mapping[str, str]) -> Delivery:
    """Return the delivery of one run.

    A file that is a structured CloudEvent is one; any other is the data.
    """
    if task.kind is Kind.RAW:
        return envelopes.raw(content, {})
    if content.lstrip()[:1] == b"{" and b'"specversion"' in content:
        headers = {"content-type": "application/cloudevents+json"}
        try:
            return envelopes.decode(content, headers)
        except MalformedEvent:
            pass  # data that only looks like an event
    name = environ.get("CLOUD_RUN_EXECUTION", "local")
    index = environ.get("CLOUD_RUN_TASK_INDEX", "0")
    attempt = environ.get("CLOUD_RUN_TASK_ATTEMPT", "0")
    attributes = CloudEventAttributes(
        event_id=f"{name}/{index}/{attempt}", event_source=f"/jobs/{name}", event_type=EVENT_TYPE
    )
    return envelopes.of_data(content, attributes)
