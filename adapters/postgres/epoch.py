"""The epoch of the stream: cursors of another one do not count."""

from uuid import UUID

import asyncpg

RENEW = "UPDATE stream_epoch SET epoch = gen_random_uuid() RETURNING epoch"


async def renew_epoch(connection: asyncpg.Connection) -> UUID:
    """For after a restore, when cursors that clients hold may name changes that were undone."""
    epoch: UUID = await connection.fetchval(RENEW)
    return epoch
