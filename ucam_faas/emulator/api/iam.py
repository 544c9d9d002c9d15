"""The methods of google.iam.v1.IAMPolicy: policies are stored but not enforced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ucam_faas.emulator.api import checks, protos
from ucam_faas.emulator.api.resources import Resources
from ucam_faas.emulator.errors import RpcError, invalid, not_found

KINDS = ("topics", "subscriptions", "snapshots", "schemas")


class IamApi:
    """The policies of some kinds of resources.

    Args:
        resources: keeps the policies.
        exists: returns True if there is a resource of a name.
        check: returns a well-formed name, or raises RpcError.
    """

    def __init__(
        self, resources: Resources, exists: Callable[[str], bool], check: Callable[[str], str]
    ) -> None:
        self._resources = resources
        self._exists = exists
        self._check_name = check

    def get_iam_policy(self, request: Any) -> Any:
        """Return a resource's policy; an empty one if none was set."""
        self._check(request.resource)
        return self._resources.policies.get(request.resource, protos.Policy(etag=b"ACAB"))

    def set_iam_policy(self, request: Any) -> Any:
        """Replace a resource's policy."""
        self._check(request.resource)
        current = self._resources.policies.get(request.resource, protos.Policy(etag=b"ACAB"))
        policy = protos.Policy()
        policy.CopyFrom(request.policy)
        if policy.etag and policy.etag != current.etag:
            raise RpcError(
                "ABORTED", "The policy was changed in the meantime: its etag is another one."
            )
        serial = int.from_bytes(current.etag, "big") + 1
        policy.etag = serial.to_bytes(len(current.etag), "big")
        self._resources.keep_policy(request.resource, policy)
        return policy

    def test_iam_permissions(self, request: Any) -> Any:
        """Return the permissions that the caller has: all, of a resource that exists."""
        for permission in request.permissions:
            if "*" in permission:
                raise invalid(f"Invalid permission: {permission}. Wildcards are not allowed.")
        self._check_name(request.resource)
        allowed = request.permissions if self._exists(request.resource) else ()
        return protos.IAM["TestIamPermissions"][1](permissions=allowed)

    def forget(self, name: str) -> None:
        """Drop the policy of a resource that is deleted."""
        self._resources.drop_policy(name)

    def _check(self, name: str) -> None:
        if not self._exists(name):
            raise not_found(self._check_name(name))


def of_pubsub(resources: Resources) -> IamApi:
    """Return the methods for topics, subscriptions, snapshots and schemas."""

    def exists(name: str) -> bool:
        tables: tuple[Mapping[str, Any], ...] = (
            *(resources.topics, resources.subscriptions),
            *(resources.snapshots, resources.schemas),
        )
        return any(name in table for table in tables)

    return IamApi(resources, exists, lambda name: checks.name(name, *KINDS))
