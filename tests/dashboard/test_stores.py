"""The pages of jobs over each store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.stores.postgresql import PostgresqlStore

from .shop import FAILED, Html, Shop

pytestmark = pytest.mark.slow


@pytest.fixture(params=["postgresql", "firestore"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    server = request.getfixturevalue(request.param)
    if request.param == "postgresql":
        store = PostgresqlStore(server.new_database())
        store.migrate()
    else:
        store = server.store()
    shop = Shop(tmp_path, store=store)
    yield shop
    shop.close()


def links(shop: Shop, url: str) -> list[str]:
    hrefs = Html(shop.get(url).text).all("a", "href")
    return [link for link in hrefs if link.startswith("/jobs/") and "before=" not in link]


def test_jobs_are_listed_shown_found_and_retried(shop: Shop) -> None:
    keys = [Key("shop", "charge", f"{number:03}") for number in range(60)]
    rows = [shop.row(key, parent="order/1", batch="report/b") for key in keys]
    shop.store.insert(rows, wait=[0.0] * len(rows))
    shop.end(keys[0], FAILED)
    fence = shop.claim(keys[1]).fence
    shop.store.put_step(keys[1], "reserve", b"1", fence=fence)
    shop.send(Key("shop", "order", "1"))
    shop.send(Key("shop", "report", "b"))

    for url, number in (("/jobs?task=charge", 60), ("/jobs?batch=report/b", 60)):
        first = links(shop, url)
        (older,) = (link for link in Html(shop.get(url).text).all("a", "href") if "before=" in link)
        assert len({*first, *links(shop, older)}) == number
    assert links(shop, "/jobs?state=failure") == ["/jobs/charge/000"]
    assert len(links(shop, "/jobs?parent=order/1")) == 50
    assert "reserve" in Html(shop.get("/jobs/charge/001").text).text
    assert "All of them" in Html(shop.get("/jobs/order/1").text).text
    assert "failure 1" in Html(shop.get("/jobs/report/b").text).text.lower()
    assert shop.get("/search?q=017").headers["location"] == "/jobs/charge/017"
    assert "failed job" in Html(shop.get("/").text).text
    shop.post("/jobs/charge/000/retry")
    assert links(shop, "/jobs?state=failure") == []
