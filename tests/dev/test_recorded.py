"""The events that `dev` records are those that the history reads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ucam_faas.dev.recorded import Recorded
from ucam_faas.emulator.core.storage import Message
from ucam_faas.history.events import Answered, Delivered, Event, Published, Row, pack, unpack

TOPIC, STORE, AUDIT = (
    f"projects/local/{name}"
    for name in ("topics/orders", "subscriptions/store", "subscriptions/audit")
)
ORDER = Message(17, 1000.0, "ada", {"kind": "order"}, b"{}")


def recorded(*does: Any) -> list[Event]:
    """Return what another process gets of events of an emulator with two subscriptions."""
    rows: list[Event | Row] = []
    only = SimpleNamespace(accepts=lambda attributes: attributes.get("kind") == "refund")
    queues = {
        1: SimpleNamespace(number=1, rules=SimpleNamespace(accepts=None)),
        2: SimpleNamespace(number=2, rules=only),
    }
    engine: Any = SimpleNamespace(
        topics={TOPIC: SimpleNamespace(queues=queues)}, names={1: STORE, 2: AUDIT}
    )
    recorded = Recorded(lambda *events, data=0: rows.extend(events), engine, "local")
    for do in does:
        do(recorded)
    return unpack(pack(rows))[0]


def test_publications_have_their_readers() -> None:
    refund = ORDER._replace(number=18, attributes={"kind": "refund"})

    assert recorded(lambda to: to.published(TOPIC, [ORDER, refund])) == [
        Published(1000.0, "17", "orders", "ada", {"kind": "order"}, b"{}", ("store",)),
        Published(1000.0, "18", "orders", "ada", {"kind": "refund"}, b"{}", ("store", "audit")),
    ]


def test_deliveries_and_answers_have_their_attempts() -> None:
    begun, done, failed = recorded(
        lambda to: to.delivered(STORE, ORDER, 1),
        lambda to: to.acknowledged(STORE, ORDER, 1, status=200),
        lambda to: to.failed(STORE, ORDER, 2, status="refused", retry_seconds=10.0),
    )

    assert begun == Delivered(begun.time, "store", "17", 1)
    assert done == Answered(done.time, "store", "17", 1, True, "200")
    assert failed == Answered(failed.time, "store", "17", 2, False, "refused", 10.0)
    assert 1_700_000_000 < begun.time <= done.time <= failed.time
