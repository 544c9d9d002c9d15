"""Requests to Google's REST APIs, with google-auth's credentials.

Google's client libraries would do the same with gRPC: 25 MB more in an image.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import Any

from ucam_faas._optional import check, require
from ucam_faas.net.rest import HEADERS, CredentialsError

_TOKEN_SECONDS = 10
_MAX_KEPT = 100
"""Connections: as many threads may make requests at a time."""


def identity_token(audience: str, *, extra: str, purpose: str) -> str:
    """Return a token that says to a service of Cloud Run which service account this is.

    Args:
        audience: the service's origin, such as https://x.run.app.
        extra: the extra of ucam-faas that brings google-auth.
        purpose: of the requests, to read after "needed to".

    Raises:
        MissingExtraError: google-auth isn't installed.
        CredentialsError: the environment's credentials aren't a service account's.
    """
    needed = {"extra": extra, "purpose": purpose}
    transport = require("google.auth.transport.requests", **needed)
    id_token = require("google.oauth2.id_token", **needed)
    try:
        return str(id_token.fetch_id_token(transport.Request(), audience))
    except require("google.auth.exceptions", **needed).GoogleAuthError as error:
        raise CredentialsError(
            "only a service account gets an identity token, and the environment's credentials "
            "aren't one's"
        ) from error


class GoogleRest:
    """One of Google's APIs, as the account of the environment.

    Args:
        url: of the API, without a path.
        scope: of the token.
        extra: the extra of ucam-faas that brings google-auth.
        purpose: of the requests, to read after "needed to".
        credentials: google-auth's; None: the application default credentials.

    Raises:
        MissingExtraError: google-auth isn't installed.
    """

    def __init__(
        self, url: str, scope: str, *, extra: str, purpose: str, credentials: Any = None
    ) -> None:
        self.host = url.partition("://")[2]
        self._needed = {"extra": extra, "purpose": purpose}
        for module in ("google.auth", "requests"):
            check(module, **self._needed)
        self._url = url
        self._scope = scope
        self._credentials = credentials
        self._lock = threading.Lock()
        self._made: Any = None
        self._process = 0

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        """Send a request, and return the status and the body of the answer."""
        return self._request("POST", path, body, timeout_seconds)

    def get(self, path: str, timeout_seconds: float) -> tuple[int, bytes]:
        """Send a request without a body."""
        return self._request("GET", path, None, timeout_seconds)

    def account(self) -> str:
        """Return the email address of the service account that the requests are made as.

        Raises:
            CredentialsError: the environment's credentials aren't a service account's.
        """
        credentials = self._session().credentials
        if getattr(credentials, "service_account_email", "") == "default":  # as on Cloud Run
            try:
                transport = require("google.auth.transport.requests", **self._needed)
                credentials.refresh(transport.Request())
            except require("google.auth.exceptions", **self._needed).GoogleAuthError as error:
                raise CredentialsError(f"Google gives no token ({type(error).__name__})") from error
        email = getattr(credentials, "service_account_email", None)
        if not email:
            raise CredentialsError("the environment's credentials aren't a service account's")
        return str(email)

    def authorize(self) -> str:
        """Get a new token, and return the account that it is for, as far as that is known.

        Raises:
            CredentialsError: there are no credentials, or Google gives no token for them.
        """
        credentials = self._session().credentials
        transport = require("google.auth.transport.requests", **self._needed)
        request = functools.partial(transport.Request(), timeout=_TOKEN_SECONDS)
        try:
            credentials.refresh(request)
        except require("google.auth.exceptions", **self._needed).GoogleAuthError as error:
            raise CredentialsError(f"Google gives no token ({type(error).__name__})") from error
        names = ("service_account_email", "account")
        return next((text for name in names if (text := getattr(credentials, name, ""))), "")

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None

    def _request(
        self, method: str, path: str, body: bytes | None, timeout_seconds: float
    ) -> tuple[int, bytes]:
        session = self._session()
        send = functools.partial(
            session.request,
            method,
            self._url + path,
            data=body,
            headers=HEADERS,
            timeout=timeout_seconds,
            max_allowed_time=timeout_seconds,
        )
        requests = require("requests", **self._needed)
        try:
            try:
                response = send()
            except requests.Timeout:
                raise
            except requests.ConnectionError:
                response = send()  # Google may have closed a kept connection
        except require("google.auth.exceptions", **self._needed).GoogleAuthError as error:
            raise CredentialsError(f"Google gives no token ({type(error).__name__})") from error
        return response.status_code, response.content

    def _session(self) -> Any:
        """Return the session of this process: connections don't survive a fork."""
        with self._lock:
            if self._made is None or self._process != os.getpid():
                transport = require("google.auth.transport.requests", **self._needed)
                credentials = self._credentials or self._default_credentials()
                session = transport.AuthorizedSession(credentials, refresh_timeout=_TOKEN_SECONDS)
                adapters = require("requests.adapters", **self._needed)
                session.mount(self._url, adapters.HTTPAdapter(pool_maxsize=_MAX_KEPT))
                self._made = session
                self._process = os.getpid()
            return self._made

    def _default_credentials(self) -> Any:
        auth = require("google.auth", **self._needed)
        try:
            return auth.default(scopes=[self._scope])[0]
        except auth.exceptions.DefaultCredentialsError as error:
            raise CredentialsError(
                "the environment has no credentials for Google; on a laptop, run: "
                "gcloud auth application-default login"
            ) from error
