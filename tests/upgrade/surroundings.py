"""A pytest plugin for the process that runs 1.0's tests: what surrounded them in their repository.

The sdist holds the tests without the fixtures of their repository, its protobuf example and its
bucket. `imported` replaces their imports: a name that this package lacks fails the tests that
use it, not the whole module.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from cloudevents.conversion import to_json
from cloudevents.pydantic import CloudEvent
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import ucam_faas
from ucam_faas import cli
from ucam_faas.events.execution_info import SerialisableException

ucam_faas.__path__.append(str(Path.cwd() / "ucam_faas"))  # for ucam_faas.tests.fixtures

BUCKET, FILE = "inputs", "cloud_event.json"


def run_ucam_faas(target: str, *, debug: bool, long_running: bool, **options: Any) -> int:
    """Call the command line, as 1.0's entry point of this name did."""
    arguments = [f"--target={target}"]
    arguments += [
        f"--{name.replace('_', '-')}={value}"
        for name, value in options.items()
        if value is not None
    ]
    arguments += ["--long-running"] * long_running + ["--debug"] * debug
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return ended.value.code


class _AnyType:
    """Replaces a type with other parameters: at run time, only annotations name it."""

    def __class_getitem__(cls, _: object) -> type:
        return cls


ADAPTED = {
    "ucam_faas.cloud_events.CloudEventHandlerExecutorFn": _AnyType,
    "ucam_faas.pydantic.SerialisableException": SerialisableException,
    "ucam_faas.run_ucam_faas": run_ucam_faas,
}
"""Undocumented names, and their equivalents here."""


def imported(module: str, name: str) -> Any:
    """Return what `from module import name` gives, or what fails when it is used."""
    if f"{module}.{name}" in ADAPTED:
        return ADAPTED[f"{module}.{name}"]
    try:
        return getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError):
        return Missing(f"{module}.{name}")


class Missing:
    """A name that this package lacks; annotations may name it, since nothing reads them."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, _: object) -> Missing:
        return self

    def __call__(self, *_: object, **__: object) -> None:
        raise NotImplementedError(f"{self._name} is not in this package")


def _example_pb2() -> ModuleType:
    """Make the module that protoc would make of a file with the message ExampleRecord."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", syntax="proto3")
    message = file.message_type.add(name="ExampleRecord")
    field = descriptor_pb2.FieldDescriptorProto
    fields = {
        "query": field.TYPE_STRING,
        "page_number": field.TYPE_INT32,
        "results_per_page": field.TYPE_INT32,
    }
    for number, (name, kind) in enumerate(fields.items(), 1):
        message.field.add(name=name, number=number, type=kind, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    module = ModuleType("example.protobuf.example_pb2")
    descriptor = pool.FindMessageTypeByName("ExampleRecord")
    module.ExampleRecord = message_factory.GetMessageClass(descriptor)
    return module


sys.modules["example"] = ModuleType("example")
sys.modules["example.protobuf"] = ModuleType("example.protobuf")
sys.modules["example.protobuf"].example_pb2 = _example_pb2()
sys.modules["example.protobuf.example_pb2"] = sys.modules["example.protobuf"].example_pb2


@pytest.fixture
def valid_cloud_event() -> CloudEvent:
    return CloudEvent.create(
        {"type": "ucam_faas_event", "source": "ucam_faas"}, data={"foo": "bar", "baz": [1, 2]}
    )


@pytest.fixture
def input_file() -> str:
    return FILE


@pytest.fixture
def input_bucket(
    valid_cloud_event: CloudEvent, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimpleNamespace]:
    """Serve one object as Cloud Storage does; its client is real."""
    content = to_json(valid_cloud_event)

    class Bucket(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            there = path == f"/download/storage/v1/b/{BUCKET}/o/{FILE}"
            self.send_response(200 if there else 404)
            self.end_headers()
            self.wfile.write(content if there else b"{}")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "test-project")
    yield SimpleNamespace(name=BUCKET)
    server.shutdown()
    thread.join()
    server.server_close()
