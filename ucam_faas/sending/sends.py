"""`task.send(…)`: a payload in, a job on its way to this one task out.

    drafter (options) ─► row (payload, id) ─ insert ─► the stored row ─ wake ─► Job

Without a store the payload itself is published to the task's inbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Unpack, overload

from ucam_faas.exceptions import (
    BatchSendError,
    FailedSend,
    JobConflictError,
    JobStoreError,
    PublishError,
    QueueFull,
)
from ucam_faas.execution import traces
from ucam_faas.execution.hops import with_hops
from ucam_faas.execution.runtime import Runtime
from ucam_faas.execution.traces import with_trace
from ucam_faas.jobs import transactions
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.send_options import BatchOptions, SendOptions
from ucam_faas.jobs.stores import JobStore
from ucam_faas.publishing import MAX_PUBLISHED, Draft
from ucam_faas.sending import children
from ucam_faas.sending.drafts import Drafter, drafter
from ucam_faas.sending.duplicates import check_same
from ucam_faas.sending.publication import NO_PAYLOAD
from ucam_faas.sending.sender import Target, handle, sender, wake

if TYPE_CHECKING:  # tasks without batches don't need it
    from ucam_faas.sending.batches import Batch

ItemT = TypeVar("ItemT")


def send(target: Target, payload: Any = NO_PAYLOAD, **options: Unpack[SendOptions]) -> Job[Any]:
    """Send a job to a task, and return it.

    Args:
        target: gets it, and no other reader of its topic.
        payload: of the task's message type.
        options: see `SendOptions`.

    Raises:
        TypeError: the payload is missing, or can't be serialised for the task.
        ValueError: the task's parser rejects the payload, or an option can't be used.
        TaskDefinitionError: nothing can be sent to the task.
        JobConflictError: the id is that of another sending.
        QueueFull: as many jobs wait as the task's max_pending.
        NoJobStoreError: an option needs a store, and there is none.
        JobLostError: the running job that sends isn't this execution's any more.
        JobStoreError: it isn't known whether the job was stored.
        PublishError: there is no store, and the payload wasn't published.
    """
    return send_from(sender(), target, payload, options)


def send_from(here: Runtime, target: Target, payload: Any, options: SendOptions) -> Job[Any]:
    """Send a job from a runtime that is known; see `send`."""
    drafts = drafter(here, target, options, children.parent())
    with traces.sending(here, drafts.inbox, drafts.name):
        sent = _send_batch(drafts, [drafts.row(payload)])
        (result,) = sent.results
        _wake(drafts, sent.new)
        if isinstance(result, Exception):
            raise result
    return handle(here, target, result)


async def send_async(
    target: Target, payload: Any = NO_PAYLOAD, **options: Unpack[SendOptions]
) -> Job[Any]:
    """Send a job to a task, and return it; see `send`."""
    return await transactions.in_thread(send, target, payload, **options)


@overload
def send_many(
    target: Target,
    payloads: Iterable[Any],
    *,
    then: None = None,
    id: Callable[[Any], object] | None = None,
    **options: Unpack[BatchOptions],
) -> list[Job[Any]]: ...
@overload
def send_many(
    target: Target,
    payloads: Iterable[Any],
    *,
    then: Any,
    id: Callable[[Any], object] | None = None,
    **options: Unpack[BatchOptions],
) -> Batch[Any]: ...
def send_many(
    target: Target,
    payloads: Iterable[Any],
    *,
    then: Any = None,
    id: Callable[[Any], object] | None = None,
    **options: Unpack[BatchOptions],
) -> list[Job[Any]] | Batch[Any]:
    """Send a job for each payload, in batches, and return them in order.

    Args:
        target: gets them.
        payloads: of the task's message type.
        then: a task, or its name: it gets a `BatchEnded` when all of them have ended. All payloads
            are checked before the first is sent.
        id: from a payload to the id of its job: the same call again then sends only those that
            weren't sent. Default: the task's `id=`, or new ids.
        options: of each job; see `SendOptions`.

    Raises:
        BatchSendError: some weren't sent, and the others were; it lists them. The callback wasn't
            sent.
        TypeError, ValueError, TaskDefinitionError, NoJobStoreError: see `send`; none was sent.
        JobLostError: see `send`; the last ones weren't sent.
        JobConflictError, JobStoreError: the callback wasn't sent, or that isn't known.
    """
    if id is not None and not callable(id):
        raise TypeError(f"id={id!r}: expected a function from a payload to an id.")
    here = sender()
    drafts = drafter(here, target, options, children.parent(), id)
    with traces.sending(here, drafts.inbox, drafts.name) as span:
        drafted = _drafted(drafts, payloads)
        traces.count(span, len(drafted.rows))
        return (
            _send_all(drafts, drafted).jobs if then is None else _send_with(drafts, drafted, then)
        )


def _send_with(drafts: Drafter, drafted: _Drafted, then: Any) -> Batch[Any]:
    """Send jobs and their callback; see `send_many`."""
    from ucam_faas.sending.fan_in import Callback  # kept off the start of others

    drafts.here.jobs_for("then= can have no effect")
    if drafted.failed:
        total = len(drafted.rows) + len(drafted.failed)
        raise _batch_error(drafts.name, drafted.failed, {}, total)
    callback = Callback(drafts, then, [row for _, _, row in drafted.rows])
    members = [(*others, callback.member(row)) for *others, row in drafted.rows]
    sent = _send_all(drafts, _Drafted(members, []))
    return callback.send(sent.jobs, sent.stored, has_new=sent.has_new, holder=_holder(drafts))


async def send_many_async(target: Target, payloads: Iterable[Any], **options: Any) -> Any:
    """Send a job for each payload; see `send_many`."""
    return await transactions.in_thread(send_many, target, payloads, **options)


class _Drafted(NamedTuple):
    """The rows of a `send_many`, each after its index and its payload; and the other payloads."""

    rows: list[tuple[int, Any, Row]]
    failed: list[FailedSend]


class _SentAll(NamedTuple):
    """The jobs of a `send_many`, and their rows as they are stored."""

    jobs: list[Job[Any]]
    stored: list[Row]
    has_new: bool


def _drafted(drafts: Drafter, payloads: Iterable[Any]) -> _Drafted:
    drafted = _Drafted([], [])
    for index, payload in enumerate(payloads):
        try:
            drafted.rows.append((index, payload, drafts.row(payload)))
        except Exception as error:  # of this payload alone: its parser and its keys raise anything
            drafted.failed.append(FailedSend(index, payload, error))
    return drafted


def _send_all(drafts: Drafter, drafted: _Drafted) -> _SentAll:
    """Send jobs in batches.

    Raises:
        BatchSendError: some weren't sent.
    """
    jobs: dict[int, Job[Any]] = {}
    stored: list[Row] = []
    failed, has_new, is_pubsub_there = drafted.failed, False, True
    for batch in _batches(drafted.rows):
        sent = _send_batch(drafts, [row for _, _, row in batch])
        stored += sent.stored
        has_new |= bool(sent.new)
        if is_pubsub_there:  # else each batch would wait for it; the sweep wakes the rest
            is_pubsub_there = _wake(drafts, sent.new)
        for (index, payload, _), result in zip(batch, sent.results, strict=True):
            if isinstance(result, Exception):
                failed.append(FailedSend(index, payload, result))
            else:
                jobs[index] = handle(drafts.here, drafts.task or drafts.name, result)
    if failed:
        raise _batch_error(drafts.name, failed, jobs, len(failed) + len(jobs))
    return _SentAll([jobs[index] for index in sorted(jobs)], stored, has_new)


class _Sent(NamedTuple):
    """The id or the error of each job, the rows that are new, and those that are there."""

    results: Sequence[str | Exception]
    new: Sequence[Row] = ()
    stored: Sequence[Row] = ()


def _send_batch(drafts: Drafter, rows: Sequence[Row]) -> _Sent:
    """Send jobs."""
    here, store = drafts.here, drafts.here.jobs()
    if store is None:
        messages = [
            Draft(
                row.payload,
                with_trace(
                    with_hops(row.attributes, row.options.get("hops", "")),
                    row.options.get("trace", ""),
                ),
                row.ordering_key,
            )
            for row in rows
        ]
        try:
            return _Sent(here.outgoing().publish_many(drafts.inbox, messages))
        except PublishError as error:
            return _Sent([error] * len(rows))
    store = transactions.within(store)
    try:
        within = _with_room(drafts, store, rows)
        stored = store.insert(within, wait=[drafts.wait] * len(within), parent=_holder(drafts))
    except JobStoreError as error:
        return _Sent([error] * len(rows))
    by_owner = {row.owner: kept for row, kept in zip(within, stored, strict=True)}
    new = [by_owner[row.owner] for row in within if by_owner[row.owner].owner == row.owner]
    results = [_id_or_error(by_owner.get(row.owner), row, drafts) for row in rows]
    return _Sent(results, new, stored)


def _wake(drafts: Drafter, new: Sequence[Row]) -> bool:
    """Wake new jobs at their time; return False if Pub/Sub didn't take the wakes."""
    if not new:
        return True
    at = max(row.due for row in new) if drafts.wait else None
    return wake(drafts.here, [row.wake for row in new], at)


