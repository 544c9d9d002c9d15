"""Reads and writes of a Firestore database, over its REST API.

A call that isn't answered is repeated a few times, so a write may be made twice: its condition then
fails, and the caller has to know its own write again.

Source: Google's page "REST Resource: projects.databases.documents".
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from ucam_faas.exceptions import JobStoreError
from ucam_faas.jobs.stores.firestore.server_time import ServerTime
from ucam_faas.jobs.stores.firestore.values import decoded_fields, encoded_fields, seconds
from ucam_faas.net.rest import FAILURES, LONGEST_REASON, Api, CredentialsError, reason_of

TIMEOUT_SECONDS = 10.0
"""Of a call."""
PAUSES_SECONDS = (0.1, 0.3, 0.9)
"""Before a call that wasn't answered is repeated."""
PATIENCE_SECONDS = 15.0
"""After this, none is repeated."""
MAX_WRITES = 500
"""Of one call; Google's page "Quotas and limits"."""
_UNMET = {"ALREADY_EXISTS": 6, "FAILED_PRECONDITION": 9, "NOT_FOUND": 5}
"""The names and numbers of errors that a write's condition has."""
_PASSING = {409, 429, 500, 502, 503, 504}
"""HTTP statuses of errors that may pass. 409 is contention: ALREADY_EXISTS is looked at before."""


class UnmetError(Exception):
    """The condition of a write isn't met: nothing was written."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read.

    Args:
        name: full.
        version: the time of its last write, which differs after any other.
        created: the time of its first write.
    """

    name: str
    fields: Mapping[str, Any]
    version: str
    created: str


class Write(NamedTuple):
    """A write of a document.

    Args:
        name: the document's, full.
        fields: None: the document is deleted.
        version: that the document has to have; None: it must be missing, or, of a deletion, may be.
        mask: the paths of the fields that are written; None: all, and others are removed.
        stamp: the path of a field that gets the server's time; None: there is none.
    """

    name: str
    fields: Mapping[str, Any] | None
    version: str | None = None
    mask: Sequence[str] | None = None
    stamp: str | None = None


