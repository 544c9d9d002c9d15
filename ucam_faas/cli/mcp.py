"""`ucam-faas mcp`: the tasks, messages, jobs and dead letters as tools for coding agents."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ucam_faas import local_state
from ucam_faas._optional import check
from ucam_faas.cli import _source
from ucam_faas.cli._backends import Elsewhere
from ucam_faas.cli._group import Verb
from ucam_faas.cli._messages import note

if TYPE_CHECKING:
    from ucam_faas.backends.ports import Backends, Connect

ALONE = (
    "No `ucam-faas dev` serves tasks in {folder} or above it, so this is the history of the last "
    "one. Start it there; if it runs, its terminal says why."
)


@click.command(cls=Verb)
@click.option("--google", is_flag=True, help="Show the dead letters in Google's Pub/Sub.")
@click.option("--project", help="Project of Pub/Sub and schedules. [GOOGLE_CLOUD_PROJECT]")
@click.option("--location", help="With --google, show the schedules of this region.")
@click.option(
    "--allow-writes",
    is_flag=True,
    help="Offer tools that change something: publish, send, replay, retry, cancel.",
)
@click.option(
    "--hide-payloads",
    is_flag=True,
    help="Show keys, types and lengths instead of values, also of a `ucam-faas dev`.",
)
@_source.sources_parameters
def command(
    *,
    google: bool,
    project: str | None,
    location: str | None,
    allow_writes: bool,
    hide_payloads: bool,
    sources: tuple[str, ...],
) -> None:
    """Serve tools for coding agents on stdin and stdout, by the Model Context Protocol.

    They list tasks, explain why messages failed, show dead letters and jobs, and plan replays:
    those of the `ucam-faas dev` that runs in this directory or above it. Without one, or with
    --google, they show the jobs in UCAM_FAAS_JOB_STORE, the dead letters in Pub/Sub and the tasks
    of SOURCE, and never payloads.
    """
    check("mcp", extra="mcp", purpose="serve tools for coding agents")
    elsewhere = Elsewhere(
        google=google,
        project=project,
        location=location,
        allow_writes=allow_writes,
        sources=sources,
    )
    elsewhere.check()
    from ucam_faas.mcp import server
    from ucam_faas.mcp.every_tool import TOOLS

    if sys.stdin.isatty():
        note(
            "Waiting for a coding agent on stdin. Its program usually starts this command; to end "
            "it, press Control-C."
        )
    connect = connecting(elsewhere)
    if hide_payloads:
        connect = partial(_hiding, connect)
    server.serve(connect, TOOLS, allow_writes=allow_writes)


def connecting(elsewhere: Elsewhere) -> Connect:
    """Return a function that looks for a local cloud at each call: it may start after the agent.

    Agents call tools in parallel, from threads, and all calls share connections and runs of plans.
    """
    from ucam_faas.backends.local import LocalBackends

    here, lock = Path.cwd(), threading.Lock()
    of_folder = cache(partial(LocalBackends, notice=ALONE.format(folder=here)))
    remote: Callable[[], Backends] = cache(partial(elsewhere.connect, sys.stderr))

    def connect() -> Backends:
        with lock:  # a cache alone would let two first calls make one each
            running = None if elsewhere.google else local_state.nearest(here)
            if running is not None:
                return of_folder(running[0])()
            return remote() if elsewhere.is_named else of_folder(here)()

    return connect


def _hiding(connect: Connect) -> Backends:
    return replace(connect(), hides_payloads=True)
