"""Push tokens with real signatures and claims; a token that can't be verified is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google.auth import crypt, jwt

import ucam_faas
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.outcomes import Retry, Unauthenticated
from ucam_faas.serving.certificates import (
    FETCH_SECONDS,
    LIFE_SECONDS,
    MAX_FETCHES,
    RETRY_SECONDS,
)
from ucam_faas.serving.token_auth import push_verifier
from ucam_faas.testing import Client, ManualClock, make_push, serve

from .harness import on_a_loop, settle

AUDIENCE = "https://service.example.com/task"
EMAIL = "push@project.iam.gserviceaccount.com"
SETTINGS = Settings(push_audience=AUDIENCE, push_email=EMAIL)
SHORTEST_ACK_DEADLINE_SECONDS = 10


class Key:
    """A private key and its certificate."""

    def __init__(self, key_id: str, elliptic: bool = False) -> None:
        self.key_id = key_id
        key: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if elliptic
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(datetime.now(UTC) - timedelta(days=1))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .sign(key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
            .decode()
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8
            if elliptic
            else serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        signer = crypt.ES256Signer if elliptic else crypt.RSASigner
        self.signer = signer.from_string(pem, key_id)


@cache
def key(key_id: str = "one", elliptic: bool = False) -> Key:
    return Key(key_id, elliptic)


def token(signed_by: Key | None = None, *, without: str = "", **claims: Any) -> str:
    now = int(time.time())
    payload: dict[str, Any] = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "email": EMAIL,
        "email_verified": True,
        "iat": now - 60,
        "exp": now + 3000,
        "sub": "1",
        **claims,
    }
    payload.pop(without, None)
    made: bytes = jwt.encode((signed_by or key()).signer, payload)
    return made.decode()


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class Certificates:
    """Replaces google-auth's transport, and counts the requests."""

    def __init__(self, *keys: Key) -> None:
        self.keys = keys
        self.status = 200
        self.error: Exception | None = None
        self.calls: list[dict[str, Any]] = []

    def __call__(self, url: str, method: str = "GET", **options: Any) -> Any:
        self.calls.append({"url": url, "method": method, **options})
        if self.error is not None:
            raise self.error
        body = json.dumps({key.key_id: key.certificate for key in self.keys})
        return SimpleNamespace(status=self.status, data=body.encode(), headers={})


@pytest.fixture
def certificates() -> Certificates:
    return Certificates(key())


Verify = Callable[[str | None], None]


def verifier(
    certificates: Certificates, clock: ManualClock | None = None, email: str | None = EMAIL
) -> Verify:
    settings = Settings(push_audience=AUDIENCE, push_email=email)
    made = push_verifier(settings, clock or ManualClock(), certificates)

    def verify(authorization: str | None) -> None:
        headers = {} if authorization is None else {"authorization": authorization}
        asyncio.run(made.verify(headers))

    return verify


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_valid_token_passes(scheme: str, certificates: Certificates) -> None:
    verifier(certificates)(f"{scheme} {token()}")

    assert [call["url"] for call in certificates.calls] == [Settings().push_certs_url]


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "accounts.google.com"},
        {"exp": int(time.time()) - 5},
        {"iat": int(time.time()) + 5},
    ],
    ids=["short issuer", "expired within the skew", "early within the skew"],
)
def test_a_token_that_is_valid_in_another_way_passes(
    claims: dict[str, Any], certificates: Certificates
) -> None:
    if "exp" in claims:
        claims = {"exp": int(time.time()) - 5}
    if "iat" in claims:
        claims = {"iat": int(time.time()) + 5}

    verifier(certificates)(f"Bearer {token(**claims)}")


def test_an_audience_without_an_email_does_not_start(certificates: Certificates) -> None:
    """Google signs tokens for any audience that any service account asks for."""
    with pytest.raises(ConfigurationError, match="UCAM_FAAS_PUSH_EMAIL"):
        verifier(certificates, email=None)


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "https://other.example.com"},
    "an audience that starts alike": {"aud": AUDIENCE + "/x"},
    "an audience with a slash": {"aud": AUDIENCE + "/"},
    "no audience": {"without": "aud"},
    "several audiences": {"aud": ["https://other.example.com", AUDIENCE]},
    "an empty audience": {"aud": ""},
    "an audience of null": {"aud": None},
    "another issuer": {"iss": "https://accounts.example.com"},
    "an issuer that ends alike": {"iss": "https://evil.example/accounts.google.com"},
    "no issuer": {"without": "iss"},
    "another email": {"email": "other@project.iam.gserviceaccount.com"},
    "an email in capitals": {"email": EMAIL.upper()},
    "no email": {"without": "email"},
    "an email of null": {"email": None},
    "an email in a list": {"email": [EMAIL]},
    "an unverified email": {"email_verified": False},
    "an email verified by name": {"email_verified": "true"},
    "an email verified by number": {"email_verified": 1},
    "no word on the email": {"without": "email_verified"},
    "expired": {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600},
    "expired beyond the skew": {"exp": int(time.time()) - 30},
    "never expires": {"without": "exp"},
    "from the future": {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 7200},
    "no time": {"without": "iat"},
}


