"""Where a message is published: to which Pub/Sub, and in which project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, PublishError
from ucam_faas.local_state import LocalCloud
from ucam_faas.net import emulator_address
from ucam_faas.publishing import Publisher


@dataclass(frozen=True, slots=True)
class Destination:
    """A Pub/Sub.

    Args:
        publisher: publishes to it.
        name: for people; of a local one, `host:port`.
        project: of topics with short names.
        hint: what to do when it does not take a message.
        history: `host:port` of the `ucam-faas dev` that says how a message went, if it is known.
    """

    publisher: Publisher
    name: str
    project: str | None
    hint: str
    history: str | None = None

    def full_name(self, topic: str) -> str:
        """Return a topic's full name.

        Raises:
            ConfigurationError: its project is not known.
        """
        if "/" in topic:
            return topic
        if not self.project:
            raise ConfigurationError(
                "The topic's project is not known: give --project, or set GOOGLE_CLOUD_PROJECT."
            )
        return f"projects/{self.project}/topics/{topic}"

    def publish(
        self, topic: str, data: bytes, attributes: dict[str, str], ordering_key: str
    ) -> str:
        """Publish, and return the message's id.

        Raises:
            PublishError: it was not taken.
        """
        try:
            return self.publisher.publish(topic, data, attributes, ordering_key=ordering_key)
        except PublishError as error:
            raise PublishError(f"{error}. {self.hint}") from error


def find(
    settings: Settings,
    project: str | None,
    cloud: LocalCloud | None,
    *,
    google: bool,
    elsewhere: Callable[[], str] = str,
) -> Destination:
    """Return the Pub/Sub to publish to.

    Args:
        settings: name an emulator, and the project.
        project: that was asked for.
        cloud: the `ucam-faas dev` of this directory.
        google: publish to Google's in any case.
        elsewhere: returns another sentence for the error, about a local cloud of another folder.

    Raises:
        ConfigurationError: there is none.
    """
    host = settings.pubsub_emulator
    if google or (cloud is not None and not cloud.pubsub and host is None):
        project = project or (cloud.project if cloud and not google else settings.project)
        from ucam_faas.publishing.google import GooglePublisher

        hint = "Does the topic exist, and may you publish to it?"
        return Destination(GooglePublisher(), "Google's Pub/Sub", project, hint)
    from ucam_faas.publishing.rest import RestPublisher

    if cloud is not None and host in (None, cloud.pubsub):
        hint = "Is `ucam-faas dev` still running here, and does it serve this task?"
        publisher, project = RestPublisher(cloud.pubsub), project or cloud.project
        own = cloud.pubsub if cloud.pubsub == cloud.scheduler else None  # not another emulator
        return Destination(publisher, cloud.pubsub, project, hint, own)
    if host is None:
        raise ConfigurationError(
            "There is no local Pub/Sub to publish to: start `ucam-faas dev` in this directory, or "
            f"set PUBSUB_EMULATOR_HOST; --google publishes to Google's.{elsewhere()}"
        )
    emulator_address.parse(host, _CURE)
    hint = (
        "PUBSUB_EMULATOR_HOST names this Pub/Sub: does it run, and does it have the topic? If "
        f"another is meant: {_CURE}"
    )
    return Destination(RestPublisher(host), host, settings.project, hint, host)


_CURE = "`unset PUBSUB_EMULATOR_HOST`."
