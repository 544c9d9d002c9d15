from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ucam_faas import testing

from . import main
from .main import AT_ONCE, Sites, check_sites, fetch_all

STATUSES = {"http://a.test/": 200, "http://b.test/": 204, "http://c.test/": 503}
SITES = Sites.model_validate({"urls": [*STATUSES, "http://gone.test/"]})


async def fetch(url: str) -> int:
    """Answer without a network."""
    if url not in STATUSES:
        raise ConnectionRefusedError
    return STATUSES[url]


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "fetch_status", fetch)


def test_every_site_is_fetched() -> None:
    statuses = asyncio.run(fetch_all([*STATUSES, "http://gone.test/"], fetch))

    assert statuses == {**STATUSES, "http://gone.test/": None}


def test_as_many_as_allowed_run_at_once_and_no_more() -> None:
    async def run() -> int:
        running = most = 0
        barrier = asyncio.Barrier(AT_ONCE)  # opens when that many are there

        async def fetch_together(url: str) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await barrier.wait()
            running -= 1
            return 200

        async with asyncio.timeout(60):
            await fetch_all([f"http://{n}.test/" for n in range(2 * AT_ONCE)], fetch_together)
        return most

    assert asyncio.run(run()) == AT_ONCE


@pytest.mark.usefixtures("_no_network")
def test_the_task_is_a_coroutine_function() -> None:
    assert asyncio.run(check_sites(SITES)) == {"up": 2, "down": 2}


@pytest.mark.usefixtures("_no_network")
def test_a_run_reports_the_counts() -> None:
    assert testing.run(check_sites, SITES).result == {"up": 2, "down": 2}


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize(
    ("data", "status"), [(SITES, 200), ({"urls": []}, 400), ({"urls": ["file:///etc"]}, 400)]
)
def test_a_push_is_checked(
    data: object, status: int, ucam_faas_client: Callable[..., testing.Client]
) -> None:
    client = ucam_faas_client(check_sites)

    assert client.push("check_sites", data).status == status


def test_what_still_runs_at_the_deadline_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
    ucam_faas_client: Callable[..., testing.Client],
    ucam_faas_clock: testing.ManualClock,
) -> None:
    async def never(url: str) -> int:
        asyncio.get_running_loop().call_soon(ucam_faas_clock.advance, main.TIMEOUT)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(url)
        return 200

    cancelled: list[str] = []
    monkeypatch.setattr(main, "fetch_status", never)
    client = ucam_faas_client(check_sites, clock=ucam_faas_clock)

    response = client.push("check_sites", SITES)

    assert response.status == 504
    assert len(cancelled) == len(SITES.urls)
