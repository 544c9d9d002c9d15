"""The lines of `ucam-faas dev`, without a process."""

from __future__ import annotations

import re
import signal
from typing import Any

import pytest

from ucam_faas.dev.stream import Stream
from ucam_faas.emulator.core.storage import Message
from ucam_faas.execution.dead_letters import SUBSCRIPTION_ATTRIBUTE
from ucam_faas.tasks.needs import ScheduleNeeds, TaskNeeds

SUBSCRIPTION = "projects/p/subscriptions/work"


class Screen:
    """What a stream writes."""

    def __init__(self, *, colours: bool = False, columns: int | None = None) -> None:
        self.lines: list[str] = []
        self.stream = Stream(self.lines.append, colours=colours, columns=lambda: columns)

    @property
    def line(self) -> str:
        """The one line, without its time."""
        (line,) = self.lines
        return line[14:]


def message(number: int = 1, *, key: str = "", data: bytes = b"abc") -> Message:
    return Message(number, 0.0, key, {}, data)


def observe(event: str, **fields: Any) -> str:
    screen = Screen()
    screen.stream.observe(event, {"subscription": SUBSCRIPTION, "message": message(), **fields})
    return screen.lines[0][14:]


def schedule(expression: str = "0 3 * * *") -> ScheduleNeeds:
    return ScheduleNeeds(
        expression=expression, time_zone="Etc/UTC", data="", attributes={}, paused=False
    )


# --- lines


def test_a_line_begins_with_the_time() -> None:
    screen = Screen()

    screen.stream.line("reload", "", "text")

    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}  reload    text", screen.lines[0])


@pytest.mark.parametrize("status", [503, "no response in 10 s"])
def test_a_failure_says_why_and_when_it_is_tried_again(status: int | str) -> None:
    why = "answered 503" if status == 503 else status

    line = observe("failed", attempt=2, status=status, retry_seconds=0.30000000000000004)

    assert line == f"retry     work  message 1, attempt 2 failed ({why}), again in 0.3 s"


def test_a_last_failure_is_given_up() -> None:
    line = observe("failed", attempt=5, status=500, retry_seconds=None)

    assert line == "retry     work  message 1, attempt 5 failed (answered 500), given up"


def test_a_dead_letter_has_its_new_number_and_topic() -> None:
    dead = {"topic": "projects/p/topics/work-dead-letter", "as": message(9)}

    line = observe("dead_lettered", **dead)

    assert line == "dead      work  message 1 is now message 9 of work-dead-letter"


def told(columns: int | None = None) -> Screen:
    """A screen for tasks whose own log tells how deliveries end."""
    screen = Screen(columns=columns)
    screen.stream.follow([plan("work", dead_letter_topic="dead")], suffix="", logged=True)
    return screen


def test_what_the_log_of_a_task_tells_is_not_told_again() -> None:
    screen = told()
    fields = {"subscription": SUBSCRIPTION, "message": message(), "attempt": 1}

    screen.stream.observe("acknowledged", {**fields, "status": 200})
    screen.stream.observe("failed", {**fields, "status": 500, "retry_seconds": 0.1})
    screen.stream.observe("failed", {**fields, "status": "no response", "retry_seconds": None})

    assert [line[14:] for line in screen.lines] == [
        "retry     work  message 1, attempt 1 failed, again in 0.1 s",
        "data: abc",
        "retry     work  message 1, attempt 1 failed (no response), given up",
    ]


def test_a_dead_letter_is_told_once() -> None:
    screen = told()
    dead = message(9)._replace(attributes={SUBSCRIPTION_ATTRIBUTE: "work"})

    screen.stream.observe("published", {"topic": "projects/p/topics/dead", "message": dead})
    fields = {"subscription": SUBSCRIPTION, "topic": "projects/p/topics/dead", "as": dead}
    screen.stream.observe("dead_lettered", {**fields, "message": message()})

    assert [line[14:] for line in screen.lines] == [
        "dead      work  message 1 is now message 9 of dead",
        "data: abc",
    ]


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"\xff\x00", "data: b'\\xff\\x00'"),
        (b"a\n\033[2J", "data: a\\n\\x1b[2J"),
        ("ü".encode() * 1_000_000, f"data: {'ü' * 79}…"),
        (b"a" + "ü".encode() * 1_000_000, f"data: a{'ü' * 78}…"),
        (b"", "attributes: {'kind': 'a'}"),
    ],
)
def test_what_a_failing_message_holds_is_one_line(data: bytes, shown: str) -> None:
    screen = told()
    failing = message(data=data)._replace(attributes={"kind": "a"})
    fields = {"subscription": SUBSCRIPTION, "attempt": 1, "status": 500, "retry_seconds": 1.0}

    screen.stream.observe("failed", {**fields, "message": failing})

    assert screen.lines[1] == " " * 14 + shown


