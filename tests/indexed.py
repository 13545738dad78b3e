"""Fills the documents of search from what stands in the database, at once and by nobody's log."""

from contextlib import aclosing

import asyncpg

from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.database import Database
from adapters.postgres.search_documents import SearchDocuments
from adapters.postgres.search_sources import Sources
from services.searching import synonyms


async def fill(connections: asyncpg.Pool) -> int:
    """How many documents were written."""
    database, count = Database(connections), 0
    sources = Sources(database, KnownSchedules(), synonyms.of_specialties())
    epoch = await sources.epoch()
    async with SearchDocuments(database).renewing(epoch) as write, aclosing(sources.everything()) as found:
        async for read in found:
            count += await write(read.epoch, read.documents)
    return count
