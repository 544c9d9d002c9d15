"""`ucam-faas dashboard`: the pages of a local cloud, or of a job store and Google's Pub/Sub."""

from __future__ import annotations

from pathlib import Path

import click

from ucam_faas import local_state
from ucam_faas._optional import check
from ucam_faas.cli._group import Verb


@click.command(cls=Verb)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=local_state.DEFAULT_DASHBOARD_PORT,
    show_default=True,
    help="Port; 0 picks a free one.",
)
@click.option(
    "--allowed-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="Answer to this name, too; may be repeated. This machine's names always work.",
)
def command(*, host: str, port: int, allowed: tuple[str, ...]) -> None:
    """Show tasks, messages, jobs and dead letters in a browser.

    They are those of the `ucam-faas dev` that runs in this directory. It serves the dashboard
    itself unless you start it with --no-dashboard.
    """
    for module in ("starlette", "jinja2"):
        check(module, extra="dashboard", purpose="show the dashboard")
    from ucam_faas.dashboard import app, server
    from ucam_faas.dashboard.local import LocalBackends, person
    from ucam_faas.net import sockets

    listener = sockets.bind(host, port, "Choose another port with --port; 0 takes any free one.")
    where = local_state.nearest(Path.cwd())
    backends = LocalBackends(Path.cwd() if where is None else where[0])
    application = app.make_app(
        backends, allowed=frozenset(name.lower() for name in allowed), who=lambda headers: person()
    )
    port = listener.getsockname()[1]
    click.echo(f"Dashboard on http://{f'[{host}]' if ':' in host else host}:{port}")
    server.run(application, listener)
