"""A trigger is checked when the task is decorated: values that Google refuses fail at import."""

from __future__ import annotations

import copy
import pickle
import sys
import zoneinfo
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from ucam_faas import (
    CloudEventType,
    Retry,
    RetryPolicy,
    Schedule,
    TaskCollection,
    TaskDefinitionError,
    cloud_event,
    cloud_event_handler,
    http,
    message_handler,
    raw_event,
)
from ucam_faas.tasks.triggers import MAX_SCHEDULE_BYTES, Trigger, trigger_maker

NIGHTLY = Schedule("0 3 * * *", data=b"{}")
WEEKLY = Schedule("0 4 * * MON", time_zone="Europe/London", attributes={"kind": "weekly"})


class Order(BaseModel):
    number: int


def refused(make: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(TaskDefinitionError) as caught:
        make(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def store(payload: Any) -> None: ...


def page(request: Any) -> str:
    return ""


# --- schedules


def test_a_schedule_is_in_utc_and_runs_unless_it_says_otherwise() -> None:
    assert (NIGHTLY.time_zone, NIGHTLY.paused, NIGHTLY.attributes) == ("Etc/UTC", False, {})


def test_a_schedule_is_immutable_and_keeps_its_arguments() -> None:
    attributes = {"kind": "nightly"}
    schedule = Schedule("0 3 * * *", attributes=attributes)

    attributes["kind"] = "other"

    assert schedule.attributes == {"kind": "nightly"}
    with pytest.raises(FrozenInstanceError):
        schedule.paused = True  # type: ignore[misc]


def test_schedules_are_values() -> None:
    same = Schedule("0 4 * * MON", time_zone="Europe/London", attributes={"kind": "weekly"})

    assert same == WEEKLY != NIGHTLY
    assert len({same, WEEKLY, NIGHTLY}) == 2
    assert pickle.loads(pickle.dumps(WEEKLY)) == copy.deepcopy(WEEKLY) == WEEKLY


def test_only_the_expression_has_no_name() -> None:
    with pytest.raises(TypeError):
        Schedule("0 3 * * *", "Europe/London")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("0 24 * * *", "Schedule('0 24 * * *'): hour '24': expected 0-23"),
        ("0 3 * *", "4 fields: expected five"),
        (5, "Schedule(5): expected a cron expression"),
        (timedelta(days=1), "expected a cron expression"),
    ],
)
def test_a_wrong_expression_is_refused_with_its_field_and_range(expression: Any, part: str) -> None:
    assert part in refused(Schedule, expression, data=b"{}")


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "Europe/London", "America/Argentina/Ushuaia"])
def test_a_time_zone_is_a_name_in_the_database(name: str) -> None:
    assert Schedule("0 3 * * *", time_zone=name, data=b"{}").time_zone == name


@pytest.mark.parametrize(
    "name",
    [
        *("Europe/Cambridge", "BST!", "", "Europe", "/etc/localtime", "../UTC", "localtime"),
        *("posix/UTC", 5, None, zoneinfo.ZoneInfo("Europe/London"), "x" * 300, "a\0b"),
    ],
    ids=lambda name: repr(name)[:20],
)
def test_an_unknown_time_zone_is_refused_with_an_example(name: Any) -> None:
    message = refused(Schedule, "0 3 * * *", time_zone=name, data=b"{}")

    assert f"time_zone={name!r}: expected a name in the time zone database" in message
    assert "'Europe/London'" in message


