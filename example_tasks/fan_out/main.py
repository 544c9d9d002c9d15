"""Checks several web sites at once: an async task, with a limit on how much goes on at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import urlopen

from pydantic import BaseModel, Field, HttpUrl

import ucam_faas

AT_ONCE = 5
TIMEOUT = timedelta(minutes=1)
Fetch = Callable[[str], Awaitable[int]]


class Sites(BaseModel):
    """The sites to check."""

    urls: list[HttpUrl] = Field(min_length=1, examples=[["http://127.0.0.1:8080/healthy"]])


@ucam_faas.message_handler(timeout=TIMEOUT)
async def check_sites(sites: Sites) -> dict[str, int]:
    """Check several web sites at once, and count those that answer."""
    # At the deadline the task is cancelled, and with it all that the group still does.
    statuses = await fetch_all({str(url) for url in sites.urls}, fetch_status)
    up = sum(status is not None and status < 400 for status in statuses.values())
    return {"up": up, "down": len(statuses) - up}


async def fetch_all(urls: Iterable[str], fetch: Fetch) -> dict[str, int | None]:
    """Return the status of each page, None where there was no answer: one failure is not all."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def check(url: str) -> int | None:
        async with gate:
            try:
                return await fetch(url)
            except (OSError, HTTPException):
                return None

    async with asyncio.TaskGroup() as group:
        running = {url: group.create_task(check(url)) for url in urls}
    return {url: task.result() for url, task in running.items()}


async def fetch_status(url: str) -> int:
    """Return the HTTP status of a page."""
    return await asyncio.to_thread(_get, url)


def _get(url: str) -> int:
    try:
        with urlopen(url, timeout=10) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code
