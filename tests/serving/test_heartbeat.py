"""A worker's heartbeat to its main process, which kills a worker without one."""

from __future__ import annotations

import itertools
import time

import pytest
from uvicorn.config import Config

import ucam_faas
from ucam_faas.serving.worker import Worker, _Server

from .harness import make_app, on_a_loop


@ucam_faas.raw_event
def task(body: bytes) -> None:
    pass


@on_a_loop
async def test_a_worker_gives_its_sign_of_life_while_the_wall_clock_runs_backwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backwards = itertools.count(1_000_000_000, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(backwards)))
    beats: list[None] = []
    options = {"callback_notify": Worker.CONFIG_KWARGS["callback_notify"]}
    server = _Server(
        Config("app", **options), make_app(task), lambda: None, lambda: beats.append(None)
    )

    ended = [await server.on_tick(counter) for counter in range(100)]

    assert len(beats) == 10
    assert not any(ended)
