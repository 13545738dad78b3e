"""For tests of search's indexes: documents as they are kept, and as they would be made anew."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Any

import asyncpg

from adapters.postgres import search_documents as table
from adapters.postgres import stream
from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.database import Database, connect, pool
from adapters.postgres.outbox_group import OutboxGroup
from adapters.postgres.search_documents import SearchDocuments
from adapters.postgres.search_sources import Sources
from domain.faults import Unavailable
from domain.indexing import Kept
from domain.search import Document, Pair
from domain.streams import CalendarEvent
from services.background import beside
from services.relaying import Relay
from services.searching import synonyms
from services.searching.indexing import Indexer
from services.searching.targets import Write
from tests.world import World

Row = dict[str, Any]


@dataclass
class Indexed:
    """A database, with what it takes to index it. Nothing runs of itself but in `running`."""

    url: str
    database: Database
    world: World
    sources: Sources
    target: SearchDocuments

    def member(self, name: str = "search-postgres") -> OutboxGroup:
        return OutboxGroup(partial(connect, self.url), name)

    def indexer(self, pace: float = 0.5) -> Indexer:
        return Indexer(self.sources, self.target, self.member(), pace=pace)

    @asynccontextmanager
    async def running(self, indexer: Indexer | None = None) -> AsyncIterator[Indexer]:
        """With a relay, from when everything is indexed."""
        found = indexer or self.indexer()
        async with beside(Relay(partial(connect, self.url)).run()), beside(found.run()):
            await until(found.is_filled, 60)
            yield found

    async def rows(self) -> dict[Pair, Row]:
        """What is kept, but for the numbers."""
        found = {}
        for record in await self.database.primary.fetch("SELECT * FROM search_documents"):
            row = dict(record)
            del row["seq"], row["epoch"], row["facets"]  # numbers, and what the database reckons itself
            found[row["provider_id"], row["clinic_id"]] = row
        return found

    async def anew(self) -> dict[Pair, Row]:
        """The same, made from what is in the database now."""
        found = {}
        async for read in Sources(self.database, KnownSchedules(), synonyms.of_specialties()).everything():
            found.update({one.pair: row_of(one) for one in read.documents})
        return found

    async def row(self, provider: int, clinic: int) -> Row | None:
        return (await self.rows()).get((provider, clinic))

    async def is_true(self) -> bool:
        """Whether all that may be found is kept as it would be made anew, and nothing else may be found."""
        rows, anew = await self.rows(), await self.anew()
        return {pair: row for pair, row in rows.items() if row["listed"] or pair in anew} == anew

    async def until_true(self) -> None:
        await until(self.is_true)

    async def events(self) -> list[CalendarEvent]:
        """All that were relayed."""
        page = await stream.read(self.database.primary, 0, 100_000)
        return [entry.event for entry in page.entries if isinstance(entry.event, CalendarEvent)]


async def until(there: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await there():  # noqa: ASYNC110 - what is waited for is in a database
            await asyncio.sleep(0.02)


@asynccontextmanager
async def indexed(url: str) -> AsyncIterator[Indexed]:
    database = Database(await pool(url, size=8))
    quiet = Database(database.primary)
    sources = Sources(quiet, KnownSchedules(), synonyms.of_specialties())
    try:
        yield Indexed(url, database, World.on(database.primary), sources, SearchDocuments(quiet))
    finally:
        await database.close()


def row_of(document: Document) -> Row:
    row = table._row(document)
    del row["seq"]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in row.items()}


class Kaput(Exception):
    """A bug."""


@dataclass
class Memory:
    """An engine in memory that can be away, and that breaks on certain pairs."""

    name: str = "memory"
    in_place: bool = False
    away: bool = False
    breaks_on: set[Pair] = field(default_factory=set)
    kept_epoch: str | None = None
    documents: dict[Pair, Document] = field(default_factory=dict)
    written: list[Document] = field(default_factory=list)
    refused: int = 0

    def _asked(self) -> None:
        if self.away:
            self.refused += 1
            raise Unavailable("away")

    async def epoch(self) -> str | None:
        self._asked()
        return self.kept_epoch

    async def write(self, _epoch: str, documents: Sequence[Document]) -> int:
        return self._into(self.documents, documents)

    async def kept(self, _epoch: str, pairs: Collection[Pair]) -> Mapping[Pair, Kept]:
        self._asked()
        return {
            pair: Kept(one.seq, {key: one.next_days.get(key) for key in one.visit_types})
            for pair in pairs
            if (one := self.documents.get(pair)) is not None
        }

    async def past(self, day: date, clinic_keys: Collection[int], limit: int) -> list[Pair]:
        self._asked()
        return [
            pair
            for pair, one in self.documents.items()
            if pair[1] in clinic_keys and any(found < day for found in one.next_days.values())
        ][:limit]

    @asynccontextmanager
    async def renewing(self, epoch: str) -> AsyncIterator[Write]:
        self._asked()
        fresh: dict[Pair, Document] = {}

        async def write(_epoch: str, documents: Sequence[Document]) -> int:
            return self._into(fresh, documents)

        yield write
        self.documents, self.kept_epoch = fresh, epoch

    def _into(self, documents: dict[Pair, Document], new: Sequence[Document]) -> int:
        self._asked()
        if any(one.pair in self.breaks_on for one in new):
            raise Kaput
        count = 0
        for one in new:
            old = documents.get(one.pair)
            if old is None or old.seq <= one.seq:
                documents[one.pair] = one
                self.written.append(one)
                count += 1
        return count

    def rows(self) -> dict[Pair, Row]:
        return {pair: row_of(replace(one)) for pair, one in self.documents.items()}


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        with suppress(OSError, asyncpg.InterfaceError):
            await connection.close()
