"""One run of a batch task: the executions of its messages, which share a call of the function.

    messages ─ prepare, each ─► list ─ function, once ─► BatchResult ─ decide, each
             ─► dead letters, a line of the batch, and one of each message with another end

The execution of the batch goes through the pipeline, with its deadline, threads and middleware. The
execution of a message is prepared, and concluded where the message failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ucam_faas.events import envelopes
from ucam_faas.events.deliveries import Delivery
from ucam_faas.events.execution_info import ExecutionInfo
from ucam_faas.execution import dead_letters, hops, log_lines
from ucam_faas.execution.decisions import decide_error, refusal
from ucam_faas.execution.execution import Conclusion, Decision, Execution
from ucam_faas.execution.preparation import prepare
from ucam_faas.execution.reporting import report, result_of
from ucam_faas.execution.runtime import CURRENT
from ucam_faas.logs.context import LOG_CONTEXT
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import Crashed, Done, Outcome, Retry, answer, name
from ucam_faas.tasks.message_batches import BatchMessage, BatchResult
from ucam_faas.tasks.task import Task

_DONE = Decision(Done())
_RETURNED = Decision(Retry(reason="an earlier message of its ordering key failed"))
"""Of a message whose order would be lost if it were acknowledged."""


def execution_of(task: Task, members: Sequence[Execution], keys: Sequence[str]) -> Execution:
    """Return the execution of a batch.

    Args:
        task: runs on it.
        members: the executions of its messages, one at least, in the order of their delivery.
        keys: their ordering keys; empty where the subscription keeps no order.
    """
    batch = MessageBatch(members, keys)
    execution = Execution(task, envelopes.raw(b"", {}), members[0].runtime)
    execution.batch, execution.decide = batch, batch.decide
    return execution


class MessageBatch:
    """The messages of a batch.

    Args:
        members: see `execution_of`.
        keys: see `execution_of`.
    """

    def __init__(self, members: Sequence[Execution], keys: Sequence[str]) -> None:
        self.members = members
        self._keys = keys
        self._decisions: dict[Execution, Decision] = {}
        """Of messages that the function doesn't get."""
        self._messages: dict[BatchMessage[Any], Execution] = {}
        self.outcomes: Sequence[Outcome] = ()
        """Of the messages, when the batch is concluded."""

    @property
    def size_bytes(self) -> int:
        """The size of all messages' data."""
        return sum(len(member.delivery.body) for member in self.members)

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """Those of the messages."""
        return [member.delivery for member in self.members]

    def open(self, execution: Execution) -> list[BatchMessage[Any]]:
        """Set the contexts of the batch, and return the messages for its function.

        A message that is refused is left out, with those of its key after it, unless it becomes a
        dead letter.
        """
        returned: set[str] = set()
        for member, key in zip(self.members, self._keys, strict=True):
            decision = _RETURNED if key in returned else self._prepare(member)
            if decision is not None:
                self._decisions[member] = decision
                if key and not _will_be_acknowledged(member, decision):
                    returned.add(key)
        LOG_CONTEXT.set(execution.log_context)
        CURRENT.set(execution.runtime)
        chained = hops.longest(message.pubsub_message for message in self._messages)
        hops.enter(chained, execution.runtime.settings.max_hops)
        return list(self._messages)

    def _prepare(self, member: Execution) -> Decision | None:
        """Make the payload of a message in contexts of its own; return a refusal."""
        try:
            payload = member.context.run(prepare, member)
            refused = refusal(member, payload)
        except KeyboardInterrupt:  # for the process, not for the task
            raise
        except BaseException as error:
            return decide_error(member, error)
        if refused is None:
            self._messages[_message(member, payload)] = member
        return refused

    def decide(self, value: Any) -> Decision:
        """Return the decision on the function's return value: an error, unless it is clear."""
        return _decided(value, self._messages)

    def may_publish(self, decision: Decision) -> bool:
        """Return True if `settle` may publish dead letters."""
        ends = zip(self.members, self._ends(decision), strict=True)
        return any(dead_letters.may_publish(member, end.outcome) for member, end in ends)

    def settle(self, execution: Execution, decision: Decision, *, publish: bool) -> Conclusion:
        """Settle and report the messages that failed, and return the conclusion of the batch.

        Args:
            execution: of the batch.
            decision: of its function.
            publish: dead letters are published; after the first that can't be, no more.
        """
        returned: set[str] = set()
        outcomes: list[Outcome] = []
        for member, key, end in zip(self.members, self._keys, self._ends(decision), strict=True):
            end = _RETURNED if key in returned else end
            outcome = end.outcome
            if publish and end is not _RETURNED:
                outcome = dead_letters.settle(member, end)
                failed = outcome is end.outcome and dead_letters.may_publish(member, outcome)
                publish = not failed
            if key and not answer(outcome).acknowledges:
                returned.add(key)
            if outcome is not decision.outcome and end is not _RETURNED:
                of_all = end.error is decision.error  # the batch's line has its traceback
                shown = replace(end, error=None) if of_all else end
                log_lines.write(report(member, shown, outcome).line)
            outcomes.append(outcome)
        self.outcomes = outcomes
        line = log_lines.batch(execution, decision, Counter(map(name, outcomes)))
        info = ExecutionInfo(execution=result_of(decision, execution.elapsed_seconds()))
        return Conclusion(decision.outcome, info, decision.value, decision.error, line)

    def _ends(self, decision: Decision) -> Iterable[Decision]:
        """Return the decision of each message."""
        failures: dict[Execution, BaseException] = {}
        if isinstance(decision.value, BatchResult):
            failures = {
                self._messages[message]: failure
                for message, failure in decision.value.failures.items()
            }
        is_done = isinstance(decision.outcome, Done)
        everyone = Decision(decision.outcome, error=decision.error)
        for member in self.members:
            if member in self._decisions:
                yield self._decisions[member]
            elif not is_done:
                yield everyone
            else:
                yield _end(member, failures.get(member))


