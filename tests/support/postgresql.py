"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

USER = "postgres"
MISSING = "PostgreSQL (initdb, pg_ctl) isn't installed"


class Server:
    """A server in a temporary folder, on a port of this machine.

    Args:
        folder: that its user may write to.
        binaries: the folder of `initdb` and `pg_ctl`.
        fsync: flush each commit to the disk, as a server does by default.
    """

    def __init__(self, folder: Path, binaries: Path, *, fsync: bool) -> None:
        self.folder = folder
        self._binaries = binaries
        self._fsync = "on" if fsync else "off"
        self.port = _lasting_port()
        self._databases = 0
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", USER, "--no-sync")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        options += f" -c fsync={self._fsync}"
        log = str(self.folder / "log")
        self._control("start", "-l", log, "-o", options)

    def stop(self) -> None:
        """End it and its connections at once."""
        self._control("stop", "-m", "fast")

    def abandon(self) -> None:
        """End it without a checkpoint, which takes seconds on a loaded machine."""
        self._control("stop", "-m", "immediate")

    def url(self, database: str = USER) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        import psycopg

        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def _control(self, verb: str, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", verb, *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        user = USER if os.getuid() == 0 else None  # PostgreSQL refuses to run as root
        subprocess.run(
            [str(self._binaries / program), *arguments],
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=self.folder,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """Run a PostgreSQL server for the session; it is skipped where there is none, except in CI."""
    binaries = find_binaries()
    if binaries is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with running(binaries, fsync=False) as server:  # no test ends the machine
        yield server


@contextmanager
def running(binaries: Path, *, fsync: bool) -> Iterator[Server]:
    """Run a server until the end of the block."""
    with _folder() as folder:
        server = Server(folder, binaries, fsync=fsync)
        server.start()
        try:
            yield server
        finally:
            server.abandon()


def _lasting_port() -> int:
    """Return a port that no client gets meanwhile: tests stop the server, and start it again.

    Clients get the ports from 32768.
    """
    while True:
        with socket.socket() as listener, suppress(OSError):
            port = random.SystemRandom().randrange(16_384, 32_768)  # others have pytest's seed
            listener.bind(("127.0.0.1", port))
            return port


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ucam-faas-postgresql-"))  # its user can't read pytest's
    try:
        if os.getuid() == 0:
            user = pwd.getpwnam(USER)
            os.chown(folder, user.pw_uid, user.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder)


def find_binaries() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`; None: PostgreSQL isn't installed."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    program = shutil.which("pg_ctl")
    places += [Path(program).resolve().parent] if program else []
    return next((place for place in places if (place / "initdb").exists()), None)
