"""The `ucam-faas dev` that a verb works with: of this folder, or of the nearest above it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ucam_faas import local_state
from ucam_faas.deploy.source import chosen
from ucam_faas.dev.env_file import NAME, EnvFile
from ucam_faas.local_state import DEFAULT_ADDRESS, PAGE, LocalCloud

_SECONDS = 0.5


def find(source: str | None = None) -> LocalCloud | None:
    """Return the local cloud, and go to its folder, unless a source is named: paths are from there.

    Args:
        source: that was named on the command line.
    """
    match local_state.nearest(start := Path.cwd()):
        case folder, cloud:
            if folder != start and chosen(source) is None:
                os.chdir(folder)
                EnvFile(Path(NAME), os.environ).load()
            return cloud
    return None


def elsewhere() -> str:
    """Return a sentence about a `ucam-faas dev` of another folder; nothing if none is found.

    It is looked for at the port that it takes unless another is asked for.
    """
    from http.client import HTTPConnection, HTTPException  # not at each start

    connection = HTTPConnection(DEFAULT_ADDRESS, timeout=_SECONDS)
    try:
        connection.request("GET", PAGE)
        response = connection.getresponse()
        folder = json.loads(response.read())["folder"] if response.status == 200 else None
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return ""
    finally:
        connection.close()
    if not isinstance(folder, str) or not folder.isprintable() or Path(folder) == Path.cwd():
        return ""
    return f" A `ucam-faas dev` runs in {folder}: go there first."
