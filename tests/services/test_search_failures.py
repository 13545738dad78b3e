"""Search goes on from PostgreSQL whatever becomes of Elasticsearch, and its index is whole again by itself."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from time import monotonic

import pytest

from adapters.elasticsearch.connection import Address, Connection, ElasticsearchUnavailable, IndexMissing
from adapters.elasticsearch.index import Index
from adapters.elasticsearch.searching import ElasticsearchEngine
from adapters.elasticsearch.target import SearchIndex
from adapters.postgres import clinics as clinic_records
from adapters.postgres.building import AnotherBuilds, Building
from adapters.postgres.database import connect
from adapters.postgres.epoch import renew_epoch
from adapters.postgres.outbox_group import OutboxGroup
from adapters.postgres.search import PostgresEngine
from adapters.postgres.standing import Standing
from domain import ids
from domain.catalog import ProviderDraft
from domain.outcomes import ProviderSaved
from domain.search import Pair, Sort
from domain.search_filters import Filter
from services.background import beside
from services.catalog import Catalog
from services.searching.breaker import Breaker
from services.searching.engines import Start
from services.searching.indexing import Indexer
from services.searching.rebuilding import differences, rebuild
from services.searching.searching import Results, Searching
from tests.adapters.elastic import an_index
from tests.conftest import MakeDatabase
from tests.elasticsearch import Elasticsearch
from tests.services.indexed import Indexed, indexed, until
from tests.world import MONDAY, admin, new_key

HUNG_SECONDS = 5.0
pytestmark = pytest.mark.timeout(420)  # A node starts twice.


class Nowhen:
    """A calendar without open times: what is tried here is who is found."""

    async def earliest(
        self, asked: Iterable[tuple[Pair, Sequence[int]]], opens: tuple[date, date] | None = None
    ) -> Mapping[Pair, Start]:
        return {}


@dataclass
class Place:
    """A small town, searched in both engines; nothing runs but within `running`."""

    node: Elasticsearch
    here: Indexed
    index: Index
    target: SearchIndex
    breaker: Breaker
    searching: Searching
    providers: list[int]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With a relay, both indexers and the breaker; from when both indexes are there."""
        member = OutboxGroup(partial(connect, self.here.url), "search-elasticsearch")
        indexer = Indexer(self.here.sources, self.target, member, pace=0.05)
        async with self.here.running(self.here.indexer(0.05)), beside(indexer.run()), self.breaker.watching():
            await until(indexer.is_filled, 60)
            await until(self.is_asked)
            yield

    async def search(self, text: str) -> Results:
        return await self.searching.search(Filter(text=text), Sort.BEST, 20, None)

    async def is_asked(self) -> bool:
        return self.breaker.closed

    async def rename(self, key: int, name: str) -> None:
        now = (await clinic_records.providers(self.here.database.primary, [key]))[key]
        draft = ProviderDraft(
            name, now.npi, now.specialties, now.languages,
            [ids.node(ids.CLINIC, one) for one in now.clinic_keys],
            [ids.node(ids.VISIT_TYPE, one) for one in now.visit_type_keys],
            now.accepting_new_patients, now.active,
        )  # fmt: skip
        saved = await Catalog(self.here.database).save_provider(admin(), now.id, now.version, draft, new_key())
        assert isinstance(saved, ProviderSaved), saved

    async def found(self, text: str, *, degraded: bool) -> bool:
        results = await self.search(text)
        return bool(results.hits) and results.degraded is degraded

    async def is_true(self) -> bool:
        return not await differences(self.here.sources, self.index.everything())


def a_place(here: Indexed, node: Elasticsearch, index: Index, providers: list[int]) -> Place:
    database = here.database

    async def look() -> None:
        await index.check(await here.sources.epoch())

    breaker = Breaker(ElasticsearchEngine(index.connection, index.alias), look)
    target = SearchIndex(index, Building(partial(connect, here.url), index.alias).alone, grace=1.0)
    searching = Searching(database, Standing(database), Nowhen(), [breaker, PostgresEngine(database)])
    return Place(node, here, index, target, breaker, searching, providers)


