"""One at a time makes an index of search anew."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg

from adapters.postgres import locks
from adapters.postgres.database import answering, disconnect
from domain.faults import Unavailable

ALIVE_SECONDS: Final = 2.0  # The lock's session ends after 5 s without a word (adapters.postgres.database).

TRY_LOCK = """
SELECT pg_try_advisory_lock($1, $2)
"""

ALIVE = """
SELECT true
"""


class AnotherBuilds(Unavailable):
    """It will be there soon."""


class Building:
    """`name`: of the index."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], name: str) -> None:
        self._connect = connect
        self._name = name

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None, None]:
        """Raises AnotherBuilds. Who is killed, or loses the database, no longer has it."""
        async with answering():
            connection = await self._connect()
        keeping = None
        try:
            async with answering():
                if not await connection.fetchval(TRY_LOCK, *locks.building(self._name)):
                    raise AnotherBuilds("another process makes this index anew just now")
            keeping = asyncio.create_task(_keep(connection))
            yield
        finally:
            if keeping is not None:
                keeping.cancel()
                await asyncio.wait({keeping})
            await disconnect(connection)


async def _keep(connection: asyncpg.Connection) -> None:
    with suppress(Unavailable):
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            async with answering():
                await connection.fetchval(ALIVE)
