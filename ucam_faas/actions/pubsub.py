"""The Pub/Sub that a command or a page works with: a local cloud's, an emulator, or Google's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ucam_faas.config import Settings
from ucam_faas.exceptions import NoLocalCloudError
from ucam_faas.local_state import LocalCloud
from ucam_faas.net import emulator_address
from ucam_faas.net.rest import Api, Rest
from ucam_faas.publishing.google import HOST, SCOPE

CURE = "`unset PUBSUB_EMULATOR_HOST`."


class Kind(StrEnum):
    """Whose Pub/Sub it is."""

    DEV = "dev"
    """That of the `ucam-faas dev` of this directory: its own, or the emulator that it uses."""
    EMULATOR = "emulator"
    GOOGLE = "google"


@dataclass(frozen=True, slots=True)
class Pubsub:
    """A Pub/Sub.

    Args:
        kind: whose it is.
        api: makes requests to it.
        name: for people; of a local one, `host:port`.
        project: of topics with short names, if it is known.
        has_history: it is the embedded one of a `ucam-faas dev`, or may be.
        prefix: of the names of the deployment in it; empty: they have none.
    """

    kind: Kind
    api: Api
    name: str
    project: str | None
    has_history: bool = False
    prefix: str = ""

    @property
    def is_local(self) -> bool:
        """Return True if its messages are this machine's: they are shown without asking."""
        return self.kind is not Kind.GOOGLE


def find(
    settings: Settings,
    project: str | None,
    cloud: LocalCloud | None,
    *,
    google: bool,
    purpose: str,
    elsewhere: Callable[[], str] = str,
) -> Pubsub:
    """Return the Pub/Sub to work with.

    Args:
        settings: name an emulator, and the project.
        project: that was asked for.
        cloud: the `ucam-faas dev` of this directory.
        google: take Google's in any case.
        purpose: of the requests, to read before "Pub/Sub".
        elsewhere: returns another sentence for the error, about a local cloud of another folder.

    Raises:
        NoLocalCloudError: there is none.
    """
    host = settings.pubsub_emulator
    if google or (cloud is not None and not cloud.pubsub and host is None):
        from ucam_faas.net.google_rest import GoogleRest  # a local one doesn't need it

        project = project or (cloud.project if cloud and not google else settings.project)
        api = GoogleRest(f"https://{HOST}", SCOPE, extra="pubsub", purpose=f"{purpose} Pub/Sub")
        return Pubsub(Kind.GOOGLE, api, "Google's Pub/Sub", project, prefix=settings.name_prefix)
    if cloud is not None and host in (None, cloud.pubsub):
        own = cloud.pubsub == cloud.scheduler  # else it is another emulator
        project = project or cloud.project
        return Pubsub(Kind.DEV, Rest(cloud.pubsub), cloud.pubsub, project, own)
    if host is None:
        raise NoLocalCloudError(
            f"There is no local Pub/Sub to {purpose}: start `ucam-faas dev` in this directory, or "
            f"set PUBSUB_EMULATOR_HOST; --google takes Google's.{elsewhere()}"
        )
    emulator_address.parse(host, CURE)
    return Pubsub(Kind.EMULATOR, Rest(host), host, settings.project, True, settings.name_prefix)
