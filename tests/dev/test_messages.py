"""Each message's way through `ucam-faas dev`, as it is shown and as it is."""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.integration.processes import request

from .cloud import Dev, environ_of

pytestmark = pytest.mark.slow


def test_a_message_is_published_delivered_and_done(dev: Dev) -> None:
    number = dev.rest.publish("store", b'{"number": 101}')

    dev.wait_shown("done", f"store  message {number}, attempt 1")
    dev.wait_effects("store", number=101)
    mine = [line.what for line in dev.lines if f"message {number}," in f"{line.text},"]
    assert mine == ["published", "delivered", "done"]
    assert dev.shown("published", f"message {number}, 15 bytes")


def test_the_stream_stands_in_the_columns_of_the_tasks_log(dev: Dev) -> None:
    number = dev.rest.publish("store", b'{"number": 102}')

    dev.wait_shown("done", f"message {number},")
    mine = [line for line in dev.stdout.splitlines() if f"message {number}," in line]
    assert len(mine) == 3
    assert {line.index("store") for line in mine} == {24}


def test_a_failing_message_is_tried_again_and_then_dead(dev: Dev) -> None:
    number = dev.rest.publish("fail", b"one")

    (dead,) = dev.wait_shown("dead", f"fail  message {number} is now message ")
    assert dead.endswith(" of fail-dead-letter")
    retries = dev.shown("retry", f"fail  message {number}, ")
    assert [text.split(", ")[1] for text in retries] == [
        f"attempt {attempt} failed" for attempt in range(1, 5)
    ]
    assert retries[0].endswith("again in 0.1 s")
    crashes = dev.wait_shown("crashed", f"fail  message {number}, ", count=5)
    assert "attempt 5, dead-lettered, took " in crashes[-1]
    assert not dev.shown("done", f"message {number},")
    assert len(dev.effects("fail", data="one")) == 5
    (message,) = [
        letter
        for letter in dev.rest.pull("fail-dead-letter")  # other tests have theirs there
        if letter["attributes"]["ucam_faas_message_id"] == number
    ]
    assert base64.b64decode(message["data"]) == b"one"
    assert message["attributes"]["CloudPubSubDeadLetterSourceSubscription"] == "fail"
    assert message["attributes"]["ucam_faas_reason"] == "ValueError (attempt 5, the last)"


def test_what_the_filter_stops_is_not_delivered_and_the_rest_comes_in_order(dev: Dev) -> None:
    for number in range(5):
        dev.rest.publish("shop-events", b"no", key="k", kind="other")
        dev.rest.publish("shop-events", b"%d" % number, key="k", kind="order")

    effects = dev.wait_effects("on_order", 5)
    assert [effect["data"] for effect in effects] == ["0", "1", "2", "3", "4"]


def test_a_schedule_that_is_run_reaches_its_task(dev: Dev) -> None:
    done = dev.run("schedules", "run", "clean_up")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("clean_up was run: it published message ")
    assert done.stdout.endswith("Handled by clean_up, attempt 1.\n")
    dev.wait_shown("schedule", "clean_up  runs by hand")
    dev.wait_effects("clean_up", data="nightly")


def test_a_topic_that_exists_elsewhere_takes_messages(dev: Dev) -> None:
    assert dev.rest.publish("audit", b"nothing reads this")


def test_a_task_publishes_to_the_same_place(dev: Dev) -> None:
    dev.rest.publish("relay", b'{"number": 103}')

    dev.wait_effects("store", number=103)
    assert dev.wait_effects("relay")[0]["host"] == f"127.0.0.1:{dev.rest.port}"


@pytest.mark.parametrize("key", ["\033[2J", "a\r\nb", "\u202e", "\x9b2J"])
def test_control_characters_of_an_ordering_key_are_escaped(dev: Dev, key: str) -> None:
    number = dev.rest.publish("store", b'{"number": 104}', key=key)

    dev.wait_shown("done", f"message {number},")
    assert dev.shown("published", f"message {number}, ", key.encode("unicode_escape").decode())
    assert key not in dev.stdout


def test_the_data_of_a_failing_message_are_shown_once(dev: Dev) -> None:
    number = dev.rest.publish("fail", b"these data")

    dev.wait_shown("dead", f"message {number} is now")
    assert dev.stdout.count("data: these data\n") == 1


