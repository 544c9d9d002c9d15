"""repid 2.1: an actor with the same model, and its worker."""

from __future__ import annotations

import asyncio
import os

import counting
from repid import Repid, Router
from repid.connections.pubsub import PubsubServer

counter = counting.Counter()
app = Repid()
server = PubsubServer(f"http://{os.environ['PUBSUB_EMULATOR_HOST']}/v1", default_project="local")
app.servers.register_server("default", server, is_default=True)
router = Router()


@router.actor(channel="order")
async def order(order_id: str, customer: str, amount: float, items: list[str]) -> None:
    counter.add()


app.include_router(router)


async def main() -> None:
    async with app.servers.default.connection():
        await app.run_worker(messages_limit=counting.COUNT)


asyncio.run(main())
