"""The parts of the Firestore store that need no database: its name, values, and time."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.contract.job_store_contract import row
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.jobs.rows import Change, Key
from ucam_faas.jobs.states import LIVE, State
from ucam_faas.jobs.stores import transitions
from ucam_faas.jobs.stores.columns import inserted
from ucam_faas.jobs.stores.firestore.connect import connect
from ucam_faas.jobs.stores.firestore.rows import document_id, fields_of, row_of
from ucam_faas.jobs.stores.firestore.server_time import ServerTime
from ucam_faas.jobs.stores.firestore.values import (
    Timestamp,
    decoded_fields,
    encoded_fields,
    seconds,
)
from ucam_faas.testing import ManualClock


@pytest.mark.parametrize("name", ["", "/jobs", "p/", "p/jobs/x", "My Project"])
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected firestore:PROJECT"):
        connect(name)


@pytest.mark.parametrize(
    ("name", "database"),
    [
        ("my-project", "(default)"),
        ("my-project/jobs", "jobs"),
        ("example.com:p/(default)", "(default)"),
    ],
)
def test_a_name_has_a_project_and_perhaps_a_database(name: str, database: str) -> None:
    store = connect(name, "localhost:1")

    project = name.partition("/")[0]
    document = store._rows.name(Key("app", "task", "1"))
    assert document.startswith(f"projects/{project}/databases/{database}/documents/")


def test_values_come_back_as_they_were() -> None:
    values = {
        **{"none": None, "yes": True, "int": 2**53 + 1, "float": 0.1, "text": "é", "bytes": b"\0"},
        **{"time": Timestamp(1_795_862_117.25), "map": {"inner": 1.0}},
    }

    assert decoded_fields(json.loads(json.dumps(encoded_fields(values)))) == values


def test_a_time_may_have_nanoseconds_or_none() -> None:
    assert seconds("1970-01-01T00:00:01.123456789Z") == pytest.approx(1.123456789)
    assert seconds("1970-01-01T00:00:01Z") == 1


def test_a_row_comes_back_as_it_was() -> None:
    new = row(
        attributes={"a": "b"},
        options={"retention": 5.0},
        unique="u",
        error={"type": "E"},
        progress={"done": 1},
        result=b"1",
    )

    assert row_of(fields_of(new, "writer")) == new


def test_ids_of_documents_tell_keys_apart_that_look_alike() -> None:
    assert document_id("a", "b,c", "d") != document_id("a", "b", "c,d")
    assert len(document_id("a", "b", "x" * 1024)) == 40


class MovedClock(ManualClock):
    """A clock whose wall time is set, or whose machine was suspended."""

    moved = timedelta()

    def now(self):  # type: ignore[no-untyped-def]
        return super().now() + self.moved


def test_the_servers_time_goes_on_between_answers() -> None:
    clock = ManualClock()
    time = ServerTime(clock)
    assert time.now() is None

    time.observe(1000.0)
    clock.advance(5)

    assert time.now() == 1005.0


def test_the_servers_time_is_asked_for_again_after_a_suspension_or_a_set_clock() -> None:
    clock = MovedClock()
    time = ServerTime(clock)
    time.observe(1000.0)

    clock.moved = timedelta(hours=1)

    assert time.now() is None
    time.observe(4600.0)
    assert time.now() == 4600.0


def test_a_history_of_long_messages_has_fewer_entries() -> None:
    again = Change(state=State.PENDING, cause="failed", visit=0, wait=0, message="🎉" * 2000)
    kept = transitions.claimed(inserted(row(), 0, 0), 60, "here", 0)
    for now in range(100):
        assert kept is not None
        failed = transitions.changed(kept, again, None, LIVE, now)
        assert failed is not None
        kept = transitions.claimed(failed, 60, "here", now)

    assert kept is not None
    assert len(kept.log.encode()) <= transitions.MAX_LOG_BYTES
    assert [entry.cause for entry in kept.history][:3] == ["sent", "claimed", "failed"]
    assert kept.history[-1].execution == 101
    assert len(kept.history) > 20
