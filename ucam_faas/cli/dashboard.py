"""`ucam-faas dashboard`: the pages of a local cloud, or of a job store and Google's Pub/Sub."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ucam_faas import local_state
from ucam_faas._optional import check
from ucam_faas.cli import _source
from ucam_faas.cli._backends import Elsewhere
from ucam_faas.cli._group import Verb
from ucam_faas.cli._output import json_option_for, print_ready
from ucam_faas.config import on_cloud_run
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.local_state import DASHBOARD_PORTS
from ucam_faas.net import sockets
from ucam_faas.net.cross_site import is_this_machine

if TYPE_CHECKING:
    from ucam_faas.backends.ports import Connect


@click.command(cls=Verb)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    show_default=f"the first free one from {DASHBOARD_PORTS[0]}",
    help="Port; 0 picks a free one.",
)
@click.option(
    "--allowed-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="Answer to this name, too; may be repeated. This machine's names always work, and on "
    "Cloud Run those of run.app.",
)
@click.option("--google", is_flag=True, help="Show the dead letters in Google's Pub/Sub.")
@click.option("--project", help="Project of Pub/Sub and schedules. [GOOGLE_CLOUD_PROJECT]")
@click.option("--location", help="With --google, show the schedules of this region.")
@click.option(
    "--allow-writes",
    is_flag=True,
    help="Offer actions, which a `ucam-faas dev` allows anyway: retry, replay, pause, send.",
)
@json_option_for("Print a line of JSON when the port is open; the log goes to stderr.")
@_source.sources_parameters
def command(
    *,
    host: str,
    port: int | None,
    allowed: tuple[str, ...],
    google: bool,
    project: str | None,
    location: str | None,
    allow_writes: bool,
    sources: tuple[str, ...],
    json_only: bool,
) -> None:
    """Show tasks, messages, jobs and dead letters in a browser.

    They are those of the `ucam-faas dev` that runs in this directory, which serves a dashboard
    itself. Without one, or with --google, they are the jobs in UCAM_FAAS_JOB_STORE, the dead
    letters in Pub/Sub and the tasks of SOURCE; then it hides payloads, and changes nothing unless
    --allow-writes.
    """
    for module in ("starlette", "jinja2"):
        check(module, extra="dashboard", purpose="show the dashboard")
    elsewhere = Elsewhere(
        google=google,
        project=project,
        location=location,
        allow_writes=allow_writes,
        sources=sources,
    )
    elsewhere.check()
    from ucam_faas.dashboard import app, people, security, server

    connect = None if google else _local(elsewhere)
    if connect is not None and sources:
        raise ConfigurationError(
            "SOURCE is for a job store or --google: the tasks of this directory are those that "
            "`ucam-faas dev` serves."
        )
    if connect is None:
        backends = elsewhere.connect()
        connect = lambda: backends  # noqa: E731
    of_google = (".run.app",) if on_cloud_run() else ()
    names = frozenset({security.own_name(), *of_google, *(name.lower() for name in allowed)})
    listener = _listener(host, port, json_only=json_only)
    with suppress(KeyboardInterrupt):  # it has ended in order
        server.run(app.make_app(connect, allowed=names, who=people.person_of), listener)


def _listener(host: str, port: int | None, *, json_only: bool) -> socket.socket:
    """Return the socket of an address, and say which it is."""
    advice = "Choose another port with --port; 0 takes any free one."
    if port is None:
        listener = sockets.bind_first(host, DASHBOARD_PORTS, advice)
    else:
        listener = sockets.bind(host, port, advice)
    taken = listener.getsockname()[1]
    listener.listen()  # connections wait until the pages are served
    url = f"http://{f'[{host}]' if ':' in host else host}:{taken}"
    click.echo(f"Dashboard on {url}")
    if json_only:
        print_ready(url=url)
    if port is None and taken != DASHBOARD_PORTS[0]:
        click.echo(f"Port {DASHBOARD_PORTS[0]} is taken, so it is on {taken}.", err=True)
    if not is_this_machine(host) and not on_cloud_run():
        click.echo(
            "It asks for no password: whoever reaches its port sees all that it shows.",
            err=True,
        )
    return listener


def _local(elsewhere: Elsewhere) -> Connect | None:
    """Return the backends of the `ucam-faas dev` of this directory, or of one above it.

    One that has ended has left a history; but another store or Pub/Sub that is named comes first.
    None: there is neither.
    """
    from ucam_faas.backends.local import LocalBackends

    running = local_state.nearest(Path.cwd())
    if running is not None:
        return LocalBackends(running[0])
    was_here = (Path.cwd() / local_state.FOLDER).is_dir()
    return LocalBackends(Path.cwd()) if was_here and not elsewhere.is_named else None
