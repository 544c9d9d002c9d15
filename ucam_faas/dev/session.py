"""One run of `ucam-faas dev`: starts everything, follows changes of the code, ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ucam_faas import local_state
from ucam_faas._optional import require
from ucam_faas.config import Settings
from ucam_faas.dev import generations
from ucam_faas.dev.external import ExternalPubsub
from ucam_faas.dev.generations import Generation, NotLoadedError
from ucam_faas.dev.provisioning import Provisioning
from ucam_faas.dev.stream import Stream
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.server import Emulator, Options, listen, reset
from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.plans import TaskPlan

DEBOUNCE_MILLISECONDS = 50
CERTIFICATES_PATH = "/oauth2/v1/certs"


@dataclass(frozen=True, slots=True, kw_only=True)
class DevOptions:
    """What the command line says.

    Args:
        sources: what holds the tasks.
        target: names of the tasks to serve; None: all.
        host: address of the tasks and of Pub/Sub.
        port: of the tasks.
        pubsub_port: of Pub/Sub and the scheduler.
        project: of the topics.
        external: `host:port` of the Pub/Sub to use instead of the embedded one; nothing between
            the quotes: Google's; None: the embedded one.
        state: folder to keep messages and schedules in; None: memory.
        reset: start empty.
    """

    sources: tuple[str, ...]
    target: str | None
    host: str
    port: int
    pubsub_port: int
    project: str
    external: str | None
    state: Path | None
    reset: bool


class Session:
    """A local cloud, and the tasks in it."""

    def __init__(self, options: DevOptions) -> None:
        self._options = options
        self._stream = Stream(click.echo, colours=sys.stdout.isatty())
        self._stopped = asyncio.Event()
        self._generation: Generation | None = None
        self._failed = False
        self._external: ExternalPubsub | None = None

    async def run(self) -> int:
        """Serve until a signal says to stop; return the exit code.

        Raises:
            UCAMFAASException: it cannot start.
        """
        options = self._options
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopped.set)
        if options.state is not None:
            if options.reset:
                reset(options.state)
            _hide(options.state)
        listener = listen(options.host, options.port, "--port")
        emulator_options = Options(
            host=options.host, port=options.pubsub_port, port_option="--pubsub-port",
            state=options.state,
        )  # fmt: skip
        with contextlib.closing(listener):
            async with Emulator(emulator_options, observer=self._observe) as emulator:
                try:
                    await self._serve(listener, emulator)
                finally:
                    emulator.pushes.pause()
                    local_state.forget(Path.cwd())
                    if self._external is not None:
                        await asyncio.to_thread(self._external.close)
                    if self._generation is not None:
                        await self._generation.stop()
        return int(self._failed)

    def _observe(self, event: str, fields: dict[str, Any]) -> None:
        if self._external is not None and event == "published":
            self._external.publish(fields["topic"], fields["message"])
        else:
            self._stream.observe(event, fields)

    async def _serve(self, listener: socket.socket, emulator: Emulator) -> None:
        options = self._options
        pubsub = f"{_reachable(options.host)}:{emulator.port}"
        url = f"http://{_reachable(options.host)}:{listener.getsockname()[1]}"
        self._environ = _environment(options, pubsub)
        self._listener = listener
        self._url = url
        settings = Settings.from_environ(self._environ)
        self._push = (
            {"audience": settings.push_audience, "email": settings.push_email}
            if settings.push_audience and settings.push_email
            else {}
        )
        self._provisioning = Provisioning(
            emulator, options.project, lambda text: self._stream.line("reload", "", text)
        )
        generation = await self._start()
        if options.external is not None:
            self._external = ExternalPubsub(
                options.project, self._stream.observe, lambda t: self._stream.line("made", "", t)
            )
        await self._take_over(generation)
        used = pubsub if options.external is None else options.external
        cloud = local_state.LocalCloud(
            pubsub=used, project=options.project, scheduler=pubsub, sources=options.sources
        )
        local_state.write(Path.cwd(), cloud)
        self._welcome(generation.plans, used, url)
        await self._follow(generation)

    async def _start(self) -> Generation:
        options = self._options
        return await generations.start(
            self._listener, list(options.sources), options.target, self._environ
        )

    async def _take_over(self, generation: Generation) -> None:
        """Let a new process serve, and the last one end."""
        if self._external is None:
            self._provisioning.apply(generation.plans, self._url, self._push)
        else:
            await asyncio.to_thread(self._external.apply, generation.plans, self._url)
            self._provisioning.apply(generation.plans, "", {})
        last, self._generation = self._generation, generation
        if last is not None:
            self._ending = asyncio.ensure_future(last.stop())

    async def _follow(self, generation: Generation) -> None:
        """Serve what the files hold, until it is time to stop."""
        stopping = asyncio.ensure_future(self._stopped.wait())
        try:
            while not stopping.done():
                changes = asyncio.ensure_future(self._changed(generation.folders))
                ended = asyncio.ensure_future(generation.process.wait())
                await asyncio.wait({stopping, changes, ended}, return_when=asyncio.FIRST_COMPLETED)
                ended.cancel()
                if not changes.done():
                    changes.cancel()
                    if ended.done() and not ended.cancelled() and not stopping.done():
                        self._stream.line("error", "", "the process that serves the tasks ended")
                        self._failed = True
                        return
                elif not stopping.done():
                    generation = await self._reload(generation, changes.result())
        finally:
            stopping.cancel()

    async def _changed(self, folders: Iterable[str]) -> set[str]:
        """Return the files that change next."""
        watchfiles = require("watchfiles", extra="local", purpose="follow changes of the code")
        watching: AsyncIterator[set[tuple[object, str]]] = watchfiles.awatch(
            *folders,
            watch_filter=watchfiles.PythonFilter(),
            debounce=DEBOUNCE_MILLISECONDS,
            step=DEBOUNCE_MILLISECONDS,
            recursive=False,
            stop_event=self._stopped,
        )
        async for changes in watching:
            return {path for _, path in changes}
        return set()

    async def _reload(self, last: Generation, changed: set[str]) -> Generation:
        started = asyncio.get_running_loop().time()
        names = ", ".join(sorted(os.path.relpath(path) for path in changed))
        try:
            generation = await self._start()
        except NotLoadedError as error:
            self._stream.line("error", "", f"{names}: {error}")
            self._stream.line("reload", "", "the last good code goes on being served")
            return last
        try:
            await self._take_over(generation)
        except RpcError as error:
            self._stream.line("error", "", str(error))
        seconds = asyncio.get_running_loop().time() - started
        self._stream.line("reload", "", f"{names} changed; serving it after {seconds:.2f} s")
        before = {plan.name for plan in last.plans}
        if before != {plan.name for plan in generation.plans}:
            self._table(generation.plans)
        return generation

    def _table(self, plans: list[TaskPlan]) -> None:
        self._stream.table(plans, self._provisioning.next_runs(plans))

    def _welcome(self, plans: list[TaskPlan], pubsub: str, url: str) -> None:
        kept = "in memory" if self._options.state is None else f"in {self._options.state}/"
        where = f"Pub/Sub and Cloud Scheduler on {pubsub}, state {kept}"
        if self._options.external is not None:
            where = f"Pub/Sub of {pubsub or 'Google'}, project {self._options.project}"
        click.echo(f"\nTasks on {url}, {where}\n")
        self._table(plans)
        click.echo("\nTry, in another terminal:\n")
        self._stream.to_paste(plans, pubsub=pubsub, project=self._options.project)
        click.echo("\nA saved file is served at once. Control-C ends.\n")


async def run(options: DevOptions) -> int:
    """Run a session; return the exit code.

    Raises:
        UCAMFAASException: it cannot start.
    """
    try:
        return await Session(options).run()
    except RpcError as error:
        raise UCAMFAASException(str(error)) from error


def _environment(options: DevOptions, pubsub: str) -> dict[str, str]:
    used = pubsub if options.external is None else options.external
    found = {
        "UCAM_FAAS_LOG_FORMAT": "console",
        "UCAM_FAAS_LOG_EXCEPTION_TEXT": "true",
        "UCAM_FAAS_PUSH_CERTS_URL": f"http://{pubsub}{CERTIFICATES_PATH}",
        **os.environ,
        "PUBSUB_EMULATOR_HOST": used,
        "GOOGLE_CLOUD_PROJECT": options.project,
        "PYTHONUNBUFFERED": "1",
    }
    if not used:
        del found["PUBSUB_EMULATOR_HOST"]
    return found


def _hide(state: Path) -> None:
    """Keep the state out of version control."""
    state.mkdir(parents=True, exist_ok=True)
    ignore = state / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


def _reachable(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
