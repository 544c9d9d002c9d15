"""Between Python's values and the plug-in protocol's messages."""

from __future__ import annotations

import json
from typing import Any

import msgpack  # type: ignore[import-not-found]  # see `attached`
from tf.gen import tfplugin_pb2 as pb  # type: ignore[import-not-found]  # see `attached`

from .validation import Finding
from .values import UNKNOWN, Path

_UNKNOWN_ON_THE_WIRE = msgpack.ExtType(0, b"\x00")
_NESTING = {"single": 1, "list": 2, "set": 3, "map": 4, "group": 5}
_FLAGS = ("computed", "optional", "required")


def to_schema(schema: dict[str, Any]) -> Any:
    return pb.Schema(version=schema["version"], block=_block(schema["block"]))


def _block(block: dict[str, Any]) -> Any:
    attributes = [
        pb.Schema.Attribute(
            name=name,
            type=json.dumps(attribute["type"]).encode(),
            **{flag: attribute.get(flag, False) for flag in ("computed", "optional", "required")},
        )
        for name, attribute in block["attributes"].items()
    ]
    nested = [
        pb.Schema.NestedBlock(
            type_name=name,
            block=_block(inner["block"]),
            nesting=_NESTING[inner["nesting_mode"]],
            min_items=inner.get("min_items", 0),
            max_items=inner.get("max_items", 0),
        )
        for name, inner in block["block_types"].items()
    ]
    return pb.Schema.Block(attributes=attributes, block_types=nested)


def decode(value: Any) -> Any:
    if value.json:
        return json.loads(value.json)
    return msgpack.unpackb(value.msgpack, ext_hook=lambda code, data: UNKNOWN)


def encode(value: Any) -> Any:
    packed = msgpack.packb(value, default=lambda unknown: _UNKNOWN_ON_THE_WIRE)
    return pb.DynamicValue(msgpack=packed)


def to_diagnostics(findings: list[Finding]) -> list[Any]:
    return [
        pb.Diagnostic(severity=1, summary=finding.message, attribute=to_path(finding.path))
        for finding in findings
    ]


def to_error(message: str) -> Any:
    return pb.Diagnostic(severity=1, summary=message)


def to_path(path: Path) -> Any:
    step = pb.AttributePath.Step
    return pb.AttributePath(
        steps=[
            step(element_key_int=part) if isinstance(part, int) else step(attribute_name=part)
            for part in path
        ]
    )
