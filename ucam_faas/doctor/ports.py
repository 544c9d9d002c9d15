"""The ports that `ucam-faas dev` takes, and who has them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from ucam_faas.doctor.findings import Finding, Part
from ucam_faas.doctor.surroundings import Surroundings
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.local_state import DASHBOARD_PORTS, DEFAULT_PUBSUB_PORT, PAGE
from ucam_faas.logs.columns import cut, printable
from ucam_faas.net import sockets

_PART = Part("ports")
HOST = "127.0.0.1"
_LOOK_SECONDS = 0.5
_LISTENING = "0A"
"""State of a socket in /proc/net/tcp (the kernel's page "proc_net_tcp")."""
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
"""Linux's, of all sockets over TCP."""
_BESIDE = "ucam-faas dev --port 0 --pubsub-port 0"


def look(around: Surroundings) -> Iterator[Finding]:
    """Look at the ports of the tasks, of Pub/Sub and of the dashboard."""
    if around.is_deployed:
        return
    cloud = around.cloud
    if cloud is not None:
        places = {"tasks": cloud.url, "Pub/Sub": cloud.pubsub, "dashboard": cloud.dashboard}
        taken = [f"{name} on {_port(place)}" for name, place in places.items() if place]
        yield _PART.ok(f"`ucam-faas dev` runs in this folder: {', '.join(taken)}")
        return
    free = []
    for port, option, use in _wanted(around):
        error = _error(port)
        if error is None:
            free.append(f"{port} ({use})")
        else:
            yield _taken(port, option, use, error)
    dashboard = next((port for port in DASHBOARD_PORTS if _error(port) is None), None)
    free.append(f"{dashboard} (dashboard)" if dashboard else "any (dashboard)")
    yield _PART.ok(f"free: {', '.join(free)}")


def _wanted(around: Surroundings) -> Iterator[tuple[int, str, str]]:
    yield around.settings.port, "--port", "tasks"
    if not around.settings.pubsub_emulator:
        yield DEFAULT_PUBSUB_PORT, "--pubsub-port", "Pub/Sub"


def _port(place: str) -> str:
    return str(urlsplit(place if "//" in place else f"//{place}").port)


def _error(port: int) -> OSError | None:
    """Return why a port can't be listened on; None: it can."""
    try:
        sockets.bind(HOST, port, "").close()
    except ConfigurationError as error:
        return error.__cause__ if isinstance(error.__cause__, OSError) else OSError(str(error))
    return None


def _taken(port: int, option: str, use: str, error: OSError) -> Finding:
    other = f"ucam-faas dev {option} 0"
    if error.errno != errno.EADDRINUSE:
        what = f"port {port} ({use}) can't be used: {error.strerror or error}"
        return _PART.wrong("port-refused", what, "Choose another port; 0 takes any.", other)
    folder = _folder_of_dev(port)
    if folder:
        what = f"port {port} ({use}) has the `ucam-faas dev` of {folder}"
        return _PART.wrong(
            "port-taken", what, "End that one, or start this one beside it.", _BESIDE
        )
    holder = next(_holders(port), None)
    if holder is None:
        whose = (
            "another user's program, or one in a container" if _TABLES[0].exists() else "a program"
        )
        what = f"port {port} ({use}) is taken by {whose}"
        do = "The first command shows it. Or choose another port; 0 takes any."
        show = f"sudo lsof -nP -iTCP:{port} -sTCP:LISTEN"
        return _PART.wrong("port-taken", what, do, show, other)
    pid, command = holder
    what = f"port {port} ({use}) is taken by process {pid}: {command}"
    do = "End it, or choose another port; 0 takes any."
    return _PART.wrong("port-taken", what, do, f"kill {pid}", other)


def _folder_of_dev(port: int) -> str:
    """Return the folder of a `ucam-faas dev` whose Pub/Sub is on a port; empty: there is none."""
    connection = HTTPConnection(HOST, port, timeout=_LOOK_SECONDS)
    try:
        connection.request("GET", PAGE)
        response = connection.getresponse()
        folder = json.loads(response.read(4096))["folder"] if response.status == 200 else ""
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return ""
    finally:
        connection.close()
    return folder if isinstance(folder, str) and folder.isprintable() else ""


def _holders(port: int) -> Iterator[tuple[int, str]]:
    """Yield id and command line of the processes that listen on a port; on Linux, own ones."""
    inodes = set(_inodes(port))
    if not inodes:
        return
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with suppress(OSError):  # another user's, or it has ended
            if any(os.readlink(entry) in inodes for entry in (process / "fd").iterdir()):
                yield int(process.name), _short((process / "cmdline").read_bytes())


def _short(command: bytes) -> str:
    return cut(printable(command.replace(b"\0", b" ").decode(errors="replace").strip()), 60)


def _inodes(port: int) -> Iterator[str]:
    for table in _TABLES:
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{columns[9]}]"
