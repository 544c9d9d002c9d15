"""The publisher to Google's Pub/Sub: the REST API, with google-auth's credentials.

google-cloud-pubsub would do the same with gRPC: 25 MB more in an image.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from ucam_faas._optional import check, require
from ucam_faas.publishing.rest import HEADERS, CredentialsError, RestPublisher

HOST = "pubsub.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/pubsub"
_TOKEN_SECONDS = 10
_NEEDED = {"extra": "pubsub", "purpose": "publish to Pub/Sub"}


class GooglePublisher(RestPublisher):
    """Publishes to Google's Pub/Sub, as the account of the environment.

    Args:
        url: of the API.
        credentials: google-auth's; None: the application default credentials.
    """

    def __init__(self, url: str = f"https://{HOST}", credentials: Any = None) -> None:
        super().__init__(url.partition("://")[2])
        for module in ("google.auth", "requests"):
            check(module, **_NEEDED)
        self._url = url
        self._credentials = credentials
        self._lock = threading.Lock()
        self._made: Any = None

    def _post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        session = self._session()
        send = functools.partial(
            session.post,
            self._url + path,
            data=body,
            headers=HEADERS,
            timeout=timeout_seconds,
            max_allowed_time=timeout_seconds,
        )
        requests = require("requests", **_NEEDED)
        try:
            try:
                response = send()
            except requests.Timeout:
                raise
            except requests.ConnectionError:
                response = send()  # Google may have closed a kept connection
        except require("google.auth.exceptions", **_NEEDED).GoogleAuthError as error:
            raise CredentialsError(
                f"Google gives no token to publish with ({type(error).__name__})"
            ) from error
        return response.status_code, response.content

    def _session(self) -> Any:
        """Return the session, made at first use: its connections don't survive a worker's fork."""
        with self._lock:
            if self._made is None:
                transport = require("google.auth.transport.requests", **_NEEDED)
                credentials = self._credentials or self._default_credentials()
                self._made = transport.AuthorizedSession(
                    credentials, refresh_timeout=_TOKEN_SECONDS
                )
            return self._made

    def _default_credentials(self) -> Any:
        auth = require("google.auth", **_NEEDED)
        try:
            return auth.default(scopes=[SCOPE])[0]
        except auth.exceptions.DefaultCredentialsError as error:
            raise CredentialsError(
                "the environment has no credentials for Google; on a laptop, run: "
                "gcloud auth application-default login"
            ) from error
