"""The store that `firestore:PROJECT` or `firestore:PROJECT/DATABASE` names."""

from __future__ import annotations

import re

from ucam_faas.exceptions import ConfigurationError
from ucam_faas.jobs.stores.firestore.store import FirestoreStore
from ucam_faas.net.google_rest import GoogleRest
from ucam_faas.net.rest import Api, Rest

HOST = "firestore.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/datastore"
DEFAULT = "(default)"
NAME = re.compile(r"(?P<project>[a-z][a-z0-9.:-]*)(/(?P<database>[a-z][a-z0-9-]*|\(default\)))?")


def connect(name: str, emulator: str | None = None) -> FirestoreStore:
    """Return the store in a database.

    Args:
        name: `PROJECT`, or `PROJECT/DATABASE`.
        emulator: its `host:port`; None: Google's Firestore, as the account of the environment.

    Raises:
        ConfigurationError: it isn't such a name.
        MissingExtraError: google-auth isn't installed.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise ConfigurationError(
            f"UCAM_FAAS_JOB_STORE is {f'firestore:{name}'!r}: expected firestore:PROJECT, or "
            "firestore:PROJECT/DATABASE."
        )
    return FirestoreStore(api(emulator), match["project"], match["database"] or DEFAULT)


def api(emulator: str | None = None) -> Api:
    """Return Firestore's API, or that of an emulator; see `connect`."""
    if emulator is not None:
        return Rest(emulator, {"Authorization": "Bearer owner"})
    return GoogleRest(f"https://{HOST}", SCOPE, extra="firestore", purpose="keep jobs in Firestore")
