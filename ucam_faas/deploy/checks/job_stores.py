"""The stores that a container's variables name: of jobs, and of their large payloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ucam_faas.config import DEFAULT_APP
from ucam_faas.deploy.checks.changes import Kind
from ucam_faas.deploy.job_places import PAYLOADS, STORE

_KINDS: dict[str, Kind] = {STORE: "job store", PAYLOADS: "payload store"}
APP = "UCAM_FAAS_APP"


def stores_in(variables: Mapping[str, Any]) -> Iterator[tuple[str, Kind, str]]:
    """Yield the variable, the kind and the name of each store.

    A store keeps the jobs of several applications, so the application is a part of the name.

    Args:
        variables: text, or a tuple that begins with a secret's name. Others aren't known.

    >>> list(stores_in({"UCAM_FAAS_JOB_STORE": "postgresql://me:pw@host/jobs"}))
    [('UCAM_FAAS_JOB_STORE', 'job store', 'default in postgresql://host/jobs')]
    """
    app = variables.get(APP, DEFAULT_APP)
    for variable, kind in _KINDS.items():
        value = variables.get(variable)
        if isinstance(value, tuple):
            value = value[0]
        if isinstance(value, str) and value:
            yield variable, kind, f"{app} in {_without_password(value)}"


def _without_password(store: str) -> str:
    scheme, separator, address = store.partition("://")
    return f"{scheme}{separator}{address.partition('?')[0].rpartition('@')[2]}"