@pytest.mark.parametrize("columns", [60, 100])
def test_lines_fit_the_terminal(columns: int) -> None:
    screen = told(columns)

    screen.stream.line("error", "work", "x" * 40 + " " + "word " * 40 + "y" * 200)
    screen.stream.say("word " * 40)
    screen.stream.table([plan("work", filter="attributes:a OR " * 20, takes="T" * 90)], {})

    assert max(map(len, screen.lines)) <= columns
    assert sum(line.count("word") for line in screen.lines) == 80


def test_one_byte_is_no_bytes() -> None:
    line = observe("published", message=message(data=b"x"))

    assert line == "published work  message 1, 1 byte"


@pytest.mark.parametrize("key", ["\033]0;title\a", "a\nb", "\u2028", "\x9b1m"])
def test_keys_are_escaped(key: str) -> None:
    line = observe("published", message=message(key=key))

    assert (
        line == f"published work  message 1, 3 bytes, key {key.encode('unicode_escape').decode()}"
    )


def test_an_event_of_another_version_shows_nothing() -> None:
    screen = Screen()

    screen.stream.observe("invented", {"subscription": SUBSCRIPTION})

    assert screen.lines == []


def test_an_error_of_several_lines_stays_readable_and_steers_no_terminal() -> None:
    screen = Screen()

    screen.stream.line("error", "", "first\nsecond\033[2J")

    assert screen.lines[0].endswith("  error     first")
    assert screen.lines[1] == " " * 14 + "second\\x1b[2J"


def test_colours_are_escapes_around_the_same_text() -> None:
    plain, painted = Screen(), Screen(colours=True)

    for screen in (plain, painted):
        screen.stream.line("done", "work", "text")

    assert "\033" not in plain.lines[0]
    assert "\033[32mdone" in painted.lines[0]
    assert re.sub(r"\033\[\d*m", "", painted.line[5:])[-10:] == plain.line[-10:]


def test_what_an_encoding_cannot_say_is_escaped() -> None:
    lines: list[bytes] = []
    stream = Stream(lambda line: lines.append(line.encode("ascii")), colours=False)

    stream.line("reload", "", "café")

    assert lines[0].endswith(rb"caf\xe9")


def test_it_ends_in_order_when_nobody_reads_on() -> None:
    signals: list[int] = []
    calls: list[str] = []

    def write(line: str) -> None:
        calls.append(line)
        raise BrokenPipeError

    before = signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    try:
        stream = Stream(write, colours=False)
        stream.line("reload", "", "one")
        stream.line("reload", "", "two")
    finally:
        signal.signal(signal.SIGTERM, before)

    assert signals == [signal.SIGTERM]
    assert len(calls) == 1


# --- the table


def test_schedules_stand_below_their_task_with_their_next_runs() -> None:
    screen = Screen()
    plans = [
        TaskNeeds(
            name="work",
            path="/work",
            takes="bytes",
            topic="work",
            schedules=(schedule(), schedule("0 4 * * *"), schedule("0 5 * * *")),
        )
    ]

    screen.stream.table(plans, {"work": 0.0, "work-2": None})

    rows = [re.split(r"  +", line.strip()) for line in screen.lines]
    assert rows[1] == ["work", "bytes", "topic work"]
    assert rows[2][0] == "0 3 * * *"
    assert rows[2][1].startswith(("Etc/UTC, next Thu 01 Jan", "Etc/UTC, next Wed 31 Dec"))
    assert rows[3] == ["0 4 * * *", "Etc/UTC, paused"]
    assert rows[4] == ["0 5 * * *", "Etc/UTC"]


