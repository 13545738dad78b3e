"""The epoch of the stream: cursors of another one do not count."""

from uuid import UUID

import asyncpg

from adapters.postgres.database import Reader

# A relay that runs nevertheless waits here, and then reads all of what follows or nothing.
STOP_RELAY = "LOCK TABLE stream IN SHARE ROW EXCLUSIVE MODE"

RENEW = "UPDATE stream_epoch SET epoch = gen_random_uuid() RETURNING epoch"

# Transaction numbers of another cluster mean nothing here; the ids keep the order. 1 is below every number a transaction gets:
# what has its place in the stream stays behind the relay's cursor, what has none lies before it.
RENUMBER = """
UPDATE outbox AS o SET xid = CASE
    WHEN EXISTS (SELECT FROM stream AS s WHERE s.outbox_id = o.id) THEN '1' ELSE pg_current_xact_id() END
"""

RESET_RELAY = "UPDATE stream_pulse SET xid = '2', outbox_id = 0, at = NULL, horizon_age = 0"

CURRENT = "SELECT epoch::text FROM stream_epoch"

SHIFTED = "SELECT shift <> interval '0' FROM test_clock"


async def renew_epoch(connection: asyncpg.Connection) -> UUID:
    """For after a restore, when cursors that clients hold may name changes that were undone.

    What was relayed is not relayed again; what was not, is.
    """
    async with connection.transaction():
        await connection.execute(STOP_RELAY)
        await connection.execute(RENUMBER)
        await connection.execute(RESET_RELAY)
        epoch: UUID = await connection.fetchval(RENEW)
    return epoch


async def current_epoch(reader: Reader) -> str:
    found: str = await reader.fetchval(CURRENT)
    return found


async def is_clock_shifted(reader: Reader) -> bool:
    """Whether a test left its shifted clock behind."""
    shifted: bool = await reader.fetchval(SHIFTED)
    return shifted
