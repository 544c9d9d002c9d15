"""The input of a long-running task, read from a bucket by google-cloud-storage.

The bucket is a small HTTP server: Google has no emulator of Cloud Storage in its SDK.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytestmark = pytest.mark.slow

OBJECTS = {"/download/storage/v1/b/inputs/o/people.json": b'{"name": "Ada"}'}
TASK = """
import ucam_faas

@ucam_faas.raw_event
def check(body: bytes) -> None:
    if body != b'{"name": "Ada"}':
        raise ucam_faas.UCAMFAASException("other input")
"""


class _Bucket(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = OBJECTS.get(unquote(urlsplit(self.path).path))
        self.send_response(200 if content is not None else 404)
        self.end_headers()
        self.wfile.write(content or b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def bucket_host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bucket)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("name", "code"), [("people.json", 0), ("missing.json", 3)])
def test_the_input_of_a_job_comes_from_a_bucket(
    tmp_path: Path, bucket_host: str, name: str, code: int
) -> None:
    (tmp_path / "main.py").write_text(TASK)
    environ = {
        "PATH": str(Path(sys.executable).parent),
        "STORAGE_EMULATOR_HOST": bucket_host,
        "GOOGLE_CLOUD_PROJECT": "test-project",
        "LONG_RUNNING": "true",
        "FUNCTION_TARGET": "check",
        "INPUT_BUCKET": "inputs",
        "INPUT_FILE": name,
    }

    result = subprocess.run(
        [sys.executable, "-m", "ucam_faas"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert result.returncode == code, result.stdout + result.stderr
    assert ("gs://inputs/missing.json" in result.stderr) == (code == 3)