@pytest.fixture
async def place(make_database: MakeDatabase, elasticsearch: Elasticsearch) -> AsyncIterator[Place]:
    async with indexed(await make_database()) as here, an_index(elasticsearch) as index:
        await here.world.clock(MONDAY)
        clinics = [await here.world.clinic(name=f"Elm Street {number}") for number in range(4)]
        kind = await here.world.visit_type(30)
        providers = [await here.world.provider(clinics[at % 3 :], [kind]) for at in range(40)]
        yield a_place(here, elasticsearch, index, providers)


async def test_killed_and_started_again_nothing_is_lost(place: Place) -> None:
    if place.node.pid is None:
        pytest.skip("a node that is not ours is not killed")
    one, other = place.providers[:2]
    async with place.running():
        await until(lambda: place.found("provider", degraded=False))
        place.node.kill()
        try:
            assert await place.found("provider", degraded=True)
            await place.rename(one, "Quillon Osei")
            await until(lambda: place.found("quillon", degraded=True))
        finally:
            place.node.launch()
            await asyncio.to_thread(place.node.wait)
        await until(lambda: place.found("quillon", degraded=False), 60)
        await place.rename(other, "Zebulon Osei")
        await until(lambda: place.found("zebulon", degraded=False))
        await until(place.is_true)


async def test_a_node_that_hangs_holds_no_search_as_long(place: Place) -> None:
    if place.node.pid is None:
        pytest.skip("a node that is not ours is not stopped")
    async with place.running():
        await until(lambda: place.found("provider", degraded=False))
        place.node.pause()
        try:
            begun = monotonic()
            answers = await asyncio.gather(*(place.search("provider") for _ in range(50)))
            assert monotonic() - begun < HUNG_SECONDS
            assert all(one.degraded and one.hits for one in answers)
            await asyncio.sleep(max(0.0, begun + HUNG_SECONDS - monotonic()))
        finally:
            place.node.resume()
        await until(lambda: place.found("provider", degraded=False))


async def test_a_full_disk_keeps_changes_waiting_and_searches_going(place: Place) -> None:
    """The node makes its indices read-only by itself when its disk is full."""
    async with place.running():
        name = (await place.index.meta()).name
        await asyncio.to_thread(place.node.block_writes, name)
        try:
            await place.rename(place.providers[0], "Quillon Osei")
            read = await place.here.sources.read([(place.providers[0], (await _clinics(place))[0])])
            with pytest.raises(ElasticsearchUnavailable, match="refuses to write"):
                await place.target.write(read.epoch, read.documents)
            assert (await place.search("provider")).hits
            assert not await place.is_true()
        finally:
            await asyncio.to_thread(partial(place.node.block_writes, name, blocked=False))
        await until(lambda: place.found("quillon", degraded=False), 60)
        await until(place.is_true)


async def test_a_missing_index_is_made_again_and_never_by_a_write(place: Place) -> None:
    async with place.running():
        await asyncio.to_thread(place.node.ask, "DELETE", f"/{(await place.index.meta()).name}")
        read = await place.here.sources.read([(place.providers[0], (await _clinics(place))[0])])
        with pytest.raises(IndexMissing):
            await place.index.write(read.documents)
        assert place.index.alias not in await place.index.connection.ask("GET", "/_all/_alias")
        assert await place.found("provider", degraded=True)
        await place.rename(place.providers[0], "Quillon Osei")
        await until(lambda: place.found("quillon", degraded=False), 60)
        await until(place.is_true)


async def test_somebody_elses_index_of_that_name_gives_way(place: Place) -> None:
    node = place.node
    await asyncio.to_thread(node.ask, "PUT", f"/{place.index.alias}/_doc/1?refresh=true", {"name": "careless"})
    async with place.running():
        await until(lambda: place.found("provider", degraded=False))
        assert (await place.index.meta()).name != place.index.alias


async def test_a_restored_database_gets_a_new_index(place: Place) -> None:
    async with place.running():
        before = (await place.index.meta()).name
        async with place.here.database.primary.acquire() as connection:
            await renew_epoch(connection)

        async def is_new() -> bool:
            try:
                await place.index.check(await place.here.sources.epoch())
            except ElasticsearchUnavailable:
                return False
            return place.breaker.closed and (await place.index.meta()).name != before

        await until(is_new, 60)
        await until(place.is_true)