@pytest.mark.parametrize("claims", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
def test_a_token_with_wrong_claims_is_refused(
    claims: dict[str, Any], certificates: Certificates
) -> None:
    verify, made = verifier(certificates), token(**claims)

    with pytest.raises(Unauthenticated) as raised:
        verify(f"Bearer {made}")

    assert made not in str(raised.value)
    assert "example.com" not in raised.value.reason


def unsigned() -> str:
    return token().rpartition(".")[0]


def with_header(**header: Any) -> str:
    parts = token().split(".")
    return ".".join((encoded(header), *parts[1:]))


def changed_payload() -> str:
    head, payload, signature = token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return ".".join((head, encoded({**claims, "email": EMAIL, "sub": "2"}), signature))


def signed_with_the_certificate_as_a_secret() -> str:
    import hashlib
    import hmac

    head = encoded({"alg": "HS256", "kid": "one", "typ": "JWT"})
    signed = f"{head}.{token().split('.')[1]}"
    digest = hmac.new(key().certificate.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


FORGED: dict[str, Callable[[], str]] = {
    "no signature part": unsigned,
    "an empty signature": lambda: unsigned() + ".",
    "the signature that Cloud Run leaves": lambda: unsigned() + ".SIGNATURE_REMOVED_BY_GOOGLE",
    "alg none": lambda: with_header(alg="none", kid="one", typ="JWT"),
    "alg None, no signature": lambda: with_header(alg="None", kid="one").rpartition(".")[0] + ".",
    "no alg": lambda: with_header(kid="one"),
    "another alg": lambda: with_header(alg="ES256", kid="one"),
    "a symmetric alg": signed_with_the_certificate_as_a_secret,
    "another key": lambda: token(key("two")),
    "another key under the same id": lambda: token(other_one()),
    "an elliptic key under the same id": lambda: token(key("one", elliptic=True)),
    "a changed payload": changed_payload,
    "another token's signature": lambda: unsigned() + "." + token(sub="9").rpartition(".")[2],
    "not a token": lambda: "hello",
    "two dots": lambda: "..",
    "no base64": lambda: "é.ü.ö",
    "a space": lambda: " ",
    "long": lambda: "a" * 100_000 + ".b.c",
    "deep": lambda: encoded(1) + "." + encoded([[[]]]) + ".x",
    "two tokens": lambda: f"{token()} {token()}",
}


@cache
def other_one() -> Key:
    return Key("one")


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_token_is_refused(forge: Callable[[], str], certificates: Certificates) -> None:
    verify = verifier(certificates)

    with pytest.raises(Unauthenticated):
        verify(f"Bearer {forge()}")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "token"], ids=repr)
def test_no_bearer_token_is_refused_without_asking_anybody(
    header: str | None, certificates: Certificates
) -> None:
    verify = verifier(certificates)

    with pytest.raises(Unauthenticated, match="no bearer token"):
        verify(header)

    assert certificates.calls == []


@pytest.mark.parametrize("how", ["raises", "503", "no JSON", "empty", "another key's"])
def test_without_certificates_everything_is_refused(how: str, certificates: Certificates) -> None:
    if how == "raises":
        certificates.error = OSError("no route")
    elif how == "503":
        certificates.status = 503
    elif how == "empty":
        certificates.keys = ()
    elif how == "another key's":
        certificates.keys = (key("two"),)
    verify = verifier(certificates)

    def transport(url: str, method: str = "GET", **options: Any) -> Any:
        return SimpleNamespace(status=200, data=b"<html>", headers={})

    if how == "no JSON":
        verify = verifier(transport)  # type: ignore[arg-type]

    with pytest.raises(Unauthenticated if how == "another key's" else Retry):
        verify(f"Bearer {token()}")


