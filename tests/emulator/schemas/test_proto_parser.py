"""The parser of .proto files reads what Google's compiler reads, and refuses the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from ucam_faas.emulator.schemas.definitions import DefinitionError
from ucam_faas.emulator.schemas.proto_parser import parse_proto
from ucam_faas.emulator.schemas.protobuf import ProtobufDefinition

FILES = {
    "proto3": """
        // an order
        syntax = "proto3";
        package shop.v1;
        option java_package = "org.example";
        option (custom).deep = { a: 1, b: [2, 3] };
        /* several
           lines */
        message Order {
          string id = 1;
          optional int32 count = 2 [deprecated = true, json_name = "howMany"];
          repeated Line lines = 3;
          map<string, Line.Extra> extras = 0x4;
          oneof payment { string card = 5; Line cash = 06; }
          message Line {
            Kind kind = 1;
            .shop.v1.Order order = 2;
            v1.Order again = 3;
            message Extra { repeated int64 numbers = 1 [packed = false]; bytes data = 2; }
          }
          enum Kind { option allow_alias = true; NONE = 0; BOOK = 1; NOVEL = 1;
                      reserved 5, 7 to 9, 100 to max; reserved "OLD", 'GONE'; NEGATIVE = -2; }
          reserved 100 to 200, 300, 1000 to max;
          reserved "foo", "bar";
          double message = 8; bool option = 9; fixed32 reserved = 10; sfixed64 oneof = 11;;
          map<int32, Kind> map_of_kinds = 12;
          optional Kind kind = 13;
        }
    """,
    "proto2": """
        syntax = "proto2";
        message Order {
          required string id = 1 [default = "a\\tb" "c"];
          optional int32 count = 2 [default = -3];
          optional double share = 3 [default = -inf];
          repeated group Line = 4 { optional uint32 number = 1; }
          extensions 100 to 199, 500 to max;
          optional Kind kind = 5 [default = BOOK];
          enum Kind { BOOK = 1; NONE = 0; }
          optional bool ok = 7 [default = true];
          oneof choice { sint32 one = 8; group Two = 9 { required float f = 1; } }
        }
    """,
    "no syntax": "message Order { optional Order inner = 1; }",
    "empty": 'syntax = "proto3"; message Order {}',
}


def compiled(text: str, folder: Path) -> FileDescriptorProto:
    """Return what Google's compiler makes of a file."""
    (folder / "schema.proto").write_text(text)
    out = folder / "set"
    code = protoc.main(["", f"-I{folder}", f"-o{out}", "schema.proto"])
    assert code == 0
    (file,) = FileDescriptorSet.FromString(out.read_bytes()).file
    return file


def plain(file: FileDescriptorProto) -> FileDescriptorProto:
    """Return a file without options that change nothing, and names of JSON that are derived."""
    file.ClearField("options")
    if file.syntax == "proto2":
        file.ClearField("syntax")
    messages = list(file.message_type)
    while messages:
        message = messages.pop()
        messages += message.nested_type
        for field in message.field:
            if field.json_name != "howMany":
                field.ClearField("json_name")
            field.options.ClearField("deprecated")
            if not field.options.ByteSize():
                field.ClearField("options")
    return file


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_reads_what_the_compiler_reads(text: str, tmp_path: Path) -> None:
    without = "\n".join(line for line in text.splitlines() if "(custom)" not in line)

    assert plain(parse_proto(text)) == plain(compiled(without, tmp_path))
    ProtobufDefinition(text)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("message M { int32 a = 1; int32 b = 1; }", "number 1"),
        ("message M { int32 a = 1; int32 a = 2; }", "a"),
        ("message M { int32 a = 0; }", "0"),
        ("message M { int32 a = 19500; }", "19500"),
        ("message M { int32 a = 1 }", "';'"),
        ("message M { int32 = 1; }", "a name"),
        ("message M { int32 a = one; }", "a number"),
        ("message M { required int32 a = 1; }", "required"),
        ("message M { int32 a = 1 [default = 3]; }", "default"),
        ("message M { repeated group G = 1 {} }", "groups"),
        ("message M { extensions 1 to 3; }", "extensions"),
        ("message M { reserved 1; int32 a = 1; }", "reserved"),
        ('message M { reserved "a"; int32 a = 1; }', "reserved"),
        ("message M { oneof o {} }", "empty"),
        ("message M { enum E {} }", "empty"),
        ("message M { enum E { A = 1; } }", "must be 0"),
        ("message M { enum E { A = 0; B = 0; } }", "one number"),
        ("message M { enum E { A = 0; B = 2147483648; } }", "32 bits"),
        ("message M { map<double, int32> m = 1; }", "keys"),
        ("message M { N n = 1; }", "N isn't defined"),
        ("message M { .x.N n = 1; }", "isn't defined"),
        ("message M { service: 1; }", "a name"),
        ("message M {", "the end"),
        ("message M { string a = 1; /* no end }", "unexpected"),
        ("service S {}", "service"),
        ("extend M { }", "extend"),
        ('import "a.proto"; message M {}', "import"),
        ("enum E { A = 0; }", "found E"),
        ("message M {} message N {}", "M, N"),
        ("message A {" * 40 + "}" * 40, "deep"),
        ('option x = "\\xZZ"; message M { int32 a = 1 [json_name = "\\x"]; }', "string"),
    ],
)
def test_refuses_the_rest_and_says_why(body: str, reason: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        ProtobufDefinition(f'syntax = "proto3";\n{body}')

    assert reason in str(raised.value)


def test_another_syntax_is_refused() -> None:
    with pytest.raises(DefinitionError, match="proto4"):
        parse_proto('syntax = "proto4"; message M {}')


def test_an_error_tells_the_line() -> None:
    with pytest.raises(DefinitionError, match="line 3: expected '=', found ';'"):
        parse_proto('syntax = "proto3";\nmessage M {\n  int32 a; }')
