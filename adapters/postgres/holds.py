"""Holds: whose they are and for which slot. Their time and its end stand in the allocation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adapters.postgres.database import Connection, Reader
from domain import ids, zones
from domain.access import Viewer
from domain.appointments import Hold

HOLDS = """
SELECT h.*, c.time_zone, a.id AS allocation_id, a.resource_id, a.expires_at, a.starts_at AS from_at, a.ends_at AS to_at,
    (SELECT app_now()) AS now
FROM holds AS h JOIN allocations AS a ON a.hold_id = h.id AND a.state = 'held' JOIN clinics AS c ON c.id = h.clinic_id
WHERE h.id = any($1::bigint[]) AND h.state = 'active'
"""

HOLDS_OF_CALLER = """
SELECT h.*, c.time_zone, a.id AS allocation_id, a.resource_id, a.expires_at, a.starts_at AS from_at, a.ends_at AS to_at,
    (SELECT app_now()) AS now
FROM holds AS h JOIN allocations AS a ON a.hold_id = h.id AND a.state = 'held' JOIN clinics AS c ON c.id = h.clinic_id
WHERE h.caller = $1 AND h.state = 'active' AND a.expires_at > (SELECT app_now())
ORDER BY a.expires_at, h.id LIMIT 100
"""

EXPIRED = """
SELECT h.*, c.time_zone, a.id AS allocation_id, a.resource_id, a.expires_at, a.starts_at AS from_at, a.ends_at AS to_at,
    (SELECT app_now()) AS now
FROM allocations AS a JOIN holds AS h ON h.id = a.hold_id JOIN clinics AS c ON c.id = h.clinic_id
WHERE a.state = 'held' AND a.expires_at <= (SELECT app_now())
ORDER BY a.expires_at LIMIT $1
"""

TAKE = """
INSERT INTO holds (
    id, caller, role, provider_id, clinic_id, visit_type_id, opening_id, starts_at, ends_at, taken_at, resource_version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""

END = """
UPDATE holds SET state = $2 WHERE id = any($1::bigint[]) AND state = 'active'
"""

EXTEND = """
UPDATE holds SET extended = true, resource_version = $2 WHERE id = $1
"""

TOLD_CLINICS = """
SELECT p.id, ARRAY(SELECT clinic_id FROM provider_clinics AS w WHERE w.provider_id = p.id ORDER BY clinic_id) AS clinics
FROM providers AS p WHERE p.id = any($1::bigint[])
"""


@dataclass(frozen=True, slots=True)
class StoredHold:
    """`from_at` to `to_at` is what it occupies, buffers included; the slot itself is the visit alone."""

    hold: Hold
    slot: ids.SlotKey
    allocation_key: int
    resource_key: int
    starts_at: datetime
    ends_at: datetime
    from_at: datetime
    to_at: datetime
    now: datetime


async def holds(reader: Reader, keys: Sequence[int]) -> dict[int, StoredHold]:
    """Those not yet released, used or swept; look at `expires_at` and `now`."""
    return {row["id"]: _stored(row) for row in await reader.fetch(HOLDS, keys)}


async def of_caller(reader: Reader, caller: str) -> list[StoredHold]:
    """Live holds, the one that ends first before others."""
    return [_stored(row) for row in await reader.fetch(HOLDS_OF_CALLER, caller)]


async def expired(reader: Reader, limit: int) -> list[StoredHold]:
    return [_stored(row) for row in await reader.fetch(EXPIRED, limit)]


async def take(
    tx: Connection,
    key: int,
    viewer: Viewer,
    slot: ids.SlotKey,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    resource_version: int,
) -> None:
    await tx.execute(
        TAKE, key, viewer.subject, viewer.role.value, slot.provider_id, slot.clinic_id, slot.visit_type_id,
        slot.opening_id, starts_at, ends_at, now, resource_version,
    )  # fmt: skip


async def end(tx: Connection, keys: Sequence[int], state: str) -> None:
    """Marks holds 'released', 'expired' or 'used'; their allocation is written by `allocations.occupy`."""
    if keys:
        await tx.execute(END, keys, state)


async def extend(tx: Connection, key: int, resource_version: int) -> None:
    await tx.execute(EXTEND, key, resource_version)


async def told_clinics(reader: Reader, provider_keys: Sequence[int]) -> dict[int, list[int]]:
    """Clinics whose calendars show each provider."""
    return {row["id"]: row["clinics"] for row in await reader.fetch(TOLD_CLINICS, provider_keys)}


def _stored(row: Any) -> StoredHold:
    zone = zones.named(row["time_zone"])
    start = None if row["opening_id"] is not None else zones.minutes(row["starts_at"])
    slot = ids.SlotKey(row["provider_id"], row["clinic_id"], row["visit_type_id"], start, row["opening_id"])
    hold = Hold(row["id"], row["caller"], str(slot), row["expires_at"].astimezone(zone))
    return StoredHold(
        hold, slot, row["allocation_id"], row["resource_id"], row["starts_at"].astimezone(zone),
        row["ends_at"].astimezone(zone), row["from_at"], row["to_at"], row["now"],
    )  # fmt: skip
