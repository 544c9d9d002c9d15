"""The table of outcomes is complete, and the outcomes that tasks make are checked at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest

from ucam_faas import outcomes
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.outcomes import ANSWERS, DeadLetter, DeadLettered, Ignore, Outcome, Pause, Retry

ABSTRACT = {"Outcome", "RaisedOutcome", "Refused", "_Decided"}


def all_outcomes() -> Iterator[type[Outcome]]:
    kinds: list[type[Outcome]] = [Outcome]
    for kind in kinds:
        kinds += [sub for sub in kind.__subclasses__() if sub.__module__ == outcomes.__name__]
    return (kind for kind in kinds if kind.__name__ not in ABSTRACT)


def make(kind: type[Outcome]) -> Outcome:
    return kind("because") if kind in (Ignore, Pause, DeadLetter) else kind()  # type: ignore[call-arg]


ALL = sorted(set(all_outcomes()), key=lambda kind: kind.__name__)


def test_every_outcome_is_in_the_table() -> None:
    assert set(ALL) == set(ANSWERS)


@pytest.mark.parametrize("kind", ALL)
def test_every_outcome_has_an_answer_and_a_name(kind: type[Outcome]) -> None:
    outcome = make(kind)

    answer, name = outcomes.answer(outcome), outcomes.name(outcome)

    assert HTTPStatus(answer.http_status)
    assert answer.severity in {"INFO", "WARNING", "ERROR"}
    assert answer.text
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)


def test_names_are_unique() -> None:
    assert len({outcomes.name(make(kind)) for kind in ALL}) == len(ALL)


@pytest.mark.parametrize(
    ("kind", "status", "exit_code"),
    [
        ("Done", 200, 0),
        ("Ignore", 200, 0),
        ("DeadLettered", 200, 0),
        ("DeadLetter", 500, 1),
        ("Retry", 429, 1),
        ("Unverifiable", 503, 1),
        ("Failed", 500, 1),
        ("Crashed", 500, 2),
        ("TimedOut", 504, 1),
        ("Overloaded", 429, 1),
        ("ShuttingDown", 503, 1),
        ("WrongEventType", 400, 1),
        ("MalformedEvent", 400, 1),
        ("InvalidPayload", 400, 1),
        ("NotAnEvent", 400, 1),
        ("UnsupportedMedia", 415, 1),
        ("TooLarge", 413, 1),
        ("Unauthenticated", 401, 1),
    ],
)
def test_statuses_and_exit_codes_are_as_documented(kind: str, status: int, exit_code: int) -> None:
    answer = ANSWERS[getattr(outcomes, kind)]

    assert (answer.http_status, answer.exit_code) == (status, exit_code)


def test_only_what_is_dealt_with_is_acknowledged() -> None:
    acknowledged = {kind.__name__ for kind in ALL if ANSWERS[kind].acknowledges}

    assert acknowledged == {
        *("Done", "Ignore", "DeadLettered", "Recorded", "Paused", "Sleeping", "Superseded")
    }


def test_an_exit_code_of_success_is_an_acknowledgement() -> None:
    assert all((answer.exit_code == 0) == answer.acknowledges for answer in ANSWERS.values())


def test_what_can_never_succeed_is_what_was_rejected() -> None:
    permanent = {kind.__name__ for kind in ALL if ANSWERS[kind].permanent}

    assert permanent == {"WrongEventType", "MalformedEvent", "InvalidPayload"}


@pytest.mark.parametrize("status", [102, 200, 201, 202, 204])
def test_statuses_that_pubsub_takes_as_an_acknowledgement(status: int) -> None:
    assert outcomes.Answer(status, "", "INFO", 0).acknowledges


@pytest.mark.parametrize("status", [100, 203, 205, 206, 301, 304, 400, 429, 500, 503])
def test_statuses_that_pubsub_takes_as_none(status: int) -> None:
    assert not outcomes.Answer(status, "", "INFO", 0).acknowledges


def test_only_an_unexpected_exception_is_an_error() -> None:
    errors = {kind.__name__ for kind in ALL if ANSWERS[kind].severity == "ERROR"}

    assert errors == {"Crashed"}


@pytest.mark.parametrize("after", [None, timedelta(0), timedelta(seconds=30), timedelta(days=9)])
def test_a_retry_may_say_when(after: timedelta | None) -> None:
    retry = Retry(after, reason="busy")

    assert (retry.after, retry.reason) == (after, "busy")


def test_a_retry_says_nothing_by_default() -> None:
    assert (Retry().after, Retry().reason) == (None, None)


@pytest.mark.parametrize("after", [30, 1.5, "30", timedelta(seconds=-1), True], ids=repr)
def test_a_retry_after_no_time_is_refused_with_the_right_call(after: Any) -> None:
    with pytest.raises(TaskDefinitionError) as caught:
        Retry(after=after)

    assert f"after={after!r}" in str(caught.value)
    assert "Retry(after=timedelta(seconds=30))" in str(caught.value)


@pytest.mark.parametrize("kind", [Ignore, DeadLetter])
def test_a_reason_is_needed(kind: Any) -> None:
    with pytest.raises(TypeError):
        kind()


@pytest.mark.parametrize(
    "made", [Retry(reason="because"), Ignore("because"), DeadLetter("because")]
)
def test_a_raised_outcome_is_an_exception_that_says_why(made: Any) -> None:
    with pytest.raises(type(made)) as caught:
        raise made

    assert caught.value.reason == "because"
    assert str(caught.value) == "because"


@pytest.mark.parametrize("made", [Ignore, DeadLetter, lambda reason: Retry(reason=reason)])
def test_a_reason_is_text_whatever_was_given(made: Any) -> None:
    # `raise DeadLetter(error)` is what one writes in an except clause.
    outcome = made(ValueError("because"))

    assert isinstance(outcome.reason, str)


def test_a_decided_outcome_holds_its_reason() -> None:
    assert DeadLettered("because").reason == "because"
    assert DeadLettered().reason is None


def test_a_subclass_of_an_outcome_has_its_answer_and_its_name() -> None:
    class NotYet(Retry):
        pass

    assert outcomes.answer(NotYet()) == ANSWERS[Retry]
    assert outcomes.name(NotYet()) == "retry"
