"""Times that have come up for the first time, until a worker has offered them to those who wait."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from adapters.postgres.database import Connection, Reader

# Kinds of visit that a provider offers at a clinic and that somebody waits for there.
WAITED_FOR = """
SELECT w.provider_id, w.clinic_id, c.time_zone, array_agg(o.visit_type_id) AS kinds,
    (SELECT max(e.last_date) FROM waitlist_entries AS e
        WHERE e.clinic_id = w.clinic_id AND e.status IN ('active', 'offered', 'suspended')) AS last_date
FROM providers AS p
JOIN provider_clinics AS w ON w.provider_id = p.id
JOIN clinics AS c ON c.id = w.clinic_id AND c.active
JOIN provider_visit_types AS o ON o.provider_id = p.id
JOIN visit_types AS v ON v.id = o.visit_type_id AND v.active
WHERE p.id = any($1::bigint[]) AND p.active AND EXISTS (
    SELECT FROM waitlist_entries AS e WHERE e.clinic_id = w.clinic_id AND e.visit_type_id = o.visit_type_id
    AND e.status IN ('active', 'offered', 'suspended'))
GROUP BY w.provider_id, w.clinic_id, c.time_zone
"""

ADD = """
INSERT INTO waitlist_opened (provider_id, clinic_id, starts_at, ends_at, visit_type_ids)
SELECT $1, $2, s.starts_at, s.ends_at, s.kinds::bigint[]
FROM unnest($3::timestamptz[], $4::timestamptz[], $5::text[]) AS s (starts_at, ends_at, kinds)
"""

ADD_OPENINGS = """
INSERT INTO waitlist_opened (provider_id, clinic_id, starts_at, ends_at, opening_id, places)
SELECT o.provider_id, o.clinic_id, o.starts_at, o.ends_at, o.id, g.places
FROM unnest($1::bigint[], $2::integer[]) AS g (id, places)
JOIN openings AS o ON o.id = g.id AND o.offered AND o.starts_at > (SELECT app_now())
WHERE EXISTS (
    SELECT FROM waitlist_entries AS e
    JOIN provider_visit_types AS t ON t.provider_id = o.provider_id AND t.visit_type_id = e.visit_type_id
    WHERE e.clinic_id = o.clinic_id AND e.status IN ('active', 'offered', 'suspended')
        AND e.first_date - 1 <= o.starts_at AND o.starts_at < e.last_date + 2)
ORDER BY o.starts_at, o.id
"""

OPENINGS_AHEAD = """
SELECT o.id, o.capacity - (SELECT count(*) FROM allocations AS a
    WHERE a.resource_id = o.id AND a.state <> 'released')::integer AS places
FROM openings AS o
WHERE o.provider_id = any($1::bigint[]) AND o.clinic_id = any($2::bigint[]) AND o.offered AND o.starts_at > (SELECT app_now())
ORDER BY o.id LIMIT 2000
"""

OPENED = """
SELECT * FROM waitlist_opened ORDER BY id LIMIT $1
"""

DROP = """
DELETE FROM waitlist_opened WHERE id = $1 RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Waited:
    """What is waited for of a provider's at a clinic, and the last date that anybody there waits for."""

    time_zone: str
    kinds: frozenset[int]
    last_date: date


@dataclass(frozen=True, slots=True)
class Span:
    """A time, and the kinds of visit that it came up for."""

    starts_at: datetime
    ends_at: datetime
    kinds: frozenset[int]


@dataclass(frozen=True, slots=True)
class Opened:
    """A time that nobody has looked at for the waitlist yet. `kinds`: that it came up for; None: for all that are offered.

    `places`: of an opening, how many came up.
    """

    key: int
    provider_key: int
    clinic_key: int
    starts_at: datetime
    ends_at: datetime
    kinds: frozenset[int] | None
    opening_key: int | None
    places: int

    @property
    def resource_key(self) -> int:
        return self.opening_key or self.provider_key


async def waited_for(reader: Reader, provider_keys: Sequence[int]) -> dict[tuple[int, int], Waited]:
    """By provider and clinic, as things stand now: who or what is not active is not there."""
    return {
        (row["provider_id"], row["clinic_id"]): Waited(row["time_zone"], frozenset(row["kinds"]), row["last_date"])
        for row in await reader.fetch(WAITED_FOR, provider_keys)
    }


async def add(tx: Connection, provider_key: int, clinic_key: int, spans: Sequence[Span]) -> None:
    kinds = ["{" + ",".join(map(str, sorted(one.kinds))) + "}" for one in spans]
    starts, ends = [one.starts_at for one in spans], [one.ends_at for one in spans]
    await tx.execute(ADD, provider_key, clinic_key, starts, ends, kinds)


async def add_openings(tx: Connection, some: Iterable[tuple[int, int]]) -> None:
    """(opening, places that came up), where somebody waits for it."""
    wanted = [one for one in some if one[1] > 0]
    if wanted:
        await tx.execute(ADD_OPENINGS, [one[0] for one in wanted], [one[1] for one in wanted])


async def openings_ahead(
    reader: Reader, provider_keys: Sequence[int], clinic_keys: Sequence[int]
) -> list[tuple[int, int]]:
    """Published openings of these that are still to come, each with its free places."""
    return [(row["id"], row["places"]) for row in await reader.fetch(OPENINGS_AHEAD, provider_keys, clinic_keys)]


async def opened(reader: Reader, limit: int) -> list[Opened]:
    return [_opened(row) for row in await reader.fetch(OPENED, limit)]


async def drop(tx: Connection, key: int) -> bool:
    """False where another worker was first."""
    return await tx.fetchval(DROP, key) is not None


def _opened(row: Any) -> Opened:
    kinds = None if row["visit_type_ids"] is None else frozenset(row["visit_type_ids"])
    return Opened(
        row["id"],
        row["provider_id"],
        row["clinic_id"],
        row["starts_at"],
        row["ends_at"],
        kinds,
        row["opening_id"],
        row["places"],
    )
