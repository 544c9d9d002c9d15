"""The list of jobs: filters in the URL, pages by key, and no data."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from ucam_faas.dashboard.views import job_list
from ucam_faas.jobs.rows import Key

from .shop import FAILED, Html, Shop


def listed(shop: Shop, **filters: str) -> list[str]:
    """Return the ids of the jobs on a page."""
    page = Html(shop.get(f"/jobs?{urlencode(filters)}").text)
    return [link.rpartition("/")[2] for link in page.all("a", "href") if link.startswith("/jobs/")]


@pytest.fixture
def several(shop: Shop) -> Shop:
    """Return a shop with five jobs."""
    for id in ("waits", "runs", "failed", "done"):
        shop.send(Key("shop", "charge", id), batch="report/b" if id in ("failed", "done") else None)
    shop.claim(Key("shop", "charge", "runs"))
    shop.end(Key("shop", "charge", "failed"), FAILED)
    shop.end(Key("shop", "charge", "done"))
    shop.send(Key("shop", "mail", "late"), lane="bulk", parent="charge/done")
    return shop


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, {"waits", "runs", "failed", "done", "late"}),
        ({"task": "mail"}, {"late"}),
        ({"state": "failure"}, {"failed"}),
        ({"state": "unsuccessful"}, {"failed"}),
        ({"state": "live", "task": "charge"}, {"waits", "runs"}),
        ({"lane": "bulk"}, {"late"}),
        ({"batch": "report/b"}, {"failed", "done"}),
        ({"batch": "report/b", "state": "success"}, {"done"}),
        ({"parent": "charge/done"}, {"late"}),
        ({"within": "1h", "state": "started"}, {"runs"}),
        ({"until": "2001-01-01T00:00"}, set()),
    ],
)
def test_the_url_chooses_jobs(several: Shop, filters: dict[str, str], ids: set[str]) -> None:
    assert set(listed(several, **filters)) == ids


def test_a_value_that_means_nothing_is_said_and_left_out(several: Shop) -> None:
    page = Html(several.get("/jobs?state=broken&until=yesterday&within=1y").text)

    assert "'broken' isn't a state of jobs." in page.text
    assert "'yesterday' isn't a time, such as 2026-11-28T22:00." in page.text
    assert "'1y' isn't one of 15m, 1h, 24h, 7d." in page.text
    assert len([link for link in page.all("a", "href") if link.startswith("/jobs/")]) == 5


def test_a_list_says_why_a_job_failed_and_has_no_data(several: Shop) -> None:
    page = several.get("/jobs?state=failure")

    assert "KeyError: 'umbrella'" in Html(page.text).text
    assert "order" not in page.text


def test_where_data_are_hidden_a_list_has_the_kind_of_an_error_alone(several: Shop) -> None:
    several.backends = replace(several.backends, hides_payloads=True)

    text = Html(several.get("/jobs?state=failure").text).text

    assert "KeyError" in text
    assert "umbrella" not in text


@pytest.mark.parametrize("filters", [{}, {"lane": "default"}, {"batch": "report/b"}])
def test_each_job_is_on_one_page(shop: Shop, filters: dict[str, str]) -> None:
    keys = [Key("shop", "charge", f"{number:03}") for number in range(120)]
    rows = [shop.row(key, batch="report/b") for key in keys]
    shop.store.insert(rows, wait=[0.0] * len(rows))  # at one moment

    pages, url = [], f"/jobs?{urlencode(filters)}"
    while url:
        page = Html(shop.get(url).text)
        pages.append([link for link in page.all("a", "href") if link.startswith("/jobs/")])
        url = next((link for link in page.all("a", "href") if "before=" in link), "")

    assert [len(page) for page in pages] == [50, 50, 20]
    assert len({link for page in pages for link in page}) == 120


def test_a_page_reads_so_many_jobs_and_then_offers_to_go_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "MOST_READ", 30)
    rows = [shop.row(Key("shop", "charge", f"{number:03}")) for number in range(40)]
    shop.store.insert([*rows[:39], replace(rows[39], lane="bulk")], wait=[0.0] * 40)

    first = Html(shop.get("/jobs?lane=bulk").text)
    (older,) = (link for link in first.all("a", "href") if "before=" in link)

    assert "The latest 30 jobs were searched." in first.text
    assert "/jobs/charge/039" in Html(shop.get(older).text).all("a", "href")


@pytest.mark.parametrize("before", ["x", "1/", "nan/a/b", "1e999/charge/1"])
def test_a_key_of_a_page_that_was_made_up_does_no_harm(several: Shop, before: str) -> None:
    assert several.get(f"/jobs?before={before}").status == 200


def test_an_empty_list_says_what_to_do(shop: Shop) -> None:
    assert "No jobs yet" in Html(shop.get("/jobs").text).text
    assert "ucam-faas send TASK" in Html(shop.get("/jobs").text).text
    assert "Remove a filter to see more." in Html(shop.get("/jobs?task=x").text).text


HOSTILE = '<script>alert(1)</script>"><b>\u202e\x1b[31m'


def test_a_hostile_id_is_text(shop: Shop) -> None:
    key = Key("shop", "charge", HOSTILE)
    shop.send(key, attributes={HOSTILE: HOSTILE}, payload=HOSTILE.encode())
    shop.end(key, replace(FAILED, error={"type": HOSTILE, "message": HOSTILE}, message=HOSTILE))

    link = next(each for each in Html(shop.get("/jobs").text).all("a", "href") if "%3C" in each)
    pages = [shop.get("/jobs"), shop.get(link), shop.get("/search?q=alert")]

    for page in pages:
        assert page.status == 200
        assert "<script>alert" not in page.text
        assert "\u202e" not in page.text
        assert "\x1b" not in page.text
    assert ("script", {}) not in Html(pages[1].text).elements


def test_a_task_that_is_gone_stays_in_the_filter(several: Shop) -> None:
    page = several.get("/jobs?task=old-task")

    assert '<option value="old-task" selected>' in page.text
