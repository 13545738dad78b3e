"""Which web sites may embed which clinic's calendar."""

from collections.abc import Sequence
from datetime import datetime

from adapters.postgres.database import Connection, Reader

EVERY_ORIGIN = """
SELECT DISTINCT origin FROM clinic_origins
"""

ORIGINS_OF_CLINICS = """
SELECT clinic_id, array_agg(origin ORDER BY origin) AS origins FROM clinic_origins
WHERE clinic_id = any($1::bigint[]) GROUP BY clinic_id
"""

REPLACE_ORIGINS = """
WITH removed AS (
    DELETE FROM clinic_origins WHERE clinic_id = $1 AND origin <> all($2::text[])
), told AS (
    INSERT INTO outbox (at, topic, clinic_id, payload) VALUES ($3, 'availability', $1, $4::jsonb)
)
INSERT INTO clinic_origins (clinic_id, origin)
SELECT $1, one.origin FROM unnest($2::text[]) AS one (origin) ON CONFLICT DO NOTHING
"""


async def every_origin(reader: Reader) -> frozenset[str]:
    """The union over all clinics."""
    return frozenset(row["origin"] for row in await reader.fetch(EVERY_ORIGIN))


async def origins(reader: Reader, clinic_keys: Sequence[int]) -> dict[int, list[str]]:
    """In the order of the alphabet; a clinic without any is left out."""
    return {row["clinic_id"]: row["origins"] for row in await reader.fetch(ORIGINS_OF_CLINICS, clinic_keys)}


async def replace(tx: Connection, clinic_key: int, some: Sequence[str], at: datetime, payload: dict[str, bool]) -> None:
    """The whole set, and one event for the clinic, by which other processes hear of it. The caller holds the clinic's lock."""
    await tx.execute(REPLACE_ORIGINS, clinic_key, some, at, payload)
