"""The epoch of the stream: cursors of another one do not count."""

from uuid import UUID

import asyncpg

from adapters.postgres.database import Reader

RENEW = "UPDATE stream_epoch SET epoch = gen_random_uuid() RETURNING epoch"

# Transaction numbers of another cluster mean nothing here; the ids keep the order.
RENUMBER = "UPDATE outbox SET xid = pg_current_xact_id()"

SHIFTED = "SELECT shift <> interval '0' FROM test_clock"


async def renew_epoch(connection: asyncpg.Connection) -> UUID:
    """For after a restore, when cursors that clients hold may name changes that were undone."""
    async with connection.transaction():
        await connection.execute(RENUMBER)
        epoch: UUID = await connection.fetchval(RENEW)
    return epoch


async def is_clock_shifted(reader: Reader) -> bool:
    """Whether a test left its shifted clock behind."""
    shifted: bool = await reader.fetchval(SHIFTED)
    return shifted
