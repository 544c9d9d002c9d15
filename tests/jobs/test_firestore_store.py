"""`FirestoreStore` does what every store does, on Google's emulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.job_store_contract import JobStoreContract
from tests.support.firestore import Firestore
from ucam_faas.jobs.stores.firestore.store import FirestoreStore
from ucam_faas.testing import ManualClock

pytestmark = pytest.mark.slow


class TestFirestoreStore(JobStoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock, firestore: Firestore) -> Iterator[FirestoreStore]:
        store = firestore.store(clock)
        yield store
        store.close()
