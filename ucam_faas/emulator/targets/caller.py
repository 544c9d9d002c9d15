"""Sends the requests of HTTP targets; those to Google's Pub/Sub go to the emulator's own."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ucam_faas.clock import Clock, timeout
from ucam_faas.emulator.push.client import ConnectionClosed, Endpoint, refuse_remote
from ucam_faas.emulator.push.tokens import MakeToken
from ucam_faas.emulator.targets.target import HttpTarget

logger = logging.getLogger("ucam_faas.emulator")

OwnApi = Callable[[str, str, bytes], Awaitable[int]]
"""Answers a REST request (method, path with query, body) with a status."""

DEADLINE_EXCEEDED, PERMISSION_DENIED, INTERNAL, UNAVAILABLE = 4, 7, 13, 14
"""Codes of google.rpc."""
UNAUTHENTICATED_STATUS = 401

_PUBSUB = re.compile(
    r"(?:[a-z0-9-]+-)?pubsub\.googleapis\.com|pubsub\.[a-z0-9-]+\.rep\.googleapis\.com"
)
_COMPUTED = ("host", "content-length", "user-agent", "connection", "transfer-encoding")
_RESERVED = ("x-google-", "x-appengine-", "x-cloudscheduler", "x-cloudtasks-")
_OAUTH_TOKEN = "ya29.ucam-faas-emulator"


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a request.

    Args:
        status: of the response; None: there is none.
        code: of google.rpc; 0 with a status of 200-299.
        text: the reason for a failure.
    """

    status: int | None
    code: int = 0
    text: str = ""

    @property
    def ok(self) -> bool:
        """The target has done its work."""
        return self.code == 0


class Caller:
    """Sends requests.

    Args:
        clock: measures the deadlines.
        make_token: signs OIDC tokens.
        allow_remote: send requests to other machines, too.
        own_api: answers the requests to Pub/Sub's own API, without any network.
    """

    def __init__(
        self, clock: Clock, make_token: MakeToken, own_api: OwnApi, *, allow_remote: bool
    ) -> None:
        self._clock = clock
        self._make_token = make_token
        self._own_api = own_api
        self._allow_remote = allow_remote

    async def call(self, target: HttpTarget, seconds: float, own: Mapping[str, str]) -> Answer:
        """Send a target's request.

        Args:
            target: the request.
            seconds: to wait for the response.
            own: headers of the service, which replace the user's.
        """
        try:
            async with timeout(self._clock, seconds):
                return await self._send(target, own)
        except TimeoutError:
            return Answer(None, DEADLINE_EXCEEDED, f"There was no response in {seconds:g} s.")
        except (OSError, ConnectionClosed) as error:
            return Answer(None, UNAVAILABLE, str(error) or type(error).__name__)
        except Exception as error:  # unreported, a job or a task would never run again
            logger.exception("ucam_faas_emulator_error")
            return Answer(None, INTERNAL, f"The request could not be made: {error}")

    async def _send(self, target: HttpTarget, own: Mapping[str, str]) -> Answer:
        parts = urlsplit(target.uri)
        if _PUBSUB.fullmatch(parts.hostname or ""):
            return _answered(await self._ask_own_api(target))
        refused = None if self._allow_remote else refuse_remote(target.uri)
        if refused:
            return Answer(None, PERMISSION_DENIED, refused)
        endpoint = Endpoint(target.uri, target.method)
        try:
            return _answered(await endpoint.post(self._headers(target, own), target.body))
        finally:
            endpoint.close()

    async def _ask_own_api(self, target: HttpTarget) -> int:
        if target.oauth is None:  # as Google answers; the account's roles aren't checked here
            return UNAUTHENTICATED_STATUS
        parts = urlsplit(target.uri)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return await self._own_api(target.method, path, target.body)

    def _headers(self, target: HttpTarget, own: Mapping[str, str]) -> bytes:
        own = {**own, **self._authorization(target)}
        replaced = {name.lower() for name in own}.union(_COMPUTED)
        headers = {
            name: value
            for name, value in target.headers.items()
            if name.lower() not in replaced and not name.lower().startswith(_RESERVED)
        }
        headers |= own
        return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()

    def _authorization(self, target: HttpTarget) -> dict[str, str]:
        if target.oidc is not None:
            audience = target.oidc.audience or target.uri
            token = self._make_token(target.oidc.service_account_email, audience)
        elif target.oauth is not None:
            token = _OAUTH_TOKEN
        else:
            return {}
        return {"Authorization": f"Bearer {token}"}


def _answered(status: int) -> Answer:
    if 200 <= status <= 299:
        return Answer(status)
    return Answer(status, UNAVAILABLE, f"The target answered: {status}.")
