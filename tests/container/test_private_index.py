"""A private index of packages, whose address and password reach the build as secrets."""

from __future__ import annotations

import base64
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from .conftest import dockerfile
from .engine import NAME, DockerError, build, docker, run_python
from .test_building import TASK

pytestmark = pytest.mark.slow

PASSWORD = "correct-horse-battery"
CODE = f"import private_greeting\n{TASK}"


def wheel(folder: Path) -> None:
    """Write the wheel of a package that no public index has."""
    info = "private_greeting-1.0.dist-info"
    files = {
        "private_greeting.py": 'GREETING = "hello from inside"\n',
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: private-greeting\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "private_greeting-1.0-py3-none-any.whl", "w") as archive:
        for name, text in (*files.items(), (f"{info}/RECORD", record)):
            archive.writestr(name, text)


class Index(SimpleHTTPRequestHandler):
    """Folders as pages of links, for those who know the password."""

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(f"reader:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") == wanted:
            super().do_GET()
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def secrets(bases: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The options of a build that may read the index."""
    folder = tmp_path_factory.mktemp("index")
    wheel(folder / "files/simple/private-greeting")
    host = docker(
        *("network", "inspect", "bridge", "--format={{(index .IPAM.Config 0).Gateway}}")
    ).strip()

    def handler(*arguments: object) -> Index:
        return Index(*arguments, directory=folder / "files")  # type: ignore[arg-type]

    with ThreadingHTTPServer((host, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.server_address[1]
        (folder / "pip.conf").write_text(
            f"[global]\nextra-index-url = http://{host}:{port}/simple/\ntrusted-host = {host}\n"
        )
        (folder / "netrc").write_text(f"machine {host} login reader password {PASSWORD}\n")
        yield [f"--secret=id={name},src={folder / name}" for name in ("pip.conf", "netrc")]
        server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(dockerfile())
    (tmp_path / "main.py").write_text(CODE)
    (tmp_path / "requirements.txt").write_text("private-greeting\n")
    return tmp_path


def test_a_secret_opens_a_private_index_and_stays_out_of_the_image(
    secrets: list[str], project: Path
) -> None:
    image = build("private", *secrets, folder=project)
    stage = build("private-stage", "--target=tasks", *secrets, folder=project)

    script = "import private_greeting; print(private_greeting.GREETING)"
    assert run_python(image, script) == "hello from inside"
    for built in (image, stage):
        folders = ("/build", "/etc", "/opt", "/packages", "/root", "/run", "/srv", "/tmp", "/var")
        search = ["--rm", "--user=0", "--entrypoint=sh", built, "-c"]
        command = f"grep -rl {PASSWORD} {' '.join(folders)} 2>/dev/null; true"
        assert docker("run", *search, command) == ""
        assert PASSWORD not in docker("history", "--no-trunc", built)
        assert PASSWORD not in docker("image", "inspect", built)


def test_without_the_secret_the_package_is_not_found(secrets: list[str], project: Path) -> None:
    with pytest.raises(DockerError, match="No matching distribution found for private-greeting"):
        build("closed", "--no-cache", folder=project)

    assert f"{NAME}:closed" not in docker("images", "--format={{.Repository}}:{{.Tag}}")
