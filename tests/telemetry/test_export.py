"""The thread that exports, and the queue before it: bounded, whatever the receiver does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tests.integration.processes import HANG_SECONDS, wait_until
from ucam_faas.telemetry.connection import Connection
from ucam_faas.telemetry.sender import QUIET_SECONDS, Sender
from ucam_faas.telemetry.span_queue import MAX_EXPORTED, SpanQueue
from ucam_faas.testing import ManualClock


class Gate:
    """An export that ends when it may, and a count of those that began."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.begun = 0
        self.lasts: list[bool] = []
        self.succeeds = True

    def export(self, is_last: bool) -> bool:
        self.begun += 1
        self.lasts.append(is_last)
        self.may_end.wait()
        return self.succeeds


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.may_end.set()


def test_a_flush_returns_when_all_is_exported(gate: Gate) -> None:
    sender = Sender(gate.export)
    gate.may_end.set()

    assert sender.flush(HANG_SECONDS)
    assert gate.begun == 1


def test_a_flush_says_that_the_export_failed(gate: Gate) -> None:
    sender = Sender(gate.export)
    gate.succeeds = False
    gate.may_end.set()

    assert not sender.flush(HANG_SECONDS)


def test_an_export_that_raises_ends_neither_the_thread_nor_the_wait() -> None:
    errors = iter([RuntimeError("an exporter of the user")])

    def export(_: bool) -> bool:
        for error in errors:
            raise error
        return True

    sender = Sender(export)

    assert not sender.flush(HANG_SECONDS)
    assert sender.flush(HANG_SECONDS)


def test_a_flush_that_runs_out_spares_the_others_the_wait(gate: Gate) -> None:
    """For a while; and the last one of a process waits again."""
    clock = ManualClock()
    sender = Sender(gate.export, clock)

    assert not sender.flush(0.001)

    waits = threading.Thread(target=sender.flush, args=(HANG_SECONDS * 10,), daemon=True)
    waits.start()
    waits.join(HANG_SECONDS)
    assert not waits.is_alive()
    clock.advance(QUIET_SECONDS + 1)
    waits = threading.Thread(target=sender.flush, args=(HANG_SECONDS * 10,), daemon=True)
    waits.start()
    waits.join(0.05)
    assert waits.is_alive()
    gate.may_end.set()
    waits.join(HANG_SECONDS)
    assert not waits.is_alive()


def test_a_success_ends_the_quiet_time(gate: Gate) -> None:
    sender = Sender(gate.export, ManualClock())
    assert not sender.flush(0.001)

    gate.may_end.set()

    wait_until(lambda: sender.flush(HANG_SECONDS), "flushes wait again")


def test_the_last_flush_waits_in_the_quiet_time(gate: Gate) -> None:
    sender = Sender(gate.export, ManualClock())
    assert not sender.flush(0.001)
    threading.Timer(0.01, gate.may_end.set).start()

    assert sender.flush(HANG_SECONDS, last=True)
    assert gate.lasts[-1]


def test_an_event_loop_waits_and_its_timeout_leaves_nothing_behind(gate: Gate) -> None:
    sender = Sender(gate.export)

    async def flushes() -> list[bool]:
        first = await sender.flush_async(0.001)
        gate.may_end.set()
        sender.flush(HANG_SECONDS, last=True)
        return [first, await sender.flush_async(HANG_SECONDS)]

    assert asyncio.run(flushes()) == [False, True]


def test_a_wake_exports_when_it_is_due(gate: Gate) -> None:
    """An earlier one replaces it; a later one doesn't."""
    sender = Sender(gate.export)
    gate.may_end.set()

    sender.wake(10 * HANG_SECONDS)
    sender.wake(0.0)

    wait_until(lambda: gate.begun, "the export began")


class Exporter(SpanExporter):
    """Keeps the sizes of batches."""

    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.sizes: list[int] = []
        self._result = result

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.sizes.append(len(spans))
        return self._result

    def shutdown(self) -> None: ...


def queue_of(exporter: Exporter, limit: int, lost: list[tuple[int, str]]) -> SpanQueue:
    return SpanQueue(
        lambda: Connection(lambda session: exporter),
        limit,
        lambda _: None,
        lambda _: True,
        lambda count, _, cause: lost.append((count, cause)),
    )


def end_spans(queue: SpanQueue, count: int, *, sampled: bool = True) -> None:
    provider = TracerProvider(sampler=None if sampled else ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(queue)
    tracer = provider.get_tracer("test")
    for _ in range(count):
        tracer.start_span("work").end()


def test_spans_over_the_limit_are_counted_as_lost() -> None:
    lost: list[tuple[int, str]] = []
    queue = queue_of(Exporter(), 10, lost)

    end_spans(queue, 13)

    assert lost == [(1, "")] * 3
    assert len(queue) == 10


def test_spans_are_exported_in_requests_of_a_limited_size() -> None:
    exporter = Exporter()
    queue = queue_of(exporter, 10_000, [])
    end_spans(queue, MAX_EXPORTED + 1)

    assert queue.export()

    assert exporter.sizes == [MAX_EXPORTED, 1]
    assert len(queue) == 0


def test_a_request_that_fails_loses_its_spans_and_leaves_the_others() -> None:
    exporter, lost = Exporter(SpanExportResult.FAILURE), list[tuple[int, str]]()
    queue = queue_of(exporter, 10_000, lost)
    end_spans(queue, MAX_EXPORTED + 1)

    assert not queue.export()

    assert lost == [(MAX_EXPORTED, "unknown")]
    assert len(queue) == 1


def test_a_request_that_raises_loses_its_spans_too() -> None:
    exporter, lost = Exporter(), list[tuple[int, str]]()
    exporter.export = lambda spans: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    queue = queue_of(exporter, 10_000, lost)
    end_spans(queue, 3)

    assert not queue.export()

    assert lost == [(3, "ZeroDivisionError")]
    assert len(queue) == 0


def test_an_export_does_not_wait_for_the_spans_that_end_meanwhile() -> None:
    """Or it would never end where a receiver is slower than the tasks."""
    exporter = Exporter()
    queue = queue_of(exporter, 10_000, [])
    taken = exporter.export

    def export(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if len(exporter.sizes) < 10:
            end_spans(queue, 1)
        return taken(spans)

    exporter.export = export  # type: ignore[method-assign]
    end_spans(queue, 1)

    assert queue.export()

    assert exporter.sizes == [1]
    assert len(queue) == 1


def test_spans_that_are_not_sampled_are_not_exported() -> None:
    queue = queue_of(Exporter(), 10, [])

    end_spans(queue, 1, sampled=False)

    assert len(queue) == 0
