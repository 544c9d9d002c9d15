"""The indexes and the TTL policy of the store, as commands of gcloud.

`firestore.indexes.json` has them in the form of Firebase's command line; Terraform reads it, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any


def definition() -> dict[str, Any]:
    """Return the contents of `firestore.indexes.json`."""
    text = files(__package__).joinpath("firestore.indexes.json").read_text()
    contents: dict[str, Any] = json.loads(text)
    return contents


def commands(project: str, database: str) -> Iterator[str]:
    """Yield the commands that make them in a database; one that is there is refused as such."""
    contents = definition()
    for index in contents["indexes"]:
        where = _where(project, database, index["collectionGroup"])
        keys = " ".join(
            f"--field-config=field-path={field['fieldPath']},order={field['order'].lower()}"
            for field in index["fields"]
        )
        yield f"gcloud firestore indexes composite create {keys} {where}"
    for field in contents["fieldOverrides"]:
        where = _where(project, database, field["collectionGroup"])
        path = field["fieldPath"]
        yield f"gcloud firestore indexes fields update {path} --disable-indexes {where}"
        if field.get("ttl"):
            yield f"gcloud firestore fields ttls update {path} --enable-ttl {where}"


def _where(project: str, database: str, collection: str) -> str:
    return f"--collection-group={collection} --project={project} --database='{database}' --async"
