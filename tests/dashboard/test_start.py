"""The first page: failures by cause, pauses, and tasks with their rates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import time

import pytest

from tests.support import history
from ucam_faas.backends.ports import KnownTask
from ucam_faas.dashboard.views import causes
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.groups import Group
from ucam_faas.jobs.rows import Key
from ucam_faas.tasks.needs import TaskNeeds

from .shop import FAILED, Html, Shop


def tasks() -> list[KnownTask]:
    return [KnownTask(TaskNeeds(name="store", path="/store", takes="Order", topic="orders"))]


@pytest.fixture
def today(tmp_path: Path) -> Iterator[Shop]:
    """Return a shop with failures of the last hour."""
    shop = Shop(tmp_path, history.realistic(time() - 1800, big=10), tasks=tasks)
    for id in "123":
        shop.send(Key("shop", "charge", id))
        shop.end(Key("shop", "charge", id), FAILED)
    yield shop
    shop.close()


def test_failures_are_listed_by_cause_the_most_frequent_first(today: Shop) -> None:
    text = Html(today.get("/").text).text

    assert "charge KeyError 3 failed jobs" in text
    assert "store InvalidAddressError: no such street 1 dead letter" in text
    assert text.index("3 failed jobs") < text.index("1 dead letter")
    assert "store TimeoutError: the bank is slow 1" in text[text.index("Failed, and tried") :]


def test_a_cause_leads_to_its_list_and_to_its_latest_failure(today: Shop) -> None:
    links = Html(today.get("/").text).all("a", "href")

    assert {"/jobs?task=charge&state=failure", "/jobs/charge/3"} <= set(links)
    assert {"/messages?task=store&state=dead_lettered", "/messages/19"} <= set(links)


def test_failed_jobs_with_one_fingerprint_are_one_cause(shop: Shop) -> None:
    for id, place in (("1", "a"), ("2", "a"), ("3", "b")):
        error = {"type": "KeyError", "message": id}
        error |= {"fingerprint": f"1:{place}", "summary": f"KeyError at shop.{place}"}
        shop.send(Key("shop", "charge", id))
        shop.end(Key("shop", "charge", id), replace(FAILED, error=error))

    text = Html(shop.get("/").text).text

    assert "charge KeyError at shop.a 2 failed jobs" in text
    assert "charge KeyError at shop.b 1 failed job " in text


def test_a_count_that_isnt_the_whole_is_marked(
    today: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes, "MOST_READ", 2)

    assert "2+ failed jobs" in Html(today.get("/").text).text


ANY = Filter()


class Workbench:
    """Has one cause that waits.

    Args:
        failed_jobs: how many of its letters are failed jobs.
    """

    source, jobs = "a Pub/Sub", None

    def __init__(self, failed_jobs: int = 0) -> None:
        self.failed_jobs = failed_jobs

    def mirrored(self) -> None: ...

    def groups(self, chosen: Filter = ANY) -> list[Group]:
        count = self.failed_jobs if chosen.kind else 500
        group = Group("1:ab", "store", "KeyError at shop.store", "", count, 1.0, 2.0, "keeper/7")
        return [group] if count else []

    def count(self, chosen: object) -> int:
        return 500

    def find(self, text: str) -> list[str]:
        return ["keeper/7"] if text in ("19", "20", "7", "charge/1") else []


def test_with_a_workbench_the_causes_are_its_groups(today: Shop) -> None:
    today.backends = replace(today.backends, workbench=Workbench())

    page = Html(today.get("/").text)

    assert "store KeyError at shop.store 500 dead letters" in page.text
    assert "failed jobs 3" not in page.text
    assert "/dead-letters?fingerprint=1%3Aab" in page.all("a", "href")
    assert "/dead-letters/keeper%2F7" in page.all("a", "href")


@pytest.mark.parametrize(
    ("failed_jobs", "words"),
    [(0, "500 dead letters"), (500, "500 failed jobs"), (7, "500 dead letters and failed jobs")],
)
def test_dead_letters_and_failed_jobs_with_one_cause_are_told_apart(
    shop: Shop, failed_jobs: int, words: str
) -> None:
    shop.backends = replace(shop.backends, workbench=Workbench(failed_jobs))

    text = Html(shop.get("/").text).text

    assert f"KeyError at shop.store {words} " in text


def test_a_paused_lane_can_be_resumed_from_here(today: Shop) -> None:
    today.store.pause_lane("shop", "charge", "bulk")

    page = Html(today.get("/").text)

    assert "lane bulk of charge" in page.text
    assert "/lanes/charge/bulk/resume" in page.all("form", "action")


def test_tasks_have_their_rates(today: Shop) -> None:
    text = Html(today.get("/").text).text

    assert "store Order topic orders" in text
    assert "205" in text


def test_where_nothing_waits_it_says_so(shop: Shop) -> None:
    text = Html(shop.get("/").text).text

    assert "Nothing waits for you" in text
    assert "Paused" not in text
    assert "No tasks yet" not in text, "the dashboard of a store knows none"
    shop.backends = replace(shop.backends, tasks=lambda: [])
    assert "No tasks yet" in Html(shop.get("/").text).text


@pytest.mark.parametrize("url", ["/messages/19", "/jobs/charge/1"])
def test_a_message_and_a_job_lead_to_their_dead_letter(today: Shop, url: str) -> None:
    today.backends = replace(today.backends, workbench=Workbench())

    assert "/dead-letters/keeper%2F7" in Html(today.get(url).text).all("a", "href")


def test_the_search_finds_a_dead_letter_where_there_is_no_history(shop: Shop) -> None:
    shop.backends = replace(shop.backends, workbench=Workbench())

    assert shop.get("/search?q=7").headers["location"] == "/dead-letters/keeper%2F7"
