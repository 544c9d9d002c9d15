"""A Pub/Sub other than the embedded one: Google's, or the emulator of PUBSUB_EMULATOR_HOST.

It cannot push to a laptop, so each task has a pull subscription, and each pulled message is sent to
the task as a push would be: the same request, and the response acknowledges.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from ucam_faas._optional import require
from ucam_faas.dev.observer import SessionObserver
from ucam_faas.emulator.core.storage import Message
from ucam_faas.emulator.push import request as push_request
from ucam_faas.emulator.push.pusher import ACKNOWLEDGED
from ucam_faas.exceptions import PublishError, PubsubError, UCAMFAASException
from ucam_faas.gcp.limits import MAX_RETENTION_SECONDS
from ucam_faas.net import emulator_address
from ucam_faas.publishing.google import GooglePublisher
from ucam_faas.publishing.rest import RestPublisher
from ucam_faas.tasks.needs import TaskNeeds, full_topic

SUFFIX = "-dev"
"""The end of our subscriptions' names: those of deployed tasks are left alone."""
MARGIN_SECONDS = 30.0
CONNECT_SECONDS = 2.0
"""An emulator that takes longer to accept a connection and greet counts as gone."""
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""An HTTP/2 client's preface and empty settings: a server answers with its own (RFC 9113)."""
CALL_SECONDS = 5.0
"""For each topic and subscription. Google's clients would try again for ten minutes."""


async def check(host: str) -> None:
    """Check that an emulator answers.

    Args:
        host: `host:port`.

    Raises:
        ConfigurationError: it isn't an address, or nothing answers there.
    """
    name, port = emulator_address.parse(host, _CURE)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(name, port)
            writer.write(GREETING)
            await reader.readexactly(1)
    except (OSError, EOFError, OverflowError, ValueError) as error:
        number = getattr(error, "errno", None) or 0
        why = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or "no answer"
        raise PubsubError(
            f"PUBSUB_EMULATOR_HOST is {host}, and nothing answers there ({why}). Start that "
            f"emulator, or use the embedded one: {_CURE}"
        ) from error
    writer.close()


_CURE = "`unset PUBSUB_EMULATOR_HOST`, or `ucam-faas dev --pubsub embedded`."


