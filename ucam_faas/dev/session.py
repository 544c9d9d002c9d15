"""One run of `ucam-faas dev`: start everything, follow changes of the code, end in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from ucam_faas import local_state
from ucam_faas.config import Settings, mistyped
from ucam_faas.dev import dashboard as dashboards, generations, welcome
from ucam_faas.dev.change_texts import cause_of, describe, names_of
from ucam_faas.dev.changes import Folders, Look
from ucam_faas.dev.ending import Ending
from ucam_faas.dev.external import SUFFIX, ExternalPubsub, check
from ucam_faas.dev.generations import Generation, NotLoadedError
from ucam_faas.dev.history import PAGE, History
from ucam_faas.dev.job_file import job_file
from ucam_faas.dev.job_news import JobNews
from ucam_faas.dev.keys import has_keyboard, on_enter
from ucam_faas.dev.not_loaded import answering
from ucam_faas.dev.observer import SessionObserver
from ucam_faas.dev.options import DevOptions, environment_of, reachable
from ucam_faas.dev.provisioning import Provisioning
from ucam_faas.dev.recorded import Recorded, recording
from ucam_faas.dev.stream import Emit, Stream
from ucam_faas.dev.sweeping import sweeping
from ucam_faas.emulator.emulator import PORT_ADVICE, Emulator, Options, listen, reset
from ucam_faas.emulator.errors import RpcError
from ucam_faas.exceptions import ConfigurationError, UCAMFAASException
from ucam_faas.execution.runtime import store_of
from ucam_faas.history import database
from ucam_faas.history.recorder import Recorder
from ucam_faas.logs.columns import of_terminal
from ucam_faas.logs.links import takes_escapes
from ucam_faas.tasks import loading
from ucam_faas.tasks.needs import TaskNeeds

_BESIDE_ANOTHER = (
    f"{PORT_ADVICE} Beside another `ucam-faas dev`: ucam-faas dev --port 0 --pubsub-port 0"
)
HANG_SECONDS = 1.0
"""After this time, a change of the code cancels its loading."""


class Session:
    """A local cloud, and the tasks in it."""

    def __init__(self, options: DevOptions, emit: Emit | None) -> None:
        self._options = options
        self._stream = Stream(
            click.echo,
            colours=takes_escapes(sys.stdout),
            columns=lambda: of_terminal(sys.stdout.fileno()) if sys.stdout.isatty() else None,
            emit=emit,
        )
        self._history = History()
        self._observer = SessionObserver(self._stream, self._history)
        self._ending = Ending()
        self._race = self._ending.race
        self._generation: Generation | None = None
        self._endings: dict[Generation, asyncio.Future[None]] = {}
        self._folders = Folders(options.sources, [options.env_file.path])
        self._failed = False
        self._external: ExternalPubsub | None = None
        self._recorder: Recorder | None = None
        self._dashboard_url = ""
        self._links = ""

    async def run(self) -> int:
        """Serve until a signal says to stop; return the exit code.

        Raises:
            UCAMFAASException: it cannot start.
        """
        for source in self._options.sources:
            loading.check_exists(source)  # before a file or a process is made
        self._ending.on_signals(self._end_at_once)
        with local_state.held(Path.cwd()), job_file(self._options):
            return await self._run()

    async def _run(self) -> int:
        options = self._options
        if options.external:
            await self._race(check(options.external))
        if options.state is not None and options.reset:
            reset(options.state)
            if options.history is not None:
                database.remove(options.history)
        listener = listen(options.host, options.port, _BESIDE_ANOTHER.format("--port"))
        emulator_options = Options(
            host=options.host, port=options.pubsub_port, state=options.state, hold_pushes=True,
            port_advice=_BESIDE_ANOTHER.format("--pubsub-port"),
        )  # fmt: skip
        dashboard = (
            dashboards.listen(options.host, options.dashboard_port) if options.dashboard else None
        )
        with contextlib.closing(listener):
            pages = {
                ("GET", PAGE): self._history.page,
                ("GET", local_state.PAGE): _folder_page,
            }
            async with (
                recording(options, tell=partial(self._stream.line, "warning", "")) as recorder,
                Emulator(emulator_options, observer=self._observer, pages=pages) as emulator,
            ):
                self._recorder = recorder
                if recorder is not None:
                    recorded = Recorded(recorder.put, emulator.engine, options.project)
                    self._observer.record(recorded)
                async with self._dashboard(dashboard):
                    try:
                        await self._serve(listener, emulator)
                    finally:
                        await self._close(emulator)
        return int(self._failed)

    async def _close(self, emulator: Emulator) -> None:
        """Start nothing more, and let what runs come to its end."""
        emulator.schedules.close()
        emulator.cloud_tasks.close()
        emulator.pushes.pause()
        self._tell_of_ending(emulator.pushes.sending())
        if self._external is not None:
            await asyncio.to_thread(self._external.close)
        if self._generation is not None:
            self._end(self._generation)
        await asyncio.gather(*self._endings.values())

    @contextlib.asynccontextmanager
    async def _dashboard(self, listener: socket.socket | None) -> AsyncIterator[None]:
        """Say where the dashboard is, before all else, and start it, if one is wanted."""
        if listener is None:
            yield
            return
        host, port = reachable(self._options.host), listener.getsockname()[1]
        self._dashboard_url = f"http://{host}:{port}"
        click.echo(f"Dashboard on {self._dashboard_url}")
        if self._options.history is not None:  # without one, messages have no pages
            self._links = self._dashboard_url
        if takes_escapes(sys.stdout):
            self._stream.links = self._links
        tell = partial(self._stream.line, "error", "")
        async with dashboards.running(listener, Path.cwd(), tell):
            yield

    def _tell_of_ending(self, busy: list[str]) -> None:
        if busy:
            names = ", ".join(name.rpartition("/")[2] for name in busy)
            text = f"waiting for {names} to finish; Control-C again ends at once"
            self._stream.line("ending", "", text)

    def _end_at_once(self) -> None:
        for generation in self._endings:
            generation.kill()

    def _end(self, generation: Generation) -> None:
        """Let a process end in the background."""
        ending = self._endings[generation] = asyncio.ensure_future(generation.stop())
        ending.add_done_callback(lambda _: self._endings.pop(generation))

    async def _serve(self, listener: socket.socket, emulator: Emulator) -> None:
        options, host = self._options, reachable(self._options.host)
        self._listener = listener
        self._emulator = emulator
        self._pubsub = f"{host}:{emulator.port}"
        self._url = f"http://{host}:{listener.getsockname()[1]}"
        settings = self._settings = self._read_settings()
        self._provisioning = Provisioning(emulator, options.project)
        store = store_of(settings)
        assert store is not None, "the environment of a session names one"
        news = JobNews(self._stream, store, settings.app)
        self._observer.follow_jobs(news)
        look = self._folders.look()
        generation, look = await self._first(look)
        if generation is None:
            return
        if options.external is not None:
            await self._connect(options.external)
        await self._take_over(generation)
        if self._ending.has_begun:
            return
        await self._race(asyncio.to_thread(news.tell))  # ended jobs may have wakes in the inbox
        emulator.pushes.resume()
        cloud = self._local_cloud()
        local_state.write(Path.cwd(), cloud)
        self._welcome(generation, cloud)
        with on_enter(self._hurry), news.told(), sweeping(settings, news.changed):
            await self._follow(generation, look)

    def _read_settings(self) -> Settings:
        environ = environment_of(self._options, self._pubsub, self._links)
        for variable, hint in mistyped(environ).items():
            self._stream.line("warning", "", f"{variable} is set, and not used: {hint}")
        settings = Settings.from_environ(environ)
        self._push = (
            {"audience": settings.push_audience, "email": settings.push_email}
            if settings.push_audience and settings.push_email
            else {}
        )
        return settings

    async def _connect(self, external: str) -> None:
        """Use another Pub/Sub than the embedded one."""
        arguments = (external, self._options.project, self._observer)
        (self._external,) = await self._race(asyncio.to_thread(ExternalPubsub, *arguments))
        if self._external is not None:
            self._observer.forward(self._external.publish)

    def _local_cloud(self) -> local_state.LocalCloud:
        """Return what other commands find here."""
        options, settings = self._options, self._settings
        return local_state.LocalCloud(
            pubsub=self._pubsub if options.external is None else options.external,
            project=options.project, scheduler=self._pubsub, sources=options.sources,
            url=self._url, process=str(os.getpid()), jobs=options.job_store,
            firestore=settings.firestore_emulator or "", app=settings.app,
            dashboard=self._dashboard_url,
            history="" if options.history is None else str(options.history.absolute()),
        )  # fmt: skip

    async def _first(self, look: Look) -> tuple[Generation | None, Look]:
        """Load the tasks, again after each change, until they can be served.

        Raises:
            NotLoadedError: no change of a file can help.
        """
        while not self._ending.has_begun:
            try:
                generation, change = await self._race(self._start(), self._change_of_a_hang(look))
                if generation is not None:
                    return generation, look
            except NotLoadedError as error:
                if error.fatal:
                    raise
                self._folders.add(error.folders)
                self._stream.line("error", "", str(error), code=error.error_code)
                self._stream.line("waiting", "", "save a file to try again; Control-C ends")
                async with answering(self._listener):
                    (change,) = await self._race(self._folders.change(look))
            look = change[0] if change else look
        return None, look

    async def _start(self) -> Generation:
        options = self._options
        try:
            options.env_file.load()
        except ConfigurationError as error:
            raise NotLoadedError(str(error), code=error.error_code) from error
        environ = environment_of(options, self._pubsub, self._links)
        with contextlib.ExitStack() as stack:
            lines = None
            if self._recorder is not None:
                lines = stack.enter_context(self._recorder.lines())
            arguments = (self._listener, list(options.sources), options.target, environ, lines)
            generation = await generations.start(*arguments)
        self._folders.add(generation.folders)
        return generation

    async def _take_over(self, generation: Generation) -> None:
        """Switch to a new process, and let the last one end."""
        last, self._generation = self._generation, generation
        self._stream.follow(
            generation.plans,
            suffix=SUFFIX if self._options.external is not None else "",
            logged=self._settings.log_level in ("DEBUG", "INFO"),
        )
        own = generation.plans if self._external is None else []
        self._history.serves(generation.down, own)
        local_state.write_tasks(Path.cwd(), generation.tasks)
        for name, why in generation.down.items():
            self._stream.line("error", name, f"{why}\nIts messages wait; other tasks are served.")
        if last is not None:
            await last.close()  # new requests go to the new process
            self._end(last)
        if self._external is None:
            changes = self._provisioning.apply(
                generation.plans, self._url, self._push,
                existing_topics=generation.existing_topics, schemas=generation.topic_schemas,
                whole=self._options.target is None, down=generation.down,
            )  # fmt: skip
            for change in changes:
                self._stream.line("reload", "", change)
            self._hurry()
        else:
            up = [plan for plan in generation.plans if plan.name not in generation.down]
            topics = generation.existing_topics
            await self._race(asyncio.to_thread(self._external.apply, up, self._url, topics))
            self._provisioning.apply(generation.plans, "", {})

    def _hurry(self) -> None:
        """Deliver messages in backoff now: a developer who saved or pressed Enter is waiting."""
        if count := self._emulator.pushes.hurry():
            these = "1 message" if count == 1 else f"{count} messages"
            self._stream.line("again", "", f"{these} that waited for a retry")

    async def _follow(self, generation: Generation, look: Look) -> None:
        """Serve the current code until the session stops.

        Args:
            generation: the first process that serves.
            look: at the files, from before they were loaded.
        """
        while not self._ending.has_begun:
            change, code = await self._race(self._folders.change(look), generation.process.wait())
            if change is not None:
                generation, look = await self._reload(generation, *change)
            elif code is not None:
                self._stream.line("error", "", "the process that serves the tasks ended")
                self._failed = True
                return

    async def _reload(
        self, last: Generation, look: Look, changed: set[str]
    ) -> tuple[Generation, Look]:
        started = asyncio.get_running_loop().time()
        try:
            generation, change = await self._race(self._start(), self._change_of_a_hang(look))
            if generation is None:
                return await self._reload(last, *change) if change else (last, look)
        except NotLoadedError as error:
            self._folders.add(error.folders)
            names = names_of(cause_of(error, changed))
            text = str(error) if names in str(error) else f"{names}: {error}"
            self._stream.line("error", "", text, code=error.error_code)
            self._stream.line("reload", "", "still serving the last code that worked")
            return last, look
        try:
            await self._take_over(generation)
        except (RpcError, UCAMFAASException) as error:
            self._stream.line("error", "", str(error), code=error.error_code)
        seconds = asyncio.get_running_loop().time() - started
        tasks = [plan.name for plan in generation.plans]
        text = f"{describe(changed)} after {seconds:.2f} s"
        self._stream.line("reload", "", text, tasks=tasks, down=sorted(generation.down))
        if [_shown(plan) for plan in last.plans] != [_shown(plan) for plan in generation.plans]:
            click.echo()
            self._table(generation.plans)
            click.echo()
        return generation, look

    async def _change_of_a_hang(self, look: Look) -> tuple[Look, set[str]]:
        await asyncio.sleep(HANG_SECONDS)
        return await self._folders.change(look)

    def _table(self, plans: list[TaskNeeds]) -> None:
        next_runs = self._provisioning.next_runs(plans)
        self._stream.table(*welcome.table(plans, next_runs, self._stream.columns))

    def _welcome(self, generation: Generation, cloud: local_state.LocalCloud) -> None:
        plans, url = generation.plans, cloud.url
        click.echo(welcome.places(self._options, cloud))
        self._table(plans)
        up = [plan for plan in plans if plan.name not in generation.down]
        place = {"pubsub": cloud.pubsub, "project": cloud.project}
        inboxes = self._options.external is None
        commands = welcome.commands(up or plans, url=url, inboxes=inboxes, **place)
        if self._settings.events_topic:
            click.echo(f"\nEvents of jobs go to the topic {self._settings.events_topic}.")
        for path in (plan.jobs_path for plan in plans if plan.jobs_path):
            click.echo(f"\nJobs over HTTP go to {url}{path}; see {url}{path}/openapi.json.")
        click.echo(f"\nTry, in another terminal:\n\n{commands}\n")
        click.echo(welcome.dead_letters(self._provisioning.dead_letters(plans)), nl=False)
        enter = " Press Enter to retry waiting messages." if has_keyboard() else ""
        self._stream.say(f"Saved files are served at once.{enter} Control-C ends.")
        click.echo()
        self._stream.event(
            "ready", url=url, **place, scheduler=cloud.scheduler, dashboard=cloud.dashboard or None,
            tasks=[plan.name for plan in plans], down=sorted(generation.down),
        )  # fmt: skip


async def run(options: DevOptions, emit: Emit | None = None) -> int:
    """Run a session; return the exit code.

    Args:
        options: of the command line.
        emit: takes each event as a JSON object; None: nothing does.

    Raises:
        UCAMFAASException: it cannot start.
    """
    try:
        return await Session(options, emit).run()
    except RpcError as error:
        raise UCAMFAASException(str(error)) from error


async def _folder_page(query: str) -> tuple[str, bytes]:
    """Return this folder, for commands run in another one."""
    return "application/json", json.dumps({"folder": str(Path.cwd())}).encode()


def _shown(plan: TaskNeeds) -> TaskNeeds:
    """Return the fields of a task that the table shows."""
    return replace(plan, sample=None, summary="")
