"""`ucam-faas dev`: serve tasks with everything that they need of Google Cloud, on this machine."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from ucam_faas._optional import check_local
from ucam_faas.cli._group import Verb
from ucam_faas.cli._output import json_option_for, print_event
from ucam_faas.cli._source import decide, sources_parameters
from ucam_faas.config import LOCAL_PROJECT
from ucam_faas.dev.env_file import NAME
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.local_state import DASHBOARD_PORTS, DEFAULT_PUBSUB_PORT, FOLDER


@click.command(cls=Verb)
@click.option("--target", help="Tasks to serve, comma-separated. [FUNCTION_TARGET; default: all]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    envvar="PORT",
    default=8080,
    show_default=True,
    help="Port of the tasks; 0 picks a free one. [PORT]",
)
@click.option(
    "--pubsub-port",
    type=click.IntRange(0, 65535),
    help="Port of Pub/Sub and Cloud Scheduler; 0 picks a free one. [default: 8085; with another "
    "Pub/Sub: 0]",
)
@click.option(
    "--project", help=f"Google Cloud project. [GOOGLE_CLOUD_PROJECT; default: {LOCAL_PROJECT}]"
)
@click.option(
    "--pubsub",
    type=click.Choice(["embedded", "google"]),
    help="Pub/Sub to use. [default: the one at PUBSUB_EMULATOR_HOST if it is set, else embedded]",
)
@click.option(
    "--dashboard-port",
    type=click.IntRange(0, 65535),
    help="Port of the dashboard; 0 picks a free one. [default: the first free one from "
    f"{DASHBOARD_PORTS[0]} to {DASHBOARD_PORTS[-1]}, else any]",
)
@click.option("--no-dashboard", is_flag=True, help="Serve no dashboard.")
@click.option("--memory", is_flag=True, help=f"Keep no state in {FOLDER}/.")
@click.option(
    "--history-days",
    type=click.FloatRange(0),
    default=7,
    show_default=True,
    help="Days for which the history is kept; 0: no history.",
)
@click.option(
    "--history-mb",
    type=click.FloatRange(0),
    default=500,
    show_default=True,
    help="Megabytes that the history may take; 0: no history.",
)
@click.option("--reset", is_flag=True, help="Delete the saved state first.")
@json_option_for("Print a line of JSON for each event; the rest goes to stderr.")
@sources_parameters
def command(
    *,
    sources: tuple[str, ...],
    target: str | None,
    host: str,
    port: int,
    pubsub_port: int | None,
    project: str | None,
    pubsub: str | None,
    dashboard_port: int | None,
    no_dashboard: bool,
    memory: bool,
    history_days: float,
    history_mb: float,
    reset: bool,
    json_only: bool,
) -> None:
    """Serve the tasks of SOURCE with an embedded Pub/Sub and Cloud Scheduler.

    It creates the topics, subscriptions, dead-letter topics and schedules of the decorators, and
    serves a file again when you save it. Variables that the shell doesn't set are read from ./.env.
    """
    check_local("run a Pub/Sub on this machine")
    from ucam_faas.dev.options import DevOptions
    from ucam_faas.dev.session import run

    if memory and reset:
        raise ConfigurationError("--memory keeps no state, so there is nothing to --reset.")
    if no_dashboard and dashboard_port is not None:
        raise ConfigurationError("--no-dashboard serves none, so --dashboard-port has no use.")
    external = _external(pubsub, project)
    default_port = DEFAULT_PUBSUB_PORT if external is None else 0
    options = DevOptions(
        sources=sources or (decide(None),),
        target=target or os.environ.get("FUNCTION_TARGET") or None,
        host=host,
        port=port,
        pubsub_port=pubsub_port if pubsub_port is not None else default_port,
        project=project or os.environ.get("GOOGLE_CLOUD_PROJECT") or LOCAL_PROJECT,
        external=external,
        state=None if memory or external is not None else Path(FOLDER),
        reset=reset,
        dashboard=not no_dashboard,
        dashboard_port=dashboard_port,
        history_days=history_days,
        history_mb=history_mb,
        env_file=click.get_current_context().meta[NAME],
    )
    sys.exit(asyncio.run(run(options, print_event if json_only else None)))


def _external(pubsub: str | None, project: str | None) -> str | None:
    """Return another Pub/Sub than the embedded one, as `DevOptions` has it."""
    if pubsub == "embedded":
        return None
    if pubsub is None:
        return os.environ.get("PUBSUB_EMULATOR_HOST") or None
    if not (project or os.environ.get("GOOGLE_CLOUD_PROJECT")):
        raise ConfigurationError("--pubsub google needs --project, or GOOGLE_CLOUD_PROJECT.")
    return ""
