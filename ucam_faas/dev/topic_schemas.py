"""Give the topics of the embedded Pub/Sub the schemas that the configuration names."""

from __future__ import annotations

from collections.abc import Mapping

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.emulator import Emulator
from ucam_faas.emulator.errors import RpcError
from ucam_faas.tasks.needs import full_topic


class TopicSchemas:
    """The schemas that `ucam-faas dev` makes: each has its topic's name.

    Args:
        emulator: where they are.
        project: of the topics.
    """

    def __init__(self, emulator: Emulator, project: str) -> None:
        self._emulator = emulator
        self._project = project

    def apply(self, schemas: Mapping[str, Mapping[str, str]], *, whole: bool) -> list[str]:
        """Create or revise schemas, and attach them; return a sentence on each that is refused.

        Args:
            schemas: type, definition and encoding, by the topics' names.
            whole: no other topic has one of these schemas; False: others stay.
        """
        wanted = {full_topic(name, self._project): schema for name, schema in schemas.items()}
        refused = []
        for name, schema in wanted.items():
            try:
                self._attach(name, schema)
            except RpcError as error:
                refused.append(f"The topic {name.rpartition('/')[2]} keeps its schema: {error}")
        for name, topic in self._emulator.resources.topics.items():
            if whole and name not in wanted and topic.proto.schema_settings.schema == _own(name):
                self._update(protos.Topic(name=name))
        return refused

    def _attach(self, topic: str, schema: Mapping[str, str]) -> None:
        name = _own(topic)
        fields = {"type": schema["type"], "definition": schema["definition"]}
        revisions = self._emulator.resources.schemas.get(name)
        api = self._emulator.schemas
        if revisions is None:
            parent, _, id = name.partition("/schemas/")
            request = {"parent": parent, "schemaId": id, "schema": fields}
            api.create_schema(protos.ParseDict(request, protos.SCHEMAS["CreateSchema"][0]()))
        elif revisions[-1].definition != schema["definition"]:
            request = {"name": name, "schema": fields}
            api.commit_schema(protos.ParseDict(request, protos.SCHEMAS["CommitSchema"][0]()))
        settings = {"schema": name, "encoding": schema["encoding"]}
        self._update(protos.ParseDict({"name": topic, "schemaSettings": settings}, protos.Topic()))

    def _update(self, topic: object) -> None:
        request = protos.PUBLISHER["UpdateTopic"][0](topic=topic)
        request.update_mask.paths.append("schema_settings")
        self._emulator.publisher.update_topic(request)


def _own(topic: str) -> str:
    """Return the name of a topic's own schema."""
    return topic.replace("/topics/", "/schemas/")
