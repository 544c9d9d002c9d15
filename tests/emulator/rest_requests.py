"""Requests for REST: from valid ones of every route to broken ones.

`Mutator` makes requests from a seed, `Target` answers them in this process. What is never allowed
to happen is in `Target.ask`: a status of 500 or more, a log record of level ERROR or with a
traceback, an error that is not in Google's form.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from tests.integration.processes import HANG_SECONDS
from ucam_faas.emulator.core.storage.memory import MemoryStorage
from ucam_faas.emulator.emulator import Emulator, Options
from ucam_faas.emulator.wire.rest import RestApp
from ucam_faas.testing import ManualClock

P = "/v1/projects/p"
J = f"{P}/locations/europe-west2/jobs"
V2 = "/v2/projects/p"
Q = f"{V2}/locations/europe-west2/queues"
QUEUE = {
    "name": "projects/p/locations/europe-west2/queues/q",
    "rateLimits": {"maxDispatchesPerSecond": 5, "maxConcurrentDispatches": 3},
    "retryConfig": {
        "maxAttempts": 5,
        "maxRetryDuration": "60s",
        "minBackoff": "1s",
        "maxBackoff": "10s",
        "maxDoublings": 2,
    },
    "stackdriverLoggingConfig": {"samplingRatio": 1},
}
AVRO = {
    "type": "AVRO",
    "definition": '{"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}]}',
}
PROTO = {
    "type": "PROTOCOL_BUFFER",
    "definition": 'syntax = "proto3"; message M { optional string a = 1; repeated M m = 2; }',
}
TASK = {
    "task": {
        "name": "projects/p/locations/europe-west2/queues/q/tasks/t",
        "httpRequest": {
            "url": "https://pubsub.googleapis.com/v1/projects/p/topics/top:publish",
            "headers": {"a": "b"},
            "body": "eyJtZXNzYWdlcyI6IFt7ImRhdGEiOiAiYUdrPSJ9XX0=",
            "oauthToken": {"serviceAccountEmail": "a@example.com", "scope": "s"},
        },
        "scheduleTime": "2026-01-31T09:00:00.5Z",
        "dispatchDeadline": "30s",
    },
    "responseView": "FULL",
}
CODES = {
    "ABORTED", "ALREADY_EXISTS", "FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND",
    "UNIMPLEMENTED",
}  # fmt: skip
TEMPLATES: list[tuple[str, str, Any]] = [
    ("PUT", f"{P}/topics/top", {"labels": {"a": "b"}, "messageRetentionDuration": "86400s"}),
    ("PUT", f"{P}/topics/dead", {}),
    ("GET", f"{P}/topics/top", None),
    ("GET", f"{P}/topics?pageSize=2&pageToken=&alt=json", None),
    ("GET", f"{P}/topics/top/subscriptions", None),
    ("GET", f"{P}/topics/top/snapshots", None),
    ("PATCH", f"{P}/topics/top", {"topic": {"labels": {"c": "d"}}, "updateMask": "labels"}),
    (
        "POST",
        f"{P}/topics/top:publish",
        {"messages": [{"data": "aGVsbG8=", "attributes": {"a": "b"}, "orderingKey": "k"}]},
    ),
    (
        "PUT",
        f"{P}/subscriptions/sub",
        {
            "topic": "projects/p/topics/top",
            "ackDeadlineSeconds": 20,
            "retainAckedMessages": True,
            "messageRetentionDuration": "86400s",
            "deadLetterPolicy": {
                "deadLetterTopic": "projects/p/topics/dead",
                "maxDeliveryAttempts": 5,
            },
            "retryPolicy": {"minimumBackoff": "1s", "maximumBackoff": "5.5s"},
            "expirationPolicy": {"ttl": "86400s"},
            "enableMessageOrdering": True,
            "enableExactlyOnceDelivery": False,
            "filter": 'attributes:a AND NOT attributes.b = "c"',
            "labels": {"a": "b"},
        },
    ),
    (
        "PUT",
        f"{P}/subscriptions/pushed",
        {
            "topic": "projects/p/topics/top",
            "pushConfig": {
                "pushEndpoint": "http://127.0.0.1:9/path?query=1",
                "oidcToken": {"serviceAccountEmail": "a@example.com", "audience": "b"},
                "attributes": {"x-goog-version": "v1"},
                "noWrapper": {"writeMetadata": True},
            },
        },
    ),
    ("GET", f"{P}/subscriptions/sub", None),
    ("GET", f"{P}/subscriptions", None),
    (
        "PATCH",
        f"{P}/subscriptions/sub",
        {
            "subscription": {"ackDeadlineSeconds": 30, "retryPolicy": {"minimumBackoff": "2s"}},
            "updateMask": "ackDeadlineSeconds,retryPolicy.minimumBackoff",
        },
    ),
    ("POST", f"{P}/subscriptions/sub:pull", {"maxMessages": 10, "returnImmediately": True}),
    ("POST", f"{P}/subscriptions/sub:acknowledge", {"ackIds": ["2-1-1"]}),
    (
        "POST",
        f"{P}/subscriptions/sub:modifyAckDeadline",
        {"ackIds": ["2-1-1"], "ackDeadlineSeconds": 0},
    ),
    (
        "POST",
        f"{P}/subscriptions/sub:modifyPushConfig",
        {"pushConfig": {"pushEndpoint": "http://localhost:9/"}},
    ),
    ("POST", f"{P}/subscriptions/sub:seek", {"time": "2026-01-31T09:00:00.5Z"}),
    ("POST", f"{P}/subscriptions/pushed:detach", None),
    (
        "PUT",
        f"{P}/snapshots/snap",
        {"subscription": "projects/p/subscriptions/sub", "labels": {"a": "b"}},
    ),
    ("GET", f"{P}/snapshots/snap", None),
    ("GET", f"{P}/snapshots", None),
    (
        "PATCH",
        f"{P}/snapshots/snap",
        {
            "snapshot": {"labels": {"c": "d"}, "expireTime": "2026-02-01T09:00:00Z"},
            "updateMask": "labels,expireTime",
        },
    ),
    ("GET", f"{P}/topics/top:getIamPolicy?options.requestedPolicyVersion=3", None),
    (
        "POST",
        f"{P}/topics/top:setIamPolicy",
        {"policy": {"bindings": [{"role": "r", "members": ["user:a"]}]}},
    ),
    (
        "POST",
        f"{P}/subscriptions/sub:testIamPermissions",
        {"permissions": ["pubsub.subscriptions.consume"]},
    ),
    ("POST", f"{P}/schemas?schemaId=avro", AVRO),
    ("POST", f"{P}/schemas?schemaId=proto", PROTO),
    ("GET", f"{P}/schemas/avro?view=FULL", None),
    ("GET", f"{P}/schemas?pageSize=2&view=BASIC", None),
    ("GET", f"{P}/schemas/proto:listRevisions?pageSize=1", None),
    ("POST", f"{P}/schemas/avro:commit", {"schema": AVRO}),
    ("POST", f"{P}/schemas/proto:rollback", {"revisionId": "c7cfa2a8"}),
    ("DELETE", f"{P}/schemas/proto@c7cfa2a8:deleteRevision", None),
    ("POST", f"{P}/schemas:validate", {"schema": PROTO}),
    (
        "POST",
        f"{P}/schemas:validateMessage",
        {"name": "projects/p/schemas/avro", "message": "eyJhIjogIiJ9", "encoding": "JSON"},
    ),
    (
        "PUT",
        f"{P}/topics/checked",
        {"schemaSettings": {"schema": "projects/p/schemas/proto", "encoding": "JSON"}},
    ),
    ("POST", f"{P}/topics/checked:publish", {"messages": [{"data": "e30="}]}),
    (
        "POST",
        J,
        {
            "name": "projects/p/locations/europe-west2/jobs/job",
            "schedule": "0 3 * * *",
            "timeZone": "Europe/London",
            "pubsubTarget": {
                "topicName": "projects/p/topics/top",
                "data": "aGVsbG8=",
                "attributes": {"a": "b"},
            },
            "retryConfig": {
                "retryCount": 2,
                "minBackoffDuration": "5s",
                "maxBackoffDuration": "3600s",
                "maxDoublings": 5,
                "maxRetryDuration": "0s",
            },
        },
    ),
    (
        "POST",
        J,
        {
            "name": "projects/p/locations/europe-west2/jobs/web",
            "schedule": "*/5 * * * *",
            "attemptDeadline": "30s",
            "httpTarget": {
                "uri": "http://127.0.0.1:9/",
                "httpMethod": "POST",
                "body": "aGVsbG8=",
                "headers": {"a": "b"},
                "oidcToken": {"serviceAccountEmail": "a@example.com"},
            },
        },
    ),
    ("GET", J, None),
    ("GET", f"{J}/job", None),
    ("GET", f"{P}/locations", None),
    ("GET", f"{P}/locations/europe-west2", None),
    ("PATCH", f"{J}/job?updateMask=schedule,timeZone", {"schedule": "5 4 * * *"}),
    ("POST", f"{J}/job:run", {}),
    ("POST", f"{J}/job:pause", {}),
    ("POST", f"{J}/job:resume", {}),
    ("DELETE", f"{J}/job", None),
    ("GET", f"{V2}/locations", None),
    ("POST", Q, QUEUE),
    ("GET", Q, None),
    ("GET", f"{Q}/q", None),
    (
        "PATCH",
        f"{Q}/q?updateMask=rateLimits.maxConcurrentDispatches,retryConfig",
        {"rateLimits": {"maxConcurrentDispatches": 2}, "retryConfig": {"maxAttempts": 3}},
    ),
    ("POST", f"{Q}/q/tasks", TASK),
    (
        "POST",
        f"{Q}/q/tasks",
        {"task": {"httpRequest": {"url": "http://localhost:9/", "httpMethod": "GET"}}},
    ),
    ("GET", f"{Q}/q/tasks?responseView=FULL", None),
    ("GET", f"{Q}/q/tasks/t", None),
    ("POST", f"{Q}/q/tasks/t:run", {"responseView": "FULL"}),
    ("DELETE", f"{Q}/q/tasks/t", None),
    ("POST", f"{Q}/q:getIamPolicy", {}),
    ("POST", f"{Q}/q:setIamPolicy", {"policy": {"bindings": [{"role": "r"}]}}),
    ("POST", f"{Q}/q:pause", {}),
    ("POST", f"{Q}/q:resume", {}),
    ("POST", f"{Q}/q:purge", {}),
    ("DELETE", f"{Q}/q", None),
    ("POST", f"{P}/subscriptions/sub:seek", {"snapshot": "projects/p/snapshots/snap"}),
    ("DELETE", f"{P}/snapshots/snap", None),
    ("DELETE", f"{P}/subscriptions/sub", None),
    ("DELETE", f"{P}/topics/dead", None),
    ("GET", "/", None),
    ("GET", "/oauth2/v3/certs", None),
]
MAKERS = [t for t in TEMPLATES if t[0] == "PUT" or t[1] == J or t[2] in (QUEUE, TASK)]
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, -(2**31) - 1, 2**63, 2**64, 1e308, 0.5, float("nan"),
    float("inf"), "", " ", "a", "\0", "\ud800", "\r\nX-Evil: 1", "é" * 300, "0s", "-1s", "1e9s",
    "0.000000001s", "315576000001s", "600.5s", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "projects/p/topics/top",
    "projects/p/topics/dead", "projects/p/subscriptions/sub", "projects/p/snapshots/snap",
    "_deleted-topic_", "projects/-/topics/top", "../../etc/passwd", "%00", "*", "labels",
    "labels.a", "name", "pushConfig.pushEndpoint", "push_config.oidc_token", "a..b", ".", ",",
    "http://", "http://[::1", "http://localhost:99999/", "http://127.0.0.1:0/", "http://a@b@c/",
    "http://[::1]:9/", "http://127.0.0.1:٣/", "https://localhost/#a", "http://.localhost/",
    f"http://{'a' * 64}.localhost/", "ftp://localhost/", "1-1-1", "2-1-1700000000000000",
    "9" * 400, "attributes:", "NOT " * 60 + "attributes:a", "(" * 200, "* * * * *", "61 * * * *",
    "0 0 31 2 *", "every 5 minutes", "Mars/Olympus", "UTC", "../UTC", "AAAA", "not base64!",
    [], {}, [[]], [None], [{}], {"": ""}, {"a": None}, {"a": {"a": {"a": {}}}}, ["a"] * 101,
    {str(n): "" for n in range(101)}, {"@type": "type.googleapis.com/google.protobuf.Any"},
]  # fmt: skip
FIELDS = [
    "name", "topic", "labels", "tags", "filter", "state", "detached", "kmsKeyName", "etag",
    "schemaSettings", "messageTransforms", "bigqueryConfig", "cloudStorageConfig", "pushConfig",
    "pushEndpoint", "noWrapper", "pubsubWrapper", "oidcToken", "ackIds", "ackDeadlineSeconds",
    "expirationPolicy", "ttl", "retryPolicy", "minimumBackoff", "updateMask", "subscription",
    "topicMessageRetentionDuration", "messageRetentionDuration", "messageStoragePolicy",
    "allowedPersistenceRegions", "expireTime", "seconds", "nanos", "time", "snapshot", "policy",
    "bindings", "permissions", "options", "pageSize", "pageToken", "messages", "data",
    "attributes", "orderingKey", "publishTime", "messageId", "schedule", "timeZone", "httpTarget",
    "appEngineHttpTarget", "pubsubTarget", "retryConfig", "attemptDeadline", "scheduleTime",
    "queue", "task", "rateLimits", "maxDispatchesPerSecond", "maxAttempts", "httpRequest", "url",
    "dispatchDeadline", "oauthToken", "responseView", "minBackoff", "stackdriverLoggingConfig",
    "ack_deadline_seconds", "enableExactlyOnceDelivery", "resource", "unknown", "__class__",
]  # fmt: skip


@dataclass(frozen=True)
class Request:
    """The request as it goes over the wire."""

    method: str
    path: str
    """With the query."""
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def request(method: str, path: str, content: Any = None) -> Request:
    """Return a request with a body in JSON, or none."""
    return Request(method, path, b"" if content is None else json.dumps(content).encode())


class BrokenError(AssertionError):
    """A failure that must never happen."""


class Mutator:
    """Makes requests, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def make(self) -> Request:
        """Return a request that may be valid."""
        choice = self.random
        if choice.random() < 0.3:  # or else everything would soon be deleted
            method, path, content = choice.choice(MAKERS)
        else:
            method, path, content = choice.choice(TEMPLATES)
        content = json.loads(json.dumps(content))
        for _ in range(choice.choice([0, 0, 1, 1, 1, 2, 4])):
            content = self._changed(content)
        made = request(method, path, content)
        for change in self._wire_changes():
            made = change(made)
        return made

    def _changed(self, content: Any) -> Any:
        """Return JSON with one thing changed somewhere."""
        choice = self.random
        if choice.random() < 0.15 or not isinstance(content, dict | list) or not content:
            if isinstance(content, dict):
                return {**content, choice.choice(FIELDS): self._odd()}
            return self._odd()
        if isinstance(content, list):
            index = choice.randrange(len(content))
            return [*content[:index], self._changed(content[index]), *content[index + 1 :]]
        key = choice.choice(list(content))
        deed = choice.random()
        if deed < 0.1:
            return {name: value for name, value in content.items() if name != key}
        if deed < 0.2:
            return {(choice.choice(FIELDS) if n == key else n): v for n, v in content.items()}
        if deed < 0.5:
            return {**content, key: self._odd()}
        return {**content, key: self._changed(content[key])}

    def _odd(self) -> Any:
        odd = self.random.choice(ODD)
        return [odd] if self.random.random() < 0.1 else odd

    def _wire_changes(self) -> list[Callable[[Request], Request]]:
        changes = [
            self._other_method, self._other_path, self._other_query, self._other_bytes,
            self._other_headers,
        ]  # fmt: skip
        return self.random.sample(changes, self.random.choice([0, 0, 0, 0, 1, 1, 2]))

    def _other_method(self, made: Request) -> Request:
        methods = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW", ""]
        return replace(made, method=self.random.choice(methods))

    def _other_path(self, made: Request) -> Request:
        path, _, query = made.path.partition("?")
        parts = path.split("/")
        index = self.random.randrange(len(parts))
        odd = str(self.random.choice([o for o in ODD if isinstance(o, str)])).replace("?", "")
        parts[index] = self.random.choice(
            [odd, parts[index] + odd, parts[index] + ":" + odd, parts[index].upper(), "p", "-"]
        )
        path = self.random.choice(["/".join(parts), path + "/", path + ":seek", "/" + path, ""])
        return replace(made, path=path + ("?" + query if query else ""))

    def _other_query(self, made: Request) -> Request:
        path = made.path.partition("?")[0]
        field = ".".join(self.random.sample(FIELDS, self.random.choice([1, 1, 2, 400 % 50])))
        odd = self.random.choice(ODD)
        return replace(
            made,
            path=path
            + self.random.choice([f"?{field}={odd}", "?&&==", "?%ff%00=%ff", f"?{field}"]),
        )

    def _other_bytes(self, made: Request) -> Request:
        body = bytearray(made.body or b"{}")
        index = self.random.randrange(len(body))
        deeds = [
            bytes(body[:index]),
            bytes(body[:index]) + b"\xff" + bytes(body[index:]),
            bytes(body) * 2,
            b"[" * 100_000,
            b'{"a":' * 5_000,
            b'{"messages":' + b"[" * 900,
            b'{"maxMessages":' + b"9" * 5_000 + b"}",
            b"\xef\xbb\xbf{}",
            "{}".encode("utf-16"),
            b"null",
            b'"a"',
            b"\0",
        ]
        return replace(made, body=self.random.choice(deeds))

    def _other_headers(self, made: Request) -> Request:
        odd = [
            (b"content-type", b"application/x-protobuf"),
            (b"content-encoding", b"gzip"),
            (b"content-length", b"-1"),
            (b"x-http-method-override", b"DELETE"),
            (b"authorization", b"Bearer \xff"),
            (b"\xff", b"\xff"),
        ]
        return replace(made, headers=tuple(self.random.sample(odd, 2)))


