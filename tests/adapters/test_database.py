"""Connections go back to their pool without a transaction, whatever becomes of their borrower."""

import asyncio
from contextlib import suppress
from itertools import count

from adapters.postgres.database import Database, pool


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
