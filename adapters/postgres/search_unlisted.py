"""Documents of pairs that ended: kept so that no late writer brings them back, dropped when all is made anew."""

from adapters.postgres.database import Database, answering

UNLISTED = """
SELECT d.provider_id, d.clinic_id, d.seq FROM search_documents AS d WHERE NOT d.listed
    AND NOT EXISTS (
        SELECT FROM provider_clinics AS p WHERE p.provider_id = d.provider_id AND p.clinic_id = d.clinic_id)
"""

DROP = """
DELETE FROM search_documents AS d USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (provider_id, clinic_id, seq)
WHERE d.provider_id = k.provider_id AND d.clinic_id = k.clinic_id AND d.seq = k.seq AND NOT d.listed
"""

Ended = tuple[int, int, int]  # Keys of provider and clinic, and the number with which it was written.


async def ended(database: Database) -> list[Ended]:
    async with answering():
        return [tuple(row) for row in await database.primary.fetch(UNLISTED)]


async def drop(database: Database, some: list[Ended]) -> None:
    """Of those that were found before everything was read anew: whoever read them before has written long since."""
    columns = ([one[place] for one in some] for place in range(3))
    async with database.transaction() as tx:
        await tx.execute(DROP, *columns)
