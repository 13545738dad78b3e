"""The log of changes where there is no broker: the tables themselves, read by place, woken by a hint or by the clock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

import asyncpg
import orjson

from adapters.postgres import stream
from adapters.postgres.database import answering, disconnect
from adapters.postgres.stream import Entry, Page
from domain.streams import AVAILABILITY, addressed

POLL_SECONDS: Final = 0.02
# A relay that works in this process gives a hint for all that it writes, and each second for its pulse.
HINTED_SECONDS: Final = 2.5
HINTED_POLL_SECONDS: Final = 0.25


class OutboxLog:
    """For one reader. Where the relay works in the same process, its `wake` saves the wait for the next look, and most looks."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._woken = asyncio.Event()
        self._hinted_until = 0.0
        self._position: int | None = None
        self._epoch = ""
        self._pulse_at: datetime | None = None

    def wake(self) -> None:
        self._hinted_until = monotonic() + HINTED_SECONDS
        self._woken.set()

    async def read(self, since: timedelta) -> AsyncIterator[tuple[str, str]]:
        """Topic and envelope (JSON), in order, from `since` ago on; never ends. Called again it goes on where it stood.

        Raises Unavailable when PostgreSQL is lost. In a new epoch it begins again: places may have been given anew.
        """
        connection = await self._connect()
        try:
            while True:
                async with answering():
                    page = await self._page(connection, since)
                for entry in page.entries:
                    for topic, text in _messages(entry):
                        yield topic, text
                    self._position = entry.position
                if page.pulse is not None and page.pulse.at != self._pulse_at:
                    self._pulse_at = page.pulse.at
                    yield AVAILABILITY, orjson.dumps(page.pulse.envelope()).decode()
                if len(page.entries) < stream.BATCH:
                    await self._wait()
        finally:
            await disconnect(connection)

    async def _page(self, connection: asyncpg.Connection, since: timedelta) -> Page:
        if self._position is None:
            self._position = await stream.start(connection, since)
        page = await stream.read(connection, self._position)
        if page.epoch != self._epoch:
            again = bool(self._epoch)
            self._epoch = page.epoch
            if again:
                self._position = await stream.start(connection, since)
                page = await stream.read(connection, self._position)
        return page

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(HINTED_POLL_SECONDS if monotonic() < self._hinted_until else POLL_SECONDS):
                await self._woken.wait()
        self._woken.clear()


def _messages(entry: Entry) -> Iterator[tuple[str, str]]:
    """One for each topic: a single reader needs no second for another clinic."""
    if entry.event is not None:
        text = orjson.dumps(entry.event.envelope()).decode()
        for topic in dict.fromkeys(topic for topic, _ in addressed(entry.event)):
            yield topic, text