def alone(execution: Execution, payload: Any) -> list[BatchMessage[Any]]:
    """Return the batch of a message that comes alone, as a push does."""
    message = _message(execution, payload)

    def decide(value: Any) -> Decision:
        decision = _decided(value, (message,))
        if isinstance(decision.value, BatchResult):
            return _end(execution, decision.value.failures.get(message))
        return decision

    execution.decide = decide
    return [message]


def _message(execution: Execution, payload: Any) -> BatchMessage[Any]:
    context = execution.message
    assert context is not None, "a batch task takes messages"
    return BatchMessage(
        payload, context.pubsub_message, context.subscription, context.delivery_attempt
    )


def _decided(value: Any, messages: Iterable[BatchMessage[Any]]) -> Decision:
    problem = ""
    if value is None:
        value = BatchResult()
    if not isinstance(value, BatchResult):
        problem = f"the function returned a {type(value).__qualname__}"
    elif not value.failures.keys() <= set(messages):
        problem = "the function returned failures of messages that aren't in its list"
    if not problem:
        return Decision(_DONE.outcome, value)
    hint = "return None, or BatchResult({message: Retry}) with messages of the list that failed"
    log_problem("ucam_faas_batch_result_not_valid", problem=problem, hint=hint)
    return Decision(Crashed(), error=TypeError(f"{problem}: {hint}"))


def _end(execution: Execution, failure: BaseException | None) -> Decision:
    """Return the decision of a message whose function returned."""
    if failure is None:
        return _DONE
    execution.is_started = True
    return decide_error(execution, failure)


def _will_be_acknowledged(member: Execution, decision: Decision) -> bool:
    outcome = decision.outcome
    return answer(outcome).acknowledges or dead_letters.may_publish(member, outcome)
