"""The .proto text of a message: compiled again, it is the same on the wire."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from ucam_faas.deploy.payloads.proto_text import render
from ucam_faas.tasks.protobuf_schemas import describe

pytestmark = pytest.mark.slow

PROTO3 = """
syntax = "proto3";
package shop.orders;
import "google/protobuf/timestamp.proto";
message Order {
  reserved 4, 10 to 12;
  reserved "gone";
  enum Kind { option allow_alias = true; reserved 7; NONE = 0; ONE = 1; UNO = 1; LESS = -1; }
  message Line { string sku = 1; Order of = 2; Line next = 3; }
  repeated Line lines = 1;
  optional int32 number = 2;
  repeated sint64 numbers = 3;
  map<string, Line> by_sku = 5;
  map<int32, Kind> kinds = 6;
  oneof payment { string card = 7; bytes token = 8; Customer account = 9; }
  google.protobuf.Timestamp at = 13;
  Kind kind = 14;
  fixed32 a = 15; double b = 16; bool c = 17; sfixed64 d = 18;
  .shop.orders.Line plain = 19;
}
message Customer { Order.Line last = 1; Line other = 2; }
message Line { int32 number = 1; }
"""

PROTO2 = """
syntax = "proto2";
message Order {
  required int64 units = 1;
  optional string name = 2;
  repeated Size sizes = 3;
  enum Size { SMALL = 1; LARGE = 2; }
}
"""

TWO_PACKAGES = """
syntax = "proto3";
package shop;
import "money.proto";
message Order { bank.v1.Money price = 1; bank.v1.Money.Rounding rounding = 2; }
"""
MONEY = """
syntax = "proto3";
package bank.v1;
message Money { int64 units = 1; Rounding rounding = 2; enum Rounding { UP = 0; } }
"""


def compiled(folder: Path, text: str, message: str) -> dict[str, Any]:
    """Compile a .proto file and describe a message in it."""
    (folder / "made.proto").write_text(text)
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", "--include_imports"]
    command += [f"--descriptor_set_out={folder / 'made.bin'}", "made.proto"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{text}"
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(
        (folder / "made.bin").read_bytes()
    ).file:
        pool.Add(file)
    return describe(pool.FindMessageTypeByName(message))


@pytest.mark.parametrize(
    ("text", "message", "syntax"),
    [(PROTO3, "shop.orders.Order", "proto3"), (PROTO2, "Order", "proto2")],
)
def test_a_message_is_the_same_when_its_text_is_compiled(
    tmp_path: Path, text: str, message: str, syntax: str
) -> None:
    described = compiled(tmp_path, text, message)

    rendered, said = render(described)

    assert said == syntax
    assert compiled(tmp_path, rendered, message) == described


def test_types_of_another_package_are_in_the_text_too(tmp_path: Path) -> None:
    (tmp_path / "money.proto").write_text(MONEY)

    rendered, _ = render(compiled(tmp_path, TWO_PACKAGES, "shop.Order"))

    described = compiled(tmp_path, rendered, "shop.Order")["messages"]
    assert described["shop.bank_v1_Money"]["fields"]["1"] == {
        "name": "units",
        "type": "int64",
        "label": "singular",
    }
    assert described["shop.Order"]["fields"]["2"]["type"] == "shop.bank_v1_Money.Rounding"