@pytest.mark.parametrize("columns", [60, 80])
def test_the_table_folds_a_trigger_that_is_too_long(columns: int) -> None:
    screen = Screen(columns=columns)
    long = plan("n" * 30, takes="T" * 20, topic="the-topic", schedules=(schedule(),))

    screen.stream.table([long], {"n" * 30: 0.0})

    assert not any("…" in line for line in screen.lines)
    shown = " ".join(" ".join(screen.lines).split())
    assert "topic the-topic 0 3 * * * Etc/UTC, next " in shown


def test_the_table_cuts_long_types_and_escapes_what_steers() -> None:
    screen = Screen()
    long = TaskNeeds(name="work", path="/", takes="x" * 99, topic="t", filter="attributes:\n" * 9)

    screen.stream.table([long], {})

    assert screen.lines[1].count("…") == 1
    assert all(line.isprintable() for line in screen.lines)
    assert "\\n" in "".join(screen.lines)


def test_cloud_run_jobs_are_marked() -> None:
    screen = Screen()

    screen.stream.table([plan("work", run_as="job")], {})

    assert screen.lines[1].endswith("topic work, Cloud Run job")


# --- lines to paste


def paste(*plans: TaskNeeds, url: str = "http://h:1") -> list[str]:
    screen = Screen()
    screen.stream.to_paste(plans, pubsub="h:2", project="p", url=url)
    text = "\n".join(screen.lines).replace("\\\n", "")
    return [" ".join(line.split()) for line in text.splitlines() if line]


def plan(name: str, **fields: Any) -> TaskNeeds:
    return TaskNeeds(**{"name": name, "path": f"/{name}", "takes": "T", "topic": name, **fields})


def test_what_is_sure_to_be_taken_is_tried_first() -> None:
    lines = paste(
        plan("unknown"),
        plan("filtered", sample="{}", filter="attributes:a"),
        plan("raw", sample="hello", takes="bytes"),
        plan("sure", sample='{"name": "O\'Neill"}'),
    )

    assert len(lines) == 2
    assert lines[0].startswith("ucam-faas publish sure '")
    assert lines[1].startswith("CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=http://h:2/ ")
    assert "CLOUDSDK_CORE_PROJECT=p gcloud pubsub topics publish sure --message " in lines[1]


def test_a_filter_that_would_stop_the_message_is_tried_last() -> None:
    lines = paste(plan("filtered", sample="{}", filter="attributes:a"), plan("unknown"))

    assert lines[0] == "ucam-faas publish unknown DATA"


def test_a_task_without_a_sample_needs_data() -> None:
    lines = paste(plan("unknown"))

    assert lines[0] == "ucam-faas publish unknown DATA"


def test_googles_pubsub_needs_only_the_project() -> None:
    screen = Screen()

    screen.stream.to_paste([plan("sure", sample="{}")], pubsub="", project="p")

    line = "CLOUDSDK_CORE_PROJECT=p gcloud pubsub topics publish sure --message '{}'"
    assert screen.lines[0].splitlines()[-1].strip() == line


def test_an_empty_line_is_between_two_lines_to_paste_and_nowhere_else() -> None:
    screen = Screen()

    screen.stream.to_paste([plan("sure", sample="{}")], pubsub="", project="p")

    assert [bool(line) for line in screen.lines[0].split("\n")] == [True, False, True]


def test_http_tasks_alone_are_tried_with_curl() -> None:
    assert paste(plan("users", topic=None, path="/users/<id>")) == ["curl 'http://h:1/users/{id}'"]


def test_the_first_schedule_is_run() -> None:
    assert paste(plan("work", schedules=(schedule(),)))[-1] == "ucam-faas schedules run work"


def test_the_schedule_of_a_job_is_run_if_there_is_no_other() -> None:
    """A job may want what only the cloud has."""
    job = plan("job", schedules=(schedule(),), run_as="job")

    assert paste(job)[-1] == "ucam-faas schedules run job"
    work = plan("work", schedules=(schedule(),))
    assert paste(job, work)[-1] == "ucam-faas schedules run work"
