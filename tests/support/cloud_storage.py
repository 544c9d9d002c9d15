"""A server of Cloud Storage's API, gcp-storage-emulator, as a process of the tests' own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# The server of its command has one thread: a kept connection would block others.
_SERVER = """
import functools, http.server
from gcp_storage_emulator import server
handler = functools.partial(server.RequestHandler, server.Storage(use_memory_fs=True))
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
    print(serving.server_port, flush=True)
    serving.serve_forever()
"""


@contextmanager
def cloud_storage() -> Iterator[str]:
    """Run the server, and return its host and port."""
    pytest.importorskip("gcp_storage_emulator")
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
