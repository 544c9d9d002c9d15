"""The list of messages, the page of one, its runs, and the search."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.support import history
from ucam_faas.history.events import Dropped

from .shop import Html, Shop


def listed(busy: Shop, **filters: str) -> list[str]:
    page = Html(busy.get(f"/messages?{urlencode(filters)}").text)
    links = page.all("a", "href")
    return [link.rpartition("/")[2] for link in links if link.startswith("/messages/")]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"state": "dead_lettered"}, ["19"]),
        ({"state": "failed"}, ["23"]),
        ({"task": "mail"}, ["18"]),
        ({"topic": "store-dead-letter"}, ["20"]),
        ({"attribute": "customer=4", "until": "2026-01-05T12:02"}, ["20", "19"]),
        ({"text": "trinity lane"}, ["17"]),
        ({"until": "2026-01-05T12:00:35", "within": "15m"}, ["18", "18", "17"]),
        ({"state": "unread"}, ["27"]),
    ],
)
def test_the_url_chooses_messages(busy: Shop, filters: dict[str, str], ids: list[str]) -> None:
    assert listed(busy, **filters) == ids


def test_events_that_were_lost_are_said(busy: Shop, tmp_path: Path) -> None:
    shop = Shop(tmp_path, [history.published("17"), Dropped(5_234)])

    text = "and are missing here: "
    assert f"{text}5,234." in Html(shop.get("/messages").text).text
    assert text not in Html(busy.get("/messages").text).text
    shop.close()


def test_a_value_that_means_nothing_is_said_and_left_out(busy: Shop) -> None:
    text = Html(busy.get("/messages?state=broken&attribute=customer&before=x").text).text

    assert "'broken' isn't a state of messages." in text
    assert "Write an attribute as name=value." in text
    assert "299" in text


@pytest.mark.parametrize("number", ["9" * 19, "9" * 5000, "\u0663" * 25, "-1", "\u00b2"])
@pytest.mark.parametrize("url", ["/messages?before=", "/runs/run-store-17-1?after="])
def test_a_number_that_cannot_be_is_left_out(busy: Shop, url: str, number: str) -> None:
    assert busy.get(f"{url}{quote(number)}").status == 200


@pytest.mark.parametrize("time", ["0001-01-01T00:00", "9999-12-31T23:59", "1900-01-01T00:00"])
def test_a_time_that_cannot_be_is_said(busy: Shop, time: str) -> None:
    text = Html(busy.get(f"/messages?within=24h&until={time}").text).text

    assert f"'{time}' isn't a time" in text


def test_each_message_is_on_one_page(busy: Shop) -> None:
    ids, url = [], "/messages?task=store"
    while url:
        page = Html(busy.get(url).text)
        ids += [link for link in page.all("a", "href") if link.startswith("/messages/")]
        url = next((link for link in page.all("a", "href") if "before=" in link), "")

    assert len(ids) == len(set(ids)) == 209


def test_a_list_says_why_a_message_failed_and_has_no_payload(busy: Shop) -> None:
    page = busy.get("/messages?state=dead_lettered")

    assert "InvalidAddressError: no such street" in Html(page.text).text
    assert "umbrella" not in page.text


def test_why_did_order_17_fail(busy: Shop) -> None:
    """Each attempt has its reason, its lines and its traceback."""
    page = Html(busy.get("/messages/17").text)

    assert page.text.count("crashed 20 ms KeyError: 'umbrella'") == 2
    assert "attempt 3 done" in page.text
    assert "looking for the price of an umbrella" in page.text
    assert "price = prices[order.article]" in page.text
    assert '"address": "1 Trinity Lane"' in page.text
    assert "/runs/run-store-17-1" in page.all("a", "href")


def test_each_reader_has_its_own_state_and_attempts(busy: Shop) -> None:
    text = Html(busy.get("/messages/18").text).text

    assert "attempt 1 of store" in text
    assert "attempt 1 of mail" in text


def test_a_dead_letter_and_its_message_lead_to_each_other(busy: Shop) -> None:
    assert "/messages/20" in Html(busy.get("/messages/19").text).all("a", "href")
    assert "/messages/19" in Html(busy.get("/messages/20").text).all("a", "href")


def test_a_message_without_a_reader_says_so(busy: Shop) -> None:
    assert "No subscription took this message" in Html(busy.get("/messages/27").text).text


def test_a_large_payload_is_cut_and_downloaded_whole(busy: Shop) -> None:
    page, whole = busy.get("/messages/25"), busy.get("/messages/25/data")

    assert len(page.text) < 200_000
    assert "the beginning is shown" in page.text
    assert "/messages/25/data" in Html(page.text).all("a", "href")
    assert len(whole.body) > 5_000_000
    assert whole.headers["content-type"] == "application/octet-stream"


def test_bytes_are_shown_as_a_dump(busy: Shop) -> None:
    assert "00000000 00 01 02 03" in Html(busy.get("/messages/24").text).text
    assert busy.get("/messages/24/data").body == bytes(range(256))


def test_a_payload_and_a_log_line_of_html_are_text(busy: Shop) -> None:
    page = busy.get("/messages/26").text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page


def test_a_run_has_all_its_lines(busy: Shop) -> None:
    text = Html(busy.get("/runs/run-store-17-3").text).text

    assert "stored order 17" in text
    assert "Message 17 , attempt 3" in text


@pytest.mark.parametrize("url", ["/messages/none", "/runs/none", "/messages/none/data"])
def test_an_id_that_isnt_kept_is_a_page_that_says_so(busy: Shop, url: str) -> None:
    answer = busy.get(url)

    assert answer.status == 404
    assert "in the history" in answer.text


@pytest.mark.parametrize(
    ("text", "place"),
    [("19", "/messages/19"), ("run-store-17-1", "/runs/run-store-17-1"), (" 19 ", "/messages/19")],
)
def test_the_search_goes_to_the_one_thing_with_an_id(busy: Shop, text: str, place: str) -> None:
    answer = busy.get(f"/search?{urlencode({'q': text})}")

    assert (answer.status, answer.headers["location"]) == (303, place)


@pytest.mark.parametrize("text", ["customer=3", "trinity lane"])
def test_the_search_finds_messages_by_attributes_and_words(busy: Shop, text: str) -> None:
    page = Html(busy.get(f"/search?{urlencode({'q': text})}").text)

    assert [link for link in page.all("a", "href") if link.startswith("/messages/")]


def test_the_search_goes_on_in_the_list(busy: Shop) -> None:
    page = Html(busy.get("/search?q=umbrella").text)

    (older,) = (link for link in page.all("a", "href") if "before=" in link)
    assert older.startswith("/messages?text=umbrella&before=")


def test_the_search_finds_jobs_by_their_ids(shop: Shop) -> None:
    shop.send()

    assert shop.get("/search?q=17").headers["location"] == "/jobs/charge/17"
    assert shop.get("/search?q=charge/17").headers["location"] == "/jobs/charge/17"
    assert "Nothing matches" in shop.get("/search?q=18").text
    assert "Search for anything" in shop.get("/search").text
