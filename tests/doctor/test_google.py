"""Credentials and Pub/Sub: those that are missing, expired, refused, or don't answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.doctor.conftest import Make
from ucam_faas.actions.pubsub import Kind, Pubsub
from ucam_faas.doctor import credentials, pubsub
from ucam_faas.doctor.findings import Finding
from ucam_faas.local_state import LocalCloud
from ucam_faas.net.rest import Rest

GOOGLE = {"GOOGLE_CLOUD_PROJECT": "shop"}


class Server(ThreadingHTTPServer):
    """Answers each request with one status and document."""

    status, document = 200, b"{}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def answers(self, status: int, document: Any) -> None:
        self.status, self.document = status, json.dumps(document).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        server: Server

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(self.server.status)
            self.send_header("content-length", str(len(self.server.document)))
            self.end_headers()
            self.wfile.write(self.server.document)

        do_GET = do_POST

        def log_message(self, *_: object) -> None: ...

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def pem() -> str:
    key = rsa.generate_private_key(65537, 2048)
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain).decode()


@pytest.fixture
def key(tmp_path: Path, server: Server, pem: str) -> Path:
    """The key of a service account, whose token server is ours."""
    document = {
        "type": "service_account",
        "private_key": pem,
        "client_email": "tasks@shop.iam.gserviceaccount.com",
        "token_uri": f"http://{server.address}/token",
    }
    path = tmp_path / "key.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(document))
    return path


# --- credentials


def test_without_google_no_credentials_are_needed(around: Make) -> None:
    (finding,) = credentials.look(around())

    assert finding.level == "unused"


def test_good_credentials_are_named_with_their_account(
    around: Make, server: Server, key: Path
) -> None:
    server.answers(200, {"access_token": "x", "expires_in": 3600})

    (finding,) = credentials.look(
        around(GOOGLE_APPLICATION_CREDENTIALS=str(key), google=True, **GOOGLE)
    )

    account = "tasks@shop.iam.gserviceaccount.com"
    assert finding.what == f"Google gives a token to {account}, from {key}"


def test_credentials_that_have_expired_are_a_problem(
    around: Make, server: Server, key: Path
) -> None:
    error = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
    server.answers(400, error)

    (problem,) = credentials.look(
        around(GOOGLE_APPLICATION_CREDENTIALS=str(key), google=True, **GOOGLE)
    )

    assert problem.code == "credentials-expired"
    assert "invalid_grant: Token has been expired or revoked" in problem.what
    assert problem.commands[-1] == "gcloud auth application-default login"


def test_a_token_server_that_does_not_answer_is_a_problem(
    around: Make, server: Server, key: Path
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    key.write_text(key.read_text().replace(server.address, address))

    (problem,) = credentials.look(
        around(GOOGLE_APPLICATION_CREDENTIALS=str(key), google=True, **GOOGLE)
    )

    assert problem.code == "credentials-silent"


def test_a_token_server_that_hangs_is_waited_for_so_long(
    around: Make, key: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "SECONDS", 0.05)
    with closing(socket.create_server(("127.0.0.1", 0))) as hanging:
        address = f"127.0.0.1:{hanging.getsockname()[1]}"
        key.write_text(key.read_text().replace(server.address, address))

        (problem,) = credentials.look(
            around(GOOGLE_APPLICATION_CREDENTIALS=str(key), google=True, **GOOGLE)
        )

    assert problem.what == "Google's token server doesn't answer: no answer within 0.05 s"


def test_no_credentials_are_a_problem_where_google_is_used(around: Make) -> None:
    surroundings = around(NO_GCE_CHECK="true", CLOUDSDK_CONFIG="nowhere", google=True, **GOOGLE)

    (problem,) = credentials.look(surroundings)

    assert problem.code == "credentials-missing"
    assert problem.commands == ("gcloud auth application-default login",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file or directory"),
        ("{", "it isn't JSON"),
        ("[]", "it has no `type`"),
        ("{}", "it has no `type`"),
    ],
)
def test_a_file_that_holds_no_credentials_is_a_problem(
    around: Make, tmp_path: Path, text: str | None, why: str
) -> None:
    path = tmp_path / "key.json"
    if text is not None:
        path.write_text(text)

    (problem,) = credentials.look(
        around(GOOGLE_APPLICATION_CREDENTIALS=str(path), google=True, **GOOGLE)
    )

    assert problem.code == "credentials-file"
    assert problem.what == f"GOOGLE_APPLICATION_CREDENTIALS names {path}: {why}"
    assert problem.commands == ("unset GOOGLE_APPLICATION_CREDENTIALS",)


def test_a_key_that_others_can_read_is_a_warning(around: Make, server: Server, key: Path) -> None:
    server.answers(200, {"access_token": "x", "expires_in": 3600})
    key.chmod(0o644)

    warning, _ = credentials.look(
        around(GOOGLE_APPLICATION_CREDENTIALS=str(key), google=True, **GOOGLE)
    )

    assert warning.code == "credentials-readable"
    assert warning.commands == (f"chmod go= {key}",)


# --- Pub/Sub


def test_an_emulator_that_answers_is_named_with_its_topics(around: Make, server: Server) -> None:
    server.answers(200, {"topics": [{"name": "projects/local/topics/welcome"}]})

    (finding,) = pubsub.look(around(PUBSUB_EMULATOR_HOST=server.address))

    place = f"the emulator at {server.address} (PUBSUB_EMULATOR_HOST)"
    assert finding.what == f"{place} answers: 1 topic in the project local"


def test_an_emulator_that_does_not_answer_is_a_problem(around: Make) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"

    (problem,) = pubsub.look(around(PUBSUB_EMULATOR_HOST=address))

    assert problem.code == "pubsub-silent"
    assert problem.what.endswith("doesn't answer: Connection refused")
    assert problem.commands == ("unset PUBSUB_EMULATOR_HOST",)


def test_an_emulator_that_hangs_is_waited_for_so_long(
    around: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub, "SECONDS", 0.05)
    with closing(socket.create_server(("127.0.0.1", 0))) as hanging:
        address = f"127.0.0.1:{hanging.getsockname()[1]}"

        (problem,) = pubsub.look(around(PUBSUB_EMULATOR_HOST=address))

    assert problem.code == "pubsub-silent"


def test_another_server_at_the_address_is_a_problem(around: Make, server: Server) -> None:
    server.answers(200, ["not Pub/Sub"])

    (problem,) = pubsub.look(around(PUBSUB_EMULATOR_HOST=server.address))

    assert problem.code == "pubsub-refused"


def test_an_address_that_is_none_is_a_problem(around: Make) -> None:
    (problem,) = pubsub.look(around(PUBSUB_EMULATOR_HOST="http://localhost:8085"))

    assert problem.code == "pubsub-address"
    assert "expected host:port" in problem.what


def test_the_dev_of_this_folder_comes_first(around: Make, server: Server) -> None:
    cloud = LocalCloud(pubsub=server.address, project="local", scheduler=server.address)

    (finding,) = pubsub.look(around(cloud=cloud, **GOOGLE))

    assert finding.what.startswith("that of the `ucam-faas dev` in this folder")


def test_on_a_laptop_google_is_not_asked_unless_it_is_wanted(around: Make) -> None:
    (finding,) = pubsub.look(around(**GOOGLE))
    (account,) = credentials.look(around(**GOOGLE))

    assert (finding.level, account.level) == ("unused", "unused")
    assert finding.what.endswith("would use Google's, in shop: --google tries it")


def test_where_no_pubsub_can_run_google_is_the_one(around: Make) -> None:
    nowhere = {"NO_GCE_CHECK": "true", "CLOUDSDK_CONFIG": "nowhere"}
    (problem,) = credentials.look(around(has_local=False, **nowhere, **GOOGLE))
    (warning,) = pubsub.look(around(has_local=False, GOOGLE_CLOUD_PROJECT=""))

    assert (problem.code, warning.code) == ("credentials-missing", "pubsub-unset")


def test_google_without_a_project_is_a_problem(around: Make) -> None:
    (problem,) = pubsub.look(around(google=True))

    assert problem.code == "project-unset"


def refusal(server: Server, status: int, name: str, message: str) -> Finding:
    """Return what is said about an answer of Google's."""
    server.answers(status, {"error": {"code": status, "status": name, "message": message}})
    return pubsub.ask(Pubsub(Kind.GOOGLE, Rest(server.address), "Google's Pub/Sub", "shop"))


@pytest.mark.parametrize(
    ("status", "name", "message", "code", "command"),
    [
        (
            403,
            "PERMISSION_DENIED",
            "Cloud Pub/Sub API has not been used in project shop before or it is disabled.",
            "pubsub-refused",
            "gcloud services enable pubsub.googleapis.com --project shop",
        ),
        (
            403,
            "PERMISSION_DENIED",
            "The pubsub.googleapis.com API requires a quota project, which is not set by default.",
            "pubsub-refused",
            "gcloud auth application-default set-quota-project shop",
        ),
        (
            403,
            "PERMISSION_DENIED",
            "User not authorized to perform this action.",
            "pubsub-not-listed",
            "gcloud projects add-iam-policy-binding shop --member=… --role=roles/pubsub.viewer",
        ),
        (
            404,
            "NOT_FOUND",
            "Requested project not found or user does not have access to it.",
            "pubsub-refused",
            "gcloud projects list",
        ),
    ],
    ids=["API off", "quota project", "no role", "no project"],
)
def test_each_refusal_of_google_has_its_remedy(
    server: Server, status: int, name: str, message: str, code: str, command: str
) -> None:
    finding = refusal(server, status, name, message)

    assert (finding.code, finding.commands) == (code, (command,))