def test_certificates_are_fetched_again_some_time_after_a_failure(
    certificates: Certificates, clock: ManualClock
) -> None:
    verify = verifier(certificates, clock)
    certificates.status = 503
    for _ in range(5):
        with pytest.raises(Retry):
            verify(f"Bearer {token()}")

    certificates.status = 200
    clock.advance(timedelta(seconds=RETRY_SECONDS))
    verify(f"Bearer {token()}")

    assert len(certificates.calls) == 2


def test_certificates_are_fetched_once_an_hour(
    certificates: Certificates, clock: ManualClock
) -> None:
    verify, counts = verifier(certificates, clock), []

    for step in (0, 1, LIFE_SECONDS - 2, 2, 10):
        clock.advance(timedelta(seconds=step))
        verify(f"Bearer {token()}")
        counts.append(len(certificates.calls))

    assert counts == [1, 1, 1, 2, 2]


def test_a_key_that_google_has_withdrawn_is_refused_when_certificates_are_renewed(
    certificates: Certificates, clock: ManualClock
) -> None:
    verify = verifier(certificates, clock)
    verify(f"Bearer {token()}")
    certificates.keys = (key("two"),)

    clock.advance(timedelta(seconds=LIFE_SECONDS + 1))

    with pytest.raises(Unauthenticated):
        verify(f"Bearer {token()}")
    verify(f"Bearer {token(key('two'))}")


@on_a_loop
async def test_many_deliveries_at_once_fetch_certificates_once(certificates: Certificates) -> None:
    verifier = push_verifier(SETTINGS, ManualClock(), certificates)
    headers = {"authorization": f"Bearer {token()}"}

    await asyncio.gather(*(verifier.verify(headers) for _ in range(8)))

    assert len(certificates.calls) == 1


@on_a_loop
async def test_deliveries_wait_together_for_certificates_that_do_not_come(
    clock: ManualClock,
) -> None:
    """The time runs from the start of the one fetch, and the pause after it from its end."""
    fetches = HangingFetches()
    verifier = push_verifier(SETTINGS, clock, fetches)
    headers = {"authorization": f"Bearer {token()}"}
    waiting = [asyncio.create_task(verifier.verify(headers)) for _ in range(10)]
    await asyncio.sleep(0)

    clock.advance(timedelta(seconds=FETCH_SECONDS))
    refused = await asyncio.gather(*waiting, return_exceptions=True)
    clock.advance(timedelta(seconds=RETRY_SECONDS - 1))
    with pytest.raises(Retry, match="could not be fetched"):
        await verifier.verify(headers)

    assert [str(error) for error in refused] == [str(refused[0])] * 10
    assert "could not be fetched" in str(refused[0])
    assert fetches.count == 1
    await fetches.end()


@on_a_loop
async def test_certificates_that_come_late_are_taken(clock: ManualClock) -> None:
    fetches = HangingFetches()
    verifier = push_verifier(SETTINGS, clock, fetches)
    headers = {"authorization": f"Bearer {token()}"}
    waiting = asyncio.create_task(verifier.verify(headers))
    await asyncio.sleep(0)
    clock.advance(timedelta(seconds=FETCH_SECONDS))
    with pytest.raises(Retry):
        await waiting

    await fetches.end()

    await verifier.verify(headers)
    assert fetches.count == 1


@on_a_loop
async def test_fetches_that_never_end_are_few(clock: ManualClock) -> None:
    fetches = HangingFetches()
    verifier = push_verifier(SETTINGS, clock, fetches)
    headers = {"authorization": f"Bearer {token()}"}

    for _ in range(3 * MAX_FETCHES):
        waiting = asyncio.create_task(verifier.verify(headers))
        await asyncio.sleep(0)
        clock.advance(timedelta(seconds=FETCH_SECONDS + RETRY_SECONDS))
        with pytest.raises(Retry):
            await waiting

    assert fetches.count == MAX_FETCHES
    await fetches.end()


@pytest.mark.parametrize(
    "document",
    ["{}", "[]", "null", '{"error": "busy"}', '{"one": "not a certificate"}', '{"keys": []}'],
)
def test_a_document_without_certificates_is_not_kept(document: str, clock: ManualClock) -> None:
    answers = [document.encode(), json.dumps({"one": key().certificate}).encode()]

    def transport(url: str, **options: Any) -> Any:
        return SimpleNamespace(status=200, data=answers.pop(0), headers={})

    verify = verifier(transport, clock)  # type: ignore[arg-type]
    with pytest.raises(Retry, match="could not be fetched"):
        verify(f"Bearer {token()}")

    clock.advance(timedelta(seconds=RETRY_SECONDS))

    verify(f"Bearer {token()}")


