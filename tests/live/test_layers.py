"""Every cache switched off, one by one: the same answers over HTTP and over sockets; and what a clinic allows counts everywhere."""

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx2
from websockets.exceptions import InvalidStatus

from domain import ids
from tests import builders
from tests.api.talker import talking
from tests.live.conftest import at, serving
from tests.live.place import Booker, asked, place
from tests.live.watcher import SNAPSHOT, Watcher

LAYERS: Final = [
    {"process_calendars": process, "cache": cache, "cache_from": 1}
    for process in (True, False)
    for cache in (True, False)
]
SLOTS: Final = """query ($p: ID!, $c: ID!, $v: ID!, $a: Date!, $b: Date!) { node(id: $p) { ... on Provider {
    slots(clinicId: $c, visitTypeId: $v, from: $a, to: $b, first: 200) { id startsAt status } } } }"""
ALLOW: Final = """mutation ($i: SetClinicOriginsInput!) { setClinicOrigins(input: $i) { __typename } }"""
ORIGIN: Final = "https://clinic.example"


async def test_answers_are_the_same_whatever_is_kept(
    database_url: str, embedded: Any, tmp_path: Path, connections: asyncpg.Pool
) -> None:
    there = await place(connections, at(database_url, tmp_path))
    shape = there.asked()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=15))
        urls, watchers = [], []
        for layer in LAYERS:
            settings = at(database_url, tmp_path, **layer)
            url, _ = await stack.enter_async_context(serving(settings, embedded.redis_url))
            urls.append(url)
            watchers.append(await stack.enter_async_context(Watcher([url], shape)))
        await asyncio.gather(*(one.until(lambda view: view.frames) for one in watchers))
        desk = Booker(there, urls)
        asking = {"p": ids.node(ids.PROVIDER, there.providers[0]), "c": there.clinic_id, "v": there.kind_id}
        asking |= {"a": shape["from"], "b": shape["to"]}
        booked: dict[str, Any] = {}
        for number in range(16):
            desk.number = number
            booked = await desk.book(http, number) if number % 4 else await desk.cancel(http, booked) if booked else {}
            after = booked.get("cursor")
            snapshots = [(await asked(http, url, SNAPSHOT, {"f": shape, "l": after}))["availability"] for url in urls]
            assert all(one["slots"] == snapshots[0]["slots"] for one in snapshots)
        # Without a cursor a read may be as old as the log is late; a moment later it is not.
        await there.settled(watchers, 5)
        slots = [await asked(http, url, SLOTS, asking) for url in urls]
        assert all(one == slots[0] for one in slots)
        assert {one["id"] for one in slots[0]["node"]["slots"]} <= set(watchers[0].view.slots)
        assert all(one.view.broken == 0 for one in watchers)


async def test_what_a_clinic_allows_counts_within_a_second_everywhere(
    database_url: str, embedded: Any, tmp_path: Path, connections: asyncpg.Pool
) -> None:
    settings = at(database_url, tmp_path)
    there = await place(connections, settings)
    async with (
        serving(settings, embedded.redis_url) as (one, _),
        serving(settings, embedded.redis_url) as (other, _),
        httpx2.AsyncClient(timeout=15) as http,
    ):
        for allowed in ([ORIGIN], []):
            given = {"clinicId": there.clinic_id, "origins": allowed, "idempotencyKey": builders.key()}
            found = await asked(http, one, ALLOW, {"i": given}, there.admin)
            assert found["setClinicOrigins"] == {"__typename": "ClinicOriginsSet"}
            assert await _let_in(one) == bool(allowed)
            async with asyncio.timeout(1):
                while await _let_in(other) != bool(allowed):  # noqa: ASYNC110 (it is a door that is knocked at)
                    await asyncio.sleep(0.01)


async def _let_in(url: str) -> bool:
    with suppress(InvalidStatus):
        async with talking(url, origin=ORIGIN) as talker:
            await talker.begin()
            return True
    return False
