"""Random request messages for every method, and the failures that they must never cause."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.wire.methods import (
    CLOUD_TASKS,
    IAM,
    LOCATIONS,
    PUBLISHER,
    SCHEDULER,
    SCHEMAS,
    SUBSCRIBER,
)

from .rest_requests import CODES, ODD, BrokenError, Target

TEXTS = [odd for odd in ODD if isinstance(odd, str) and odd != "\ud800"]
GOOD: dict[str, list[Any]] = {
    "topic": ["projects/p/topics/top", "projects/p/topics/dead"],
    "subscription": ["projects/p/subscriptions/sub", "projects/p/subscriptions/exact"],
    "snapshot": ["projects/p/snapshots/snap"],
    "resource": ["projects/p/topics/top", "projects/p/subscriptions/sub"],
    "project": ["projects/p"],
    "schema_id": ["avro", "proto"],
    "schema": ["projects/p/schemas/avro", "projects/p/schemas/proto"],
    "definition": ['"string"', 'syntax = "proto3"; message M { optional string a = 1; }'],
    "parent": ["projects/p/locations/l"],
    "dead_letter_topic": ["projects/p/topics/dead"],
    "topic_name": ["projects/p/topics/top"],
    "push_endpoint": ["http://127.0.0.1:9/", "", ""],
    "uri": ["http://127.0.0.1:9/"],
    "url": [
        "http://127.0.0.1:9/",
        "https://pubsub.googleapis.com/v1/projects/p/topics/top:publish",
    ],
    "service_account_email": ["a@example.com"],
    "schedule": ["* * * * *"],
    "time_zone": ["UTC", "Europe/London"],
    "filter": ["", "attributes:a"],
    "return_immediately": [True],
    "max_messages": [1, 10, 1000],
    "ack_deadline_seconds": [0, 10, 600],
    "stream_ack_deadline_seconds": [0, 10, 60],
    "max_outstanding_messages": [0, 0, 10, -1],
    "max_outstanding_bytes": [0, 0, 1, -1],
    "protocol_version": [0],
    "modify_deadline_seconds": [0, 10],
    "data": [b"x"],
    "paths": [
        "labels",
        "schema_settings",
        "schema_settings.encoding",
        "ack_deadline_seconds",
        "retry_policy",
        "push_config",
        "schedule",
    ],
    "max_delivery_attempts": [5, 100, 0],
}
BY_MESSAGE: dict[tuple[str, str], list[Any]] = {
    ("Topic", "name"): GOOD["topic"],
    ("Subscription", "name"): GOOD["subscription"],
    ("Snapshot", "name"): GOOD["snapshot"],
    ("CreateSnapshotRequest", "name"): GOOD["snapshot"],
    **{
        (f"{method}Request", "name"): ["projects/p/schemas/avro", "projects/p/schemas/proto"]
        for method in (
            *("GetSchema", "ListSchemaRevisions", "CommitSchema", "RollbackSchema"),
            *("DeleteSchemaRevision", "DeleteSchema", "ValidateMessage"),
        )
    },
    **{
        (f"{method}Request", "parent"): ["projects/p"]
        for method in ("CreateSchema", "ListSchemas", "ValidateSchema", "ValidateMessage")
    },
    ("Queue", "name"): ["projects/p/locations/l/queues/q"],
    ("GetQueueRequest", "name"): ["projects/p/locations/l/queues/q"],
    ("CreateTaskRequest", "parent"): ["projects/p/locations/l/queues/q"],
    ("ListTasksRequest", "parent"): ["projects/p/locations/l/queues/q"],
    ("Task", "name"): ["", "projects/p/locations/l/queues/q/tasks/t"],
    ("GetTaskRequest", "name"): ["projects/p/locations/l/queues/q/tasks/t"],
    ("RunTaskRequest", "name"): ["projects/p/locations/l/queues/q/tasks/t"],
    ("Job", "name"): ["projects/p/locations/l/jobs/job"],
    ("GetJobRequest", "name"): ["projects/p/locations/l/jobs/job"],
    ("RunJobRequest", "name"): ["projects/p/locations/l/jobs/job"],
}
SMALL = {"google.protobuf.Duration": [1, 10, 600, 86400], "google.protobuf.Timestamp": [1769850000]}
NUMBERS = [0, 1, -1, 5, 10, 600, 601, 86400, 2**31 - 1, -(2**31)]
LARGE = [2**63 - 1, -(2**63), 315_576_000_001, 253_402_300_800]
F = FieldDescriptor


class Maker:
    """Makes messages, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ack_ids: list[str] = ["1-1-1"]
        """Given out lately."""

    def fill(self, message: Any, depth: int = 0, often: float = 0.5) -> Any:
        """Set some fields of a message to values that may be right."""
        for field in message.DESCRIPTOR.fields:
            if self.random.random() < self._share(message, field, often):
                try:
                    self._set(message, field, depth)
                except (ValueError, TypeError):  # not even protobuf takes it
                    message.ClearField(field.name)
        return message

    def _share(self, message: Any, field: Any, often: float) -> float:
        if field.name in GOOD or (message.DESCRIPTOR.name, field.name) in BY_MESSAGE:
            return 0.9
        if field.message_type is not None and field.message_type.full_name in SMALL:
            return 0.3
        return often / 4 if field.containing_oneof or field.message_type else often / 3

    def _set(self, message: Any, field: Any, depth: int) -> None:
        value = getattr(message, field.name)
        if field.is_repeated if hasattr(field, "is_repeated") else field.label == 3:
            for _ in range(self.random.choice([0, 1, 1, 2, 3])):
                self._add(value, field, depth)
        elif field.message_type is not None:
            value.SetInParent()
            if depth < 5:
                self.fill(value, depth + 1)
        else:
            setattr(message, field.name, self._scalar(message, field))

    def _add(self, value: Any, field: Any, depth: int) -> None:
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            if entry.fields_by_name["value"].message_type is None:
                value[self.random.choice(TEXTS)] = self.random.choice(TEXTS)
        elif entry is not None:
            self.fill(value.add(), depth + 1)
        else:
            value.append(self._scalar(value, field))

    def _scalar(self, message: Any, field: Any) -> Any:
        choice = self.random
        known = BY_MESSAGE.get((field.containing_type.name, field.name), GOOD.get(field.name))
        if field.name.endswith("ack_ids") and choice.random() < 0.8:
            return choice.choice(self.ack_ids)
        if known is not None and choice.random() < 0.9:
            return choice.choice(known)
        if field.cpp_type == F.CPPTYPE_STRING:
            text = choice.choice(TEXTS)
            return text.encode() if field.type == F.TYPE_BYTES else text
        if field.cpp_type == F.CPPTYPE_BOOL:
            return choice.random() < 0.5
        if field.cpp_type == F.CPPTYPE_ENUM:
            return choice.choice([0, 1, 2, 3, 99])
        if field.cpp_type in (F.CPPTYPE_DOUBLE, F.CPPTYPE_FLOAT):
            return choice.choice([0.0, 1.5, -1.0, float("nan"), float("inf")])
        small = SMALL.get(field.containing_type.full_name)
        if small is not None and field.name == "seconds" and choice.random() < 0.7:
            return choice.choice(small)
        if field.name == "nanos" and choice.random() < 0.8:
            return choice.choice([0, 500_000_000])
        return choice.choice(NUMBERS + LARGE)