async def test_made_anew_during_a_burst_of_changes_it_equals_the_database(place: Place) -> None:
    async with place.running():
        before = (await place.index.meta()).name
        ended = asyncio.Event()

        async def burst() -> None:
            for number in range(10_000):
                if ended.is_set():
                    return
                await place.rename(place.providers[number % len(place.providers)], f"Osei{number} Quillon")

        changing = asyncio.create_task(burst())
        told: list[tuple[int, int]] = []
        try:
            for _ in range(3):
                count = await rebuild(place.here.sources, place.target, lambda done, of: told.append((done, of)))
                assert (await place.search("elm")).hits
        finally:
            ended.set()
            await changing
        assert count == told[-1][0] == told[-1][1] == await place.here.sources.count()
        assert (await place.index.meta()).name != before
        await until(place.is_true)
    assert len([name for name in await _indices(place)]) == 1


async def test_one_at_a_time_makes_it_anew_and_an_interrupted_one_leaves_the_old(place: Place) -> None:
    async with place.running():
        before = (await place.index.meta()).name
        epoch = await place.here.sources.epoch()
        with pytest.raises(Interrupted):
            await _interrupted(place, epoch)
        assert (await place.index.meta()).name == before
        assert len(await _indices(place)) == 2
        await until(lambda: place.found("provider", degraded=False))
        await place.rename(place.providers[0], "Quillon Osei")
        await until(lambda: place.found("quillon", degraded=False))
        await rebuild(place.here.sources, place.target)
        assert await _indices(place) == [(await place.index.meta()).name]
        assert before not in await _indices(place)
        await until(place.is_true)


class Interrupted(Exception):
    """Ctrl-C."""


async def _interrupted(place: Place, epoch: str) -> None:
    """Meanwhile another one is refused."""
    async with place.target.renewing(epoch):
        with pytest.raises(AnotherBuilds):
            async with place.target.renewing(epoch):
                raise AssertionError("two build at once")
        raise Interrupted


Answer = tuple[int, dict[str, str], bytes]
AS_EIGHT: Answer = (
    400,
    {"Content-Type": "application/json", "X-elastic-product": "Elasticsearch"},
    b'{"error":{"root_cause":[{"type":"media_type_header_exception","reason":"Invalid media-type value on headers '
    b'[Accept, Content-Type]"}],"type":"media_type_header_exception","reason":"secret words"},"status":400}',
)
AS_ANOTHER: Answer = (200, {"Content-Type": "application/json"}, b'{"version":{"number":"2.11.0"}}')
AS_A_PAGE: Answer = (200, {"Content-Type": "text/html"}, b"<html>It works!</html>")
AS_A_PROXY: Answer = (502, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>")
AS_A_LIAR: Answer = (200, {"Content-Type": "application/json", "X-elastic-product": "Elasticsearch"}, b'{"took":1}')


@pytest.mark.parametrize("answer", [AS_EIGHT, AS_ANOTHER, AS_A_PAGE, AS_A_PROXY, AS_A_LIAR])
async def test_what_is_no_elasticsearch_of_ours_is_told_and_passed_over(
    make_database: MakeDatabase, answer: Answer
) -> None:
    async with answering(answer) as url, indexed(await make_database()) as here:
        await here.world.provider([await here.world.clinic()], [await here.world.visit_type()])
        connection = Connection(Address((url,)))
        place = a_place(here, Elasticsearch(url), Index(connection, "test-providers"), [])
        try:
            with pytest.raises(ElasticsearchUnavailable) as raised:
                await place.index.check("epoch")
            assert "secret words" not in str(raised.value)
            async with here.running(here.indexer(0.05)), place.breaker.watching():
                assert await place.found("provider", degraded=True)
                place.breaker.closed = True  # As if it had become that just now.
                assert await place.found("provider", degraded=True)
        finally:
            await connection.close()


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """A server that says the same to everything."""
    status, headers, body = answer

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode().lower():
                length = next((line for line in head.split("\r\n") if line.startswith("content-length:")), ":0")
                await reader.readexactly(int(length.partition(":")[2]))
                lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
                writer.write("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _clinics(place: Place) -> list[int]:
    rows = await place.here.world.fetch(
        "SELECT clinic_id FROM provider_clinics WHERE provider_id = $1", place.providers[0]
    )
    return [row["clinic_id"] for row in rows]


async def _indices(place: Place) -> list[str]:
    return sorted(await place.index.connection.ask("GET", f"/{place.index.alias}-*/_alias"))