class Documents:
    """The documents of a database.

    Args:
        api: makes the requests.
        project: of Google Cloud.
        database: of the project.
        server_time: learns the time from the answers.
    """

    def __init__(self, api: Api, project: str, database: str, server_time: ServerTime) -> None:
        self._api = api
        self._root = f"projects/{project}/databases/{database}/documents"
        self._time = server_time

    def name(self, collection: str, id: str) -> str:
        """Return the full name of a document."""
        return f"{self._root}/{collection}/{id}"

    def get(self, names: Sequence[str], fields: Sequence[str] | None = None) -> dict[str, Document]:
        """Return those of these documents that are there, by name: a read for each name.

        Args:
            fields: the paths of the fields to return; None: all.
        """
        body: dict[str, Any] = {"documents": list(names)}
        if fields is not None:
            body["mask"] = {"fieldPaths": list(fields)}
        return self._there(self._call("batchGet", body))

    def query(self, query: Mapping[str, Any]) -> list[Document]:
        """Return the documents of a structured query: a read each, and one if there is none."""
        answers = self._call("runQuery", {"structuredQuery": query})
        return [_document(answer["document"]) for answer in answers if "document" in answer]

    def count(self, query: Mapping[str, Any], limit: int) -> int:
        """Count the documents of a structured query, up to a limit: a read for each thousand."""
        aggregation = {"alias": "n", "count": {"upTo": str(limit)}}
        counted = {"structuredQuery": query, "aggregations": [aggregation]}
        answers = self._call("runAggregationQuery", {"structuredAggregationQuery": counted})
        return int(answers[0]["result"]["aggregateFields"]["n"]["integerValue"])

    def begin(self, names: Sequence[str]) -> tuple[str, dict[str, Document]]:
        """Begin a transaction that has read documents: its commit fails if one has changed."""
        body = {"documents": list(names), "newTransaction": {"readWrite": {}}}
        answers = self._call("batchGet", body)
        (transaction,) = (answer["transaction"] for answer in answers if "transaction" in answer)
        return transaction, self._there(answers)

    def roll_back(self, transaction: str) -> None:
        """End a transaction without writes, if it hasn't ended.

        It isn't repeated: without it, Firestore frees the documents after a minute.
        """
        with suppress(JobStoreError):
            self._call("rollback", {"transaction": transaction}, pauses=())

    def commit(self, writes: Sequence[Write], transaction: str | None = None) -> list[str]:
        """Make all of some writes or none, and return the documents' versions.

        Raises:
            UnmetError: a condition isn't met, or the transaction has failed.
        """
        body: dict[str, Any] = {"writes": [_write(write) for write in writes]}
        if transaction is None:
            answer = self._call("commit", body)
        else:
            answer = self._call("commit", body | {"transaction": transaction}, in_transaction=True)
        self._time.observe(seconds(answer["commitTime"]))
        return [result.get("updateTime", "") for result in answer["writeResults"]]

    def write_each(self, writes: Sequence[Write]) -> None:
        """Make each of at most MAX_WRITES writes whose condition is met.

        Raises:
            JobStoreError: some were refused for another reason.
        """
        answer = self._call("batchWrite", {"writes": [_write(write) for write in writes]})
        errors = [
            status.get("message", "")
            for status in answer["status"]
            if status.get("code", 0) not in (0, *_UNMET.values())
        ]
        if errors:
            raise JobStoreError(f"Firestore: {errors[0][:LONGEST_REASON]}.")

    def _there(self, answers: Sequence[Mapping[str, Any]]) -> dict[str, Document]:
        """Return the documents of a batchGet."""
        self._time.observe(seconds(answers[-1]["readTime"]))
        there = [_document(answer["found"]) for answer in answers if "found" in answer]
        return {document.name: document for document in there}

    def _call(
        self,
        verb: str,
        body: Mapping[str, Any],
        *,
        in_transaction: bool = False,
        pauses: Sequence[float] | None = None,
    ) -> Any:
        path, data = f"/v1/{self._root}:{verb}", json.dumps(body).encode()
        end = time.monotonic() + PATIENCE_SECONDS
        for pause in (*(PAUSES_SECONDS if pauses is None else pauses), None):
            status = None
            try:
                status, answer = self._api.post(path, data, TIMEOUT_SECONDS)
                if status == 200:
                    return json.loads(answer)
                reason = reason_of(status, answer)
            except CredentialsError as error:
                raise JobStoreError(f"Firestore: {error}.") from error
            except FAILURES as error:
                reason = f"{self._api.host} doesn't answer ({type(error).__name__})"
            may_pass = status is None or status in _PASSING
            if verb == "commit" and (
                reason.partition(":")[0] in _UNMET
                or (in_transaction and (may_pass or "transaction" in reason))
            ):
                raise UnmetError(reason)
            if "requires an index" in reason:
                raise JobStoreError(
                    f"Firestore: {reason}. `ucam-faas jobs migrate` shows how to create it."
                )
            if pause is None or not may_pass or time.monotonic() > end:
                raise JobStoreError(f"Firestore: {reason}.")
            threading.Event().wait(pause * random.uniform(0.5, 1.5))
        raise AssertionError("the last try returns or raises")


def _document(document: Mapping[str, Any]) -> Document:
    fields = decoded_fields(document.get("fields", {}))
    return Document(document["name"], fields, document["updateTime"], document["createTime"])


def _write(write: Write) -> dict[str, Any]:
    condition = {"exists": False} if write.version is None else {"updateTime": write.version}
    if write.fields is None:
        deletion: dict[str, Any] = {"delete": write.name}
        return deletion if write.version is None else deletion | {"currentDocument": condition}
    fields = write.fields if write.mask is None else _masked(write.fields, write.mask)
    update = {"name": write.name, "fields": encoded_fields(fields)}
    made: dict[str, Any] = {"update": update, "currentDocument": condition}
    if write.mask is not None:
        made["updateMask"] = {"fieldPaths": list(write.mask)}
    if write.stamp is not None:
        stamp = {"fieldPath": write.stamp, "setToServerValue": "REQUEST_TIME"}
        made["updateTransforms"] = [stamp]
    return made


def _masked(fields: Mapping[str, Any], mask: Sequence[str]) -> dict[str, Any]:
    """Return the fields that a mask names."""
    masked: dict[str, Any] = {}
    for path in mask:
        name, _, inner = path.partition(".")
        if inner:
            masked.setdefault(name, {}).update(_masked(fields[name], [inner]))
        elif name in fields:
            masked[name] = fields[name]
    return masked
