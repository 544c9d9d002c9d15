"""The methods of google.pubsub.v1.Publisher: from request message to response message."""

from __future__ import annotations

from typing import Any

from ucam_faas.emulator.api import checks, protos
from ucam_faas.emulator.api.pages import page, page_of_project
from ucam_faas.emulator.api.resources import Resources, TopicResource
from ucam_faas.emulator.api.validation import Validation
from ucam_faas.emulator.core.engine import Draft
from ucam_faas.emulator.errors import RpcError, already_exists, invalid
from ucam_faas.gcp.limits import (
    MAX_ATTRIBUTE_KEY_BYTES,
    MAX_ATTRIBUTE_VALUE_BYTES,
    MAX_ATTRIBUTES,
    MAX_MESSAGE_BYTES,
    MAX_ORDERING_KEY_BYTES,
)

MAX_MESSAGES = 1000
OF_CLIENTS = "googclient_"
"""Google's own client libraries add attributes with this prefix."""
_CHANGEABLE = (
    *("labels", "message_retention_duration", "message_storage_policy", "tags"),
    "schema_settings",
)
_NOTHING: dict[str, str] = {}


class PublisherApi:
    """Topics, and publishing to them.

    Args:
        resources: keeps the topics.
        validation: checks messages of topics with schemas.
    """

    def __init__(self, resources: Resources, validation: Validation) -> None:
        self._resources = resources
        self._validation = validation

    def create_topic(self, request: Any) -> Any:
        """Create a topic."""
        name = checks.name(request.name, "topics")
        checks.topic(request)
        if name in self._resources.topics:
            raise already_exists(name)
        proto = protos.Topic()
        proto.CopyFrom(request)
        self._check_schema(proto)
        proto.state = 1  # ACTIVE
        engine = self._resources.engine
        log = engine.open_log(self._resources.new_number())
        log.retention = protos.seconds(proto.message_retention_duration)
        engine.topics[name] = log
        self._resources.topics[name] = TopicResource(proto, log)
        self._resources.keep_topic(self._resources.topics[name])
        return proto

    def update_topic(self, request: Any) -> Any:
        """Change the fields that the mask names."""
        topic = self._resources.topic(request.topic.name)
        proto = checks.updated(topic.proto, request.topic, request.update_mask, _CHANGEABLE)
        checks.topic(proto)
        if proto.schema_settings != topic.proto.schema_settings:
            self._check_schema(proto)
        topic.proto = proto
        topic.log.retention = protos.seconds(proto.message_retention_duration)
        self._resources.keep_topic(topic)
        return proto

    def publish(self, request: Any) -> Any:
        """Publish messages, all or none."""
        messages = request.messages
        name = request.topic
        topic = self._resources.topics.get(name) or self._resources.topic(name)
        if not 1 <= len(messages) <= MAX_MESSAGES:
            raise invalid(
                f"The request has {len(messages)} messages; expected 1 to {MAX_MESSAGES}."
            )
        if request.ByteSize() > MAX_MESSAGE_BYTES:
            raise invalid(
                f"Request payload size exceeds the limit: {MAX_MESSAGE_BYTES} bytes "
                f"(found {request.ByteSize()})."
            )
        drafts = [
            Draft(
                message.ordering_key,
                _attributes(message) if message.attributes else _NOTHING,
                message.data,
            )
            for message in messages
        ]
        for draft in drafts:
            if not draft.data and not draft.attributes:
                raise invalid("A message has no data: it needs data or at least one attribute.")
            if draft.key and len(draft.key.encode()) > MAX_ORDERING_KEY_BYTES:
                raise invalid(f"An ordering key is longer than {MAX_ORDERING_KEY_BYTES} bytes.")
        if topic.proto.HasField("schema_settings"):
            drafts = self._validation.admit(topic.proto, drafts)
        published = self._resources.engine.publish(name, drafts, self._resources.now())
        return protos.PublishResponse(message_ids=[str(message.number) for message in published])

    def _check_schema(self, topic: Any) -> None:
        if topic.HasField("schema_settings") and not topic.schema_settings.ListFields():
            topic.ClearField("schema_settings")
        if topic.HasField("schema_settings"):
            self._validation.settings(topic.schema_settings)

    def get_topic(self, request: Any) -> Any:
        """Return a topic."""
        return self._resources.topic(request.topic).proto

    def list_topics(self, request: Any) -> Any:
        """Return a project's topics, a page at a time."""
        topics, token = page_of_project(request, self._resources.topics, "topics")
        answer = protos.PUBLISHER["ListTopics"][1]
        return answer(topics=[topic.proto for topic in topics], next_page_token=token)

    def list_topic_subscriptions(self, request: Any) -> Any:
        """Return the names of the subscriptions to a topic, a page at a time."""
        self._resources.topic(request.topic)
        attached = [
            name
            for name, subscription in self._resources.subscriptions.items()
            if subscription.proto.topic == request.topic and not subscription.proto.detached
        ]
        names, token = page(request, attached)
        answer = protos.PUBLISHER["ListTopicSubscriptions"][1]
        return answer(subscriptions=names, next_page_token=token)

    def list_topic_snapshots(self, request: Any) -> Any:
        """Return the names of a topic's snapshots, a page at a time."""
        log = self._resources.topic(request.topic).log
        names, token = page(request, log.pins)
        answer = protos.PUBLISHER["ListTopicSnapshots"][1]
        return answer(snapshots=names, next_page_token=token)

    def delete_topic(self, request: Any) -> Any:
        """Delete a topic; its subscriptions stay, with their undelivered messages."""
        name = request.topic
        log = self._resources.topic(name).log
        self._resources.forget("topics", name)
        del self._resources.engine.topics[name]
        for subscription in self._resources.subscriptions.values():
            if subscription.proto.topic == name:
                subscription.proto.topic = checks.DELETED_TOPIC
                self._resources.keep_subscription(subscription)
        self._resources.close_unused(log)
        return protos.Empty()

    def detach_subscription(self, request: Any) -> Any:
        """Cut a subscription off from its topic: it delivers no more messages."""
        subscription = self._resources.subscription(request.subscription)
        if subscription.proto.detached:
            raise RpcError("FAILED_PRECONDITION", "The subscription is detached already.")
        queue, subscription.queue = subscription.queue, None
        subscription.proto.detached = True
        if queue is not None:
            self._resources.engine.close_queue(queue)
            self._resources.close_unused(queue.log)
        self._resources.keep_subscription(subscription)
        return protos.PUBLISHER["DetachSubscription"][1]()


def _attributes(message: Any) -> dict[str, str]:
    if len(message.attributes) > MAX_ATTRIBUTES:
        raise invalid(
            f"A message has {len(message.attributes)} attributes; at most {MAX_ATTRIBUTES}."
        )
    attributes = dict(message.attributes)
    for key, value in attributes.items():
        if not key or len(key.encode()) > MAX_ATTRIBUTE_KEY_BYTES:
            raise invalid(f"An attribute key has to have 1 to {MAX_ATTRIBUTE_KEY_BYTES} bytes.")
        if key.startswith("goog") and not key.startswith(OF_CLIENTS):
            raise invalid(f"Attribute keys must not start with goog (found {key!r}).")
        if len(value.encode()) > MAX_ATTRIBUTE_VALUE_BYTES:
            raise invalid(
                f"The value of the attribute {key!r} is longer than "
                f"{MAX_ATTRIBUTE_VALUE_BYTES} bytes."
            )
    return attributes
