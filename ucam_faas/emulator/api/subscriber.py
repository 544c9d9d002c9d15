"""The methods of google.pubsub.v1.Subscriber that answer at once. Pull is in `pulling`."""

from __future__ import annotations

from typing import Any

from ucam_faas.emulator.api import ack_ids, checks, protos
from ucam_faas.emulator.api.pages import page_of_project
from ucam_faas.emulator.api.resources import Resources, SnapshotResource, SubscriptionResource
from ucam_faas.emulator.core.lease import DAY
from ucam_faas.emulator.core.queues import Queue
from ucam_faas.emulator.errors import RpcError, already_exists, invalid
from ucam_faas.gcp.limits import MAX_ACK_DEADLINE_SECONDS

MAX_REQUEST_BYTES = 512 * 1024
SNAPSHOT_LIFETIME = 7 * DAY
_CHANGEABLE = (
    "push_config",
    "ack_deadline_seconds",
    "retain_acked_messages",
    "message_retention_duration",
    "labels",
    "expiration_policy",
    "dead_letter_policy",
    "retry_policy",
    "enable_exactly_once_delivery",
    "tags",
)


class SubscriberApi:
    """Subscriptions, acknowledging, snapshots."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._engine = resources.engine

    # -- subscriptions ------------------------------------------------------------------------

    def create_subscription(self, request: Any) -> Any:
        """Create a subscription, which gets the messages published from now on."""
        name = self._resources.named(request.name, request.topic, "subscriptions")
        if name in self._resources.subscriptions:
            raise already_exists(name)
        checks.name(request.topic, "topics")
        proto = protos.Subscription()
        proto.CopyFrom(request)
        proto.name = name
        proto.ClearField("topic_message_retention_duration")  # output only
        self._check(proto)
        log = self._resources.topic(request.topic).log
        proto.state, proto.detached = 1, False  # ACTIVE
        queue = self._engine.open_queue(
            self._resources.new_number(), name, log, checks.rules(proto), self._resources.now()
        )
        subscription = SubscriptionResource(proto, queue)
        self._resources.subscriptions[name] = subscription
        self._resources.keep_subscription(subscription)
        return self._shown(subscription)

    def get_subscription(self, request: Any) -> Any:
        """Return a subscription."""
        return self._shown(self._resources.subscription(request.subscription))

    def update_subscription(self, request: Any) -> Any:
        """Change the fields that the mask names."""
        subscription = self._resources.subscription(request.subscription.name)
        proto = checks.updated(
            subscription.proto, request.subscription, request.update_mask, _CHANGEABLE
        )
        self._change(subscription, proto)
        return self._shown(subscription)

    def modify_push_config(self, request: Any) -> Any:
        """Push to another endpoint, or stop pushing."""
        subscription = self._resources.subscription(request.subscription)
        proto = protos.Subscription()
        proto.CopyFrom(subscription.proto)
        proto.push_config.CopyFrom(request.push_config)
        self._change(subscription, proto)
        return protos.Empty()

    def _change(self, subscription: SubscriptionResource, proto: Any) -> None:
        self._check(proto)
        subscription.proto = proto
        if subscription.queue is not None:
            subscription.queue.rules = checks.rules(proto)
            self._engine.awake[subscription.queue] = None
        self._resources.keep_subscription(subscription)

    def _check(self, proto: Any) -> None:
        checks.subscription(proto)
        dead_letter_topic = proto.dead_letter_policy.dead_letter_topic
        if dead_letter_topic:
            self._resources.topic(dead_letter_topic)

    def list_subscriptions(self, request: Any) -> Any:
        """Return a project's subscriptions, a page at a time."""
        page, token = page_of_project(request, self._resources.subscriptions, "subscriptions")
        answer = protos.SUBSCRIBER["ListSubscriptions"][1]
        return answer(subscriptions=map(self._shown, page), next_page_token=token)

    def delete_subscription(self, request: Any) -> Any:
        """Delete a subscription, with its undelivered messages."""
        self._resources.drop_subscription(request.subscription)
        return protos.Empty()

    def _shown(self, subscription: SubscriptionResource) -> Any:
        topic = self._resources.topics.get(subscription.proto.topic)
        if topic is None or not topic.proto.HasField("message_retention_duration"):
            return subscription.proto
        shown = protos.Subscription()
        shown.CopyFrom(subscription.proto)
        retention = topic.proto.message_retention_duration
        shown.topic_message_retention_duration.CopyFrom(retention)
        return shown

    # -- acknowledging ------------------------------------------------------------------------

    def queue(self, subscription: str) -> Queue:
        """Return the queue of a subscription.

        Raises:
            RpcError: NOT_FOUND, or FAILED_PRECONDITION if it is detached.
        """
        queue = self._resources.subscription(subscription).queue
        if queue is None:
            raise RpcError("FAILED_PRECONDITION", "The subscription is detached.")
        return queue

    def acknowledge(self, request: Any) -> Any:
        """Acknowledge deliveries."""
        queue = self.queue(request.subscription)
        check_size(request)
        ids = ack_ids.read(request.ack_ids, queue)
        if not ids:
            raise invalid("No ack ids specified.")
        if stale := self._engine.ack(queue, ids, self._resources.now()):
            raise ack_ids.stale(stale)
        return protos.Empty()

    def modify_ack_deadline(self, request: Any) -> Any:
        """Let leases end later, or now: 0 seconds are a nack."""
        queue = self.queue(request.subscription)
        check_size(request)
        seconds = deadline(request.ack_deadline_seconds, 0)
        ids = ack_ids.read(request.ack_ids, queue)
        if not ids:
            raise invalid("No ack ids specified.")
        stale = self._engine.modify(queue, ids, seconds, self._resources.now())
        if stale and queue.rules.exactly_once:
            raise ack_ids.stale(stale)
        return protos.Empty()

    # -- snapshots ----------------------------------------------------------------------------

    def create_snapshot(self, request: Any) -> Any:
        """Remember the messages that a subscription has not acknowledged."""
        name = self._resources.named(request.name, request.subscription, "snapshots")
        if name in self._resources.snapshots:
            raise already_exists(name)
        checks.labels(request.labels)
        queue = self.queue(request.subscription)
        topic = self._resources.subscription(request.subscription).proto.topic
        if topic == checks.DELETED_TOPIC:
            raise RpcError("FAILED_PRECONDITION", "The subscription's topic is deleted.")
        unacknowledged = queue.unacknowledged()
        proto = protos.Snapshot(name=name, topic=topic, labels=request.labels)
        oldest = self._engine.time_of(queue.log, queue.floor)
        now = self._resources.now().wall
        lifetime = SNAPSHOT_LIFETIME + (oldest or now) - now
        if lifetime < 3600:
            raise RpcError(
                "FAILED_PRECONDITION",
                "The oldest unacknowledged message is so old that the snapshot would expire in "
                "less than an hour.",
            )
        proto.expire_time.CopyFrom(protos.timestamp(now + lifetime))
        snapshot = SnapshotResource(proto, queue.log, queue.cursor, tuple(unacknowledged))
        self._resources.snapshots[name] = snapshot
        queue.log.pins[name] = snapshot.floor
        self._resources.keep_snapshot(snapshot)
        return proto

    def get_snapshot(self, request: Any) -> Any:
        """Return a snapshot."""
        return self._resources.snapshot(request.snapshot).proto

    def list_snapshots(self, request: Any) -> Any:
        """Return a project's snapshots, a page at a time."""
        snapshots, token = page_of_project(request, self._resources.snapshots, "snapshots")
        answer = protos.SUBSCRIBER["ListSnapshots"][1]
        return answer(snapshots=[snapshot.proto for snapshot in snapshots], next_page_token=token)

    def update_snapshot(self, request: Any) -> Any:
        """Change the fields that the mask names."""
        snapshot = self._resources.snapshot(request.snapshot.name)
        allowed = ("labels", "expire_time")
        proto = checks.updated(snapshot.proto, request.snapshot, request.update_mask, allowed)
        checks.presentable(proto)
        checks.labels(proto.labels)
        snapshot.proto = proto
        self._resources.keep_snapshot(snapshot)
        return proto

    def delete_snapshot(self, request: Any) -> Any:
        """Delete a snapshot."""
        self._resources.drop_snapshot(request.snapshot)
        return protos.Empty()

    def seek(self, request: Any) -> Any:
        """Move a subscription to a point in time, or back to a snapshot."""
        queue = self.queue(request.subscription)
        target = request.WhichOneof("target")
        if target == "time":
            self._engine.seek_time(queue, protos.epoch(request.time), self._resources.now())
        elif target == "snapshot":
            snapshot = self._resources.snapshot(request.snapshot)
            topic = self._resources.subscription(request.subscription).proto.topic
            if snapshot.log is not queue.log or snapshot.proto.topic != topic:
                raise RpcError(
                    "FAILED_PRECONDITION",
                    f"The snapshot is of the topic {snapshot.proto.topic}, the subscription of "
                    f"{topic}: they must be the same, and the topic must not be deleted.",
                )
            self._engine.seek(queue, snapshot.cursor, snapshot.unacknowledged)
        else:
            raise invalid("Seek needs a time or a snapshot.")
        return protos.SUBSCRIBER["Seek"][1]()


def check_size(request: Any) -> None:
    """Refuse a request about deliveries that is too long.

    Raises:
        RpcError: INVALID_ARGUMENT.
    """
    if request.ByteSize() > MAX_REQUEST_BYTES:
        raise invalid(
            f"The request has {request.ByteSize()} bytes; at most {MAX_REQUEST_BYTES} are allowed."
        )


def deadline(seconds: int, lowest: int) -> int:
    """Check an ack deadline.

    Raises:
        RpcError: INVALID_ARGUMENT.
    """
    if not lowest <= seconds <= MAX_ACK_DEADLINE_SECONDS:
        raise invalid(
            f"Invalid ack deadline: {seconds}. Expected {lowest} to {MAX_ACK_DEADLINE_SECONDS} "
            "seconds."
        )
    return seconds