class Caller:
    """Calls the methods of a target with a maker's requests."""

    def __init__(self, target: Target, seed: int) -> None:
        self.services = target.emulator.services
        self.target = target
        self.maker = Maker(seed)
        self.counts: Counter[str] = Counter()
        methods = {(PUBLISHER, n) for n in protos.PUBLISHER} | {(IAM, n) for n in protos.IAM}
        methods |= {(SCHEMAS, n) for n in protos.SCHEMAS}
        methods |= {(SUBSCRIBER, n) for n in protos.SUBSCRIBER}
        for service in (SCHEDULER, CLOUD_TASKS, LOCATIONS):
            self.services.find(service, "")
        methods |= set(self.services._methods)
        self.methods = sorted(methods)
        makers = ("CreateTopic", "CreateSubscription", "CreateSnapshot", "CreateJob", "Publish")
        makers += ("CreateQueue", "CreateTask")
        self.makers = [method for method in self.methods if method[1] in makers]

    async def step(self) -> None:
        """Call one method, or use one stream."""
        choice = self.maker.random
        if choice.random() < 0.05:
            await self.stream()
            return
        service, name = choice.choice(self.makers if choice.random() < 0.4 else self.methods)
        method = self.services.find(service, name)
        assert method is not None
        request = self.maker.fill(method.request())
        what = f"{name}({request!r})"
        response = await self._guard(what, method.call(request))
        if response is not None:
            response.SerializeToString()
            try:
                protos.to_dict(response)
            except Exception as error:
                raise BrokenError(f"{what} returns something that isn't JSON: {error!r}") from error
            if name == "Pull":
                self._remember(response.received_messages)

    async def stream(self) -> None:
        """Open a stream, make some requests, and close it."""
        requests = [
            self.maker.fill(protos.StreamingPullRequest())
            for _ in range(self.maker.random.choice([0, 1, 2, 4]))
        ]
        for later in requests[1:]:
            if self.maker.random.random() < 0.8:
                for name in ("subscription", "client_id"):
                    later.ClearField(name)
                later.max_outstanding_messages = later.max_outstanding_bytes = 0

        async def sent() -> AsyncIterator[Any]:
            for request in requests:
                yield request
                await asyncio.sleep(0)

        async def write(response: Any) -> None:
            response.SerializeToString()
            self._remember(response.received_messages)

        pulling = self.services.pulling
        await self._guard(f"StreamingPull({requests!r})", pulling.stream(sent(), write))

    async def _guard(self, what: str, call: Any) -> Any:
        try:
            response = await asyncio.wait_for(call, 0.2)
        except RpcError as error:
            self.counts[error.code] += 1
            if error.code not in CODES:
                raise BrokenError(f"{what} gives {error.code}") from error
            return None
        except TimeoutError:
            self.counts["waits"] += 1
            return None
        except Exception as error:
            raise BrokenError(f"{what} raises {error!r}") from error
        finally:
            logged = list(self.target._records.texts)
            self.target._records.texts.clear()
        if logged:
            raise BrokenError(f"{what} logs {logged[0]}")
        self.counts["OK"] += 1
        return response

    def _remember(self, received: Any) -> None:
        self.maker.ack_ids = [message.ack_id for message in received] or self.maker.ack_ids
