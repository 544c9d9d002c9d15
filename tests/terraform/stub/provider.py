"""The provider's side of Terraform's plug-in protocol, version 6.

Terraform keeps the state, and `cloud` the resources. The provider remembers only its own block, as
configured last.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tf.gen import (  # type: ignore[import-not-found]  # see `attached`
    tfplugin_pb2 as pb,
    tfplugin_pb2_grpc as rpc,
)

from .cloud import Cloud, Refused
from .invention import Identity, complete, foresee
from .validation import Rule, validate
from .values import UNKNOWN, Path, change_attributes, with_all_fields
from .wire import decode, encode, to_diagnostics, to_error, to_path, to_schema

_FROM_PROVIDER = ("project", "region")
"""Attributes that a resource takes from the provider's block, and known as early as the block."""


@dataclass(slots=True, kw_only=True)
class Provider(rpc.ProviderServicer):  # type: ignore[misc]  # generated without types
    """Answers Terraform from a schema, rules, and templates of identities."""

    schema: dict[str, Any]
    rules: list[Rule]
    identities: dict[str, Identity]
    cloud: Cloud
    settings: dict[str, Any] = field(default_factory=dict)
    announced: Any = field(init=False)
    """The encoded schema, kept because Terraform asks for it repeatedly."""

    def __post_init__(self) -> None:
        resources, data = self.schema["resources"], self.schema["data_sources"]
        self.announced = pb.GetProviderSchema.Response(
            provider=to_schema(self.schema["provider"]),
            resource_schemas={name: to_schema(schema) for name, schema in resources.items()},
            data_source_schemas={name: to_schema(schema) for name, schema in data.items()},
            # Once is enough for each of its processes.
            server_capabilities=pb.ServerCapabilities(get_provider_schema_optional=True),
        )

    def GetMetadata(self, request: Any, context: Any) -> Any:
        meta = pb.GetMetadata
        return meta.Response(
            resources=[meta.ResourceMetadata(type_name=name) for name in self.schema["resources"]],
            data_sources=[
                meta.DataSourceMetadata(type_name=name) for name in self.schema["data_sources"]
            ],
        )

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        return self.announced

    def GetFunctions(self, request: Any, context: Any) -> Any:
        return pb.GetFunctions.Response()

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateProviderConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        config = decode(request.config)
        self.settings = {name: config[name] for name in _FROM_PROVIDER if _is_text(config[name])}
        return pb.ConfigureProvider.Response()

    def StopProvider(self, request: Any, context: Any) -> Any:
        return pb.StopProvider.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        block = self._resource(request.type_name)
        diagnostics = validate(request.type_name, block, decode(request.config), self.rules)
        return pb.ValidateResourceConfig.Response(diagnostics=to_diagnostics(diagnostics))

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        diagnostics = validate(
            f"data.{request.type_name}",
            self._data_source(request.type_name),
            decode(request.config),
            self.rules,
        )
        return pb.ValidateDataResourceConfig.Response(diagnostics=to_diagnostics(diagnostics))

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        block = self._resource(request.type_name)
        state = with_all_fields(block, json.loads(request.raw_state.json))
        return pb.UpgradeResourceState.Response(upgraded_state=encode(state))

    def ReadResource(self, request: Any, context: Any) -> Any:
        state = self.cloud.read(request.type_name, decode(request.current_state))
        return pb.ReadResource.Response(new_state=encode(state))

    def ImportResourceState(self, request: Any, context: Any) -> Any:
        state = self.cloud.imported(request.type_name, request.id)
        response = pb.ImportResourceState
        if state is None:
            return response.Response(diagnostics=[to_error(f"{request.id} does not exist")])
        imported = response.ImportedResource(type_name=request.type_name, state=encode(state))
        return response.Response(imported_resources=[imported])

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        proposed, prior = decode(request.proposed_new_state), decode(request.prior_state)
        if proposed is None:
            return pb.PlanResourceChange.Response(planned_state=encode(None))
        identity = self.identities.get(request.type_name, Identity())
        planned = change_attributes(self._resource(request.type_name), proposed, _await)
        planned = foresee(planned, identity=identity, defaults=self.settings)
        replacing = set()
        if prior is not None:
            planned = identity.as_planned(planned, prior)
            replacing = {
                name for name in identity.replacing if planned.get(name) != prior.get(name)
            }
        return pb.PlanResourceChange.Response(
            planned_state=encode(planned),
            requires_replace=[to_path((name,)) for name in sorted(replacing)],
            legacy_type_system=bool(identity.in_full),
        )

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        diagnostics = []
        try:
            state = self._apply(
                request.type_name, decode(request.planned_state), decode(request.prior_state)
            )
        except Refused as refused:
            state = refused.state
            diagnostics.append(to_error(str(refused)))
        return pb.ApplyResourceChange.Response(
            new_state=encode(state),
            diagnostics=diagnostics,
            # Terraform puts up with Google's provider, which keeps another name than was planned.
            legacy_type_system=bool(self.identities.get(request.type_name, Identity()).in_full),
        )

    def _apply(
        self, type_name: str, planned: dict[str, Any] | None, prior: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        if planned is None:
            assert prior is not None
            self.cloud.delete(type_name, prior)
            return None
        value = self._complete(type_name, self._resource(type_name), planned)
        if prior is None:
            return self.cloud.create(type_name, value)
        return self.cloud.update(type_name, value, prior)

    def ReadDataSource(self, request: Any, context: Any) -> Any:
        block = self._data_source(request.type_name)
        wanted = change_attributes(block, decode(request.config), _await)
        state = self._complete(f"data.{request.type_name}", block, wanted)
        if request.type_name.startswith("google_cloud_run_v2_"):
            there = self.cloud.resources.get((request.type_name, state["id"]))
            if there is None:
                error = to_error(f"{state['id']} not found")
                return pb.ReadDataSource.Response(diagnostics=[error])
            state |= {name: there[name] for name in state.keys() & there.keys()}
        return pb.ReadDataSource.Response(state=encode(state))

    def _resource(self, type_name: str) -> dict[str, Any]:
        block: dict[str, Any] = self.schema["resources"][type_name]["block"]
        return block

    def _data_source(self, type_name: str) -> dict[str, Any]:
        block: dict[str, Any] = self.schema["data_sources"][type_name]["block"]
        return block

    def _complete(self, name: str, block: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
        identity = self.identities.get(name, Identity())
        return complete(block, value, identity=identity, defaults=self.settings)


def _await(path: Path, attribute: dict[str, Any], value: Any) -> Any:
    """Mark a value that the provider computes as known after apply."""
    return UNKNOWN if value is None and attribute.get("computed") else value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""
