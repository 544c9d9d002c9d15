"""Puts the emulator together: storage, engine, methods, gRPC and REST, pushes, schedules."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from uvicorn.config import Config
from uvicorn.server import ServerState

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.emulator.api import iam
from ucam_faas.emulator.api.publisher import PublisherApi
from ucam_faas.emulator.api.pulling import Pulling
from ucam_faas.emulator.api.resources import Resources
from ucam_faas.emulator.api.schemas import SchemasApi
from ucam_faas.emulator.api.subscriber import SubscriberApi
from ucam_faas.emulator.api.validation import Validation
from ucam_faas.emulator.cloud_tasks.api import CloudTasksApi
from ucam_faas.emulator.cloud_tasks.driver import TaskDispatcher
from ucam_faas.emulator.core.engine import Engine
from ucam_faas.emulator.core.observer import Observer
from ucam_faas.emulator.core.storage import Storage
from ucam_faas.emulator.core.storage.memory import MemoryStorage
from ucam_faas.emulator.core.storage.sqlite import SqliteStorage
from ucam_faas.emulator.hub import Hub
from ucam_faas.emulator.push.pusher import Pusher
from ucam_faas.emulator.push.subscriptions import MakePusher, PushSubscriptions
from ucam_faas.emulator.push.tokens import Tokens
from ucam_faas.emulator.scheduler.api import SchedulerApi
from ucam_faas.emulator.scheduler.driver import Schedules
from ucam_faas.emulator.targets.caller import Caller
from ucam_faas.emulator.targets.names import LocationsApi
from ucam_faas.emulator.wire.methods import Services
from ucam_faas.emulator.wire.port import Connections, NewConnection
from ucam_faas.emulator.wire.rest import Page, RestApp
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.local_state import BACKLOGS_PAGE
from ucam_faas.net import sockets
from ucam_faas.net.cross_site import is_this_machine
from ucam_faas.net.http_protocol import HttpProtocol

STATE_FILE = "pubsub.sqlite3"
HAS_ABSTRACT_SOCKETS: bool = sys.platform == "linux"
BACKLOG = 1024
"""Connections that may wait to be accepted, at most."""
PORT_ADVICE = "Choose another port with {}; 0 takes any free one."
GRACE_SECONDS = 0.1
"""For calls that run when the emulator stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an emulator runs.

    Args:
        host: address to listen on.
        port: for gRPC and REST; 0: any free one.
        port_advice: how to choose another port, said when it is taken.
        rest_port: a second port, for REST alone; None: none.
        state: the folder for all data; None: memory.
        allow_remote_push: push to other machines, too.
        longest_timer: seconds; how late schedules may run after the machine slept.
        hold_pushes: push nothing until `pushes.resume()`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    port_advice: str = PORT_ADVICE.format("--port")
    rest_port: int | None = None
    state: Path | None = None
    allow_remote_push: bool = False
    longest_timer: float = 60.0
    hold_pushes: bool = False


def reset(state: Path) -> None:
    """Delete the data that an emulator kept in a folder.

    Raises:
        ConfigurationError: it is in use, or cannot be deleted.
    """
    if (state / STATE_FILE).exists():
        try:
            open_storage(state).close()
        except ConfigurationError as error:
            if isinstance(
                error.__cause__, sqlite3.OperationalError
            ):  # a broken file may be deleted
                raise
    try:
        for path in state.glob(f"{STATE_FILE}*"):
            path.unlink()
    except OSError as error:
        raise ConfigurationError(f"{state} cannot be emptied ({error}).") from error


def open_storage(state: Path | None) -> Storage:
    """Return the storage in a folder, or in memory.

    Raises:
        ConfigurationError: it cannot be used.
    """
    return MemoryStorage() if state is None else SqliteStorage(state / STATE_FILE)


