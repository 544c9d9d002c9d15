"""The tokens of callers, signed by an issuer of this test with a real endpoint, and by Google's."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google.auth import crypt, jwt

from tests.http_jobs import tasks
from tests.serving.test_token_auth import AUDIENCE, EMAIL, Certificates, key, token
from ucam_faas import testing
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.outcomes import Unauthenticated
from ucam_faas.serving.token_auth import caller_verifier
from ucam_faas.testing import ManualClock

SERVED = "https://jobs.example.org"


def encoded(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """A private key, and its public one as a JSON Web Key."""

    def __init__(self, kind: str) -> None:
        private: Any
        if kind == "RSA":
            private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            numbers = private.public_key().public_numbers()
            own = {"n": encoded(numbers.n), "e": encoded(numbers.e)}
        else:
            private = ec.generate_private_key(ec.SECP256R1())
            numbers = private.public_key().public_numbers()
            own = {"crv": "P-256", "x": encoded(numbers.x), "y": encoded(numbers.y)}
        self.jwk = {"kty": kind, "kid": kind, "use": "sig", **own}
        form = serialization.PrivateFormat
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            form.TraditionalOpenSSL if kind == "RSA" else form.PKCS8,
            serialization.NoEncryption(),
        )
        signer = crypt.RSASigner if kind == "RSA" else crypt.ES256Signer
        self._signer = signer.from_string(pem, kind)

    def token(self, issuer: str, **claims: Any) -> str:
        now = int(time.time())
        payload = {
            "iss": issuer,
            "aud": SERVED,
            "sub": "crm",
            "iat": now - 60,
            "exp": now + 300,
            **claims,
        }
        made: bytes = jwt.encode(self._signer, payload)
        return made.decode()


@cache
def signer(kind: str) -> Signer:
    return Signer(kind)


class Issuer:
    """An issuer's discovery document and keys, served on this machine."""

    def __init__(self) -> None:
        issuer = self
        self.named = self.keys = ""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                documents = {
                    "/.well-known/openid-configuration": {
                        "issuer": issuer.named or issuer.url,
                        "jwks_uri": issuer.keys or f"{issuer.url}/keys",
                    },
                    "/keys": {
                        "keys": [
                            {"kty": "OKP", "kid": "of another kind"},
                            {**signer("RSA").jwk, "kid": "for secrets", "use": "enc"},
                            signer("RSA").jwk,
                            signer("EC").jwk,
                        ]
                    },
                }
                body = json.dumps(documents[self.path]).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, args=(0.01,))
    thread.start()
    yield issuer
    issuer.server.shutdown()
    thread.join()
    issuer.server.server_close()


Get = Callable[[str | None], testing.ClientResponse]


@pytest.fixture
def get(issuer: Issuer) -> Iterator[Get]:
    """Return a caller of the service, which accepts the issuer's tokens."""
    settings = Settings(
        jobs_audience=SERVED, jobs_callers="crm, shop@example.org", jobs_issuer=issuer.url
    )
    with testing.jobs("tests.http_jobs.tasks", settings=settings) as jobs:

        def get(token: str | None) -> testing.ClientResponse:
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            return jobs.client.get("/jobs/openapi.json", headers=headers)

        yield get


@pytest.mark.parametrize("kind", ["RSA", "EC"])
@pytest.mark.parametrize(
    "claims",
    [{}, {"sub": "1", "email": "shop@example.org", "email_verified": True}, {"aud": ["x", SERVED]}],
    ids=["subject", "email", "several audiences"],
)
def test_a_caller_with_a_token_of_the_issuer_is_answered(
    get: Get, issuer: Issuer, kind: str, claims: dict[str, Any]
) -> None:
    assert get(signer(kind).token(issuer.url, **claims)).status == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://accounts.google.com"},
        {"aud": "https://jobs.example.org/"},
        {"aud": ["x"]},
        {"aud": None},
        {"sub": "other"},
        {"sub": None},
        {"sub": ["crm"]},
        {"sub": "1", "email": "shop@example.org"},
        {"sub": "1", "email": "shop@example.org", "email_verified": "true"},
        {"exp": 1, "iat": 0},
    ],
    ids=str,
)
def test_other_tokens_are_refused_with_a_problem(
    get: Get, issuer: Issuer, claims: dict[str, Any]
) -> None:
    response = get(signer("RSA").token(issuer.url, **claims))

    assert response.status == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_key_that_the_issuer_doesnt_have_is_refused(get: Get, issuer: Issuer) -> None:
    assert get(Signer("RSA").token(issuer.url)).status == 401


def test_a_request_without_a_token_is_refused(get: Get) -> None:
    assert get(None).status == 401


def assert_unavailable(response: testing.ClientResponse) -> None:
    """No token can be verified now: the caller comes again."""
    assert (response.status, response.headers["retry-after"]) == (503, "5")
    assert response.headers["content-type"] == "application/problem+json"


def test_a_discovery_document_of_another_issuer_is_refused(get: Get, issuer: Issuer) -> None:
    issuer.named = "https://evil.example.org"

    assert_unavailable(get(signer("RSA").token(issuer.url)))


def test_keys_without_https_are_refused(get: Get, issuer: Issuer) -> None:
    issuer.keys = issuer.url.replace("127.0.0.1", "127.1") + "/keys"  # the same, unnoticed

    assert_unavailable(get(signer("RSA").token(issuer.url)))


def test_an_issuer_that_cannot_be_reached_is_a_problem_that_passes(
    get: Get, issuer: Issuer
) -> None:
    issuer.server.server_close()

    assert_unavailable(get(signer("RSA").token(issuer.url)))
    assert get(None).status == 401


@pytest.mark.parametrize("issuer", ["http://id.example.org", "id.example.org", "ftp://localhost"])
def test_an_issuer_without_https_doesnt_start(issuer: str) -> None:
    settings = Settings(jobs_audience=SERVED, jobs_callers="crm", jobs_issuer=issuer)

    with (
        pytest.raises(ConfigurationError, match="begins with https://"),
        testing.serve(tasks.charge, settings=settings),
    ):
        pass


def test_googles_tokens_are_accepted_by_default() -> None:
    settings = Settings(jobs_audience=AUDIENCE, jobs_callers=EMAIL)

    async def verify(made: str) -> None:
        verifier = caller_verifier(settings, ManualClock(), Certificates(key()))
        await verifier.verify({"authorization": f"Bearer {made}"})

    asyncio.run(verify(token()))
    with pytest.raises(Unauthenticated, match="aud"):
        asyncio.run(verify(token(aud=["x", AUDIENCE])))


@pytest.mark.parametrize(
    "settings", [Settings(jobs_audience=SERVED), Settings(jobs_callers="crm")], ids=repr
)
def test_an_audience_without_callers_doesnt_start(settings: Settings) -> None:
    with (
        pytest.raises(ConfigurationError, match="Set both UCAM_FAAS_JOBS_AUDIENCE"),
        testing.serve(tasks.charge, settings=settings),
    ):
        pass


def test_pushes_to_other_tasks_need_no_callers_token(issuer: Issuer) -> None:
    settings = Settings(jobs_audience=SERVED, jobs_callers="crm", jobs_issuer=issuer.url)
    with testing.serve(tasks.charge, settings=settings) as client:
        assert client.push("charge", {"id": 1}).status == 200
