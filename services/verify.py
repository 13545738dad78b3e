"""Reads the whole database in one snapshot and says what must hold and whether it does: a user's own proof."""

from collections.abc import AsyncIterator

from adapters.postgres import verify as rules
from adapters.postgres.database import Database
from adapters.postgres.verify import Finding


async def verify(database: Database) -> AsyncIterator[Finding]:
    """Needs a pool without bounds (`bounded=False`): a large database takes longer than a booking may."""
    async with database.snapshot(primary=True) as tx:
        async for finding in rules.findings(tx):
            yield finding
