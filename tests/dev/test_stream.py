"""The lines of `ucam-faas dev`, without a process."""

from __future__ import annotations

import re
import signal
from typing import Any

import pytest

from ucam_faas.dev import welcome
from ucam_faas.dev.stream import Stream
from ucam_faas.emulator.core.storage import Message
from ucam_faas.execution.dead_letters import SUBSCRIPTION_ATTRIBUTE
from ucam_faas.tasks.needs import TaskNeeds

SUBSCRIPTION = "projects/p/subscriptions/work"


class Screen:
    """The lines of a stream."""

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


def failed(attempt: int, status: int | str, retry_seconds: float | None) -> str:
    screen = Screen()
    screen.stream.failed(
        SUBSCRIPTION, message(), attempt, status=status, retry_seconds=retry_seconds
    )
    return screen.lines[0][14:]


def published(published: Message) -> str:
    screen = Screen()
    screen.stream.published("projects/p/topics/work", published)
    return screen.line


def plan(name: str, **fields: Any) -> TaskNeeds:
    return TaskNeeds(**{"name": name, "path": f"/{name}", "takes": "T", "topic": name, **fields})


# --- lines


def test_a_line_begins_with_the_time() -> None:
    screen = Screen()

    screen.stream.line("reload", "", "text")

    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}  reload    text", screen.lines[0])


@pytest.mark.parametrize("status", [503, "no response in 10 s"])
def test_a_failure_says_why_and_when_it_is_tried_again(status: int | str) -> None:
    why = "answered 503" if status == 503 else status

    line = failed(attempt=2, status=status, retry_seconds=0.30000000000000004)

    assert line == f"retry     work  message 1, attempt 2 failed ({why}), again in 0.3 s"


@pytest.mark.parametrize(("retry_seconds", "shown"), [(0.1, "again in 0.1 s"), (None, "given up")])
def test_a_task_of_cloud_tasks_that_fails_says_why_and_when_it_is_tried_again(
    retry_seconds: float | None, shown: str
) -> None:
    screen = Screen()

    screen.stream.task_failed(
        "projects/p/locations/l/queues/q/tasks/7", 2, reason="No.", retry_seconds=retry_seconds
    )

    assert screen.line.split(maxsplit=2) == [
        "retry",
        "q",
        f"task 7, attempt 2 failed (No.), {shown}",
    ]


def test_a_last_failure_is_given_up() -> None:
    line = failed(attempt=5, status=500, retry_seconds=None)

    assert line == "retry     work  message 1, attempt 5 failed (answered 500), given up"


def test_a_dead_letter_has_its_new_number_and_topic() -> None:
    screen = Screen()
    topic = "projects/p/topics/work-dead-letter"

    screen.stream.dead_lettered(SUBSCRIPTION, message(), topic, message(9))

    assert screen.lines[0][14:] == "dead      work  message 1 is now message 9 of work-dead-letter"


def told(columns: int | None = None) -> Screen:
    """A screen for tasks whose own log tells how deliveries end."""
    screen = Screen(columns=columns)
    screen.stream.follow([plan("work", dead_letter_topic="dead")], suffix="", logged=True)
    return screen


def test_what_the_log_of_a_task_tells_is_not_told_again() -> None:
    screen = told()
    delivery = (SUBSCRIPTION, message(), 1)

    screen.stream.acknowledged(*delivery)
    screen.stream.failed(*delivery, status=500, retry_seconds=0.1)
    screen.stream.failed(*delivery, status="no response", retry_seconds=None)

    assert [line[14:] for line in screen.lines] == [
        "retry     work  message 1, attempt 1 failed, again in 0.1 s",
        "data: abc",
        "retry     work  message 1, attempt 1 failed (no response), given up",
    ]


def test_a_dead_letter_is_told_once() -> None:
    screen = told()
    dead = message(9)._replace(attributes={SUBSCRIPTION_ATTRIBUTE: "work"})

    screen.stream.published("projects/p/topics/dead", dead)
    screen.stream.dead_lettered(SUBSCRIPTION, message(), "projects/p/topics/dead", dead)

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
        (b"", 'attributes: kind=a, of="b, c\\u001b[2J"'),
    ],
)
def test_what_a_failing_message_holds_is_one_line(data: bytes, shown: str) -> None:
    screen = told()
    failing = message(data=data)._replace(attributes={"kind": "a", "of": "b, c\033[2J"})

    screen.stream.failed(SUBSCRIPTION, failing, 1, status=500, retry_seconds=1.0)

    assert screen.lines[1] == " " * 14 + shown


@pytest.mark.parametrize("columns", [60, 100])
def test_lines_fit_the_terminal(columns: int) -> None:
    screen = told(columns)

    screen.stream.line("error", "work", "x" * 40 + " " + "word " * 40 + "y" * 200)
    screen.stream.say("word " * 40)
    wide = plan("work", filter="attributes:a OR " * 20, takes="T" * 90)
    screen.lines += welcome.table([wide], {}, columns)

    assert max(map(len, screen.lines)) <= columns
    assert sum(line.count("word") for line in screen.lines) == 80


def test_one_byte_is_no_bytes() -> None:
    line = published(message(data=b"x"))

    assert line == "published work  message 1, 1 byte"


@pytest.mark.parametrize("key", ["\033]0;title\a", "a\nb", "\u2028", "\x9b1m"])
def test_keys_are_escaped(key: str) -> None:
    line = published(message(key=key))

    assert (
        line == f"published work  message 1, 3 bytes, key {key.encode('unicode_escape').decode()}"
    )


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


def test_it_ends_in_order_when_its_reader_is_gone() -> None:
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


# --- links


def test_a_line_links_to_the_page_of_its_message() -> None:
    screen = Screen()
    screen.stream.links = "http://127.0.0.1:8088"

    screen.stream.published("projects/p/topics/work", message(7))

    link = "\033]8;;http://127.0.0.1:8088/messages/7\033\\published\033]8;;\033\\"
    assert screen.line == f"{link} work  message 7, 3 bytes"


def test_a_line_about_nothing_that_has_a_page_has_no_link() -> None:
    screen = Screen()
    screen.stream.links = "http://127.0.0.1:8088"

    screen.stream.line("reload", "", "main.py")

    assert "\033" not in screen.line