def _holder(drafts: Drafter) -> Row | None:
    """Return the job that has to be held; None, after its end in the transaction that sends."""
    holder, transaction = drafts.holder, transactions.current()
    is_completed = holder and transaction and transaction.completed == holder.key
    return None if is_completed else holder


def _with_room(drafts: Drafter, store: JobStore, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows that the store has, and as many of the others as max_pending allows."""
    limit = drafts.jobs.max_pending
    if limit is None:
        return rows
    room = max(0, limit - store.pending(drafts.here.settings.app, drafts.name, limit=limit))
    if room >= len(rows):
        return rows
    within: list[Row] = []
    taken: set[Key | str] = set()  # by rows of the batch before
    for row, existing in zip(rows, store.existing(rows), strict=True):
        keys: set[Key | str] = {row.key, row.unique or row.key}
        is_new = existing is None and not keys & taken
        if is_new and not room:
            continue
        room -= is_new
        taken |= keys
        within.append(row)
    return within


def _id_or_error(kept: Row | None, row: Row, drafts: Drafter) -> str | Exception:
    if kept is None:
        return QueueFull(
            f"{drafts.jobs.max_pending} jobs of {drafts.name!r} wait, as many as its max_pending "
            "allows: send again later, or raise the limit."
        )
    try:
        if kept.owner != row.owner:
            check_same(kept, row, drafts)
    except JobConflictError as error:
        return error
    return kept.key.id


def _batches(rows: list[ItemT]) -> Iterator[list[ItemT]]:
    rest = iter(rows)
    while batch := list(islice(rest, MAX_PUBLISHED)):
        yield batch


def _batch_error(
    name: str, failed: list[FailedSend], jobs: dict[int, Job[Any]], total: int
) -> BatchSendError:
    failed.sort(key=lambda failure: failure.index)
    first = failed[0]
    return BatchSendError(
        f"{len(failed)} of {total} jobs were not sent to {name!r}. The first has the index "
        f"{first.index}: {type(first.error).__name__}: {first.error}",
        failed=tuple(failed),
        jobs=tuple(jobs[index] for index in sorted(jobs)),
    )