def test_the_text_of_an_exception_forges_no_line(dev: Dev) -> None:
    dev.rest.publish("quote", b"x\n12:00:00.000  done      store  message 1, attempt 1")

    dev.wait_shown("failed", "cannot do x")
    assert not re.search(r"^12:00", dev.stdout, re.M)


def test_a_request_of_an_http_task_has_method_and_path(dev: Dev) -> None:
    request(dev.port, "GET", "/hello?secret=1")

    (line, *_) = dev.wait_shown("done", "hello  GET /hello, status 200, took ")
    assert "secret" not in line


def test_an_invalid_payload_is_described_in_pydantics_words(dev: Dev) -> None:
    number = dev.rest.publish("store", b'{"number": "seven"}')

    (line,) = dev.wait_shown("failed", f"store  message {number}, ")
    assert "dead-lettered" in line
    assert "number: Input should be a valid integer" in line


def test_what_an_expected_failure_quotes_of_a_message_steers_no_terminal(dev: Dev) -> None:
    number = dev.rest.publish("quote", b"\033[2J gone \n forged")

    dev.wait_shown("retry", f"message {number}, attempt 1")
    dev.wait_shown("failed", "cannot do", "gone")
    assert "\033" not in dev.output
    assert not any(line.startswith(" forged") for line in dev.output.splitlines())


def test_a_task_is_served_for_other_clients_too(dev: Dev) -> None:
    data = base64.b64encode(b'{"number": 105}').decode()
    body = json.dumps({"message": {"data": data, "messageId": "1"}, "subscription": "s"})

    answer = request(
        dev.port, "POST", "/store", body.encode(), {"Content-Type": "application/json"}
    )

    assert answer.status == 200
    dev.wait_effects("store", number=105)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ],
    ids=str,
)
def test_a_web_page_of_elsewhere_cannot_run_a_task(dev: Dev, headers: dict[str, str]) -> None:
    data = base64.b64encode(b'{"number": 666}').decode()
    body = json.dumps({"message": {"data": data, "messageId": "1"}, "subscription": "s"}).encode()

    assert request(dev.port, "POST", "/store", body, headers).status == 403
    assert request(dev.port, "GET", "/hello", b"", headers).status == 403
    assert request(dev.rest.port, "GET", "/v1/projects/local/topics", b"", headers).status == 403

    assert dev.effects("store", number=666) == []
    dev.wait_shown("WARNING", "a web page's request was refused")


# --- the lines to paste


def to_paste(dev: Dev, *parts: str) -> str:
    """Return the line to paste that has these parts."""
    text = dev.stdout.split("Try, in another terminal:\n", 1)[1].replace("\\\n", "")
    (line,) = [line for line in text.splitlines() if all(part in line for part in parts)]
    return line


def paste(dev: Dev, line: str, folder: Path, seconds: float = 60) -> str:
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=dev.folder,
        env=environ_of(dev.folder, CLOUDSDK_CONFIG=str(folder / "gcloud")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_line_with_ucam_faas_publish_works(dev: Dev, tmp_path: Path) -> None:
    said = paste(dev, to_paste(dev, "ucam-faas publish store"), tmp_path)

    assert "Published message" in said
    dev.wait_effects("store", number=7)


def test_the_line_that_runs_a_schedule_works(dev: Dev, tmp_path: Path) -> None:
    assert "clean_up was run: " in paste(dev, to_paste(dev, "schedules run"), tmp_path)


def test_the_line_with_gcloud_works(dev: Dev, tmp_path: Path, gcloud: None) -> None:
    line = to_paste(dev, "gcloud pubsub topics publish store --message")
    before = len(dev.effects("store", number=7))

    said = paste(dev, line, tmp_path)

    assert "messageIds" in said
    dev.wait_effects("store", before + 1, number=7)


def test_a_sample_is_one_word_of_a_shell(dev: Dev) -> None:
    words = shlex.split(to_paste(dev, "ucam-faas publish store"))

    assert words[:3] == ["ucam-faas", "publish", "store"]
    assert json.loads(words[3]) == {"number": 7}
    assert len(words) == 4
