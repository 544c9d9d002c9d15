"""The contract of every `PayloadStore`: subclass it, and override the fixture `payloads`."""

from __future__ import annotations

import pytest

from tests.support.payloads import names_in
from ucam_faas.jobs.payloads import PayloadStore


class PayloadStoreContract:
    """The tests; not collected under this name."""

    @pytest.fixture
    def payloads(self) -> PayloadStore:
        """Return an empty store."""
        raise NotImplementedError("override the fixture `payloads`")

    @pytest.mark.parametrize("data", [b"", b"\x00\xff\r\n", b"large" * 1_000_000])
    def test_an_object_is_read_as_it_was_written(self, payloads: PayloadStore, data: bytes) -> None:
        payloads.put("a-1", data)

        assert payloads.get("a-1") == data

    def test_there_is_no_object_of_another_name(self, payloads: PayloadStore) -> None:
        payloads.put("a-1", b"one")

        assert payloads.get("a-2") is None

    def test_an_object_is_written_again(self, payloads: PayloadStore) -> None:
        payloads.put("a-1", b"one")

        payloads.put("a-1", b"two")

        assert (payloads.get("a-1"), names_in(payloads)) == (b"two", ["a-1"])

    def test_objects_are_removed_by_their_names(self, payloads: PayloadStore) -> None:
        for name in ("a-1", "a-2", "a-3"):
            payloads.put(name, b"data")

        payloads.remove(["a-1", "missing", "a-3"])

        assert names_in(payloads) == ["a-2"]