class Emulator:
    """A running emulator, on the running event loop: `async with Emulator(Options()) as emulator`.

    Args:
        options: how it runs.
        clock: the time, and timers.
        observer: gets the events; default: none does.
        make_pusher: makes the pusher of each push subscription.
        pages: other things to serve over HTTP, by method and path.
    """

    def __init__(
        self,
        options: Options,
        *,
        clock: Clock | None = None,
        observer: Observer | None = None,
        make_pusher: MakePusher = Pusher,
        pages: Mapping[tuple[str, str], Page] | None = None,
    ) -> None:
        self.options = options
        self._more_pages = pages or {}
        self._clock = clock or SystemClock()
        self._observer = observer
        self._make_pusher = make_pusher
        self._running = AsyncExitStack()
        self.port = 0

    async def __aenter__(self) -> Emulator:
        """Start, and be ready for requests.

        Raises:
            ConfigurationError: the port is taken, or the state cannot be used.
        """
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._running = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Save, and stop."""
        await self._running.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        from ucam_faas.emulator.wire import grpc

        options, loop = self.options, asyncio.get_running_loop()
        listener = stack.enter_context(listen(options.host, options.port, options.port_advice))
        self.port = listener.getsockname()[1]
        storage = stack.enter_context(closing(open_storage(options.state)))
        self._assemble(storage)
        self._http, self._connections = ServerState(), Connections()
        stack.push_async_callback(self._cut_off)
        stack.callback(self.hub.close)
        stack.callback(self._hang_up)
        address, path = stack.enter_context(_private_socket())
        server = await grpc.start(self.services, address)
        stack.push_async_callback(server.stop, GRACE_SECONDS)
        stack.callback(self.services.pulling.close)
        stack.callback(self.schedules.close)
        stack.callback(self.cloud_tasks.close)
        stack.callback(self.pushes.close)
        make_http = self._http_factory()
        port = await loop.create_server(
            lambda: NewConnection(path, make_http, self._connections), sock=listener
        )
        stack.callback(port.close)
        if options.rest_port is not None:
            advice = PORT_ADVICE.format("--rest-port")
            rest = stack.enter_context(listen(options.host, options.rest_port, advice))
            stack.callback((await loop.create_server(make_http, sock=rest)).close)

    def _hang_up(self) -> None:
        for connection in list(self._http.connections):
            connection.shutdown()

    async def _cut_off(self) -> None:
        """Close the connections that are still open: no answer will come."""
        for transport in [
            *self._connections,
            *(connection.transport for connection in self._http.connections),
        ]:
            transport.close()
        await asyncio.sleep(0)  # then they are

    def _assemble(self, storage: Storage) -> None:
        options = self.options
        self.engine = Engine(storage, self._observer)
        self.hub = Hub(self.engine, self._clock)
        self.resources = Resources(self.engine, self.hub.now)
        self.validation = Validation(self.resources)
        self.schemas = SchemasApi(self.resources, self.validation)
        self.publisher = PublisherApi(self.resources, self.validation)
        self.subscriber = SubscriberApi(self.resources)
        self.tokens = Tokens(
            self.hub.wall_time,
            kept=storage.resources("keys").get("push"),
            keep=lambda pem: storage.put("keys", "push", pem),
        )
        self.pushes = PushSubscriptions(
            self.hub,
            self.resources,
            self.tokens.make,
            self._make_pusher,
            allow_remote=options.allow_remote_push,
        )
        caller = Caller(
            self.hub.clock,
            self.tokens.make,
            self._own_api,
            allow_remote=options.allow_remote_push,
        )
        self.schedules = Schedules(
            self.hub, caller, self.validation.admit_to, longest_timer=options.longest_timer
        )
        self.scheduler = SchedulerApi(
            self.schedules.scheduler, self.hub.wall_time, self.schedules.fire
        )
        pulling = Pulling(self.hub, self.subscriber)
        self.cloud_tasks = TaskDispatcher(self.hub, caller, longest_timer=options.longest_timer)
        self.services = Services(
            self.hub,
            self.publisher,
            self.subscriber,
            pulling,
            iam.of_pubsub(self.resources),
            self.schemas,
            self.scheduler,
            CloudTasksApi(
                self.cloud_tasks.queues, self.hub.wall_time, self.cloud_tasks.fire, self.resources
            ),
            LocationsApi(self._in_locations),
        )
        any_host = not is_this_machine(options.host)
        self._rest = RestApp(self.services, self._pages(), any_host=any_host)
        self.resources.watchers += [self.pushes.check, pulling.check]
        self.hub.sweepers.append(self.resources.expire)
        if options.hold_pushes:
            self.pushes.pause()
        for name in self.resources.subscriptions:
            self.pushes.check(name)

    def clear(self) -> None:
        """Forget all resources and messages."""
        names = list(self.resources.subscriptions)
        self.engine.clear()
        self.resources.load()
        self.schedules.clear()
        self.cloud_tasks.clear()
        self.hub.restart()
        for name in names:
            for watch in self.resources.watchers:
                watch(name)

    def _in_locations(self, prefix: str) -> list[str]:
        jobs = [job.name for job in self.schedules.scheduler.list(prefix)]
        return jobs + [queue.name for queue in self.cloud_tasks.queues.queues(prefix)]

    async def _own_api(self, method: str, path: str, body: bytes) -> int:
        return await self._rest.status_of(method, path, body)

    def _http_factory(self) -> Callable[[], asyncio.Protocol]:
        config = Config(self._rest, log_config=None, access_log=False, lifespan="off", ws="none")
        config.load()
        return lambda: HttpProtocol(config=config, server_state=self._http, app_state={})

    def _pages(self) -> dict[tuple[str, str], Page]:
        async def ok(query: str) -> tuple[str, bytes]:
            return "text/plain", b"Ok\n"

        async def reset_all(query: str) -> tuple[str, bytes]:
            self.clear()
            await self.hub.saved()
            return "text/plain", b"Ok\n"

        async def jwks(query: str) -> tuple[str, bytes]:
            return "application/json", json.dumps(self.tokens.jwks()).encode()

        async def certificates(query: str) -> tuple[str, bytes]:
            return "application/json", json.dumps(self.tokens.certificates()).encode()

        async def backlogs(query: str) -> tuple[str, bytes]:
            return "application/json", json.dumps({"queues": self.resources.backlogs()}).encode()

        return {
            ("GET", "/"): ok,
            ("GET", BACKLOGS_PAGE): backlogs,
            ("POST", "/reset"): reset_all,
            ("GET", "/oauth2/v3/certs"): jwks,
            ("GET", "/oauth2/v1/certs"): certificates,
            **self._more_pages,
        }


@contextmanager
def _private_socket() -> Iterator[tuple[str, str]]:
    """Return the address of a unix socket, as gRPC writes it and as Python does."""
    if HAS_ABSTRACT_SOCKETS:  # no file: after kill -9 it would stay behind
        name = f"ucam-faas-{uuid.uuid4()}"
        yield f"unix-abstract:{name}", f"\0{name}"
        return
    with tempfile.TemporaryDirectory(prefix="ucam-faas-") as folder:
        yield f"unix:{folder}/grpc", f"{folder}/grpc"


def listen(host: str, port: int, advice: str) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigurationError: the address is taken or invalid; `advice` ends the error.
    """
    listener = sockets.bind(host, port, advice)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
