"""Connections go back to their pool without a transaction or a statement that is begun, whatever becomes of their borrower."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from time import sleep

import asyncpg
import pytest

from adapters.postgres import locks
from adapters.postgres.database import STATEMENT_MILLISECONDS, Database, pool
from domain.faults import RequestInProgress, Unavailable

BUSY = """SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'appointments' AND datname = current_database() AND xact_start IS NOT NULL"""


async def test_a_read_that_is_given_up_leaves_no_transaction_behind(database_url: str) -> None:
    """Given up at every moment, twice: while it begins, reads and ends. What stays open shows its next borrower the past."""
    database, numbers = Database(await pool(database_url, size=1)), count()

    async def read() -> None:
        async with database.snapshot(primary=True) as tx:
            await tx.fetchval(f"SELECT {next(numbers)}")  # A new text each, so that it is prepared each time.

    try:
        await read()
        left_open = 0
        for number in range(400):
            task = asyncio.create_task(read())
            await asyncio.sleep(number % 8 / 10_000)
            for steps in (number % 20, number % 7):
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await database.primary.fetchval("SELECT 1")
            await read()
            async with database.primary.acquire() as connection:
                left_open += connection.is_in_transaction()
        assert left_open == 0
    finally:
        await database.close()


@pytest.fixture
async def watch(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_a_read_that_its_sibling_gives_up_leaves_no_statement_begun(
    database_url: str, watch: asyncpg.Connection
) -> None:
    """As in an operation one of whose fields fails: given up when the server knows the text and has not been told to execute it."""
    sessions, texts = await pool(database_url, size=4), count()
    # All are open before the first read: one given up while the server opens its session would count as begun, and test nothing.
    await asyncio.gather(*(sessions.fetchval("SELECT pg_sleep(0.1)") for _ in range(4)))
    assert sessions.get_size() == 4

    async def fails() -> None:
        await sessions.fetchval("SELECT 1")
        sleep(0.002)  # noqa: ASYNC251  # Busy with what it read, while its siblings' texts are understood.
        raise ValueError

    async def read() -> None:
        await sessions.fetchval(f"SELECT {next(texts)} WHERE $1", True)

    left = 0
    for _ in range(100):
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as operation:
                for one in (fails, read, read, read):
                    operation.create_task(one())
        left += await watch.fetchval(BUSY)
    await sessions.close()
    assert left == 0


async def test_who_comes_after_a_value_that_cannot_be_sent_has_all_the_time_of_a_statement(
    database_url: str, watch: asyncpg.Connection
) -> None:
    sessions = await pool(database_url, size=1)
    with pytest.raises(asyncpg.DataError):
        await sessions.fetchval("SELECT $1::integer", 2**40)
    later = await watch.fetchval("SELECT clock_timestamp()")
    assert await watch.fetchval(BUSY) == 0
    assert await sessions.fetchval("SELECT now() > $1", later), "now() is not that of the statement before"
    with pytest.raises(asyncpg.DataError):
        await sessions.fetchval("SELECT $1::smallint", 2**40)
    await asyncio.sleep(STATEMENT_MILLISECONDS / 1000 + 0.2)
    assert await sessions.fetchval("SELECT 2") == 2
    await sessions.close()


@pytest.mark.parametrize("way", ["locked", "transaction"])
async def test_transactions_get_their_sessions_in_the_order_in_which_they_ask(database_url: str, way: str) -> None:
    """The driver's pool alone lets some wait many times as long as others: who comes as a session is given back takes it."""
    database, asked = Database(await pool(database_url, size=2)), count()
    waiting: list[int] = []
    passed = [0]

    async def write_again_and_again() -> None:
        for _ in range(20):
            number = next(asked)
            waiting.append(number)
            async with database.locked(None, []) if way == "locked" else database.transaction() as tx:
                passed.append(waiting.index(number))
                waiting.remove(number)
                await tx.fetchval("SELECT 1")

    try:
        await asyncio.gather(*(write_again_and_again() for _ in range(12)))
        assert max(passed) < 2  # Two are let in at a time, and either may begin first.
    finally:
        await database.close()


async def test_a_turn_is_given_back_however_it_ends(
    database_url: str, watch: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is lost would be missed by all writes of the process, for good."""
    database, twin = Database(await pool(database_url, size=1)), ("caller", "key")

    async def write() -> None:
        async with database.locked(twin, []) as tx:
            await tx.fetchval("SELECT 1")

    try:
        with monkeypatch.context() as patched:
            patched.setattr("adapters.postgres.database.ACQUIRE_SECONDS", 0.2)
            async with database.transaction():
                given_up = asyncio.create_task(write())
                await asyncio.sleep(0.05)
                given_up.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await given_up
                with pytest.raises(Unavailable):
                    await write()
            async with database.primary.acquire():
                with pytest.raises(Unavailable):
                    await write()
        await watch.execute(locks.opening(twin, []))
        with pytest.raises(RequestInProgress):
            await write()
        await watch.execute("ROLLBACK")
        with pytest.raises(ZeroDivisionError):
            async with database.transaction():
                _ = 1 / 0
        async with asyncio.timeout(10):
            await write()
    finally:
        await database.close()
