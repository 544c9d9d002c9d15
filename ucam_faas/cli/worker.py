"""`ucam-faas worker`: pull the messages of tasks, and run them."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from ucam_faas.cli import _serving_options as options, _source
from ucam_faas.cli._group import Verb
from ucam_faas.cli._output import json_option_for, print_event, print_ready
from ucam_faas.cli._start import start_all
from ucam_faas.logs import setup
from ucam_faas.tasks.task import Task

if TYPE_CHECKING:
    from ucam_faas.worker.options import WorkerResult

_OF_WORKER = (
    *("messages_limit", "tasks_limit", "graceful_shutdown_time"),
    *("handle_signals", "auto_declare", "lease_seconds"),
)
"""The options that `Worker` takes; the others are settings."""
CLOSE_SECONDS = 2.0
"""For the tasks that are cancelled when the worker has ended."""


@click.command("worker", cls=Verb)
@click.option("--target", help="Tasks to pull, comma-separated. [FUNCTION_TARGET; default: all]")
@click.option(
    "--messages-limit",
    type=click.IntRange(1),
    help="End after N messages. [default: never]",
    metavar="N",
)
@click.option(
    "--tasks-limit",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Messages, or batches of them, that run at a time; each task has limits of its own, too.",
)
@click.option(
    "--graceful-shutdown-time",
    type=click.FloatRange(0),
    help="Seconds for running work after SIGTERM. [UCAM_FAAS_GRACE_SECONDS; default: 8 on Cloud "
    "Run, otherwise 25]",
)
@click.option(
    "--handle-signals/--no-handle-signals",
    default=True,
    help="Shut down gracefully on SIGTERM and SIGINT. [default: handle-signals]",
)
@click.option(
    "--auto-declare/--no-auto-declare",
    default=True,
    help="Make topics and subscriptions that are missing on an emulator. [default: auto-declare]",
)
@click.option(
    "--lease-seconds",
    type=click.IntRange(10, 600),
    default=60,
    show_default=True,
    help="Lease of a message; it is extended while its task runs.",
)
@click.option(
    "--health-port",
    type=int,
    help="Port that answers /live and /ready; 0 picks a free one. [UCAM_FAAS_HEALTH_PORT, or PORT]",
)
@options.debug
@json_option_for("Print a line of JSON at the start and one at the end; the log goes to stderr.")
@_source.sources_parameters
def command(*, sources: Sequence[str], json_only: bool, **arguments: Any) -> None:
    """Pull the messages of the tasks of SOURCE, and run them.

    These are the tasks with run_as="worker"; if there are none, or with --target, any others that
    take messages. Their subscriptions must not push.
    """
    sys.exit(work(sources, arguments, json_only=json_only))


def _pulled(tasks: Sequence[Task]) -> Sequence[Task]:
    from ucam_faas.worker.sources import pulled

    return pulled(tasks, named=False)


def work(sources: Sequence[str], arguments: dict[str, Any], *, json_only: bool) -> int:
    """Pull as options and environment say; return the exit code."""
    own = {name: arguments.pop(name) for name in _OF_WORKER}
    started = start_all(sources, options.merged(**arguments), pick=_pulled)
    from ucam_faas.worker.worker import Worker

    if json_only:
        own["opened"] = lambda subscriptions: print_ready(subscriptions=subscriptions)
    worker = Worker(started.tasks, runtime=started.runtime, **own)
    setup.write_in_background(started.handler)
    from ucam_faas.worker import session  # noqa: F401 - with gRPC, before the freeze

    gc.collect()
    gc.freeze()  # loaded modules stay: no collection needs to scan them
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        result = runner.run(worker.run())
        if started.runtime.telemetry is not None:
            started.runtime.telemetry.close()
        code = 1 if result.is_exhausted else 0
        if json_only:
            with suppress(BrokenPipeError):  # the reader has the first line
                print_event({"event": "ended", "exit_code": code, **_as_json(result)})
        last = threading.Timer(CLOSE_SECONDS, _end_at_once, (code,))
        last.daemon = True
        last.start()
    last.cancel()
    setup.flush()
    return code


def _as_json(result: WorkerResult) -> dict[str, Any]:
    return {
        "processed": result.processed,
        "returned": result.returned,
        "outcomes": dict(result.outcomes),
    }


def _end_at_once(code: int) -> None:
    """End the process: a task ignores its cancellation, or a thread of asyncio's goes on."""
    setup.flush()
    os._exit(code)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
