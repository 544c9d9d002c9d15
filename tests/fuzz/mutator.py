"""Valid deliveries of every form in, broken ones out; and an application that should mind none.

`Mutator` makes requests from a seed, `Target` answers them as the server does. What is never
allowed to happen is in `Target.ask`: an exception, a status of 500 or more, a log record of level
ERROR or with a traceback, a log line that isn't JSON.
"""

from __future__ import annotations

import base64
import json
import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from cloudevents.http import CloudEvent
from pydantic import BaseModel

import ucam_faas
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import Runtime
from ucam_faas.logs.setup import JsonFormatter
from ucam_faas.serving.app import App
from ucam_faas.tasks import registry

SUBSCRIPTION = "projects/p/subscriptions/s"
MESSAGE_TYPE = ucam_faas.PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(frozen=True)
class Request:
    """A request as it goes over the wire."""

    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    query: bytes = b""


def request(headers: dict[str, str], body: Any, path: str = "/", method: str = "POST") -> Request:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = tuple((name.encode(), value.encode()) for name, value in headers.items())
    return Request(method, path, sent, content)


MESSAGE = {
    "data": base64.b64encode(b'{"name": "Ada", "age": 36}').decode(),
    "attributes": {"kind": "greeting", "googclient_traceparent": TRACE},
    "messageId": "4711",
    "publishTime": "2026-01-31T09:00:00.123Z",
    "orderingKey": "a",
}
PUSH = {"message": MESSAGE, "subscription": SUBSCRIPTION, "deliveryAttempt": 3}
SNAKE = {
    "message": {
        "data": "aGk=",
        "message_id": "4711",
        "publish_time": "2026-01-31T09:00:00Z",
        "ordering_key": "a",
    },
    "subscription": SUBSCRIPTION,
    "delivery_attempt": 3,
}
EVENT = {"specversion": "1.0", "id": "1", "source": "//example.com", "type": "com.example.made"}
JSON_TYPE = {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BINARY = {f"ce-{name}": value for name, value in EVENT.items()}

VALID = {
    "wrapped push": request({**JSON_TYPE, "traceparent": TRACE}, PUSH),
    "wrapped push, no type": request({}, SNAKE),
    "unwrapped push": request(
        {
            "x-goog-pubsub-message-id": "4711",
            "x-goog-pubsub-subscription-name": SUBSCRIPTION,
            "x-goog-pubsub-publish-time": "2026-01-31T09:00:00Z",
            "x-goog-pubsub-ordering-key": "a",
            "x-goog-pubsub-delivery-attempt": "3",
            "kind": "greeting",
        },
        b'{"name": "Ada", "age": 36}',
    ),
    "unwrapped push, no metadata": request(
        {"user-agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"},
        b'{"name": "Ada", "age": 36}',
    ),
    "binary event": request(
        {**BINARY, **JSON_TYPE, "ce-subject": "a%20b", "ce-time": "2026-01-31T09:00:00Z"},
        {"name": "Ada", "age": 36},
    ),
    "binary event, text": request({**BINARY, "content-type": "text/plain"}, b"hello"),
    "binary message": request({**BINARY, **JSON_TYPE, "ce-type": MESSAGE_TYPE}, PUSH),
    "structured event": request(
        STRUCTURED, {**EVENT, "subject": "s", "time": "2026-01-31T09:00:00Z", "data": {"age": 36}}
    ),
    "structured event, text": request(
        STRUCTURED, {**EVENT, "datacontenttype": "text/plain", "data": "hello"}
    ),
    "structured event, base64": request(
        STRUCTURED,
        {**EVENT, "datacontenttype": "application/octet-stream", "data_base64": "aGVsbG8="},
    ),
    "structured event as JSON": request(JSON_TYPE, {**EVENT, "data": ["a", 1, None]}),
    "structured message": request(STRUCTURED, {**EVENT, "type": MESSAGE_TYPE, "data": PUSH}),
    "scheduled": request(
        {
            "x-cloudscheduler-jobname": "nightly",
            "x-cloudscheduler-scheduletime": "2026-01-31T09:00:00Z",
            "x-cloud-trace-context": "0af7651916cd43dd8448eb211c80319c/123;o=1",
        },
        b"anything",
    ),
}

ODD_TEXTS = (
    '""', '"\\ud800"', '"\\u0000"', '"\xff"', "null", "true", "0", "-1", "1.5", "1e308", "1e999",
    "NaN", "Infinity", "9" * 400, "9" * 5000, "-" + "9" * 25, "[]", "{}", "[[]]", '{"a": null}',
    '"' + "x" * 70_000 + '"', "[" * 300, "[" * 300 + "]" * 300, '{"a":' * 250 + "1" + "}" * 250,
    "[" * 20_000 + "]" * 20_000, '"2026-01-31T09:00:00+99:99"', '"9999-12-31T23:59:59.999999Z"',
    '"0001-01-01T00:00:00+14:00"', "253402300800", "-62135596800000", '"=AAA"', '"a"', '"1.0"',
    '"application/json"', '"text/plain"', '"aGk"', '"' + MESSAGE_TYPE + '"', "[1, 2", '"unclosed',
)  # fmt: skip
ODD_VALUES = (
    b"", b" ", b"\xff\xfe", b"\x00", b"%", b"%zz", b"%ff%fe", b"%ed%a0%80", b"\xed\xa0\x80", b"-1",
    b"9" * 5000, b"1e9", b"\xb2", b"\xd9\xa1", b"a" * 9000, b"application/json",
    b"application/cloudevents+json", b"application/cloudevents-batch+json", b"text/plain",
    b";;;", b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded",
    b"gzip", b"chunked", b"2026-13-45T99:99:99Z", b"null", b"1.0", b"0.3", b"[::1", b"a:b:c:99999",
    b"bearer x.y.z", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-zz", b"\xe9" * 40,
    b"0af7651916cd43dd8448eb211c80319c/99999999999999999999;o=9", MESSAGE_TYPE.encode(),
)  # fmt: skip
ODD_NAMES = (
    b"", b"ce-", b"ce-id", b"ce-data", b"ce-datacontenttype", b"ce-specversion", b"ce-type",
    b"ce-source", b"ce-time", b"ce-\xff", b"content-type", b"content-length", b"host", b"cookie",
    b"user-agent", b"traceparent", b"x-cloud-trace-context", b"function-execution-id",
    b"x-goog-pubsub-message-id", b"x-goog-pubsub-delivery-attempt", b"x-goog-pubsub-publish-time",
    b"x-cloudscheduler-jobname", b"x-cloudscheduler-scheduletime", b"transfer-encoding",
    b"upgrade", b"connection", b"authorization", b"range", b"if-match", b"\xe4\xf6",
)  # fmt: skip
ODD_PATHS = (
    "/", "", "//", "/projects/p/topics/t", "/projects//topics/", "/projects/p/topics/t/projects/x",
    "/message/projects/p/topics/t", "/topics/t/projects/p", "/%00", "/\x00", "/ÿ", "/web/ü/..//",
    "/web", "/web/", "/page/1/", "/page/x", "/" + "a" * 9000, "/healthy", "/status", "/nothing",
    "/😀", "*", "/web/\ufffd",
)  # fmt: skip
METHODS = ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST", "X" * 30)


class Mutator:
    """Makes requests; the same seed, the same requests."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def make(self) -> Request:
        """Return a valid delivery with one to four things wrong."""
        pick = self._random
        made = VALID[pick.choice(list(VALID))]
        made = replace(made, path="/" + pick.choice(NAMES))
        for _ in range(pick.choice((1, 1, 1, 2, 2, 3, 4))):
            made = pick.choices(*_WEIGHTED)[0](self, made)
        return made

    def _json(self, made: Request) -> Request:
        """Replace, remove, rename or repeat one part of a JSON body."""
        try:
            body = json.loads(made.body)
        except (ValueError, RecursionError):
            return self._bytes(made)
        places = list(_places(body))
        if not places:
            return self._bytes(made)
        holder, key = self._random.choice(places)
        marker = "\x01here\x01"
        action = self._random.random()
        if action < 0.15:
            del holder[key]
        elif action < 0.25 and isinstance(holder, dict):
            holder[self._random.choice((*holder, "", "data", "x" * 50, "@type"))] = holder.pop(key)
        else:
            holder[key] = marker
        odd = self._random.choice(ODD_TEXTS)
        text = json.dumps(body).replace(json.dumps(marker), odd, 1)
        if action > 0.95:
            text = odd
        return replace(made, body=text.encode(self._random.choice(_ENCODINGS), "surrogatepass"))

    def _bytes(self, made: Request) -> Request:
        """Flip, remove, repeat or insert bytes of the body."""
        pick, body = self._random, bytearray(made.body)
        start = pick.randrange(len(body) + 1)
        end = min(len(body), start + pick.choice((1, 1, 2, 8, 64, 100_000)))
        action = pick.randrange(5)
        if action == 0:
            for at in range(start, min(end, start + 8)):
                body[at] ^= 1 << pick.randrange(8)
        elif action == 1:
            del body[start:end]
        elif action == 2:
            body[start:start] = body[start:end]
        elif action == 3:
            body[start:end] = pick.randbytes(pick.choice((0, 1, 2, 16, 300)))
        else:
            body = body[:start]
        return replace(made, body=bytes(body))

    def _header(self, made: Request) -> Request:
        """Drop, change, repeat or add a header."""
        pick, headers = self._random, list(made.headers)
        action = pick.randrange(5)
        value = pick.choice(ODD_VALUES) if pick.random() < 0.8 else pick.randbytes(12)
        if not headers or action == 0:
            headers.append((pick.choice(ODD_NAMES), value))
            return replace(made, headers=tuple(headers))
        at = pick.randrange(len(headers))
        name, old = headers[at]
        if action == 1:
            del headers[at]
        elif action == 2:
            headers[at] = (name, value)
        elif action == 3:
            headers.append((name, value))
        else:
            cut = pick.randrange(len(old) + 1)
            headers[at] = (name, old[:cut] + value[:8] + old[cut + 1 :])
        return replace(made, headers=tuple(headers))

    def _place(self, made: Request) -> Request:
        """Ask for another path, with another method or a query."""
        pick = self._random
        if pick.random() < 0.3:
            return replace(made, method=pick.choice(METHODS))
        if pick.random() < 0.3:
            return replace(made, query=pick.choice(ODD_VALUES))
        path = pick.choice(ODD_PATHS)
        return replace(made, path=path if pick.random() < 0.5 else made.path + path)


_ENCODINGS = ("utf-8",) * 12 + ("utf-16", "utf-8-sig", "utf-32")
_WEIGHTED: tuple[tuple[Callable[[Mutator, Request], Request], ...], tuple[int, ...]] = (
    (Mutator._json, Mutator._bytes, Mutator._header, Mutator._place),
    (50, 20, 25, 5),
)


def _places(value: Any) -> Any:
    """Yield (holder, key) of every part of a JSON value."""
    waiting = [value] if isinstance(value, dict | list) else []
    while waiting:
        holder = waiting.pop()
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, part in list(pairs):
            yield holder, key
            if isinstance(part, dict | list):
                waiting.append(part)


class Person(BaseModel):
    name: str = ""
    age: int = 0


def _look_around() -> None:
    """Read everything that a task may read; a request that isn't an event raises its own error."""
    context = ucam_faas.CLOUD_EVENT_CONTEXT.get(None)
    if context is not None:
        with suppress(ucam_faas.UCAMFAASException):
            context.cloud_event.get_attributes()


@ucam_faas.raw_event
async def raw(body: bytes) -> None:
    return None


@ucam_faas.message_handler(message_type=None)
async def message(data: bytes) -> dict[str, int]:
    _look_around()
    return {"bytes": len(data)}


@ucam_faas.message_handler(message_type=None)
def threaded(data: bytes) -> str:
    _look_around()
    return data.decode(errors="replace")


@ucam_faas.message_handler(message_type=Person)
async def person(payload: Person) -> None:
    _look_around()


@ucam_faas.cloud_event
async def event(event: CloudEvent) -> None:
    event.get_data()


@ucam_faas.cloud_event_handler(event_data_parser=lambda event: event.get_data())
async def data(payload: Any) -> Any:
    _look_around()
    try:
        shallow = json.dumps(payload).count("{") + json.dumps(payload).count("[") < 100
    except (TypeError, RecursionError):  # bytes, or nested too deep to be a result
        return None
    return payload if shallow else None


@ucam_faas.http(path="/web/<path:rest>", methods=["GET", "POST", "DELETE"])
async def web(request: Any, rest: str) -> dict[str, Any]:
    with suppress(UnicodeDecodeError):  # Werkzeug's own word on a query that isn't UTF-8
        request.args.to_dict()
    return {"rest": rest, "body": len(request.get_data())}


@ucam_faas.http(path="/page/<int:number>/", methods=["GET", "POST"])
async def page(request: Any, number: int) -> str:
    return request.path


FUNCTIONS = (raw, message, threaded, person, event, data, web, page)
NAMES = ("raw", "message", "message", "threaded", "person", "event", "data", "web/x", "page/1")


class LogKeeper(logging.Handler):
    """Formats every record as in production, and keeps those that should not be."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._formatters = [JsonFormatter(Settings(), texts=texts) for texts in (False, True)]
        self.bad: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            for formatter in self._formatters:
                line = formatter.format(record)
                json.loads(line)
                line.encode()
        except Exception as error:
            self.bad.append(f"no JSON line: {record.getMessage()}: {error!r}")
        if record.levelno >= logging.ERROR or record.exc_info:
            self.bad.append(self._formatters[1].format(record))


class BrokenError(AssertionError):
    """Something that must never happen did."""


class Target:
    """The application, on the running event loop."""

    def __init__(self) -> None:
        settings = Settings(threads=2, max_body_bytes=200_000, log_payloads=True)
        tasks = [task for task in map(registry.task_of, FUNCTIONS) if task is not None]
        self.app = App(tasks, Runtime(settings, SystemClock()))
        self.counts: Counter[int] = Counter()
        self._log = LogKeeper()
        self._logger = logging.getLogger("ucam_faas")

    def __enter__(self) -> Target:
        self._before = (self._logger.level, self._logger.propagate)
        self._logger.setLevel(logging.DEBUG)
        self._logger.propagate = False
        self._logger.addHandler(self._log)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self._log)
        self._logger.setLevel(self._before[0])
        self._logger.propagate = self._before[1]

    async def ask(self, made: Request) -> int:
        """Answer a request, and return the status.

        Raises:
            BrokenError: with the request, so that it can become a test.
        """
        sent: list[Any] = []
        scope = {
            "type": "http",
            "method": made.method,
            "path": made.path,
            "query_string": made.query,
            "headers": list(made.headers),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": made.body, "more_body": False}

        async def send(event: Any) -> None:
            sent.append(event)

        self._log.bad.clear()
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            raise BrokenError(f"escaped: {error!r} on {made!r:.3000}") from error
        status = sent[0]["status"] if sent else 0
        self.counts[status] += 1
        if status == 0 or status >= 500 or self._log.bad:
            raise BrokenError(f"status {status}, log {self._log.bad!r:.3000} on {made!r:.3000}")
        return int(status)
