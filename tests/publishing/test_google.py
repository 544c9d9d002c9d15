"""How Google's publisher starts, gets its token, and connects, with a server in Google's place.

The behaviour of every publisher is in `tests/contract`; it runs with Google's emulator.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.auth.compute_engine import _metadata
from google.oauth2.credentials import Credentials

from ucam_faas.exceptions import MissingExtraError, PublishError
from ucam_faas.net.google_rest import GoogleRest
from ucam_faas.net.rest import CredentialsError
from ucam_faas.publishing import Draft
from ucam_faas.publishing.google import GooglePublisher
from ucam_faas.publishing.later import DelayQueue, connect

TOPIC = "projects/p/topics/t"
QUEUE = "projects/p/locations/l/queues/q"
_METADATA = {"Metadata-Flavor": "Google"}


class Google:
    """A metadata server and a Pub/Sub in one.

    Attributes:
        tokens: given out so far.
        published: the Authorization header of each message that was accepted.
        tasks: of Cloud Tasks, that were created.
        refused: the number of requests that get 401.
        closes: a connection is closed when its second message arrives.
        has_tokens: the account that the container runs as may have them.
    """

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.tokens = 0
        self.published: list[str | None] = []
        self.tasks: list[dict[str, Any]] = []
        self.refused = 0
        self.closes = False
        self.has_tokens = True

    def publish(self, publisher: GooglePublisher) -> str:
        return publisher.publish(TOPIC, b"data", {})

    @property
    def publisher(self) -> GooglePublisher:
        return GooglePublisher(f"http://{self.host}")


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, no_credentials: None) -> Iterator[Google]:
    """Run on Google Cloud: the metadata server is there."""
    if not hasattr(_metadata, "_NO_GCE_CHECK"):
        pytest.skip("google-auth before 2.48 can't be led to another metadata server")

    connections: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        sent = 0  # messages on this connection

        def setup(self) -> None:
            super().setup()
            connections.append(self.connection)

        def do_GET(self) -> None:
            if not google.has_tokens and "/token" in self.path:
                return self._answer(404, {})
            google.tokens += self.path.partition("?")[0].endswith("/token")
            token = {"access_token": f"token-{google.tokens}", "expires_in": 3600}
            account = {"email": "tasks@p.iam.gserviceaccount.com", "scopes": [], "aliases": []}
            self._answer(200, token if "/token" in self.path else account)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.sent += 1
            if google.closes and self.sent > 1:
                self.close_connection = True
                return None
            if google.refused:
                google.refused -= 1
                return self._answer(401, {})
            google.published.append(self.headers["Authorization"])
            google.tasks += filter(None, [json.loads(body).get("task")])
            self._answer(200, {"messageIds": [str(len(google.published))]})

        def _answer(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            for name, text in (_METADATA | {"Content-Length": str(len(body))}).items():
                self.send_header(name, text)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.block_on_close = False
        google = Google(server.server_address[1])
        # google-auth reads the variables of these, GCE_METADATA_HOST and more, at its import.
        monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", google.host)
        monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", False)
        monkeypatch.setenv("GCE_METADATA_IP", google.host)
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield google
        server.shutdown()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on a machine that isn't logged in to Google."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    if hasattr(_metadata, "_NO_GCE_CHECK"):
        monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", True)
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.mark.parametrize("module", ["google.auth", "requests"])
def test_the_publisher_needs_its_extra_at_once(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtraError, match=r'pip install "ucam-faas\[pubsub\]"'):
        GooglePublisher()


def test_the_publisher_asks_for_no_credentials_before_it_publishes(no_credentials: None) -> None:
    assert GooglePublisher() is not None


def test_without_credentials_the_error_says_how_to_get_some(no_credentials: None) -> None:
    with pytest.raises(PublishError, match="run: gcloud auth application-default login"):
        GooglePublisher().publish(TOPIC, b"data", {})


def test_it_publishes_with_the_token_of_the_account_and_keeps_the_token(google: Google) -> None:
    publisher = google.publisher

    assert [google.publish(publisher), google.publish(publisher)] == ["1", "2"]
    assert google.published == ["Bearer token-1"] * 2


def test_a_forked_process_has_a_session_of_its_own(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = google.publisher
    google.publish(publisher)

    monkeypatch.setattr("os.getpid", lambda: -1)
    google.publish(publisher)

    assert google.published == ["Bearer token-1", "Bearer token-2"]


def test_a_token_that_is_refused_is_replaced(google: Google) -> None:
    publisher = google.publisher
    google.publish(publisher)
    google.refused = 1

    google.publish(publisher)

    assert google.published == ["Bearer token-1", "Bearer token-2"]


def test_a_token_that_cannot_be_got_is_an_error_that_names_the_topic(google: Google) -> None:
    google.has_tokens = False

    with pytest.raises(PublishError, match=rf"{TOPIC} failed: Google gives no token"):
        google.publish(google.publisher)


def test_a_kept_connection_that_google_closed_costs_no_message(google: Google) -> None:
    google.closes = True
    publisher = google.publisher

    assert [google.publish(publisher) for _ in range(5)] == ["1", "2", "3", "4", "5"]


def test_a_queue_for_delays_publishes_as_the_account_of_the_process(google: Google) -> None:
    api = GoogleRest(f"http://{google.host}", "scope", extra="pubsub", purpose="test")

    assert api.account() == "tasks@p.iam.gserviceaccount.com"
    DelayQueue(QUEUE, api, api.account).publish_later(0.0, TOPIC, [Draft(b"", {"id": "1"})])

    (task,) = google.tasks
    assert task["httpRequest"]["oauthToken"]["serviceAccountEmail"] == api.account()
    assert google.published == ["Bearer token-1"]


def test_an_account_that_cannot_be_got_is_an_error_that_names_the_topic(google: Google) -> None:
    google.has_tokens = False
    api = GoogleRest(f"http://{google.host}", "scope", extra="pubsub", purpose="test")

    with pytest.raises(PublishError, match=rf"{TOPIC} later, by {QUEUE}, failed: Google gives no"):
        DelayQueue(QUEUE, api, api.account).publish_later(0.0, TOPIC, [Draft(b"", {"id": "1"})])


def test_credentials_may_have_no_account() -> None:
    api = GoogleRest("http://h", "s", extra="pubsub", purpose="test", credentials=Credentials("t"))

    with pytest.raises(CredentialsError, match="aren't a service account's"):
        api.account()


def test_a_queue_for_delays_needs_the_extra_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)

    with pytest.raises(MissingExtraError, match="needed to wake jobs by Cloud Tasks"):
        connect(QUEUE, None, None)
