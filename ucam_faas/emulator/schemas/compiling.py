"""From the text of a schema to its definition, by the language that it is in."""

from __future__ import annotations

from ucam_faas.emulator.schemas.definitions import AVRO, Definition


def compile_definition(kind: str, text: str) -> Definition:
    """Return the definition that a text states.

    Args:
        kind: AVRO or PROTOCOL_BUFFER.
        text: an Avro schema in JSON, or a .proto file.

    Raises:
        DefinitionError: it states none.
        MissingExtraError: fastavro isn't installed, and the text is an Avro schema.
    """
    # Heavy, and for projects with schemas only.
    if kind == AVRO:
        from ucam_faas.emulator.schemas.avro import AvroDefinition

        return AvroDefinition(text)
    from ucam_faas.emulator.schemas.protobuf import ProtobufDefinition

    return ProtobufDefinition(text)