@pytest.fixture
def no_time_zones(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without a time zone database, as the smallest containers are."""
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.ZoneInfo.clear_cache()
    zoneinfo.reset_tzpath(to=[])
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.usefixtures("no_time_zones")
def test_without_a_time_zone_database_the_error_names_the_package_to_install() -> None:
    message = refused(Schedule, "0 3 * * *", time_zone="Europe/London", data=b"{}")

    assert "no time zone database. Run: pip install tzdata" in message
    assert Schedule("0 3 * * *", data=b"{}").time_zone == "Etc/UTC", "UTC needs none"


@pytest.mark.parametrize("data", ["{}", {"number": 1}, None, bytearray(b"{}")], ids=repr)
def test_data_is_bytes(data: Any) -> None:
    assert f"data={data!r}: expected bytes" in refused(Schedule, "0 3 * * *", data=data)


@pytest.mark.parametrize("schedule", ["0 3 * * *", ["0 3 * * *"], Schedule("0 3 * * *")], ids=repr)
def test_a_schedule_with_nothing_to_send_carries_an_attribute(schedule: Any) -> None:
    """Pub/Sub takes no message without data or an attribute."""

    @raw_event(schedule=schedule)
    def clean_up() -> None: ...

    assert clean_up.task.trigger is not None
    (carried,) = clean_up.task.trigger.schedules
    assert carried == Schedule("0 3 * * *", attributes={"ucam_faas_trigger": "schedule"})


def test_a_schedule_with_nothing_to_send_passes_no_filter_for_other_attributes() -> None:
    message = refused(raw_event(schedule="0 3 * * *", filter="attributes:kind"), store)

    assert "never reaches the task" in message


def test_the_schedule_of_a_job_carries_nothing() -> None:
    @raw_event(schedule="0 3 * * *", run_as="cloud-run-job")
    def clean_up() -> None: ...

    assert clean_up.task.trigger is not None
    assert clean_up.task.trigger.schedules == (Schedule("0 3 * * *"),)


def test_a_collection_that_makes_a_job_of_a_task_takes_the_attribute_away() -> None:
    inner = TaskCollection()

    @inner.raw_event(schedule="0 3 * * *")
    def clean_up() -> None: ...

    TaskCollection(run_as="cloud-run-job").include(inner)

    assert clean_up.task.trigger is not None
    assert clean_up.task.trigger.schedules == (Schedule("0 3 * * *"),)


def test_a_schedule_without_data_is_refused_where_the_task_takes_some() -> None:
    def store(payload: Order) -> None: ...

    message = refused(message_handler(schedule="0 3 * * *"), store)

    assert "let the function take no argument" in message


def test_a_schedule_is_no_larger_than_a_job_may_be() -> None:
    key, value = "kéy", "välue"
    room = MAX_SCHEDULE_BYTES - len(f"{key}{value}".encode())
    Schedule("0 3 * * *", data=b"x" * room, attributes={key: value})

    message = refused(Schedule, "0 3 * * *", data=b"x" * (room + 1), attributes={key: value})

    assert f"{MAX_SCHEDULE_BYTES + 1} bytes" in message
    assert f"at most {MAX_SCHEDULE_BYTES}" in message
    assert "xxx" not in message


@pytest.mark.parametrize(
    ("attributes", "part"),
    [
        ({"": "x"}, "1 to 256 bytes"),
        ({"é" * 129: "x"}, "1 to 256 bytes"),
        ({"googclient": "x"}, "does not begin with goog"),
        ({"k": "é" * 513}, "a value of 1026 bytes: expected at most 1024"),
        ({str(number): "" for number in range(101)}, "101 attributes: expected at most 100"),
        ({"k": 5}, "from str to str"),
        ({5: "k"}, "from str to str"),
        ([("k", "v")], "from str to str"),
        ({"k": "\udcff"}, "cannot be written in UTF-8"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_attributes_outside_the_limits_are_refused(attributes: Any, part: str) -> None:
    assert part in refused(Schedule, "0 3 * * *", attributes=attributes)


def test_attributes_may_be_as_large_as_the_limits() -> None:
    full = {f"{number:0256}": "x" * 1024 for number in range(100)}

    assert Schedule("0 3 * * *", attributes=full).attributes == full


@pytest.mark.parametrize("paused", [1, "yes", None], ids=repr)
def test_paused_is_yes_or_no(paused: Any) -> None:
    assert f"paused={paused!r}" in refused(Schedule, "0 3 * * *", data=b"{}", paused=paused)


# --- triggers


@pytest.mark.parametrize(
    "topic",
    ["abc", "x" * 255, "A-1_2.3~4+5%", "projects/p/topics/orders", "projects/a.b:c/topics/o-1"],
)
def test_a_topic_is_a_short_or_a_full_name(topic: str) -> None:
    assert trigger_maker(topic=topic)("run").topic == topic


@pytest.mark.parametrize(
    "topic",
    [
        *(
            "",
            "ab",
            "x" * 256,
            "1abc",
            "_abc",
            "-abc",
            "a bc",
            "größe",
            "a/b/c",
            "googabc",
            "abc\n",
        ),
        *("projects/p/topics/ab", "projects/p/topics/1abc", "projects//topics/abc", "topics/abc"),
        *("projects/p/subscriptions/abc", 5),
    ],
)
def test_a_topic_name_that_pubsub_refuses_is_refused_with_the_rules(topic: Any) -> None:
    message = refused(trigger_maker, topic=topic)

    assert repr(topic) in message
    assert "3 to 255 characters, the first a letter" in message
    assert "beginning with goog" in message


def test_a_topic_that_exists_may_be_googles_own() -> None:
    topic = "projects/p/topics/google-news"

    assert trigger_maker(topic=topic)("run").topic == topic


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "at most 256 bytes"),
        ("  \n", "at most 256 bytes"),
        (5, "at most 256 bytes"),
        ("attributes.kind = " + '"' + "x" * 256 + '"', "276 bytes, expected at most 256"),
        ("attributes.kind = order", "at character 19: found 'order', expected a value"),
        ("attributes:a AND attributes:b OR attributes:c", "parentheses"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_wrong_filter_is_refused_with_place_and_expectation(text: Any, part: str) -> None:
    message = refused(Trigger, topic="orders", filter=text)

    assert part in message.replace("\n", "")


def test_a_filter_that_no_message_of_a_schedule_passes_is_refused() -> None:
    text = 'attributes.kind = "nightly"'
    fits = Schedule("0 3 * * *", attributes={"kind": "nightly"})

    message = refused(Trigger, topic="orders", filter=text, schedules=(fits, WEEKLY))

    assert "Schedule('0 4 * * MON') never reaches the task" in message
    assert "attributes={'kind': 'weekly'}" in message
    assert Trigger(topic="orders", filter=text, schedules=(fits,)).schedules == (fits,)


@pytest.mark.parametrize("ordered", [1, "yes", None], ids=repr)
def test_ordered_is_yes_or_no(ordered: Any) -> None:
    assert f"ordered={ordered!r}" in refused(Trigger, topic="orders", ordered=ordered)


# --- on the decorators


BY_EVENT = {"event_data_parser": CloudEventType(event_type="t", event_data_model=Order)}
DECORATORS: dict[str, Any] = {
    "raw_event": raw_event,
    "cloud_event": cloud_event,
    "cloud_event_handler": lambda **options: cloud_event_handler(**BY_EVENT, **options),
    "message_handler": lambda **options: message_handler(message_type=None, **options),
}
all_decorators = pytest.mark.parametrize("decorator", DECORATORS.values(), ids=DECORATORS)


@all_decorators
def test_a_task_has_a_topic_of_its_name(decorator: Any) -> None:
    @decorator()
    def take_orders(payload: Any) -> None: ...

    assert take_orders.task.trigger == Trigger(topic="take_orders")
    assert take_orders.task.policy.retry == RetryPolicy()


@all_decorators
def test_a_task_has_the_trigger_and_the_retry_policy_of_its_decorator(decorator: Any) -> None:
    retry = RetryPolicy(max_attempts=None)

    @decorator(
        topic="orders",
        filter="attributes:kind",
        schedule=WEEKLY,
        ordered=True,
        retry=retry,
        timeout=timedelta(seconds=9),
    )
    def run(payload: Any) -> None: ...

    assert run.task.trigger == Trigger(
        topic="orders", filter="attributes:kind", schedules=(WEEKLY,), ordered=True
    )
    assert run.task.policy.retry is retry
    assert run.task.policy.timeout == timedelta(seconds=9)


@pytest.mark.parametrize("schedules", [[NIGHTLY, WEEKLY], (NIGHTLY, WEEKLY)], ids=["list", "tuple"])
def test_a_task_may_have_several_schedules(schedules: Any) -> None:
    @raw_event(schedule=schedules)
    def run(payload: Any) -> None: ...

    assert run.task.trigger is not None
    assert run.task.trigger.schedules == (NIGHTLY, WEEKLY)


def test_none_is_as_good_as_not_given() -> None:
    @raw_event(topic=None, filter=None, schedule=None, retry=None)
    def run(payload: Any) -> None: ...

    assert run.task.trigger == Trigger(topic="run")
    assert run.task.policy.retry == RetryPolicy()


def test_one_decorator_may_be_used_for_several_tasks() -> None:
    decorate = raw_event(filter="attributes:kind")

    @decorate
    def one(payload: Any) -> None: ...

    @decorate
    def two(payload: Any) -> None: ...

    assert [task.trigger and task.trigger.topic for task in (one.task, two.task)] == ["one", "two"]


@all_decorators
@pytest.mark.parametrize("name", ["ab", "_orders", "größe", "google_orders"])
def test_a_task_may_have_a_name_that_no_topic_can_have(decorator: Any, name: str) -> None:
    """It can be served: `dev` and the plan refuse it."""

    def run(payload: Any) -> None: ...

    run.__name__ = name

    assert decorator()(run).task.trigger == Trigger(topic=name)
    assert decorator(topic="orders")(run).task.trigger == Trigger(topic="orders")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"topic": "a b"}, "'a b' is not a topic"),
        ({"topic": ""}, "'' is not a topic"),
        ({"filter": "everything"}, "filter='everything': at character 1"),
        ({"schedule": ""}, "Schedule('')"),
        ({"schedule": "nightly"}, "Schedule('nightly')"),
        ({"schedule": [NIGHTLY, 3]}, "Schedule(…), or a list of them"),
        ({"schedule": {NIGHTLY}}, "Schedule(…), or a list of them"),
        ({"ordered": "yes"}, "ordered='yes'"),
        ({"retry": 5}, "retry=5: expected RetryPolicy(…)"),
        ({"retry": Retry()}, "expected RetryPolicy(…)"),
        ({"retry": Retry}, "expected RetryPolicy(…)"),
    ],
    ids=repr,
)
@all_decorators
def test_a_wrong_option_is_refused_when_the_decorator_is_made(
    decorator: Any, options: dict[str, Any], part: str
) -> None:
    assert part in refused(decorator(**options), store)


@pytest.mark.parametrize("name", ["topic", "filter", "schedule", "ordered", "retry"])
def test_an_http_task_has_no_trigger_and_no_option_for_one(name: str) -> None:
    @http(path="/users")
    def users(request: Any) -> str:
        return ""

    assert users.task.trigger is None
    assert f"http has no option {name!r}" in refused(http(path="/users", **{name: None}), page)


@all_decorators
def test_a_misspelt_option_is_refused_with_the_one_that_was_meant(decorator: Any) -> None:
    message = refused(decorator(schedules=[NIGHTLY]), store)

    assert "no option 'schedules': did you mean 'schedule'?" in message


def test_an_option_of_handlers_is_refused_elsewhere_with_those_that_there_are() -> None:
    message = refused(raw_event(message_type=Order), store)  # type: ignore[call-overload]

    assert message.startswith("task 'store': raw_event has no option 'message_type': ")
    assert "concurrency, cpu, dead_letter_topic, environment, events" in message


# --- what a schedule sends


class Small(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def _small(cls, number: int) -> int:
        if number > 9:
            raise ValueError("secret")
        return number


@pytest.mark.parametrize(
    ("message_type", "data", "part"),
    [
        (Order, b"{}", "number: missing"),
        (Order, b"", "json_invalid"),
        (Small, b'{"number": 10}', "number: value_error"),
        (list[int], b'["x"]', "0: int_parsing"),
        (int, b"x", "ValueError"),
    ],
)
def test_a_schedule_whose_data_the_task_would_reject_is_refused(
    message_type: Any, data: bytes, part: str
) -> None:
    def store(payload: Any) -> None: ...

    schedule = Schedule("0 3 * * *", data=data, attributes={"kind": "x"})

    message = refused(message_handler(message_type=message_type, schedule=schedule), store)

    assert "Schedule('0 3 * * *') sends data that the task 'store' rejects" in message
    assert part in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("message_type", "data"),
    [(Order, b'{"number": 1}'), (list[int], b"[1]"), (None, b"x"), (int, b"7")],
)
def test_a_schedule_whose_data_the_task_takes_is_fine(message_type: Any, data: bytes) -> None:
    @message_handler(message_type=message_type, schedule=Schedule("0 3 * * *", data=data))
    def store(payload: Any) -> None: ...

    assert store.task.trigger is not None


def test_a_parser_that_is_a_function_is_not_called_at_import() -> None:
    called = []

    @message_handler(message_type=called.append, schedule=NIGHTLY)
    def store(payload: Any) -> None: ...

    assert called == [], "it may need what is not there yet"


class Tree(BaseModel):
    branch: Later | None = None  # type: ignore[name-defined]  # noqa: F821


def test_a_model_that_is_not_complete_yet_is_not_checked() -> None:
    @message_handler(message_type=Tree, schedule=NIGHTLY)
    def store(payload: Any) -> None: ...

    assert store.task.trigger is not None