class Target:
    """An emulator without sockets, on the running event loop; `async with Target() as target`."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.codes: Counter[str] = Counter()
        self._records = _Records()

    async def __aenter__(self) -> Target:
        self.clock = ManualClock()
        self.emulator = Emulator(Options(), clock=self.clock)
        self.emulator._assemble(MemoryStorage())
        self.app = RestApp(self.emulator.services, self.emulator._pages())
        logging.getLogger().addHandler(self._records)
        asyncio.get_running_loop().set_exception_handler(self._records.of_loop)
        return self

    async def __aexit__(self, *exc: object) -> None:
        logging.getLogger().removeHandler(self._records)
        self.emulator.pushes.close()
        self.emulator.schedules.close()
        self.emulator.cloud_tasks.close()
        await asyncio.sleep(0)
        self.emulator.hub.close()

    async def let_time_pass(self, seconds: float) -> None:
        """Let leases, backoffs and schedules become due."""
        self.clock.advance(timedelta(seconds=seconds))
        for _ in range(5):
            await asyncio.sleep(0)

    async def ask(self, made: Request) -> int:
        """Make a request, and return the status.

        Raises:
            BrokenError: what must never happen has happened.
        """
        sent: list[Any] = []
        path, _, query = made.path.partition("?")
        scope = {
            "type": "http",
            "method": made.method,
            # As uvicorn makes them: percent-decoded, with replacement characters.
            "path": unquote(path.encode("utf-8", "replace").decode()),
            "query_string": query.encode("utf-8", "replace"),
            "headers": list(made.headers),
        }
        events = [{"type": "http.request", "body": made.body, "more_body": False}]

        async def receive() -> Any:
            if events:
                return events.pop()
            await asyncio.Event().wait()

        async def send(event: Any) -> None:
            sent.append(event)

        self._records.texts.clear()
        task = asyncio.ensure_future(self.app(scope, receive, send))
        may_wait = made.path.partition("?")[0].endswith(":pull")  # there may be no message
        done, _ = await asyncio.wait([task], timeout=0.5 if may_wait else HANG_SECONDS)
        if not done:
            task.cancel()
            await asyncio.wait([task])
            if not may_wait:
                raise BrokenError(f"no answer to {made}")
            self.counts[0] += 1
            return 0
        if task.exception() is not None:
            raise BrokenError(f"{task.exception()!r} for {made}") from task.exception()
        self._check(made, sent)
        return int(sent[0]["status"])

    def _check(self, made: Request, sent: list[Any]) -> None:
        status, body = sent[0]["status"], sent[1]["body"]
        self.counts[status] += 1
        if self._records.texts:
            raise BrokenError(f"{made} logs {self._records.texts[0]}")
        if status >= 500:
            raise BrokenError(f"{made} is answered {status} {body!r}")
        if status >= 400:
            error = json.loads(body)["error"]
            if error["code"] != status or error["status"] not in CODES or not error["message"]:
                raise BrokenError(f"{made} is answered {body!r}")
            self.codes[error["status"]] += 1
        elif b"json" in dict(sent[0]["headers"])[b"content-type"]:
            json.loads(body)


class _Records(logging.Handler):
    """Keeps log lines that must not come."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.texts.append(logging.Formatter().format(record))

    def of_loop(self, _: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        trace = "" if error is None else "".join(traceback.format_exception(error))
        self.texts.append(f"{context['message']} {trace}")