class ExternalPubsub:
    """Topics and pull subscriptions of tasks, and the messages pulled from them.

    Args:
        host: `host:port` of an emulator; none: Google's.
        project: of the topics and subscriptions.
        observer: gets the events; called on other threads.

    Raises:
        MissingExtraError: google-cloud-pubsub is not installed.
        UCAMFAASException: its clients cannot be made: there are no credentials, say.
    """

    def __init__(self, host: str, project: str, observer: SessionObserver) -> None:
        # Google's clients read it: Google's own Pub/Sub is meant, if there is no host.
        os.environ.pop("PUBSUB_EMULATOR_HOST", None)
        if host:
            os.environ["PUBSUB_EMULATOR_HOST"] = host
        pubsub = require("google.cloud.pubsub_v1", extra="local", purpose="use this Pub/Sub")
        self._exceptions: Any = require(
            "google.api_core.exceptions", extra="local", purpose="use this Pub/Sub"
        )
        self._project = project
        self._cure = f"To use the embedded one: {_CURE}" if host else ""
        self._observer = observer
        self._messages = RestPublisher(host) if host else GooglePublisher()
        try:
            self._publisher: Any = pubsub.PublisherClient()
            self._subscriber: Any = pubsub.SubscriberClient()
        except Exception as error:  # Google's libraries for authentication share no base with it
            raise PubsubError(f"Pub/Sub cannot be used: {error}") from error
        self._publishing = ThreadPoolExecutor(1, thread_name_prefix="ucam-faas-publish")
        self._pulling: dict[str, Future[Any]] = {}
        self._closing = False

    def apply(
        self, plans: Sequence[TaskNeeds], url: str, existing_topics: Sequence[str] = ()
    ) -> None:
        """Create the missing topics and subscriptions, and send tasks their messages.

        Args:
            plans: the tasks.
            url: where they are served.
            existing_topics: topics that the cloud has without the tasks.

        Raises:
            UCAMFAASException: Pub/Sub refuses something, or doesn't answer.
        """
        for topic in existing_topics:
            self._topic(topic)
        wanted = {plan.name: plan for plan in plans if plan.topic is not None}
        for name in self._pulling.keys() - wanted.keys():
            self._pulling.pop(name).cancel()
        for name, plan in wanted.items():
            subscription = self._subscription(plan)
            if name not in self._pulling:
                sender = _Sender(plan, subscription, url, self._observer)
                self._pulling[name] = self._subscriber.subscribe(subscription, sender.deliver)

    def publish(self, topic: str, message: Message) -> None:
        """Publish a message that a schedule made, soon; say so if that fails."""
        self._publishing.submit(self._publish, topic, message)

    def _publish(self, topic: str, message: Message) -> None:
        try:
            self._messages.publish(topic, message.data, message.attributes)
        except PublishError as error:
            self._observer.not_published(error)

    def close(self) -> None:
        """Stop pulling; Pub/Sub redelivers unfinished messages."""
        self._closing = True
        for pulling in self._pulling.values():
            pulling.cancel()
        for pulling in self._pulling.values():
            pulling.exception(timeout=10)
        self._publishing.shutdown()
        self._publisher.stop()
        self._subscriber.close()

    def _topic(self, topic: str) -> str:
        name = full_topic(topic, self._project)
        self._make(self._publisher.create_topic, {"name": name}, f"topic {name}")
        return name

    def _subscription(self, plan: TaskNeeds) -> str:
        request: dict[str, Any] = {
            "name": self._named(plan.name),
            "topic": self._topic(plan.topic or ""),
            "ack_deadline_seconds": plan.ack_deadline_seconds,
            "enable_message_ordering": plan.ordered,
            "filter": plan.filter or "",
            "retry_policy": {
                "minimum_backoff": timedelta(seconds=plan.min_backoff_seconds),
                "maximum_backoff": timedelta(seconds=plan.max_backoff_seconds),
            },
        }
        if plan.dead_letter_topic is not None:
            topic = self._topic(plan.dead_letter_topic)
            request["dead_letter_policy"] = {
                "dead_letter_topic": topic,
                "max_delivery_attempts": plan.max_attempts,
            }
            short = topic.rpartition("/")[2]
            kept = timedelta(seconds=MAX_RETENTION_SECONDS)
            letters = {"name": self._named(short), "topic": topic}
            self._create({**letters, "message_retention_duration": kept})
        return self._create(request)

    def _named(self, short: str) -> str:
        return f"projects/{self._project}/subscriptions/{short}{SUFFIX}"

    def _create(self, request: dict[str, Any]) -> str:
        name = str(request["name"])
        self._make(self._subscriber.create_subscription, request, f"subscription {name}")
        return name

    def _make(self, create: Callable[..., Any], request: dict[str, Any], what: str) -> None:
        if self._closing:
            raise UCAMFAASException(f"The {what} was not created: the session is ending.")
        try:
            create(request=request, retry=None, timeout=CALL_SECONDS)
        except self._exceptions.AlreadyExists:
            return
        except self._exceptions.GoogleAPIError as error:
            raise PubsubError(
                f"Pub/Sub did not create the {what}: {error}. {self._cure}"
            ) from error
        self._observer.made(what)


class _Sender:
    """Sends a task the messages of its subscription."""

    def __init__(
        self, plan: TaskNeeds, subscription: str, url: str, observer: SessionObserver
    ) -> None:
        self._plan = plan
        self._subscription = subscription
        parts = urlsplit(url)
        self._host = parts.netloc
        self._observer = observer
        self._lock = threading.Lock()

    def deliver(self, pulled: Any) -> None:
        """Send a message, and acknowledge it if the task does."""
        message = Message(
            int(pulled.message_id),
            pulled.publish_time.timestamp(),
            pulled.ordering_key,
            dict(pulled.attributes),
            pulled.data,
        )
        attempt = pulled.delivery_attempt or 1
        delivery = (self._subscription, message, attempt)
        with self._lock:
            self._observer.delivered(*delivery)
        status = self._post(message, pulled.delivery_attempt)
        with self._lock:
            if status in ACKNOWLEDGED:
                pulled.ack()
                self._observer.acknowledged(*delivery, status=status)
            else:
                pulled.nack()
                last = 0 < (self._plan.max_attempts or 0) <= attempt
                delay = None if last else self._plan.min_backoff_seconds
                self._observer.failed(*delivery, status=status, retry_seconds=delay)

    def _post(self, message: Message, attempt: int | None) -> int | str:
        if self._plan.wrapped:
            lines, body = push_request.wrapped(message, self._subscription, attempt=attempt)
        else:
            lines, body = push_request.unwrapped(message, self._subscription, metadata=True)
        headers = dict(line.split(": ", 1) for line in lines.decode().split("\r\n") if line)
        seconds = self._plan.ack_deadline_seconds + MARGIN_SECONDS
        connection = HTTPConnection(self._host, timeout=seconds)
        try:
            connection.request("POST", self._plan.path, body, headers)
            return connection.getresponse().status
        except (OSError, HTTPException) as error:
            return str(error) or type(error).__name__
        finally:
            connection.close()
