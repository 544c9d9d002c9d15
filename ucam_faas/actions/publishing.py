"""Where a message is published: to which Pub/Sub, and in which project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ucam_faas.actions import pubsub
from ucam_faas.actions.pubsub import CURE, Kind
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, PublishError
from ucam_faas.local_state import LocalCloud
from ucam_faas.publishing import Publisher
from ucam_faas.publishing.rest import RestPublisher
from ucam_faas.tasks.cloud_names import Naming


@dataclass(frozen=True, slots=True)
class Destination:
    """A Pub/Sub.

    Args:
        publisher: publishes to it.
        name: for people; of a local one, `host:port`.
        project: of topics with short names.
        hint: what to do when it does not take a message.
        naming: the prefix of topics with short names.
        history: `host:port` of the `ucam-faas dev` that says how a message went, if it is known.
    """

    publisher: Publisher
    name: str
    project: str | None
    hint: str
    history: str | None = None
    naming: Naming = field(default_factory=Naming)

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
        return f"projects/{self.project}/topics/{self.naming.topic(topic)}"

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
            hint = "" if "INVALID_ARGUMENT" in str(error) else f" {self.hint}"
            raise type(error)(f"{error}.{hint}") from error


def find(
    settings: Settings,
    project: str | None,
    cloud: LocalCloud | None,
    *,
    google: bool,
    elsewhere: Callable[[], str] = str,
) -> Destination:
    """Return the Pub/Sub to publish to; see `pubsub.find`.

    Raises:
        ConfigurationError: there is none.
    """
    place = pubsub.find(
        settings, project, cloud, google=google, purpose="publish to", elsewhere=elsewhere
    )
    return Destination(
        RestPublisher(place.api.host, place.api),
        place.name,
        place.project,
        _HINTS[place.kind],
        place.name if place.has_history else None,
        Naming() if place.kind is Kind.DEV else Naming.of(settings),
    )


_HINTS = {
    Kind.GOOGLE: "Does the topic exist, and may you publish to it?",
    Kind.DEV: "Is `ucam-faas dev` still running here, and does it serve this task?",
    Kind.EMULATOR: "PUBSUB_EMULATOR_HOST names this Pub/Sub: does it run, and does it have the "
    f"topic? If another is meant: {CURE}",
}
