"""`ucam-faas dashboard`: the pages of a local cloud, or of a job store and Google's Pub/Sub."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ucam_faas import local_state
from ucam_faas._optional import check
from ucam_faas.cli import _source
from ucam_faas.cli._group import Verb
from ucam_faas.cli._messages import note
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.local_state import DASHBOARD_PORTS
from ucam_faas.logs import setup
from ucam_faas.net import sockets
from ucam_faas.net.cross_site import is_this_machine

if TYPE_CHECKING:
    from ucam_faas.backends.ports import Connect
    from ucam_faas.dead_letters.parser import Parser


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
) -> None:
    """Show tasks, messages, jobs and dead letters in a browser.

    They are those of the `ucam-faas dev` that runs in this directory, which serves a dashboard
    itself. Without one, or with --google, they are the jobs in UCAM_FAAS_JOB_STORE, the dead
    letters in Pub/Sub and the tasks of SOURCE; then it hides payloads, and changes nothing unless
    --allow-writes.
    """
    for module in ("starlette", "jinja2"):
        check(module, extra="dashboard", purpose="show the dashboard")
    if location and not google:
        raise ConfigurationError("--location is of Google's schedules: it needs --google.")
    from ucam_faas.dashboard import app, people, security, server

    environ = dict(os.environ)
    if google:
        environ.pop("PUBSUB_EMULATOR_HOST", None)  # that isn't meant
    settings = Settings.from_environ(environ, project=project)
    connect = None if google else _local(settings)
    if connect is not None and sources:
        raise ConfigurationError(
            "SOURCE is for a job store or --google: the tasks of this directory are those that "
            "`ucam-faas dev` serves."
        )
    if connect is None:
        parser = _parser_of(sources, environ, project)
        connect = _remote(
            settings,
            google=google,
            project=project,
            location=location,
            allow_writes=allow_writes,
            parser=parser,
        )
    of_google = (".run.app",) if _on_cloud_run() else ()
    names = frozenset({security.own_name(), *of_google, *(name.lower() for name in allowed)})
    listener = _listener(host, port)
    server.run(app.make_app(connect, allowed=names, who=people.person_of), listener)


def _parser_of(
    sources: tuple[str, ...], environ: dict[str, str], project: str | None
) -> Parser | None:
    """Return the parser of the tasks' code; None: no code is named here, and that of this folder
    isn't there, or can't be loaded.
    """
    from ucam_faas.dead_letters.parser import Parser, ParserError

    if project:
        environ = {**environ, "GOOGLE_CLOUD_PROJECT": project}
    if sources:
        return Parser(sources, environ=environ)
    named = _source.of_folder()
    if not named:
        return None
    parser = Parser(named, environ=environ)
    try:
        parser.tasks()
    except ParserError as error:
        note(f"The tasks aren't shown: {error}")
        return None
    return parser


def _remote(settings: Settings, **options: Any) -> Connect:
    """Return the backends of a job store and a Pub/Sub; see `remote.connect` for the options."""
    from ucam_faas.backends import remote

    setup.configure(settings)
    # Files of a container are gone with it, and its directory may not be ours.
    folder = Path(tempfile.gettempdir()) if _on_cloud_run() else Path.cwd()
    backends = remote.connect(settings, folder=folder, **options)
    return lambda: backends


def _listener(host: str, port: int | None) -> socket.socket:
    """Return the socket of an address, and say which it is."""
    advice = "Choose another port with --port; 0 takes any free one."
    if port is None:
        listener = sockets.bind_first(host, DASHBOARD_PORTS, advice)
    else:
        listener = sockets.bind(host, port, advice)
    taken = listener.getsockname()[1]
    click.echo(f"Dashboard on http://{f'[{host}]' if ':' in host else host}:{taken}")
    if port is None and taken != DASHBOARD_PORTS[0]:
        click.echo(f"Port {DASHBOARD_PORTS[0]} is taken, so it is on {taken}.", err=True)
    if not is_this_machine(host) and not _on_cloud_run():
        click.echo(
            "It asks for no password: whoever reaches its port sees all that it shows.",
            err=True,
        )
    return listener


def _on_cloud_run() -> bool:
    return "K_SERVICE" in os.environ


def _local(settings: Settings) -> Connect | None:
    """Return the backends of the `ucam-faas dev` of this directory, or of one above it.

    One that has ended has left a history; but another store or Pub/Sub that is named comes first.
    None: there is neither.
    """
    from ucam_faas.backends.local import LocalBackends

    running = local_state.nearest(Path.cwd())
    if running is not None:
        return LocalBackends(running[0])
    is_named = settings.job_store or settings.pubsub_emulator
    was_here = (Path.cwd() / local_state.FOLDER).is_dir()
    return LocalBackends(Path.cwd()) if was_here and not is_named else None
