"""`appointments serve` and `work` as a person starts them: soon ready where nothing happens, and where Kafka is away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from adapters.postgres.database import pool
from tests import sizes
from tests.live.conftest import at
from tests.live.place import Booker, asked, place
from tests.live.processes import START_SECONDS, Api, free_port
from tests.live.watcher import SNAPSHOT, Watcher
from tests.proofs import proof

SOON_SECONDS: Final = 4.0  # less than the patience with a log that may yet answer
DONE_SECONDS: Final = 60
OLD_KEY: Final = """
INSERT INTO idempotency (caller, key, operation, request_hash, outcome, at)
VALUES ('anybody', 'old', 'bookAppointment', '', '{}', now() - interval '3 days')
"""
UNDONE: Final = """
SELECT EXISTS (SELECT FROM messages_to_plan) AND NOT EXISTS (SELECT FROM search_documents)
    AND EXISTS (SELECT FROM idempotency WHERE key = 'old')
"""
DONE: Final = """
SELECT EXISTS (SELECT FROM messages WHERE status = 'sent') AND EXISTS (SELECT FROM search_documents)
    AND NOT EXISTS (SELECT FROM idempotency WHERE key = 'old')
"""


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


async def test_serve_answers_and_work_does_the_rest(
    make_database: Callable[[], Awaitable[str]], embedded: Any, tmp_path: Path
) -> None:
    url, port = await make_database(), free_port()
    given = {"DATABASE_URL": url, "REDIS_URL": embedded.redis_url}
    connections = await pool(url, size=2)
    there = await place(connections, at(url, tmp_path))
    await connections.execute(OLD_KEY)
    api = Api(tmp_path, given)
    worker, other = (Api(tmp_path, given | {"WORKER_PORT": str(port)}, "work", one) for one in (port, free_port()))
    api.begin()
    try:
        await api.ready()
        async with httpx2.AsyncClient(timeout=15) as http:
            await Booker(there, [api.url]).book(http, 0)
        await _until(lambda: _is(api, "appointments_messages_unplanned", 1), api)
        assert await connections.fetchval(UNDONE)
        worker.begin()
        await _until(lambda: connections.fetchval(DONE), worker)
        sent = 'appointments_messages_total{channel="email",outcome="sent",rule="confirmation"}'
        await _until(lambda: _is(worker, sent, 1), worker)
        other.begin()
        assert await other.ended(START_SECONDS) == 1
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use (set WORKER_PORT)" in other.log.read_text()
        worker.end()
        assert await worker.ended(0) == 0
    finally:
        other.end()
        worker.end()
        api.end()
        await connections.close()


async def _is(process: Api, metric: str, value: float) -> bool:
    """It is not shown before there is something to show."""
    try:
        return await process.metric(metric) == value
    except AssertionError:
        return False


async def _until(done: Callable[[], Awaitable[bool]], process: Api) -> None:
    began = time.monotonic()
    while not await done():
        assert time.monotonic() - began < DONE_SECONDS, process.log.read_text()[-3000:]
        await asyncio.sleep(0.1)


async def test_work_refuses_a_schema_that_is_not_whole(empty_database_url: str, embedded: Any, tmp_path: Path) -> None:
    given = {"DATABASE_URL": empty_database_url, "REDIS_URL": embedded.redis_url}
    worker = Api(tmp_path, given, "work")
    worker.begin()
    assert await worker.ended(START_SECONDS) == 1
    assert "run `appointments migrate` first" in worker.log.read_text()
