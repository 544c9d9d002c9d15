"""The cloud behind the stand-in: makes, changes and deletes resources, or refuses to.

Its behaviour was read in the source of hashicorp/terraform-provider-google: the files of Cloud Run
services and jobs, topics, subscriptions, Cloud Scheduler jobs and service accounts, and
`resource_iam_member.go`. Delays and quotas are left out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

FAILING_TAG = ":fails"
"""The end of the name of an image whose container never starts."""
DELETED_TOPIC = "_deleted-topic_"
"""The topic of a subscription that has outlived its own, in Pub/Sub's words."""
VIRTUAL = {"deletion_policy": "DELETE", "deletion_protection": True}
"""Fields that are in Terraform's state only, and their values after an import."""
_TERRAFORMS_OWN = {*VIRTUAL, "timeouts"}
_NOT_UNIQUE = (
    "google_firestore_index",
    "google_monitoring_alert_policy",
    "google_monitoring_notification_channel",
)
"""Types whose names may repeat: Google gives each resource a number."""
_WORD = re.compile(r"(?:^|_)([a-z])")


class Refused(Exception):
    """The provider's error, and the state that it leaves."""

    def __init__(self, message: str, state: dict[str, Any] | None) -> None:
        self.state = state
        super().__init__(message)


@dataclass(slots=True)
class Cloud:
    """All resources that exist, by type and id, and a log of the operations on them."""

    log: Path
    """The file that gets each operation as a line of JSON."""
    resources: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def read(self, kind: str, state: dict[str, Any]) -> dict[str, Any] | None:
        """Return a resource as it is now, or None if it is gone."""
        with self.lock:
            there = self.resources.get((kind, state["id"]))
        if there is None:
            return None
        own = {name: state[name] for name in _TERRAFORMS_OWN & state.keys()}
        policy = {"deletion_policy": own.get("deletion_policy") or "DELETE"}
        return there | own | (policy if "deletion_policy" in own else {})

    def imported(self, kind: str, wanted: str) -> dict[str, Any] | None:
        """Return the resource with an import's id, or None."""
        # After resource, role and member, the title of a condition may follow.
        resource_id = "/".join(wanted.split(maxsplit=3)) if _is_grant(kind) else wanted
        with self.lock:
            there = self.resources.get((kind, resource_id))
        return there and there | {name: VIRTUAL[name] for name in VIRTUAL.keys() & there.keys()}

    def create(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        """Make a resource. A grant that exists is the same grant."""
        with self.lock:
            while kind in _NOT_UNIQUE and (kind, value["id"]) in self.resources:
                value = value | {"id": f"{value['id']}0"}
            if (kind, value["id"]) in self.resources and not _is_grant(kind):
                message = f"Error creating {_title(kind)}: Error 409: {value['id']} already exists"
                raise self._refused("create", kind, value, message, state=None)
            self.resources[kind, value["id"]] = value
            if _fails_to_start(value):
                # The provider sets the id before it waits: the resource is kept, as tainted.
                message = f"Error waiting to create {_title(kind)}: the container failed to start"
                raise self._refused("create", kind, value, message, state=value)
            self._write("create", kind, value)
        return value

    def update(self, kind: str, value: dict[str, Any], prior: dict[str, Any]) -> dict[str, Any]:
        """Change a resource in place. Fields of Terraform's own don't reach Google."""
        changed = sorted(name for name in value if value[name] != prior.get(name))
        with self.lock:
            self.resources[kind, value["id"]] = value
            if _fails_to_start(value):
                message = f"Error waiting to update {_title(kind)}: the container failed to start"
                raise self._refused("update", kind, value, message, state=value)
            if not set(changed) <= _TERRAFORMS_OWN:
                self._write("update", kind, value, changed=changed)
        return value

    def delete(self, kind: str, prior: dict[str, Any]) -> None:
        """Delete a resource, unless the state protects it. A missing one counts as deleted."""
        with self.lock:
            if prior.get("deletion_policy") == "PREVENT":
                message = _protected(kind, 'deletion_policy="DELETE"')
                raise self._refused("delete", kind, prior, message, state=prior)
            if prior.get("deletion_policy") == "ABANDON":
                self._write("forget", kind, prior)
                return
            # Unset means protected.
            if "deletion_protection" in prior and prior["deletion_protection"] is not False:
                noun = kind.rpartition("_")[2]
                message = _protected(noun, "deletion_protection=false")
                raise self._refused("delete", kind, prior, message, state=prior)
            self.resources.pop((kind, prior["id"]), None)
            self._follow(kind, prior)
            self._write("delete", kind, prior)

    def _follow(self, kind: str, gone: dict[str, Any]) -> None:
        """Do what Google does after a deletion: grants go, and subscriptions lose their topic."""
        for (other, name), value in list(self.resources.items()):
            if _is_grant(other):
                by_account = kind == "google_service_account" and value["member"] == gone["member"]
                if by_account or name.startswith(f"{gone['id']}/roles/"):
                    del self.resources[other, name]
            elif kind == "google_pubsub_topic" and value.get("topic") == gone["id"]:
                self.resources[other, name] = value | {"topic": DELETED_TOPIC}

    def _refused(
        self, action: str, kind: str, value: dict[str, Any], message: str, *, state: Any
    ) -> Refused:
        self._write(action, kind, value, refused=message)
        return Refused(message, state)

    def _write(self, action: str, kind: str, value: dict[str, Any], **more: Any) -> None:
        line = {"action": action, "type": kind, "id": value["id"], **more}
        with self.log.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _is_grant(kind: str) -> bool:
    return kind.endswith("_iam_member")


def _fails_to_start(value: dict[str, Any]) -> bool:
    return any(
        str(container["image"]).endswith(FAILING_TAG)
        for template in value.get("template") or []
        for container in template.get("containers") or []
    )


def _protected(what: str, setting: str) -> str:
    noun = _title(what) if what.startswith("google_") else what
    return f"cannot destroy {noun} without setting {setting} and running `terraform apply`"


def _title(kind: str) -> str:
    """google_pubsub_topic is a PubsubTopic in the provider's messages."""
    return _WORD.sub(lambda match: match[1].upper(), kind.removeprefix("google_"))
