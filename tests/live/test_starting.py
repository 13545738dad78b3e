"""`appointments serve` as a person starts it: soon ready where nothing happens, and where Kafka is away."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from adapters.postgres.database import pool
from tests import sizes
from tests.live.conftest import at
from tests.live.place import Booker, asked, place
from tests.live.processes import Api, free_port
from tests.live.watcher import SNAPSHOT, Watcher
from tests.proofs import proof

SOON_SECONDS: Final = 4.0  # less than the patience with a log that may yet answer


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
