"""Published openings as a feed sets them: each a resource with its own version (rules 7, 42)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.postgres.database import Connection, Reader

OpeningKey = tuple[int, datetime, datetime]  # pool, start, end

STORED = """
SELECT o.id, o.provider_id, o.starts_at, o.ends_at, o.capacity, o.offered,
    (SELECT count(*) FROM allocations AS a WHERE a.resource_id = o.id AND a.state <> 'released'
        AND (a.expires_at IS NULL OR a.expires_at > (SELECT app_now())))::integer AS taken
FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) AS k (provider_id, starts_at, ends_at)
JOIN openings AS o USING (provider_id, starts_at, ends_at)
"""

OFFERED_AHEAD = """
SELECT id, provider_id, starts_at, ends_at, capacity FROM openings
WHERE provider_id = any($1::bigint[]) AND offered AND ends_at > (SELECT app_now())
ORDER BY id
"""

NEW_RESOURCES = """
INSERT INTO resources (kind, version) SELECT 'opening', 1 FROM generate_series(1, $1) RETURNING id
"""

INSERT = """
WITH made AS (
    INSERT INTO openings (id, provider_id, clinic_id, starts_at, ends_at, capacity, offered)
    SELECT id, provider_id, clinic_id, starts_at, ends_at, capacity, offered
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::integer[], $7::boolean[])
        AS r (id, provider_id, clinic_id, starts_at, ends_at, capacity, offered)
    RETURNING id, clinic_id
)
INSERT INTO outbox (at, topic, clinic_id, resource_id, resource_version, payload)
SELECT (SELECT app_now()), 'availability', clinic_id, id, 1, '{"invalidated": true}' FROM made
"""

CHANGE = """
WITH changed AS (
    UPDATE openings AS o SET capacity = r.capacity, offered = r.offered
    FROM unnest($1::bigint[], $2::integer[], $3::boolean[]) AS r (id, capacity, offered)
    WHERE o.id = r.id RETURNING o.id, o.clinic_id
), raised AS (
    UPDATE resources AS r SET version = r.version + 1 FROM changed AS c WHERE r.id = c.id
    RETURNING r.id, r.version, c.clinic_id
)
INSERT INTO outbox (at, topic, clinic_id, resource_id, resource_version, payload)
SELECT (SELECT app_now()), 'availability', clinic_id, id, version, '{"invalidated": true}' FROM raised
"""


@dataclass(frozen=True, slots=True)
class StoredOpening:
    """`taken` counts its live allocations."""

    key: int
    capacity: int
    offered: bool
    taken: int


@dataclass(frozen=True, slots=True)
class NewOpening:
    provider_key: int
    clinic_key: int
    starts_at: datetime
    ends_at: datetime
    capacity: int
    offered: bool


async def stored(reader: Reader, keys: Sequence[OpeningKey]) -> dict[OpeningKey, StoredOpening]:
    columns = [[key[at] for key in keys] for at in range(3)]
    return {
        (record["provider_id"], record["starts_at"], record["ends_at"]): StoredOpening(
            record["id"], record["capacity"], record["offered"], record["taken"]
        )
        for record in await reader.fetch(STORED, *columns)
    }


async def offered_ahead(reader: Reader, pool_keys: Sequence[int]) -> dict[OpeningKey, int]:
    """Openings of these pools that are offered and not over, with their keys."""
    found = await reader.fetch(OFFERED_AHEAD, pool_keys)
    return {(record["provider_id"], record["starts_at"], record["ends_at"]): record["id"] for record in found}


async def insert(tx: Connection, new: Sequence[NewOpening]) -> list[int]:
    """Their keys, in the same order."""
    ids = sorted(record["id"] for record in await tx.fetch(NEW_RESOURCES, len(new)))
    await tx.execute(
        INSERT,
        ids,
        [one.provider_key for one in new],
        [one.clinic_key for one in new],
        [one.starts_at for one in new],
        [one.ends_at for one in new],
        [one.capacity for one in new],
        [one.offered for one in new],
    )
    return ids


async def change(tx: Connection, changes: Sequence[tuple[int, int, bool]]) -> None:
    """(opening, capacity, offered). The caller holds the openings' locks."""
    await tx.execute(CHANGE, [one[0] for one in changes], [one[1] for one in changes], [one[2] for one in changes])
