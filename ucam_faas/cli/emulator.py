"""`ucam-faas emulator`: the embedded Pub/Sub, Cloud Scheduler and Cloud Tasks alone."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from ucam_faas._optional import check_local
from ucam_faas.cli._group import Verb
from ucam_faas.cli._output import json_option_for, print_ready
from ucam_faas.exceptions import ConfigurationError

DEFAULT_STATE = Path(".ucam-faas")


@click.command(cls=Verb)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8085,
    show_default=True,
    help="Port for gRPC and REST; 0 picks a free one.",
)
@click.option("--rest-port", type=click.IntRange(0, 65535), help="A second port, for REST alone.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder of the saved state. [default: {DEFAULT_STATE}]",
)
@click.option("--memory", is_flag=True, help="Keep no state on disk.")
@click.option("--reset", is_flag=True, help="Delete the saved state first.")
@click.option(
    "--seed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with schemas, topics, subscriptions, jobs and queues to start with.",
)
@click.option("--allow-remote-push", is_flag=True, help="Push to other machines, too.")
@json_option_for("Print a line of JSON when the port is open.")
def command(
    *,
    host: str,
    port: int,
    rest_port: int | None,
    state: Path | None,
    memory: bool,
    reset: bool,
    seed: Path | None,
    allow_remote_push: bool,
    json_only: bool,
) -> None:
    """Run Pub/Sub, Cloud Scheduler and Cloud Tasks on this machine, for Google's own clients.

    It replaces Google's Pub/Sub emulator: set PUBSUB_EMULATOR_HOST to the address that it prints
    when it is ready.
    """
    from ucam_faas.emulator.api import messages_only

    check_local("run the emulator")
    messages_only.prepare()
    from ucam_faas.emulator import emulator as server

    if memory and state is not None:
        raise ConfigurationError("--memory keeps nothing, and --state keeps it: choose one.")
    folder = None if memory else state or DEFAULT_STATE
    if reset and folder is not None:
        server.reset(folder)
    options = server.Options(
        host=host,
        port=port,
        rest_port=rest_port,
        state=folder,
        allow_remote_push=allow_remote_push,
    )
    asyncio.run(_run(options, seed, json_only=json_only))


async def _run(options: object, seed: Path | None, *, json_only: bool) -> None:
    from ucam_faas.emulator.emulator import Emulator

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Emulator(options) as emulator:  # type: ignore[arg-type]  # imported when run
        if seed is not None:
            from ucam_faas.emulator.seed import sow

            await sow(emulator, seed)
        host = emulator.options.host
        address = f"{f'[{host}]' if ':' in host else host}:{emulator.port}"
        if json_only:
            print_ready(pubsub=address)
        click.echo(f"ucam-faas emulator ready on {address} (Pub/Sub, Cloud Scheduler, Cloud Tasks)")
        await stop.wait()
