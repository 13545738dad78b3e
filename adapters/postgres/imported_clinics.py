"""Clinics that came from files, found again by the key of their source."""

from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass
from typing import Any

from adapters.postgres.database import Connection, Reader
from domain.imports import ClinicRow

STORED = """
SELECT id, source_key, name, time_zone, address_lines, city, region, postal_code, country, latitude, longitude, phone
FROM clinics WHERE source_key = any($1::text[])
"""

ADDRESSES = """
SELECT id, postal_code, address_lines FROM clinics WHERE country = 'US' ORDER BY id
"""

INSERT = """
INSERT INTO clinics (source_key, name, time_zone, address_lines, city, region, postal_code, country, latitude, longitude, phone)
SELECT r.source_key, r.name, r.time_zone, r.address_lines, r.city, r.region, r.postal_code, r.country, r.latitude, r.longitude,
    r.phone
FROM jsonb_to_recordset($1::jsonb) AS r (
    source_key text, name text, time_zone text, address_lines text[], city text, region text, postal_code text, country text,
    latitude double precision, longitude double precision, phone text
)
RETURNING id, source_key
"""

UPDATE = """
WITH changed AS (
    UPDATE clinics AS c SET version = c.version + 1, name = r.name, time_zone = r.time_zone, address_lines = r.address_lines,
        city = r.city, region = r.region, postal_code = r.postal_code, country = r.country, latitude = r.latitude,
        longitude = r.longitude, phone = r.phone
    FROM jsonb_to_recordset($1::jsonb) AS r (
        source_key text, name text, time_zone text, address_lines text[], city text, region text, postal_code text,
        country text, latitude double precision, longitude double precision, phone text
    )
    WHERE c.source_key = r.source_key RETURNING c.id
)
INSERT INTO outbox (at, topic, clinic_id, payload)
SELECT (SELECT app_now()), 'availability', id, '{"invalidated": true}' FROM changed
"""

RESOURCES = """
SELECT DISTINCT provider_id FROM provider_clinics WHERE clinic_id = $1
"""


@dataclass(frozen=True, slots=True)
class StoredClinic:
    key: int
    row: ClinicRow


async def stored(reader: Reader, source_keys: Sequence[str]) -> dict[str, StoredClinic]:
    found = await reader.fetch(STORED, source_keys)
    return {record["source_key"]: StoredClinic(record["id"], _row(record)) for record in found}


async def addresses(reader: Reader, zips: Set[str]) -> list[tuple[int, str, Sequence[str]]]:
    """(key, postal code, address lines) of the US clinics in these ZIP codes.

    All are read and looked through here: a plan that was made before there were clinics would compare each with each ZIP code.
    """
    found = await reader.fetch(ADDRESSES)
    return [
        (record["id"], record["postal_code"], record["address_lines"])
        for record in found
        if record["postal_code"] is not None and record["postal_code"][:5] in zips
    ]


async def insert(tx: Connection, rows: Sequence[ClinicRow]) -> dict[str, int]:
    """The new keys by source key."""
    found = await tx.fetch(INSERT, [asdict(row) for row in rows])
    return {record["source_key"]: record["id"] for record in found}


async def update(tx: Connection, rows: Sequence[ClinicRow]) -> None:
    """With an event for each: what is shown of the clinic is read again."""
    await tx.execute(UPDATE, [asdict(row) for row in rows])


async def resources(reader: Reader, clinic_key: int) -> list[int]:
    """The providers who work there."""
    return [record["provider_id"] for record in await reader.fetch(RESOURCES, clinic_key)]


def _row(record: Any) -> ClinicRow:
    values = dict(record)
    del values["id"]
    return ClinicRow(**values | {"zone_named": True, "address_lines": tuple(values["address_lines"])})
