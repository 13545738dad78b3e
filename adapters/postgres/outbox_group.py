"""A member of a group where there is no broker: one at a time reads the tables for its group, and another goes on after it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

import asyncpg

from adapters.postgres import locks, stream
from adapters.postgres.database import answering, disconnect
from adapters.postgres.stream import Page
from domain.faults import Unavailable
from domain.indexing import Batch
from domain.streams import CalendarEvent

TRY_LOCK_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.2
ALIVE_SECONDS: Final = 2.0  # The lock's session ends after 5 s without a word (adapters.postgres.database).
NOTE_SECONDS: Final = 5.0
RELAYED_SECONDS: Final = 20.0

TRY_LOCK = """
SELECT pg_try_advisory_lock($1, $2)
"""

PLACE = """
SELECT e.epoch::text AS epoch, p.position AS head, g.epoch::text AS known, g.position
FROM stream_pulse AS p JOIN stream_epoch AS e ON true LEFT JOIN search_progress AS g ON g.name = $1
"""

# Whether changes from before a moment still wait for the relay.
WAITING = """
SELECT EXISTS (
    SELECT FROM stream_pulse AS p, outbox AS x
    WHERE (x.xid, x.id) > (p.xid, p.outbox_id) AND x.at < (SELECT app_now()) - $1::interval)
"""

NOTE = """
INSERT INTO search_progress (name, epoch, position, at) VALUES ($1, $2::text::uuid, $3, (SELECT app_now()))
ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, position = excluded.position, at = excluded.at
"""

ALIVE = """
SELECT true
"""


class OutboxGroup:
    """`name`: of the group; each group has its own progress."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], name: str) -> None:
        self._connect = connect
        self._name = name
        self._connection: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()
        self._epoch = ""
        self._position = self._handed = 0
        self._noted_at = 0.0

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Waits until it is this member's turn. Each is handed on until it is `done`; never ends but by Unavailable.

        Called again, it begins after what was done. The lock is kept while a batch is worked on, however long.
        """
        connection = await self._connect()
        keeping = None
        try:
            async with answering():
                while not await connection.fetchval(TRY_LOCK, *locks.group(self._name)):  # noqa: ASYNC110 - another has it
                    await asyncio.sleep(TRY_LOCK_SECONDS)
            self._connection, keeping = connection, asyncio.create_task(self._keep(connection))
            async with aclosing(self._read(connection)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            self._connection = None
            if keeping is not None:
                keeping.cancel()
                await asyncio.wait({keeping})
            await disconnect(connection)

    async def done(self, batch: Batch) -> None:
        """All that was handed on is handled. Where nothing of interest came it is noted now and then."""
        self._position, now = self._handed, monotonic()
        if not (batch.events or batch.lost or now - self._noted_at > NOTE_SECONDS):
            return
        if self._connection is None:
            raise Unavailable("the connection of the log was lost")
        async with self._turn, answering():
            await self._connection.execute(NOTE, self._name, self._epoch, self._position)
        self._noted_at = now

    async def _read(self, connection: asyncpg.Connection) -> AsyncGenerator[Batch, None]:
        lost = await self._take_up(connection)
        pulse_at: datetime | None = None
        while True:
            if lost:
                yield Batch((), self._epoch, lost, level=False)
                lost = None
                continue
            async with self._turn, answering():
                page = await stream.read(connection, self._position)
            if _gap(page, self._position) or page.epoch != self._epoch:
                lost = await self._take_up(connection) or "the log was trimmed before it was read"
                continue
            if page.entries:
                self._handed = page.entries[-1].position
            if page.entries or (page.pulse is not None and page.pulse.at != pulse_at):
                events = [one.event for one in page.entries if isinstance(one.event, CalendarEvent)]
                yield Batch(events, page.epoch, None, level=len(page.entries) < stream.BATCH)
                pulse_at = page.pulse.at if page.pulse else pulse_at
            if len(page.entries) < stream.BATCH:
                await asyncio.sleep(POLL_SECONDS)

    async def _take_up(self, connection: asyncpg.Connection) -> str | None:
        """Stands where the group stood, or says why at the end of the log, where it is not known what came before."""
        lost = await self._place(connection)
        if lost:
            await self._relayed(connection)
            lost = await self._place(connection)
        return lost

    async def _place(self, connection: asyncpg.Connection) -> str | None:
        async with self._turn, answering():
            row = await connection.fetchrow(PLACE, self._name)
            assert row is not None
            self._epoch = row["epoch"]
            self._position = self._handed = row["head"]
            if row["known"] is None:
                return f"group {self._name} has read nothing yet"
            if row["known"] != row["epoch"]:
                return "the log is of another epoch"
            if _gap(await stream.read(connection, row["position"], 1), row["position"]):
                return "the log was trimmed before it was read"
        self._position = self._handed = row["position"]
        return None

    async def _relayed(self, connection: asyncpg.Connection) -> None:
        """After an import or a demo the relay has much to do: who begins at the end begins behind that, if it can be waited for."""
        began = monotonic()
        while (passed := monotonic() - began) < RELAYED_SECONDS:
            async with self._turn, answering():
                if not await connection.fetchval(WAITING, timedelta(seconds=passed)):
                    return
            await asyncio.sleep(POLL_SECONDS)

    async def _keep(self, connection: asyncpg.Connection) -> None:
        with suppress(Unavailable):  # Then the lock is lost; who reads or notes next hears of it.
            while True:
                await asyncio.sleep(ALIVE_SECONDS)
                async with self._turn, answering():
                    await connection.fetchval(ALIVE)


def _gap(page: Page, position: int) -> bool:
    """Places follow one another without a gap: what is missing was trimmed, or the log is not the one it was."""
    if page.entries:
        return page.entries[0].position != position + 1
    return page.head != position
