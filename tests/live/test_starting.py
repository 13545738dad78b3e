"""`appointments serve` and `work` as a person starts them: soon ready where nothing happens, and where Kafka is away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from adapters.postgres.database import pool
from app.workers.messenger import WATCH_SECONDS
from tests import sizes
from tests.live.conftest import at
from tests.live.place import Booker, asked, place
from tests.live.processes import START_SECONDS, Api, free_port
from tests.live.watcher import SNAPSHOT, Watcher
from tests.proofs import proof

SOON_SECONDS: Final = 4.0  # less than the patience with a log that may yet answer
PLANNED: Final = (
    "SELECT NOT EXISTS (SELECT FROM messages_to_plan) AND EXISTS (SELECT FROM messages WHERE status = 'sent')"
)


@pytest.mark.prove
@pytest.mark.parametrize("kafka", ["away", "table"] if sizes.FULL else ["away"])
async def test_it_is_soon_ready_and_answers(
    make_database: Callable[[], Awaitable[str]], embedded: Any, tmp_path: Path, kafka: str
) -> None:
    url = await make_database()
    given = {"DATABASE_URL": url, "REDIS_URL": embedded.redis_url}
    if kafka == "away":
        given["KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{free_port()}"
    connections = await pool(url, size=2)
    there = await place(connections, at(url, tmp_path))
    api = Api(tmp_path, given)
    api.begin()
    try:
        seconds = await api.ready()
        assert api.waited < SOON_SECONDS
        async with httpx2.AsyncClient(timeout=15) as http, Watcher([api.url], there.asked()) as watcher:
            await watcher.until(lambda view: view.frames)
            assert watcher.view.slots == await there.truth(watcher.asked)
            booked = await Booker(there, [api.url]).book(http, 0)
            asking = {"f": watcher.asked, "l": booked["cursor"]}
            found = (await asked(http, api.url, SNAPSHOT, asking))["availability"]["slots"]
            assert {one["id"] for one in found} == (await there.truth(watcher.asked)).keys()
            async with Watcher([api.url], watcher.asked, after=booked["cursor"]) as later:
                await later.until(lambda view: view.frames)
                assert there.slot_id(0) not in later.view.slots
    finally:
        api.end()
        await connections.close()
    proof(f"serving after a start, log: {kafka}", seconds=round(seconds, 1), of_them_waited=round(api.waited, 1))


async def test_serve_answers_and_work_sends_and_shows_what_it_did(
    make_database: Callable[[], Awaitable[str]], embedded: Any, tmp_path: Path
) -> None:
    url = await make_database()
    given = {"DATABASE_URL": url, "REDIS_URL": embedded.redis_url}
    connections = await pool(url, size=2)
    there = await place(connections, at(url, tmp_path))
    port = free_port()
    api, worker = Api(tmp_path, given), Api(tmp_path, {**given, "WORKER_PORT": str(port)}, "work", port)
    api.begin()
    try:
        await api.ready()
        async with httpx2.AsyncClient(timeout=15) as http:
            await Booker(there, [api.url]).book(http, 0)
        began = time.monotonic()
        while await api.metric("appointments_messages_unplanned") != 1:  # Nobody takes it up, and that is seen.
            assert time.monotonic() - began < 2 * WATCH_SECONDS
            await asyncio.sleep(0.1)
        worker.begin()
        while not await connections.fetchval(PLANNED):
            assert time.monotonic() - began < START_SECONDS, worker.log.read_text()[-3000:]
            await asyncio.sleep(0.1)
        sent = 'appointments_messages_total{channel="email",outcome="sent",rule="confirmation"} 1.0'
        async with httpx2.AsyncClient() as http:
            while sent not in (await http.get(f"{worker.url}/metrics")).text:  # It is counted after it is noted.
                assert time.monotonic() - began < START_SECONDS
                await asyncio.sleep(0.05)
    finally:
        worker.end()
        api.end()
        await connections.close()