class HangingFetches:
    """Replaces google-auth's transport, and answers when `end` is called."""

    def __init__(self) -> None:
        self.count = 0
        self._ended = threading.Event()

    def __call__(self, url: str, **options: Any) -> Any:
        self.count += 1
        self._ended.wait(10)
        data = json.dumps({"one": key().certificate}).encode()
        return SimpleNamespace(status=200, data=data, headers={})

    async def end(self) -> None:
        """Answer, and wait for the threads and for their callbacks on the event loop."""
        self._ended.set()
        for thread in threading.enumerate():
            if thread.name == "ucam-faas-off-loop":
                await asyncio.to_thread(thread.join, 10)
        await settle()


def test_certificates_are_not_waited_for_longer_than_a_subscription_waits(
    certificates: Certificates,
) -> None:
    verifier(certificates)(f"Bearer {token()}")

    timeout = certificates.calls[0].get("timeout")
    assert timeout is not None
    assert timeout < SHORTEST_ACK_DEADLINE_SECONDS


def test_an_email_without_an_audience_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="UCAM_FAAS_PUSH_AUDIENCE"):
        push_verifier(Settings(push_email=EMAIL), ManualClock())


# Over HTTP, with a real endpoint for the certificates


@pytest.fixture
def endpoint() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"one": key().certificate}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/certs"
    server.shutdown()
    thread.join()
    server.server_close()


_ran: list[str] = []


@ucam_faas.message_handler(message_type=None)
def message(data: bytes) -> None:
    _ran.append("message")


@ucam_faas.raw_event
async def raw(body: bytes) -> None:
    _ran.append("raw")


@ucam_faas.http(path="/page", methods=["POST"])
def page(request: Any) -> str:
    return "page"


def post(client: Client, path: str, authorization: str | None) -> int:
    made = make_push(b"hello")
    headers = {**made.headers, **({"Authorization": authorization} if authorization else {})}
    return client.post(path, body=made.body, headers=headers).status


@pytest.mark.parametrize("path", ["/message", "/raw", "/", "/message/projects/p/topics/t"])
def test_event_tasks_run_with_a_valid_token_only(path: str, endpoint: str) -> None:
    _ran.clear()
    settings = Settings(push_audience=AUDIENCE, push_email=EMAIL, push_certs_url=endpoint)
    bad = [None, "Bearer x", f"Bearer {token(aud='x')}", f"Bearer {token(key('two'))}"]

    with serve(message, raw, page, settings=settings) as client:
        refused = [post(client, path, authorization) for authorization in bad]
        before = list(_ran)
        accepted = post(client, path, f"Bearer {token()}")

    assert refused == [401] * 4
    assert before == []
    assert accepted == 200
    assert len(_ran) == 1


def test_a_refusal_has_a_fixed_text_and_its_reason_is_logged(
    endpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(push_audience=AUDIENCE, push_email=EMAIL, push_certs_url=endpoint)
    made = token(aud="https://secret.example.com")

    with serve(message, settings=settings) as client:
        response = client.post("/message", headers={"authorization": f"Bearer {made}"})

    assert (response.status, response.text) == (401, "A valid token is required")
    (record,) = [r for r in caplog.records if r.name == "ucam_faas"]
    assert record.getMessage() == "ucam_faas_request_rejected"
    assert "secret" not in str(record.__dict__)
    assert made not in str(record.__dict__)


def test_http_tasks_and_health_need_no_token(endpoint: str) -> None:
    settings = Settings(push_audience=AUDIENCE, push_email=EMAIL, push_certs_url=endpoint)

    with serve(message, page, settings=settings) as client:
        statuses = [post(client, "/page", None), client.get("/healthy").status]

    assert statuses == [200, 200]


def test_a_caller_comes_again_while_the_certificates_cannot_be_fetched() -> None:
    settings = Settings(
        push_audience=AUDIENCE, push_email=EMAIL, push_certs_url="http://127.0.0.1:1/certs"
    )

    with serve(message, settings=settings) as client:
        _ran.clear()
        authorization = {"Authorization": f"Bearer {token()}"}
        response = client.post("/message", body=make_push(b"hello").body, headers=authorization)

    assert (response.status, response.headers["retry-after"], _ran) == (503, "5", [])


def test_without_an_audience_no_token_is_asked_for() -> None:
    with serve(message) as client:
        status = post(client, "/message", None)

    assert status == 200
